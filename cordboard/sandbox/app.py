"""The sandbox as one ASGI app: OAuth, data actions, call flows, workflow instances, an ERP, webhooks, faults."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from cordboard.sandbox.actions import DataActions
from cordboard.sandbox.call import DEBUG, ERP_RECORDS, FLOWS, INSTANCES, Call, Refusal, Reply
from cordboard.sandbox.callbacks import CallbackSender
from cordboard.sandbox.channel import Channel, Receive, Send
from cordboard.sandbox.debug import DebugEngine, Simulations
from cordboard.sandbox.debug_engine import LocalEngine
from cordboard.sandbox.definition import Definition, default_definition
from cordboard.sandbox.editing import OtherEditor
from cordboard.sandbox.erp import Erp
from cordboard.sandbox.faults import Fault, Faults
from cordboard.sandbox.flows import FlowRegistry
from cordboard.sandbox.genesys_flows import GenesysFlows, dressed
from cordboard.sandbox.injection import Exchange, inject
from cordboard.sandbox.oauth import TokenOffice
from cordboard.sandbox.rate import RateGate
from cordboard.sandbox.schedule import FaultSchedule
from cordboard.sandbox.stored_flows import StoredFlows
from cordboard.sandbox.truth import Kind, Truth
from cordboard.sandbox.workflows import Workflows

TOKEN_PATHS = ("/oauth/token", "/oauth2/token", "/v1/oauth2/token")
EXECUTIONS = "/api/v2/dataactions/executions"
VERSIONS = f"{FLOWS}/*/versions/"
MAY_READ_FLOWS = ("flows:read", "flow:read", "flow:write")
MAX_BODY_BYTES = 1024 * 1024

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Route:
    """What answers a request, and which kind of entry the request leaves in the truth (None leaves none)."""

    kind: Kind | None
    answer: Callable[[Call], Awaitable[Reply]]


class Sandbox:
    """A local vendor.

    Routes: `POST /oauth/token` (also `/oauth2/token`, `/v1/oauth2/token`), `POST /api/v2/dataactions/executions`,
    `GET /api/v2/dataactions/executions/{id}`, `POST /api/v2/flows`, `GET` and `PUT /api/v2/flows/{flowId}`,
    `GET /api/v2/flows/{flowId}/versions/{version}`, `POST /api/v2/flows/debug`, `POST` and
    `GET /api/v2/workflows/instances`, `GET /api/v2/workflows/instances/{id}`, `POST /erp/records`,
    `POST /webhooks/{name}`, `GET /healthz`.

    Args:
        definition: what is served; the packaged default where none is given.
        faults: what goes wrong.
        seed: makes tokens, ids and drawn faults repeat.
        truth_file: JSON lines of everything that happens are appended here.
        clock: seconds since the epoch; token life, rate limits, idempotency keys and the truth's times go by it.
        engine: simulates call flows; the project's own where none is given.
        callback_url: where ends of instances are reported; the definition's own where none is given.

    Attributes:
        definition: what is served.
        flows: the call flows as they are stored; setting one is a save in the vendor's console.
        truth: what really happened.
        erp: the records that the ERP has.
        workflows: the instances that were started.
    """

    def __init__(  # noqa: PLR0913  clock and engine are handed in
        self,
        definition: Definition | None = None,
        faults: Faults | None = None,
        seed: int = 0,
        *,
        truth_file: Path | None = None,
        clock: Callable[[], float] = time.time,
        engine: DebugEngine | None = None,
        callback_url: str | None = None,
    ) -> None:
        self.definition = _with_callbacks(definition or default_definition(), callback_url)
        self.truth = Truth(truth_file, clock=clock)
        self._seed = seed
        self._background: set[asyncio.Task[Any]] = set()
        self._schedule = FaultSchedule(faults or Faults(), seed)
        self._office = TokenOffice(self.definition, Random(f"tokens {seed}"), clock)  # noqa: S311
        self._actions = DataActions(self.definition, self.truth, Random(f"ids {seed}"))  # noqa: S311
        rules = self.definition.flows
        self.flows = StoredFlows(rules.definitions, seed, clock)
        self._registry = FlowRegistry(rules, self.flows, self.truth, clock)
        self._genesys = GenesysFlows(rules, self.flows, self.truth)
        self._editor = OtherEditor(self.flows, self.truth)
        self._simulations = Simulations(self.definition.debug, self.flows, engine or LocalEngine(), clock)
        self._callbacks = CallbackSender(self.definition.callbacks, self.truth, clock, self._spawn)
        self.workflows = Workflows(self.definition, self.truth, self._callbacks, clock, seed)
        self.erp = Erp(self.definition.erp, self.truth, clock)
        self._gate = RateGate(self.definition.rate_limit, clock)
        self._routes = self._routes_of()
        self._calls = 0

    def use_faults(self, faults: Faults) -> None:
        """Replaces the faults from the next request on; their counts start anew."""
        self._schedule = FaultSchedule(faults, self._seed)

    @property
    def idle(self) -> bool:
        """Whether nothing is under way: no request's work, no late commit, no callback."""
        return not self._background

    def revoke_tokens(self) -> None:
        """Makes every token that was handed out unknown."""
        self._office.revoke_all()

    async def aclose(self) -> None:
        """Closes the truth file. Late commits and callbacks that are still to come never happen."""
        self.workflows.stop()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._callbacks.aclose()
        self.truth.close()

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Serves one HTTP request, as ASGI has it."""
        if scope["type"] != "http":
            raise NotImplementedError(f"the sandbox speaks HTTP, not {scope['type']}")
        with self.truth.open_request():
            call = await self._read(scope, receive)
            await self._answer(call, Channel(scope, receive, send))

    async def _read(self, scope: Mapping[str, Any], receive: Receive) -> Call:
        self._calls += 1
        number, body, more = self._calls, b"", True
        while more and len(body) <= MAX_BODY_BYTES:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query = scope.get("query_string", b"").decode("latin-1")
        return Call(number, scope["method"], scope["path"], headers, body, query_string=query)

    async def _answer(self, call: Call, channel: Channel) -> None:
        fault = self._schedule.choose(call)
        if fault and fault.other_editor is not None:
            self._editor.edit(call, fault.other_editor)
        call = replace(call, stores=fault.stores) if fault and fault.stores else call
        route = self._route(call)
        exchange = Exchange(
            call, channel, partial(self._work, call, route), partial(self._note, call, route, fault), self._spawn
        )
        if fault is None:
            await exchange.send(await exchange.work())
        else:
            await inject(fault, exchange)

    async def _work(self, call: Call, route: Route) -> Reply:
        # A vendor goes on with its work when the client leaves. A task of its own does so, in-process too.
        return await asyncio.shield(self._spawn(self._reply(call, route)))

    async def _reply(self, call: Call, route: Route) -> Reply:
        try:
            reply = await route.answer(call)
        except Refusal as refusal:
            reply = refusal.reply()
        if self._genesys.speaks(call):
            return dressed(call, reply)
        return reply.with_headers({"x-request-id": call.request_id})

    def _note(self, call: Call, route: Route, fault: Fault | None, status: int | None) -> None:
        if route.kind is None:
            return
        facts: dict[str, Any] = {
            "status": status,
            "fault": fault and fault.kind,
            "client": self._office.client_of(call),
        }
        if route.kind == "webhook":
            headers = {name: value for name, value in call.headers.items() if name.startswith("webhook-")}
            facts |= {"inputs": call.json, "headers": headers, "body": call.body.decode("utf-8", "replace")}
        elif (call.method, call.path) == ("POST", FLOWS) or call.is_save:
            facts["body"] = call.body.decode("utf-8", "replace")
        self.truth.record(route.kind, call, **facts)

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def _routes_of(self) -> dict[tuple[str, str], Route]:
        """Routes by method and path; a path that ends in a slash stands for one more segment."""
        return {
            **{("POST", path): Route("token", self._token) for path in TOKEN_PATHS},
            ("POST", EXECUTIONS): self._writing(self._actions.execute, "dataactions:execute"),
            ("GET", f"{EXECUTIONS}/"): self._reading(self._read_back, "dataactions:read"),
            ("POST", FLOWS): self._writing(self._registry.register, "flows:write"),
            ("POST", DEBUG): self._reading(self._simulations.simulate, "flow:debug"),
            ("GET", f"{FLOWS}/"): self._reading(self._read_flow, *MAY_READ_FLOWS),
            ("PUT", f"{FLOWS}/"): self._writing(self._genesys.save, "flow:write"),
            ("GET", VERSIONS): self._reading(self._genesys.read_version, *MAY_READ_FLOWS),
            ("POST", INSTANCES): self._writing(self.workflows.start, "workflow:write"),
            ("GET", INSTANCES): self._reading(self.workflows.search, "workflow:read"),
            ("GET", f"{INSTANCES}/"): self._reading(self.workflows.read, "workflow:read"),
            ("POST", ERP_RECORDS): Route("request", self.erp.receive),
            ("POST", "/webhooks/"): Route("webhook", _received),
            ("GET", "/healthz"): Route(None, _healthy),
        }

    def _route(self, call: Call) -> Route:
        if len(call.body) > MAX_BODY_BYTES:
            return Route("request", _too_large)
        folder = re.sub(f"^{FLOWS}/[^/]+/versions/$", VERSIONS, call.path.rpartition("/")[0] + "/")
        known = self._routes.get((call.method, call.path)) or self._routes.get((call.method, folder))
        return known or Route("request", self._nowhere)

    async def _nowhere(self, call: Call) -> Reply:
        allowed = ", ".join(method for method, path in self._routes if path == call.path)
        if allowed:
            raise Refusal(405, "method_not_allowed", f"{call.path} takes {allowed}.", {"allow": allowed})
        raise Refusal(404, "not_found", f"There is nothing at {call.path}.")

    async def _token(self, call: Call) -> Reply:
        return Reply.of(self._office.issue(call), headers={"cache-control": "no-store"})

    def _read_back(self, call: Call) -> Reply:
        return self._actions.read(call.path.removeprefix(f"{EXECUTIONS}/"))

    def _read_flow(self, call: Call) -> Reply:
        return self._registry.read(call.flow_id or "")

    def _reading(self, answer: Callable[[Call], Reply], *scopes: str) -> Route:
        """A route for tokens with one of the scopes, within the rate limit."""

        async def answered(call: Call) -> Reply:
            self._office.demand(call, *scopes)
            limits = self._gate.enter()
            return answer(call).with_headers(limits)

        return Route("request", answered)

    def _writing(self, answer: Callable[[Call, str], Awaitable[Reply]], scope: str) -> Route:
        """A route for tokens with the scope, within the rate limit; the answer depends on the client."""

        async def answered(call: Call) -> Reply:
            client = self._office.demand(call, scope)
            limits = self._gate.enter()
            return (await answer(call, client)).with_headers(limits)

        return Route("request", answered)


def _with_callbacks(definition: Definition, url: str | None) -> Definition:
    return definition if url is None else definition.changed(callbacks=definition.callbacks.as_written() | {"url": url})


async def _too_large(_call: Call) -> Reply:
    raise Refusal(413, "body_too_large", f"A body has at most {MAX_BODY_BYTES} bytes.")


async def _received(_call: Call) -> Reply:
    return Reply.of({"received": True})


async def _healthy(_call: Call) -> Reply:
    return Reply.of({"status": "ok"})
