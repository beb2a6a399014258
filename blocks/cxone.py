"""NICE CXone credentials: the recipe for a client of one tenant."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import Field

from blocks.tenant import TenantCredentials
from cordboard.vendors.cxone import REGIONS
from cordboard.vendors.login import CXoneLogin, Login

Region = StrEnum("Region", {name.replace("-", "_"): name for name in REGIONS})  # type: ignore[misc]


class CXoneCredentials(TenantCredentials):
    """OAuth client credentials of one NICE CXone tenant, and where that tenant lives.

    Example:
        ```python
        from blocks.cxone import CXoneCredentials

        credentials = CXoneCredentials.load("BLOCK_NAME")
        ```
    """

    _block_type_name: ClassVar[str] = "CXone Credentials"
    _block_type_slug: ClassVar[str] = "cxone-credentials"
    _description: ClassVar[str] = "OAuth client credentials of one NICE CXone tenant, and where that tenant lives."
    _documentation_url: ClassVar[str] = "https://developer.niceincontact.com"  # type: ignore[assignment]
    _login: ClassVar[type[Login]] = CXoneLogin

    region: Region = Field(
        default=Region("na1"),
        title="Region",
        description="Where the tenant lives; decides the host of data actions unless it is given below.",
    )
    org_id: str = Field(
        default="",
        title="Organisation",
        description="The organisation id in the host name of the tenant's call flows.",
    )
    send_secret_in: Literal["form", "basic_header"] = Field(
        default="form",
        title="Send id and secret in",
        description="The form body, as most CXone tenants take it, or an HTTP Basic header.",
    )

    def login(self) -> CXoneLogin:
        """The same as the domain knows it, with the secret unwrapped."""
        basic_auth = self.send_secret_in == "basic_header"  # noqa: S105  not a secret
        return CXoneLogin(**self._stated(), org_id=self.org_id, basic_auth=basic_auth)
