"""NICE CXone credentials: the recipe for a client of one tenant."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar, Literal, Self

from prefect.blocks.abstract import CredentialsBlock
from pydantic import ConfigDict, Field, SecretStr, ValidationError

from cordboard.errors import BadCall
from cordboard.redaction import Redactor
from cordboard.settings import Settings
from cordboard.vendors.cxone import REGIONS
from cordboard.vendors.login import Api, CXoneLogin
from cordboard.vendors.session import VendorSession

_FROM_ENV = ("client_id", "client_secret", "region", "org_id", "base_url", "token_url", "scopes")
Region = StrEnum("Region", {name.replace("-", "_"): name for name in REGIONS})  # type: ignore[misc]


class CXoneCredentials(CredentialsBlock):
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

    model_config = ConfigDict(hide_input_in_errors=True)

    client_id: str = Field(
        title="Client ID", min_length=1, description="OAuth client id, from the tenant's API applications."
    )
    client_secret: SecretStr = Field(
        title="Client secret", description="OAuth client secret; stored encrypted, shown nowhere."
    )
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
    base_url: str = Field(
        default="",
        title="API root",
        description="Another API root than the region's, such as a sandbox; https, or http on this machine.",
    )
    token_url: str = Field(
        default="",
        title="Token URL",
        description="Another token endpoint than the region's; same rules as the API root.",
    )
    grant: Literal["client_credentials"] = Field(
        default="client_credentials", title="Grant", description="OAuth grant by which tokens are fetched."
    )
    send_secret_in: Literal["form", "basic_header"] = Field(
        default="form",
        title="Send id and secret in",
        description="The form body, as most CXone tenants take it, or an HTTP Basic header.",
    )
    scopes: str = Field(
        default="",
        title="Scopes",
        description="OAuth scopes to ask for, separated by spaces; leave empty to ask for what each job needs.",
    )

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Reads `CXONE_CLIENT_ID`, `CXONE_CLIENT_SECRET` and, where set, the other `CXONE_*` variables.

        Raises:
            BadCall: a variable that is needed is missing, or holds what it cannot hold; all such variables are named.
        """
        login = CXoneLogin.from_env(environ)
        found = {name: value for name in _FROM_ENV if (value := getattr(login, name))}
        try:
            return cls(**found)
        except ValidationError as error:
            faults = [f"CXONE_{str(fault['loc'][-1]).upper()}: {fault['msg']}" for fault in error.errors()]
            raise BadCall("\n".join(faults)) from None

    def login(self) -> CXoneLogin:
        """The same as the domain knows it, with the secret unwrapped."""
        return CXoneLogin(
            self.client_id,
            self.client_secret.get_secret_value(),
            self.region.value,
            self.org_id,
            self.base_url,
            self.token_url,
            self.scopes,
            basic_auth=self.send_secret_in == "basic_header",  # noqa: S105  not a secret
        )

    def tenant(self, api: Api = "data_actions") -> str:
        """Whose effects are brought about with these credentials."""
        return self.login().tenant(api)

    def get_client(
        self,
        settings: Settings | None = None,
        redactor: Redactor | None = None,
        api: Api = "data_actions",
        **session: Any,
    ) -> VendorSession:
        """One client for one run; see `CXoneLogin.session`.

        Raises:
            BadCall: a URL is neither https nor on this machine, or nothing says where the API is.
        """
        return self.login().session(settings or Settings(), redactor, api, **session)
