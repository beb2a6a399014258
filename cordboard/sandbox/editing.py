"""Somebody else at work in the vendor's console: an edit as a JSON merge patch (RFC 7396)."""

from __future__ import annotations

from typing import Any

from cordboard.sandbox.call import Call
from cordboard.sandbox.stored_flows import StoredFlows
from cordboard.sandbox.truth import Truth


def patched(value: Any, patch: Any) -> Any:
    """The value with a merge patch applied: objects are merged, null removes, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(value) if isinstance(value, dict) else {}
    for name, part in patch.items():
        if part is None:
            merged.pop(name, None)
        else:
            merged[name] = patched(merged.get(name), part)
    return merged


def numbered(patch: Any, number: int) -> Any:
    """The patch with `{n}` in its texts and names replaced by a number, so that no two edits are the same."""
    if isinstance(patch, dict):
        return {numbered(name, number): numbered(part, number) for name, part in patch.items()}
    if isinstance(patch, list):
        return [numbered(part, number) for part in patch]
    return patch.replace("{n}", str(number)) if isinstance(patch, str) else patch


class OtherEditor:
    """Saves over everybody's head, one edit after another.

    Args:
        stored: the flows as they are.
        truth: learns of every edit.
    """

    def __init__(self, stored: StoredFlows, truth: Truth) -> None:
        self._stored, self._truth, self._edits = stored, truth, 0

    def edit(self, call: Call, patch: dict[str, Any]) -> None:
        """Saves an edit of the flow that a call is about; nothing where there is no such flow."""
        flow_id = call.flow_id or ""
        with self._stored.lock:
            if flow_id not in self._stored:
                return
            self._edits += 1
            edit = numbered(patch, self._edits)
            self._stored[flow_id] = patched(self._stored[flow_id], edit)
            self._truth.record("edit", call, inputs=edit, version=self._stored[flow_id]["version"])
