"""NICE CXone credentials: the recipe for a client of one tenant."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from prefect.blocks.abstract import CredentialsBlock
from pydantic import ConfigDict, Field, SecretStr, ValidationError

from cordboard.errors import BadCall
from cordboard.redaction import Redactor
from cordboard.settings import Settings
from cordboard.vendors.cxone import REGIONS, data_action_endpoints
from cordboard.vendors.session import SessionLimits, VendorSession
from cordboard.vendors.token import TokenSource

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
        description="Where the tenant lives; decides the hosts unless they are given below.",
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
        default="dataactions:execute dataactions:read",
        title="Scopes",
        description="OAuth scopes to ask for, separated by spaces.",
    )

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Reads `CXONE_CLIENT_ID`, `CXONE_CLIENT_SECRET` and, where set, the other `CXONE_*` variables.

        Raises:
            BadCall: a variable that is needed is missing, or holds what it cannot hold; all such variables are named.
        """
        missing = [name for name in ("CXONE_CLIENT_ID", "CXONE_CLIENT_SECRET") if not environ.get(name)]
        if missing:
            raise BadCall(
                f"no credentials: set {' and '.join(missing)}, or name a block with --credentials; "
                "`cordboard sandbox` prints the variables of a local vendor"
            )
        names = {"client_id", "client_secret", "region", "base_url", "token_url", "scopes"}
        found = {name: environ[f"CXONE_{name.upper()}"] for name in names if environ.get(f"CXONE_{name.upper()}")}
        try:
            return cls(**found)
        except ValidationError as error:
            faults = [f"CXONE_{str(fault['loc'][-1]).upper()}: {fault['msg']}" for fault in error.errors()]
            raise BadCall("\n".join(faults)) from None

    @property
    def tenant(self) -> str:
        """Whose effects are brought about with these credentials: what was done for one tenant says nothing of another.

        Host and client id, without the port, so that a sandbox that was started again is the same.
        """
        host = urlsplit(self.base_url or data_action_endpoints(self.region.value).base_url).hostname
        return f"{host}/{self.client_id}"[:128]

    def get_client(
        self, settings: Settings | None = None, redactor: Redactor | None = None, **session: Any
    ) -> VendorSession:
        """One client for one run: a session with its own connections, token cache and limits.

        Args:
            settings: limits of the client; defaults where None.
            redactor: learns the secret and each token, so that they can be masked elsewhere.
            **session: further arguments of `VendorSession`, such as a transport for tests.

        Raises:
            BadCall: a URL is neither https nor on this machine.
        """
        secret, redactor = self.client_secret.get_secret_value(), redactor or Redactor()
        places = data_action_endpoints(self.region.value)
        token_url = self.token_url or places.token_url
        basic = self.send_secret_in == "basic_header"  # noqa: S105  not a secret
        tokens = TokenSource(
            token_url, self.client_id, secret, self.scopes.split(), basic_auth=basic, redactor=redactor
        )
        limits = SessionLimits.from_settings(settings or Settings())
        return VendorSession(self.base_url or places.base_url, tokens, limits, redactor=redactor, **session)
