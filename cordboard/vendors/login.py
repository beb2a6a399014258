"""Logins: credentials of a tenant, where it is, and the client that comes of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from cordboard.errors import BadCall
from cordboard.redaction import Redactor
from cordboard.settings import Settings
from cordboard.vendors.cxone import FLOW_SCOPES, data_action_endpoints, debug_endpoints, flow_endpoints
from cordboard.vendors.cxone_debug import CALLS_PER_SECOND
from cordboard.vendors.cxone_workflows import workflow_endpoints
from cordboard.vendors.genesys import endpoints as genesys_endpoints
from cordboard.vendors.session import SessionLimits, VendorSession
from cordboard.vendors.token import TokenSource
from cordboard.vendors.urls import Endpoints

#: CXone's APIs live on hosts of their own, and ask for scopes of their own.
Api = Literal["data_actions", "flows", "debug", "workflows"]


@dataclass(frozen=True, slots=True)
class Login(ABC):
    """OAuth client credentials of one tenant, and where that tenant is.

    Attributes:
        client_id: OAuth client id.
        client_secret: OAuth client secret.
        region: decides the hosts.
        base_url: another API root for everything, such as a sandbox.
        token_url: another token endpoint for everything.
        scopes: what to ask for, separated by spaces; empty for what each API needs.
        basic_auth: whether id and secret go into an HTTP Basic header, and not into the form.
    """

    PREFIX: ClassVar[str]

    client_id: str
    client_secret: str = field(repr=False)
    region: str = ""
    base_url: str = ""
    token_url: str = ""
    scopes: str = ""
    basic_auth: bool = False

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Reads the variables of this vendor: client id, client secret and, where set, the others.

        Raises:
            BadCall: a variable that is needed is missing; all such variables are named.
        """
        names = {each.name: f"{cls.PREFIX}_{each.name.upper()}" for each in fields(cls) if each.name != "basic_auth"}
        missing = [names[name] for name in ("client_id", "client_secret") if not environ.get(names[name])]
        if missing:
            raise BadCall(
                f"no credentials: set {' and '.join(missing)}, or name a block with --credentials; "
                "`cordboard sandbox` prints the variables of a local vendor"
            )
        found: dict[str, Any] = {name: environ[named] for name, named in names.items() if environ.get(named)}
        return cls(**found)

    def places(self, api: Api = "data_actions") -> Endpoints:
        """Where an API and its tokens are, and the scopes to ask for.

        Raises:
            BadCall: nothing says where it is.
        """
        scopes = tuple(self.scopes.split())
        if self.base_url and self.token_url and scopes:
            return Endpoints(self.base_url, self.token_url, scopes)
        known = self._known(api)
        return Endpoints(self.base_url or known.base_url, self.token_url or known.token_url, scopes or known.scopes)

    def tenant(self, api: Api = "data_actions") -> str:
        """Whose effects are brought about with it: what was done for one tenant says nothing of another.

        Host and client id, without the port, so that a sandbox that was started again is the same.
        """
        return f"{urlsplit(self.places(api).base_url).hostname}/{self.client_id}"[:128]

    def session(
        self,
        settings: Settings,
        redactor: Redactor | None = None,
        api: Api = "data_actions",
        *,
        ahead: float | None = None,
        **given: Any,
    ) -> VendorSession:
        """One client for one run: a session with its own connections, token cache and limits.

        Simulations at CXone are spaced as the vendor advises, unless the settings ask for a pace.

        Args:
            settings: limits of the client.
            redactor: learns the secret and each token, so that they can be masked elsewhere.
            api: which of the vendor's APIs.
            ahead: calls that may get ready while others are open, as `SessionLimits` has it.
            **given: further arguments of `VendorSession`, such as a transport for tests.

        Raises:
            BadCall: nothing says where the API is, or a URL is neither https nor on this machine.
        """
        places, redactor = self.places(api), redactor or Redactor()
        tokens = TokenSource(
            places.token_url,
            self.client_id,
            self.client_secret,
            places.scopes,
            basic_auth=self.basic_auth,
            redactor=redactor,
        )
        limits = SessionLimits.from_settings(settings)
        if ahead is not None:
            limits = replace(limits, ahead=ahead)
        if not limits.calls_per_second:
            limits = replace(limits, calls_per_second=self._pace(api))
        return VendorSession(places.base_url, tokens, limits, redactor=redactor, **given)

    @abstractmethod
    def _known(self, api: Api) -> Endpoints:
        """The vendor's own places of an API."""

    def _pace(self, _api: Api) -> float:
        """Calls a second that the vendor advises; 0.0 where it says nothing."""
        return 0.0


@dataclass(frozen=True, slots=True)
class CXoneLogin(Login):
    """A tenant of NICE CXone, by the variables `CXONE_*`.

    Attributes:
        region: decides the hosts of data actions.
        org_id: the organisation; decides the host of call flows.
    """

    PREFIX: ClassVar[str] = "CXONE"

    region: str = "na1"
    org_id: str = ""

    def _known(self, api: Api) -> Endpoints:
        if api == "data_actions":
            return data_action_endpoints(self.region)
        if api == "debug":
            return debug_endpoints()
        if api == "workflows":
            return workflow_endpoints(self.region)
        if self.org_id:
            return flow_endpoints(self.org_id)
        if self.base_url and self.token_url:
            return Endpoints(self.base_url, self.token_url, FLOW_SCOPES)
        raise BadCall(
            "nothing says where the tenant's call flows are: set CXONE_ORG_ID (the organisation id in its host name), "
            "or CXONE_BASE_URL and CXONE_TOKEN_URL; in a block, the field Organisation"
        )

    def _pace(self, api: Api) -> float:
        return CALLS_PER_SECOND if api == "debug" else 0.0


@dataclass(frozen=True, slots=True)
class GenesysLogin(Login):
    """A tenant of Genesys Cloud, by the variables `GENESYS_*`; every API is on the one host of its region.

    Attributes:
        region: a domain such as `mypurecloud.ie`, or its AWS region, such as `eu-west-1`.
    """

    PREFIX: ClassVar[str] = "GENESYS"

    region: str = "mypurecloud.com"
    basic_auth: bool = True

    def _known(self, _api: Api) -> Endpoints:
        return genesys_endpoints(self.region)
