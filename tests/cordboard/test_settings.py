"""Settings from the environment."""

from dataclasses import fields
from pathlib import Path

import pytest

from cordboard.errors import BadCall
from cordboard.settings import Settings


def test_defaults_need_no_environment() -> None:
    assert Settings.from_env({}) == Settings()
    assert Settings.from_env({"CORDBOARD_TENANT": "", "PATH": "/bin", "CORDBOARD_UNKNOWN": "x"}) == Settings()


def test_every_setting_has_its_variable_and_its_type() -> None:
    values = {
        "home": "/h",
        "ledger_url": "sqlite:///x",
        "tenant": "t",
        "webhook_url": "https://h",
        "webhook_secret": "whsec_x",
        "log_format": "json",
    }
    environ = {f"CORDBOARD_{item.name.upper()}": values.get(item.name, "7") for item in fields(Settings)}
    settings = Settings.from_env(environ)
    defaults = Settings()
    for item in fields(Settings):
        found = getattr(settings, item.name)
        assert found != getattr(defaults, item.name)
        assert isinstance(found, type(getattr(defaults, item.name)))
    assert settings.home == Path("/h")


@pytest.mark.parametrize("raw", ["x", "-1", "1.5", "nan", "inf", "1e999", "0x10"])
def test_a_number_that_is_none_names_its_variable(raw: str) -> None:
    with pytest.raises(BadCall, match="CORDBOARD_IN_FLIGHT"):
        Settings.from_env({"CORDBOARD_IN_FLIGHT": raw})


def test_all_wrong_settings_are_named_at_once() -> None:
    with pytest.raises(BadCall) as caught:
        Settings.from_env({"CORDBOARD_IN_FLIGHT": "x", "CORDBOARD_RETRY_TOTAL_SECONDS": "nan"})
    assert "CORDBOARD_IN_FLIGHT" in str(caught.value)
    assert "CORDBOARD_RETRY_TOTAL_SECONDS" in str(caught.value)


def test_the_webhook_secret_is_in_no_repr() -> None:
    assert "whsec_" not in repr(Settings(webhook_secret="whsec_abcdef"))


def test_the_ledger_lies_in_the_home_unless_it_is_set() -> None:
    assert Settings(home=Path("/h")).ledger == "sqlite:////h/ledger.db"
    assert Settings(ledger_url="postgresql+asyncpg://x/y").ledger == "postgresql+asyncpg://x/y"
