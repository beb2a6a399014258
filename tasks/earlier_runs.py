"""What earlier runs under the same run key left: by which id the ledger knows an effect, and why it is sent or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from cordboard.chains.fingerprint import Fingerprint, what_changed
from cordboard.chains.model import Action
from cordboard.chains.steps import FanOut
from cordboard.jsontext import digest
from cordboard.records.effects import EffectState, Entry

_EFFECTIVE = frozenset({EffectState.DONE, EffectState.SENT, EffectState.UNKNOWN})
_WHY = {
    EffectState.DONE: "reused: same definition, inputs and upstream as before",
    EffectState.READY: "run again: it was refused before",
    EffectState.SENT: "run again: its answer was never recorded, and a repeat is the same",
    EffectState.FAILED: "run again: it failed before",
    EffectState.UNKNOWN: "run again: its outcome was never certain, and a repeat is the same",
}
_NEW = "new: no earlier run had it with these inputs"
#: Of equal items, those that need nothing come first: a list that lost one of them sends nothing again.
_FIRST = {state: rank for rank, state in enumerate((EffectState.DONE, EffectState.UNKNOWN, EffectState.SENT))}


class EarlierRuns:
    """The effects of earlier runs of one chain under one run key.

    Attributes:
        known: entries of the ledger by logical id.
    """

    def __init__(self, chain: str, run_key: str, known: Mapping[str, Entry]) -> None:
        self.known = known
        self._stem = f"{chain}/{run_key}"
        self._of: dict[str, list[Entry]] = {}
        for entry in sorted(known.values(), key=lambda entry: entry.updated_at):
            self._of.setdefault(entry.effect.subject.partition("[")[0], []).append(entry)
        self._item_ids: dict[str, tuple[str, ...]] = {}

    def id_of(self, action: Action, print_: Fingerprint) -> str:
        """The logical id of an action's one effect.

        Only the latest effect of an action counts as what it did: after an edit and an edit back, the vendor has what
        was sent in between, so the first effect is brought about anew, under an id of its own (`~1`, `~2`, …).
        """
        first = f"{self._stem}/{action.id}/{print_.value}"
        entries = self._of.get(action.id, [])
        mine = [index for index, entry in enumerate(entries) if entry.effect.logical_id.startswith(first)]
        if not mine:
            return first
        latest = entries[mine[-1]]
        overtaken = any(entry.state in _EFFECTIVE for entry in entries[mine[-1] + 1 :])
        return f"{first}~{len(mine)}" if overtaken and latest.state in _EFFECTIVE else latest.effect.logical_id

    def generation(self, action: Action, print_: Fingerprint) -> str:
        """What dependants are made from: the fingerprint, and which of its effects it is."""
        return f"{print_.value}{self.id_of(action, print_).partition(print_.value)[2]}"

    def item_ids(self, action: Action, fan: FanOut) -> tuple[str, ...]:
        """The logical ids of a fan-out's items, in order.

        An item is what the vendor sees of it and what it was made from, not its place in the list: a list that grew
        or was sorted does not send again what is done. The same item for the second time is another one.
        """
        if action.id not in self._item_ids:
            ground = digest([action.definition_id, dict(fan.fingerprint.upstream)])
            stem = f"{self._stem}/{action.id}[]/{ground}"
            numbers = {
                each: iter(self._numbers(f"{stem}/{each}", count)) for each, count in Counter(fan.prints).items()
            }
            self._item_ids[action.id] = tuple(f"{stem}/{each}#{next(numbers[each])}" for each in fan.prints)
        return self._item_ids[action.id]

    def all_done(self, action: Action, fan: FanOut) -> bool:
        """Whether earlier runs completed every item of a fan-out."""
        found = (self.known.get(each) for each in self.item_ids(action, fan)) if self.known else iter([None])
        return all(entry is not None and entry.state is EffectState.DONE for entry in found)

    def why(self, action: Action, print_: Fingerprint) -> str:
        """Says why an action was reused, ran again or did not; nothing where no earlier run had it."""
        known = self.known.get(self.id_of(action, print_))
        if known is not None:
            return _why(action, known)
        entries = self._of.get(action.id)
        if not entries:
            return ""
        parts = (entries[-1].evidence or {}).get("fingerprint", {})
        return f"run again: {what_changed(parts, print_)}"

    def why_items(self, action: Action, fan: FanOut) -> str:
        """The same for a fan-out, with the number of items for each reason."""
        if not self._of.get(action.id):
            return ""
        ids = self.item_ids(action, fan)
        reasons = Counter(_why(action, self.known[each]) if each in self.known else _NEW for each in ids)
        if len(reasons) == 1:
            return next(iter(reasons))
        return "; ".join(f"{count} of {len(ids)} {reason}" for reason, count in reasons.most_common())

    def _numbers(self, stem: str, count: int) -> list[int]:
        """Numbers for equal items: first of those the ledger knows, then new ones."""
        found: list[int] = []
        while (entry := self.known.get(f"{stem}#{len(found) + 1}")) is not None:
            found.append(_FIRST.get(entry.state, len(_FIRST)))
        ranked = sorted(range(len(found)), key=found.__getitem__)
        return sorted(index + 1 for index in ranked[:count]) + list(range(len(found) + 1, count + 1))


def _why(action: Action, known: Entry) -> str:
    open_ended = known.state in {EffectState.SENT, EffectState.UNKNOWN} and not action.idempotent
    return "not sent again: it may have taken effect before" if open_ended else _WHY[known.state]
