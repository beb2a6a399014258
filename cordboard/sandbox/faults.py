"""Faults as data: which requests go wrong, and how. Seeded, so that a run repeats.

kind: faults
rules:
  - match: {definition_id: def-update-crm, nth: [2, 3]}
    fault: {status: 503, headers: {retry-after: "1"}}
  - match: {path: /oauth/token, nth: [1]}
    fault: {lost_reply: before_commit}
"""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from cordboard.documents import Document
from cordboard.sandbox.alteration import Alteration
from cordboard.sandbox.call import Call
from cordboard.sandbox.reading import Part, parse_model, read_model

HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")]
HeaderText = Annotated[
    str, StringConstraints(pattern=r"^([!-~\u0080-\uffff]([ -~\u0080-\uffff]*[!-~\u0080-\uffff])?)?$", max_length=4096)
]
Stage = Literal["before_commit", "after_commit"]
WrongType = Literal["html", "text", "array", "null_output", "empty"]
Nth = Annotated[int, Field(ge=1)]


class Span(Part):
    """Requests from one number to another, both included; 1 is the first.

    Attributes:
        first: written `from`.
        last: written `to`; None has no end.
    """

    first: Nth = Field(default=1, alias="from")
    last: Nth | None = Field(default=None, alias="to")


def _list_or_span(value: Any) -> str:
    return "span" if isinstance(value, dict | Span) else "list"


Numbers = Annotated[
    Annotated[tuple[Nth, ...], Tag("list")] | Annotated[Span, Tag("span")], Discriminator(_list_or_span)
]


class Match(Part):
    """Which requests a rule is about; what is left out matches all.

    Attributes:
        path: path, or a pattern with `*`. The default keeps token requests and webhooks out unless a rule names them.
        method: HTTP method.
        definition_id: the data action.
        inputs: values that the inputs must hold, among others; objects inside are compared the same way. Where a flow
            is registered, saved or simulated, a workflow started or the ERP written to, the inputs are the body.
        nth: of the requests that match so far, these numbers, counted for this rule alone.
        every: every n-th of them.
        probability: a share of them, drawn from the seed, the request's content and how often that content was seen:
            the draw does not depend on the order in which concurrent requests arrive.
    """

    path: str = "/api/*"
    method: Literal["GET", "POST", "PUT"] | None = None
    definition_id: str | None = None
    inputs: dict[str, Any] | None = None
    nth: Numbers | None = None
    every: Nth | None = None
    probability: Annotated[float, Field(ge=0, le=1)] | None = None

    def fits(self, call: Call) -> bool:
        """Whether the request itself is meant, whatever its number."""
        return (
            fnmatch.fnmatchcase(call.path, self.path)
            and self.method in (None, call.method)
            and self.definition_id in (None, call.definition_id)
            and (self.inputs is None or _holds(call.inputs, self.inputs))
        )

    def counts(self, number: int) -> bool:
        """Whether the number is meant, among the requests that fit."""
        if isinstance(self.nth, Span):
            return self.nth.first <= number <= (self.nth.last or number)
        return (self.nth is None or number in self.nth) and (self.every is None or number % self.every == 0)


class Hang(Part):
    """The sandbox sits on a request.

    Attributes:
        at: `before_commit` gives up without an effect when the client has left in the meantime, and else goes on;
            `after_commit` has the effect at once and holds the reply back.
        seconds: how long.
    """

    at: Stage = "before_commit"
    seconds: Annotated[float, Field(gt=0)] = 3600


class Drip(Part):
    """The body leaves slowly.

    Attributes:
        bytes_per_second: how slowly.
    """

    bytes_per_second: Annotated[float, Field(gt=0)] = 1


class Truncate(Part):
    """The connection ends inside the body, while `Content-Length` promised all of it.

    Attributes:
        at: bytes that are sent; below 1, a fraction of the body.
    """

    at: Annotated[float, Field(ge=0)] = 0.5


class LateCommit(Part):
    """The request is never answered, and takes effect after the client has given it up.

    Attributes:
        seconds: how much later.
        connection: `cut` drops it at once; `open` leaves the client waiting until its own time is up, and the seconds
            count from then.
    """

    seconds: Annotated[float, Field(gt=0)] = 1
    connection: Literal["cut", "open"] = "cut"


class RateLimited(Part):
    """A 429 without an effect.

    Attributes:
        retry_after: value of `Retry-After`, however odd; None leaves the header out.
    """

    retry_after: HeaderText | None = "1"


class Fault(Part):
    """What goes wrong: exactly one of the kinds below.

    Attributes:
        status: this status; `headers`, `body` and `after_commit` go with it.
        headers: further headers.
        body: a string, or JSON.
        after_commit: whether the request has its effect all the same.
        lost_reply: the connection is cut without a byte, before or after the effect.
        hang: the request or its reply waits.
        drip: the reply's body leaves slowly.
        truncate: the reply's body is cut short.
        wrong_type: after the effect, a 2xx whose body is not what was promised.
        late_commit: no reply, and the effect comes after the client has given up.
        rate_limited: 429.
        redirect: 307 to this URL.
        echo_secrets: an error body that repeats the request with its credentials.
        stores: the reply to a registration or save shows the flow that was sent, and something else is stored: a
            connection dropped, added, twice there, renamed or rerouted, a field dropped, or merely another order. The
            seed, the flow and its version draw which one.
        other_editor: before the request is looked at, somebody else saves the flow that it is about, with this JSON
            merge patch; `{n}` in its texts is a number that counts up, so that no two edits are the same.
    """

    status: Annotated[int, Field(ge=200, le=599)] | None = None
    headers: dict[HeaderName, HeaderText] = Field(default_factory=dict)
    body: Any = None
    after_commit: bool = False
    lost_reply: Stage | None = None
    hang: Hang | None = None
    drip: Drip | None = None
    truncate: Truncate | None = None
    wrong_type: WrongType | None = None
    late_commit: LateCommit | None = None
    rate_limited: RateLimited | None = None
    redirect: HeaderText | None = None
    echo_secrets: Literal[True] | None = None
    stores: Alteration | None = None
    other_editor: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        kinds = self._kinds()
        if len(kinds) != 1:
            raise ValueError(f"name exactly one kind of fault, not {len(kinds)}: {', '.join(kinds) or 'none'}")
        if self.status is None and (self.headers or self.body is not None or self.after_commit):
            raise ValueError("headers, body and after_commit go with status")
        if {"content-length", "transfer-encoding"} & {name.lower() for name in self.headers}:
            raise ValueError("how the body is framed is not a header to set; use truncate")
        return self

    @property
    def kind(self) -> str:
        """Name of the one kind that is set."""
        return self._kinds()[0]

    @property
    def setting(self) -> Any:
        """What was set for that kind; for `status` the whole fault, as its other keys belong to it."""
        return self if self.kind == "status" else getattr(self, self.kind)

    def _kinds(self) -> list[str]:
        extras = {"headers", "body", "after_commit"}
        return [name for name in Fault.model_fields if name not in extras and getattr(self, name) is not None]


class Rule(Part):
    """One fault and the requests that it befalls."""

    match: Match = Match()
    fault: Fault


class Faults(Part):
    """Rules in order; of those that fire for a request, the first decides."""

    kind: Literal["faults"] = "faults"
    description: str = ""
    rules: tuple[Rule, ...] = ()

    @classmethod
    def of(cls, *rules: dict[str, Any]) -> Faults:
        """Faults from rules as they stand in a file.

        Raises:
            InvalidDocument: a rule breaks the file's rules; all faults at once.
        """
        return parse_model(cls, Document(file="", value={"rules": list(rules)}, lines={}))


def load_faults(path: Path) -> Faults:
    """Reads a file of `kind: faults`.

    Raises:
        InvalidDocument: the file cannot be read or breaks a rule; all faults at once.
    """
    return read_model(Faults, path, "faults")


def _holds(value: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return isinstance(value, dict) and all(key in value and _holds(value[key], part[key]) for key in part)
    return type(value) is type(part) and bool(value == part)
