"""What the credentials of every vendor have in common: the recipe for a client of one tenant."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar, Literal, Self

from prefect.blocks.abstract import CredentialsBlock
from pydantic import ConfigDict, Field, SecretStr, ValidationError

from cordboard.errors import BadCall
from cordboard.redaction import Redactor
from cordboard.settings import Settings
from cordboard.vendors.login import Api, Login
from cordboard.vendors.session import VendorSession


class TenantCredentials(CredentialsBlock):
    """OAuth client credentials of one tenant, and where that tenant lives."""

    _login: ClassVar[type[Login]]

    model_config = ConfigDict(hide_input_in_errors=True)

    client_id: str = Field(
        title="Client ID", min_length=1, description="OAuth client id, from the tenant's API applications."
    )
    client_secret: SecretStr = Field(
        title="Client secret", description="OAuth client secret; stored encrypted, shown nowhere."
    )
    region: str = Field(default="", title="Region", description="Where the tenant lives.")
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
    scopes: str = Field(
        default="",
        title="Scopes",
        description="OAuth scopes to ask for, separated by spaces; leave empty to ask for what each job needs.",
    )

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Reads the vendor's variables: client id, client secret and, where set, the others.

        Raises:
            BadCall: a variable that is needed is missing, or holds what it cannot hold; all such variables are named.
        """
        login = asdict(cls._login.from_env(environ))
        found = {name: value for name, value in login.items() if value and name in cls.model_fields}
        try:
            return cls(**found)
        except ValidationError as error:
            prefix = cls._login.PREFIX
            faults = [f"{prefix}_{str(fault['loc'][-1]).upper()}: {fault['msg']}" for fault in error.errors()]
            raise BadCall("\n".join(faults)) from None

    @abstractmethod
    def login(self) -> Login:
        """The same as the domain knows it, with the secret unwrapped."""

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
        """One client for one run; see `Login.session`.

        Raises:
            BadCall: a URL is neither https nor on this machine, or nothing says where the API is.
        """
        return self.login().session(settings or Settings(), redactor, api, **session)

    def _stated(self) -> dict[str, Any]:
        """What every login is made of, with the secret unwrapped."""
        shared = {name: str(getattr(self, name)) for name in ("client_id", "region", "base_url", "token_url", "scopes")}
        return {**shared, "client_secret": self.client_secret.get_secret_value()}
