"""A run that is held: everything its owner may write, and what earlier owners left."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import ColumnElement, Connection, RowMapping, select, true

from cordboard.errors import CordboardError, InvalidJson, LedgerUnavailable, StaleOwner
from cordboard.jsontext import dump_json
from cordboard.records.changes import Aftermath, Fenced, Hold, Note, Step
from cordboard.records.effects import REPEATABLE, Effect, EffectState, Entry, Message, require_text
from cordboard.records.page import chunks
from cordboard.records.schema import effects

if TYPE_CHECKING:
    from cordboard.records.ledger import Ledger

_LOST = {"reason": "the run that sent it ended before the outcome was recorded"}
_CANCELLED = {"reason": "cancelled before it was sent"}


class RunHandle:
    """A run that this process holds, from `Ledger.claim_run`. As a context manager it gives the run back at the end.

    Its methods return when what they wrote is durable. All of them raise StaleOwner when the run was taken over, and
    LedgerUnavailable when nothing can be written.

    Attributes:
        tenant: whose run it is.
        run_key: the run's key.
        epoch: counts the claims of this run key, from 1.
    """

    def __init__(self, ledger: Ledger, fence: Fenced, on_release: Callable[[RunHandle], None]) -> None:
        self.tenant, self.run_key = fence.run_id
        self.epoch = fence.epoch
        self._ledger, self._fence, self._on_release = ledger, fence, on_release
        self._renewal = asyncio.create_task(self._keep_renewing(), name=f"lease of {self.run_key}")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.release()

    async def intend(
        self,
        effect: Effect,
        attempt: int = 1,
        messages: Sequence[Message] = (),
        *,
        in_doubt: bool = False,
        seen: int | None = None,
    ) -> None:
        """Records that the effect is about to be sent. Only after this returned may the first byte leave.

        Args:
            effect: the effect.
            attempt: which send of this call it is, from 1.
            messages: leave from the outbox if and only if this is recorded.
            in_doubt: whether an earlier send may have taken effect: then a cancelled intent leaves it UNKNOWN.
            seen: the sends that were on record when the caller looked; where another run has sent it since, this one
                is refused. None takes no notice.

        Raises:
            SameIdOtherBody: the id was recorded with another body.
            WrongState: it is done, or it may be out already and its class does not allow a second send.
        """
        step = Step(
            self._fence,
            effect,
            EffectState.SENT,
            "effect.intended",
            {"attempt": attempt},
            messages=self._bodies(messages),
            seen=seen,
        )
        written = self._ledger.submit(step)
        try:
            await asyncio.shield(written)
        except asyncio.CancelledError:
            self._withdraw(effect, EffectState.UNKNOWN if in_doubt else EffectState.READY)
            raise

    async def refused(self, effect: Effect, evidence: Any = None, seen: int | None = None) -> None:
        """Records that an attempt certainly had no effect: it may be sent again.

        Args:
            effect: the effect.
            evidence: JSON value that shows why it had none.
            seen: where the attempt was another run's: the sends that were on record when that was found out.

        Raises:
            WrongState: the effect is done, or another run sent it since.
        """
        await self._end(effect, EffectState.READY, "effect.refused", evidence=evidence, seen=seen)

    async def conclude(  # noqa: PLR0913, PLR0917 - one durable write, told by name
        self,
        effect: Effect,
        state: EffectState,
        result: Any = None,
        evidence: Any = None,
        attempts: int | None = None,
        messages: Sequence[Message] = (),
        aftermath: Aftermath | None = None,
    ) -> None:
        """Records how an effect ended.

        Args:
            effect: the effect.
            state: DONE, FAILED (certainly no effect), UNKNOWN, or READY (no effect, to be tried again by a later run).
            result: JSON value that came of it; kept for reruns.
            evidence: JSON value that shows why it ended so; kept, and put on the audit record.
            attempts: sends of this call, for the audit record.
            messages: leave from the outbox if and only if this is recorded.
            aftermath: what it means for a workflow that it was to start.

        Raises:
            WrongState: DONE or UNKNOWN without an intent, or the effect is done already.
        """
        detail = {} if attempts is None else {"attempts": attempts}
        await self._end(effect, state, "effect.concluded", result, evidence, detail, messages, aftermath)

    async def record(self, kind: str, subject: str, detail: Any = None, messages: Sequence[Message] = ()) -> None:
        """Puts something that is no effect on the audit record, such as an action that was skipped."""
        require_text(kind=kind, subject=subject)
        text = self._text(detail)
        await self._ledger.submit(Note(self._fence, kind, subject, text, self._bodies(messages)))

    async def entries(self, logical_ids: Iterable[str], operation: str = "") -> dict[str, Entry]:
        """What the ledger knows of effects, by logical id; ids it has never seen are absent. Any number of ids.

        Args:
            logical_ids: of the effects.
            operation: the vendor operation whose ids they are, since two operations may have the same id; empty where
                the ids are those of one operation only.
        """
        wanted = tuple(chunks(logical_ids))
        theirs = effects.c.operation == operation if operation else true()

        def fetch(connection: Connection) -> list[Entry]:
            called = (effects.c.logical_id.in_(ids) & theirs for ids in wanted)
            return [entry for which in called for entry in self._select(connection, which)]

        return {entry.effect.logical_id: entry for entry in await self._ledger.read(fetch)}

    async def all_entries(self, prefix: str = "") -> dict[str, Entry]:
        """Every effect that was last written under this run key, by logical id, the oldest first."""
        mine = effects.c.run_key == self.run_key
        starts = effects.c.logical_id.startswith(prefix, autoescape=True)
        found = await self._ledger.read(lambda connection: self._select(connection, mine & starts))
        return {entry.effect.logical_id: entry for entry in found}

    async def left_open(self) -> tuple[Entry, ...]:
        """Effects that earlier owners of this run sent without recording an outcome."""
        left = (effects.c.run_key == self.run_key) & (effects.c.state == EffectState.SENT.value)
        earlier = effects.c.epoch < self.epoch
        return tuple(await self._ledger.read(lambda connection: self._select(connection, left & earlier)))

    async def settle_unknown(self, entries: Iterable[Entry], evidence: Any = None) -> tuple[Entry, ...]:
        """Concludes as UNKNOWN those that may not be sent again; the others can simply be intended again.

        Returns:
            The entries that were concluded so.
        """
        settled = tuple(entry for entry in entries if entry.effect.safety not in REPEATABLE)
        why = _LOST if evidence is None else evidence
        await asyncio.gather(*(self.conclude(entry.effect, EffectState.UNKNOWN, evidence=why) for entry in settled))
        return settled

    async def renew(self) -> None:
        """Prolongs the lease; a background task does this every third of it."""
        await self._ledger.submit(Hold(self._fence, lease_seconds=self._ledger.lease_seconds))

    async def release(self) -> None:
        """Gives the run back: it can be claimed at once. Safe to call twice, and when the run was taken over."""
        self._on_release(self)
        if self._renewal.cancel():
            with contextlib.suppress(CordboardError):  # then the lease ends by itself
                await asyncio.shield(self._ledger.submit(Hold(self._fence, release=True)))

    async def _end(  # noqa: PLR0913, PLR0917 - see conclude
        self,
        effect: Effect,
        state: EffectState,
        kind: str,
        result: Any = None,
        evidence: Any = None,
        detail: dict[str, Any] | None = None,
        messages: Sequence[Message] = (),
        aftermath: Aftermath | None = None,
        seen: int | None = None,
    ) -> None:
        kept = None if result is None else self._text(result)
        why = None if evidence is None else self._text(evidence)
        facts = {**(detail or {}), "evidence": _value(why), "result_sha256": kept and sha256(kept.encode()).hexdigest()}
        step = Step(self._fence, effect, state, kind, facts, kept, why, self._bodies(messages), aftermath, seen)
        await self._ledger.submit(step)

    def _withdraw(self, effect: Effect, before: EffectState) -> None:
        """Takes an intent back whose caller was cancelled while it was written: nothing was sent by it."""
        with contextlib.suppress(LedgerUnavailable):
            detail, text = {"evidence": _CANCELLED}, dump_json(_CANCELLED)
            step = Step(self._fence, effect, before, "effect.refused", detail, evidence=text)
            self._ledger.submit(step).add_done_callback(asyncio.Future.exception)  # nobody waits: hear it, drop it

    def _text(self, value: Any) -> str:
        """Masked, canonical and storable JSON: checked here, so that it cannot spoil the batch of others."""
        try:
            text = dump_json(value)
            if self._ledger.redactor.knows(text):
                text = dump_json(self._ledger.redactor.value(value))
            text.encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidJson(f"the ledger keeps JSON only: {error}") from None
        return text

    def _bodies(self, messages: Sequence[Message]) -> tuple[tuple[Message, str], ...]:
        return tuple((message, self._text(message.body)) for message in messages)

    def _select(self, connection: Connection, which: ColumnElement[bool]) -> list[Entry]:
        query = select(effects).where(effects.c.tenant == self.tenant, which)
        return [_entry(row) for row in connection.execute(query.order_by(effects.c.created_at)).mappings()]

    async def _keep_renewing(self) -> None:
        while True:
            await asyncio.sleep(self._ledger.lease_seconds / 3)
            try:
                await self.renew()
            except StaleOwner:
                return
            except CordboardError:  # the next write of the run meets the same trouble, and tells
                continue


def _entry(row: RowMapping) -> Entry:
    effect = Effect(row["tenant"], row["operation"], row["logical_id"], row["body_hash"], row["subject"], row["safety"])
    result, evidence, state = _value(row["result"]), _value(row["evidence"]), EffectState(row["state"])
    return Entry(
        effect,
        state,
        result,
        evidence,
        row["attempts"],
        row["epoch"],
        row["updated_at"],
        row["created_at"],
        row["run_key"],
    )


def _value(text: str | None) -> Any:
    """Reads back what `_text` wrote, which needs no guard: a limit here could lock a result away for ever."""
    return None if text is None else json.loads(text)
