"""Which request a fault befalls: rules with a memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random

from cordboard.jsontext import digest
from cordboard.sandbox.call import Call
from cordboard.sandbox.faults import Fault, Faults, Match


@dataclass
class FaultSchedule:
    """Faults with a memory: how often each rule has fitted, and how often each content was seen."""

    faults: Faults
    seed: int
    _fitted: Counter[int] = field(default_factory=Counter)
    _seen: Counter[str] = field(default_factory=Counter)

    def choose(self, call: Call) -> Fault | None:
        """The fault of this request, if any. Every rule counts every request that fits it."""
        fired = [rule.fault for index, rule in enumerate(self.faults.rules) if self._fires(index, rule.match, call)]
        return fired[0] if fired else None

    def _fires(self, index: int, match: Match, call: Call) -> bool:
        if not match.fits(call):
            return False
        self._fitted[index] += 1
        drawn = match.probability is None or self._draw(index, call) < match.probability
        return drawn and match.counts(self._fitted[index])

    def _draw(self, index: int, call: Call) -> float:
        target = f"{call.path}?{call.query_string}" if call.query_string else call.path
        content = f"{self.seed}:{index}:{target}:{digest([call.definition_id, call.inputs])}"
        self._seen[content] += 1
        return Random(f"{content}:{self._seen[content]}").random()  # noqa: S311  (repeatable on purpose)
