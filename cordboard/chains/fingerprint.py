"""What makes one action's effect the same effect: the ground of redrive.

A rerun under the same run key reuses what completed with the same fingerprint and runs the rest. The fingerprint holds
what the vendor would see (definition and resolved inputs) and the fingerprints of what it was made from. Timeouts,
retries, `when`, `on_failure` and the `idempotent` flag are not in it: changing them does not change the effect, and
marking an action idempotent must be able to settle one that ended `unknown`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cordboard.jsontext import digest


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The parts of a fingerprint, kept so that a rerun can say what changed.

    Attributes:
        definition: the vendor's definition id.
        inputs: digest of the resolved inputs; for a fan-out, of every item's inputs in order.
        upstream: fingerprint value of each action this one was made from.
    """

    definition: str
    inputs: str
    upstream: Mapping[str, str]

    @property
    def value(self) -> str:
        """The fingerprint itself, 64 hex digits."""
        return digest(self.as_json())

    def as_json(self) -> dict[str, Any]:
        """The parts as a JSON object."""
        return {"definition": self.definition, "inputs": self.inputs, "upstream": dict(self.upstream)}


def fingerprint(definition: str, inputs: Any, upstream: Mapping[str, str]) -> Fingerprint:
    """The fingerprint of one action with its resolved inputs."""
    return Fingerprint(definition, digest(inputs), upstream)


def what_changed(before: Mapping[str, Any], now: Fingerprint) -> str:
    """Says in words why `now` is another effect than the one whose parts are `before`."""
    changes = []
    if before.get("definition") != now.definition:
        changes.append("its definition_id changed")
    earlier = before.get("upstream", {})
    changes += [f"{name} ran again" for name, value in now.upstream.items() if earlier.get(name) != value]
    if before.get("inputs") != now.inputs:
        changes.append("its inputs changed")
    return ", ".join(changes) or "its dependencies changed"
