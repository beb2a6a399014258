"""How an effect stands whose task ended without saying so. What may be out is unknown; nobody may read "not sent"."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from cordboard.records.effects import EffectState, Entry
from cordboard.sending import Sent


def after_trouble(
    logical_id: str,
    entries: Mapping[str, Entry],
    unsettled: Mapping[str, Sent | None],
    lost: Collection[str],
    trouble: Mapping[str, Any],
) -> Sent:
    """How one effect stands.

    Args:
        logical_id: the effect.
        entries: what the ledger knows.
        unsettled: what this process knows and the ledger could not be told.
        lost: effects that were offered and of which the ledger cannot be asked.
        trouble: `kind` and `message` of what ended the task.
    """
    if logical_id in unsettled:
        left = unsettled[logical_id]
        return _not_sent(trouble) if left is None else _not_recorded(left, trouble)
    return _interrupted(trouble) if logical_id in lost else _as_it_stands(entries.get(logical_id), trouble)


def _not_sent(trouble: Mapping[str, Any]) -> Sent:
    return Sent(EffectState.FAILED, error=dict(trouble))


def _interrupted(trouble: Mapping[str, Any], **facts: str) -> Sent:
    message = f"it may have taken effect: its task ended before the outcome was recorded ({trouble['message']})"
    return Sent(EffectState.UNKNOWN, error={"kind": "interrupted", "message": message, **facts})


def _not_recorded(left: Sent, trouble: Mapping[str, Any]) -> Sent:
    answer = "accepted it" if left.state is EffectState.DONE else f"answered: {(left.error or {}).get('message', '')}"
    message = f"the vendor {answer}, and the ledger could not record that ({trouble['message']})"
    return Sent(EffectState.UNKNOWN, error={**(left.error or left.proof), "kind": "not_recorded", "message": message})


def _as_it_stands(entry: Entry | None, trouble: Mapping[str, Any]) -> Sent:
    if entry is None or entry.state in {EffectState.READY, EffectState.FAILED}:
        return _not_sent(trouble)
    if entry.state is EffectState.DONE:
        return Sent(EffectState.DONE, entry.result)
    return _interrupted(trouble, sent_at=entry.updated_at)
