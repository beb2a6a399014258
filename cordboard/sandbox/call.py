"""One request as the sandbox sees it, and the replies and refusals it can get."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

from cordboard.errors import InvalidJson
from cordboard.jsontext import parse_json
from cordboard.sandbox.alteration import Alteration

FLOWS = "/api/v2/flows"
DEBUG = f"{FLOWS}/debug"
INSTANCES = "/api/v2/workflows/instances"
ERP_RECORDS = "/erp/records"
_WHOLE_BODY = (FLOWS, DEBUG, INSTANCES, ERP_RECORDS)


@dataclass(frozen=True)
class Call:
    """A request that has been read to its end.

    Attributes:
        number: 1 for the first request of this sandbox, and so on.
        method: HTTP method.
        path: path without the query.
        headers: header values by lower-case name.
        body: the raw body.
        stores: what a fault makes the vendor store in place of the flow that is sent, if any.
        query_string: what stands behind the `?` of the URL.
    """

    number: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    stores: Alteration | None = None
    query_string: str = ""

    @property
    def request_id(self) -> str:
        """What the reply carries as `x-request-id`."""
        return f"req-{self.number:08d}"

    @cached_property
    def json(self) -> Any:
        """The body as JSON, or None where it is none."""
        try:
            return parse_json(self.body)
        except InvalidJson:
            return None

    @cached_property
    def query(self) -> tuple[tuple[str, str], ...]:
        """The parameters of the query, in order."""
        return tuple(parse_qsl(self.query_string, keep_blank_values=True))

    @property
    def is_save(self) -> bool:
        """Whether it saves a call flow of Genesys Cloud."""
        return self.method == "PUT" and self.path.startswith(f"{FLOWS}/")

    @property
    def definition_id(self) -> str | None:
        """The data action that the body names, if it names one."""
        found = self.json.get("definition_id") if isinstance(self.json, dict) else None
        return found if isinstance(found, str) else None

    @property
    def inputs(self) -> Any:
        """The inputs that the body carries; of a flow, a simulation, a start or an ERP record, the whole body."""
        if self.path in _WHOLE_BODY or self.is_save:
            return self.json
        return self.json.get("inputs") if isinstance(self.json, dict) else None

    @property
    def flow_id(self) -> str | None:
        """The call flow that is written, simulated or read, if one is named."""
        named = {FLOWS: "id", DEBUG: "flowId"}.get(self.path) if self.method == "POST" else None
        if named is None and self.path.startswith(f"{FLOWS}/"):
            return self.path.removeprefix(f"{FLOWS}/").partition("/")[0]
        found = self.json.get(named) if named and isinstance(self.json, dict) else None
        return found if isinstance(found, str) else None


@dataclass(frozen=True, slots=True)
class Reply:
    """A status, headers and a body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def of(cls, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
        """A JSON reply."""
        body = json.dumps(value, ensure_ascii=False).encode()
        return cls(status, {"content-type": "application/json", **(headers or {})}, body)

    def with_headers(self, headers: Mapping[str, str]) -> Reply:
        """The same reply with further headers."""
        further = {name.lower(): value for name, value in headers.items()}
        return Reply(self.status, {**self.headers, **further}, self.body)


class Refusal(Exception):  # noqa: N818  (an answer of the vendor, not an error of this program)
    """The request is answered with an error body: `{"message", "code", "status"}`.

    Attributes:
        status: HTTP status of the answer.
        code: machine-readable code.
        message: text for people.
        headers: further headers of the answer.
    """

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, code, message, headers)
        self.status, self.code, self.message, self.headers = status, code, message, headers

    def reply(self) -> Reply:
        """The answer as it goes out."""
        body = {"message": self.message, "code": self.code, "status": self.status}
        return Reply.of(body, self.status, self.headers)


class TokenRefusal(Refusal):
    """The token endpoint's refusal, in OAuth's own words: `{"error", "error_description"}` (RFC 6749, 5.2)."""

    def reply(self) -> Reply:
        """The answer as it goes out."""
        return Reply.of({"error": self.code, "error_description": self.message}, self.status, self.headers)
