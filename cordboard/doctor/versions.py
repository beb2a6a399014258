"""Versions: Python and the packages whose wrong version breaks things without a word."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable
from importlib import metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from cordboard.doctor.model import Check, Surroundings, error, ok

#: The server does not start on a newer FastAPI; the scheduler makes no runs on a newer SQLAlchemy.
PINNED = ("prefect", "fastapi", "sqlalchemy", "httpx", "pydantic")
_MEND = "Install what the lock says: `python -m pip install --no-deps --require-hashes -r requirements.lock`."


async def probe(_: Surroundings) -> list[Check]:
    """Python and packages as they are installed here."""
    about = metadata.metadata("cordboard")
    python = judge_python(platform.python_version(), about["Requires-Python"] or "")
    return [python, judge_packages(metadata.requires("cordboard") or (), metadata.version)]


def judge_python(found: str, wanted: str) -> Check:
    """Whether the interpreter is one that the project declares."""
    if found in SpecifierSet(wanted):
        return ok("python", f"Python {found}, as {wanted or 'any'} asks")
    return error("python", f"Python {found} is not {wanted}", "Make the virtualenv anew with a Python that fits.")


def judge_packages(declared: Iterable[str], version: Callable[[str], str]) -> Check:
    """Whether the pinned packages are as declared.

    Args:
        declared: requirements as `pyproject.toml` has them.
        version: the installed version of a package; raises `PackageNotFoundError`.
    """
    wanted = {each.name.lower(): each for each in map(Requirement, declared) if not each.marker}
    pinned = [wanted[name] for name in PINNED if name in wanted]
    found = {each.name: _version_of(each.name, version) for each in pinned}
    wrong = [each for each in pinned if not each.specifier.contains(found[each.name], prereleases=True)]
    if wrong:
        said = ", ".join(f"{each.name} {found[each.name] or 'is missing'} (needs {each.specifier})" for each in wrong)
        return error("packages", f"not as pinned: {said}", _MEND)
    return ok("packages", ", ".join(f"{name} {installed}" for name, installed in found.items()))


def _version_of(name: str, version: Callable[[str], str]) -> str:
    try:
        return version(name)
    except metadata.PackageNotFoundError:
        return ""
