"""One effect at a vendor: intent, call, outcome. The only way in which Cordboard changes anything out there."""

from cordboard.sending.once import send_once
from cordboard.sending.order import LookUp, Order, Sent, Unsettled
from cordboard.sending.recording import evidence, patiently

__all__ = ["LookUp", "Order", "Sent", "Unsettled", "evidence", "patiently", "send_once"]
