"""What a run tells of itself while it runs: spans, metrics and log lines that carry the same ids.

Nothing here decides anything. Where nobody collects, telling costs next to nothing and imports nothing.
"""

from cordboard.telemetry.labels import labelled
from cordboard.telemetry.masking import masking
from cordboard.telemetry.telemetry import Span, Telemetry, current, step, telling

__all__ = ["Span", "Telemetry", "current", "labelled", "masking", "step", "telling"]
