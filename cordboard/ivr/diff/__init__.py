"""What changed between two versions of a call flow, by meaning, in sentences for the person who reviews it."""

from cordboard.ivr.diff.comparing import differences
from cordboard.ivr.diff.difference import Difference, Kind, as_json, in_words

__all__ = ["Difference", "Kind", "as_json", "differences", "in_words"]
