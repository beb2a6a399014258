"""A CXone login: credentials, where their tenant is, and the client that comes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from cordboard.errors import BadCall
from cordboard.redaction import Redactor
from cordboard.settings import Settings
from cordboard.vendors.cxone import FLOW_SCOPES, CXoneEndpoints, data_action_endpoints, debug_endpoints, flow_endpoints
from cordboard.vendors.cxone_debug import CALLS_PER_SECOND
from cordboard.vendors.session import SessionLimits, VendorSession
from cordboard.vendors.token import TokenSource

#: The vendor's APIs live on hosts of their own, and ask for scopes of their own.
Api = Literal["data_actions", "flows", "debug"]
_FIELDS = ("region", "org_id", "base_url", "token_url", "scopes")


@dataclass(frozen=True, slots=True)
class CXoneLogin:
    """OAuth client credentials of one tenant, and where that tenant is.

    Attributes:
        client_id: OAuth client id.
        client_secret: OAuth client secret.
        region: decides the hosts of data actions.
        org_id: the organisation; decides the host of call flows.
        base_url: another API root for everything, such as a sandbox.
        token_url: another token endpoint for everything.
        scopes: what to ask for, separated by spaces; empty for what each API needs.
        basic_auth: whether id and secret go into an HTTP Basic header, and not into the form.
    """

    client_id: str
    client_secret: str = field(repr=False)
    region: str = "na1"
    org_id: str = ""
    base_url: str = ""
    token_url: str = ""
    scopes: str = ""
    basic_auth: bool = False

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Reads `CXONE_CLIENT_ID`, `CXONE_CLIENT_SECRET` and, where set, the other `CXONE_*` variables.

        Raises:
            BadCall: a variable that is needed is missing; all such variables are named.
        """
        missing = [name for name in ("CXONE_CLIENT_ID", "CXONE_CLIENT_SECRET") if not environ.get(name)]
        if missing:
            raise BadCall(
                f"no credentials: set {' and '.join(missing)}, or name a block with --credentials; "
                "`cordboard sandbox` prints the variables of a local vendor"
            )
        more = {name: environ[f"CXONE_{name.upper()}"] for name in _FIELDS if environ.get(f"CXONE_{name.upper()}")}
        return cls(environ["CXONE_CLIENT_ID"], environ["CXONE_CLIENT_SECRET"], **more)  # type: ignore[arg-type]

    def places(self, api: Api = "data_actions") -> CXoneEndpoints:
        """Where an API and its tokens are, and the scopes to ask for.

        Raises:
            BadCall: nothing says where it is.
        """
        scopes = tuple(self.scopes.split())
        if self.base_url and self.token_url and scopes:
            return CXoneEndpoints(self.base_url, self.token_url, scopes)
        known = self._known(api)
        return CXoneEndpoints(
            self.base_url or known.base_url, self.token_url or known.token_url, scopes or known.scopes
        )

    def tenant(self, api: Api = "data_actions") -> str:
        """Whose effects are brought about with it: what was done for one tenant says nothing of another.

        Host and client id, without the port, so that a sandbox that was started again is the same.
        """
        return f"{urlsplit(self.places(api).base_url).hostname}/{self.client_id}"[:128]

    def session(
        self, settings: Settings, redactor: Redactor | None = None, api: Api = "data_actions", **given: Any
    ) -> VendorSession:
        """One client for one run: a session with its own connections, token cache and limits.

        Simulations are spaced as the vendor advises, unless the settings ask for a pace.

        Args:
            settings: limits of the client.
            redactor: learns the secret and each token, so that they can be masked elsewhere.
            api: which of the vendor's APIs.
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
        if api == "debug" and not limits.calls_per_second:
            limits = replace(limits, calls_per_second=CALLS_PER_SECOND)
        return VendorSession(places.base_url, tokens, limits, redactor=redactor, **given)

    def _known(self, api: Api) -> CXoneEndpoints:
        if api == "data_actions":
            return data_action_endpoints(self.region)
        if api == "debug":
            return debug_endpoints()
        if self.org_id:
            return flow_endpoints(self.org_id)
        if self.base_url and self.token_url:
            return CXoneEndpoints(self.base_url, self.token_url, FLOW_SCOPES)
        raise BadCall(
            "nothing says where the tenant's call flows are: set CXONE_ORG_ID (the organisation id in its host name), "
            "or CXONE_BASE_URL and CXONE_TOKEN_URL; in a block, the field Organisation"
        )
