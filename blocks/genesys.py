"""Genesys Cloud credentials: the recipe for a client of one organisation."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from blocks.tenant import TenantCredentials
from cordboard.vendors.genesys import REGIONS
from cordboard.vendors.login import GenesysLogin, Login

Region = StrEnum("Region", {name.replace("-", "_").replace(".", "_"): name for name in REGIONS})  # type: ignore[misc]


class GenesysCloudCredentials(TenantCredentials):
    """OAuth client credentials of one Genesys Cloud organisation, and where it lives.

    Example:
        ```python
        from blocks.genesys import GenesysCloudCredentials

        credentials = GenesysCloudCredentials.load("BLOCK_NAME")
        ```
    """

    _block_type_name: ClassVar[str] = "Genesys Cloud Credentials"
    _block_type_slug: ClassVar[str] = "genesys-cloud-credentials"
    _description: ClassVar[str] = "OAuth client credentials of one Genesys Cloud organisation, and where it lives."
    _documentation_url: ClassVar[str] = "https://developer.genesys.cloud"  # type: ignore[assignment]
    _login: ClassVar[type[Login]] = GenesysLogin

    region: Region = Field(
        default=Region("mypurecloud.com"),
        title="Region",
        description="The organisation's domain, or the AWS region that it lives in; decides the hosts.",
    )

    def login(self) -> GenesysLogin:
        """The same as the domain knows it, with the secret unwrapped."""
        return GenesysLogin(**self._stated())
