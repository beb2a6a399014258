"""Patches of call flows, and the merge of two edits of one flow."""

from cordboard.ivr.merge.applying import apply_patch
from cordboard.ivr.merge.conflict import Conflict, Merged
from cordboard.ivr.merge.making import make_patch
from cordboard.ivr.merge.merging import merge
from cordboard.ivr.merge.patch import NodeChange, Patch, WayChange
from cordboard.ivr.merge.reading import load_patch, read_patch
from cordboard.ivr.merge.writing import written

__all__ = [
    "Conflict",
    "Merged",
    "NodeChange",
    "Patch",
    "WayChange",
    "apply_patch",
    "load_patch",
    "make_patch",
    "merge",
    "read_patch",
    "written",
]
