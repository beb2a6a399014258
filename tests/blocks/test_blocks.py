"""Blocks: what the UI's form says, what stays hidden, and the client that comes of one."""

from __future__ import annotations

from typing import Any

import pytest
from prefect.blocks.core import Block
from prefect.testing.standard_test_suites import BlockStandardTestSuite

from blocks.cxone import CXoneCredentials
from blocks.genesys import GenesysCloudCredentials
from blocks.webhook import WebhookEndpoint, endpoint_from_env
from cordboard.errors import BadCall
from cordboard.settings import Settings
from cordboard.vendors import genesys
from cordboard.vendors.cxone import REGIONS
from cordboard.vendors.login import GenesysLogin

BLOCKS = (CXoneCredentials, GenesysCloudCredentials, WebhookEndpoint)
SECRET = "canary-secret-4711"
WEBHOOK_SECRET = "whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5LWNhbmFyeQ=="


@pytest.mark.parametrize("block", BLOCKS)
class TestEveryBlock(BlockStandardTestSuite):
    """Prefect's own rules for blocks: described, documented, every field explained, an example that names the block."""

    @pytest.fixture
    def block(self, block: type[Block]) -> type[Block]:
        return block

    test_has_a_valid_image = None  # we have no logo: the UI would fetch it from the network


def credentials(**more: Any) -> CXoneCredentials:
    return CXoneCredentials(client_id="id", client_secret=SECRET, **more)


def genesys_credentials(**more: Any) -> GenesysCloudCredentials:
    return GenesysCloudCredentials(client_id="id", client_secret=SECRET, **more)


@pytest.mark.parametrize(
    "carrier",
    [
        credentials(),
        credentials().get_client(),
        genesys_credentials(),
        genesys_credentials().get_client(),
        WebhookEndpoint(url="https://example.com", secret=WEBHOOK_SECRET),
        WebhookEndpoint(url="https://example.com", secret=WEBHOOK_SECRET).get_endpoint(),
        Settings(webhook_secret=WEBHOOK_SECRET),
    ],
    ids=lambda carrier: type(carrier).__name__,
)
def test_nothing_that_carries_a_secret_shows_it(carrier: Any) -> None:
    shown = repr(carrier) + str(carrier) + (carrier.model_dump_json() if isinstance(carrier, Block) else "")
    assert SECRET not in shown and WEBHOOK_SECRET not in shown


def test_the_region_decides_the_hosts_unless_they_are_given() -> None:
    assert "https://eu1." in repr(credentials(region="eu1").get_client())
    assert "https://crm.example.com" in repr(credentials(base_url="https://crm.example.com").get_client())


def test_every_region_of_the_table_can_be_chosen_and_no_other() -> None:
    assert all(credentials(region=region).get_client() for region in REGIONS)
    assert all(genesys_credentials(region=region).get_client() for region in genesys.REGIONS)
    for make in (credentials, genesys_credentials):
        with pytest.raises(ValueError, match="region"):
            make(region="evil.example.com#")


@pytest.mark.parametrize(
    "url", ["http://crm.example.com", "https://user:pw@crm.example.com", "ftp://x", "crm.example.com"]
)
def test_credentials_are_sent_to_https_or_to_this_machine_only(url: str) -> None:
    for make in (credentials, genesys_credentials):
        with pytest.raises(BadCall):
            make(base_url=url).get_client()
        with pytest.raises(BadCall):
            make(token_url=url).get_client()


def test_missing_variables_are_all_named() -> None:
    with pytest.raises(BadCall, match="CXONE_CLIENT_ID and CXONE_CLIENT_SECRET"):
        CXoneCredentials.from_env({"CXONE_REGION": "na1"})
    with pytest.raises(BadCall, match="GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET"):
        GenesysCloudCredentials.from_env({"GENESYS_REGION": "mypurecloud.ie"})


def test_a_variable_that_holds_what_it_cannot_hold_is_named() -> None:
    """Under its own name, and without what it holds."""
    for block, prefix in ((CXoneCredentials, "CXONE"), (GenesysCloudCredentials, "GENESYS")):
        named = {f"{prefix}_CLIENT_ID": "id", f"{prefix}_CLIENT_SECRET": SECRET, f"{prefix}_REGION": "mars"}
        with pytest.raises(BadCall, match=f"{prefix}_REGION") as refused:
            block.from_env(named)
        assert SECRET not in str(refused.value)


def test_the_environment_says_what_a_block_says() -> None:
    environment = {"CXONE_CLIENT_ID": "id", "CXONE_CLIENT_SECRET": SECRET, "CXONE_REGION": "uk1", "CXONE_SCOPES": "a b"}
    read = CXoneCredentials.from_env(environment)
    assert (read.client_id, read.region.value, read.scopes) == ("id", "uk1", "a b")
    assert read.client_secret.get_secret_value() == SECRET
    named = {name.replace("CXONE", "GENESYS"): value for name, value in environment.items()}
    live = GenesysCloudCredentials.from_env(named | {"GENESYS_REGION": "eu-west-1", "GENESYS_BASE_URL": "https://x.y"})
    assert live.login() == GenesysLogin("id", SECRET, "eu-west-1", base_url="https://x.y", scopes="a b")


def test_without_a_receiver_there_are_no_webhooks() -> None:
    assert endpoint_from_env(Settings(), None) is None


def test_a_block_comes_before_the_environment() -> None:
    block = WebhookEndpoint(url="https://block.example.com", secret=WEBHOOK_SECRET)
    found = endpoint_from_env(Settings(webhook_url="https://env.example.com", webhook_secret=WEBHOOK_SECRET), block)
    assert found is not None and found.url == "https://block.example.com"


def test_another_host_or_another_client_is_another_tenant() -> None:
    mine = credentials(region="eu1")
    assert mine.tenant() == "eu1.api.nice-incontact.com/id"
    others = [credentials(region="na1"), credentials(base_url="https://x.example")]
    assert len({block.tenant() for block in [mine, *others]}) == 3
    assert credentials(base_url="http://127.0.0.1:1").tenant() == credentials(base_url="http://127.0.0.1:2").tenant()


def test_a_genesys_organisation_lives_on_the_host_of_its_region() -> None:
    assert "https://api.mypurecloud.com" in repr(genesys_credentials().get_client())
    assert "https://api.euw2.pure.cloud" in repr(genesys_credentials(region="eu-west-2").get_client(api="flows"))
    assert genesys_credentials(region="mypurecloud.jp").tenant("flows") == "api.mypurecloud.jp/id"


def test_call_flows_live_on_the_host_of_the_organisation() -> None:
    assert "https://acme.api.nice.incontact.com" in repr(credentials(org_id="acme").get_client(api="flows"))
    with pytest.raises(BadCall, match="CXONE_ORG_ID"):
        credentials().get_client(api="flows")
    with pytest.raises(BadCall, match="organisation id"):
        credentials(org_id="evil.example.com#").get_client(api="flows")
