"""What can be said against a call flow before anybody calls: `check_flow`, and the rules that it applies.

A caller passes through a flow node by node. Some nodes ask the caller something, the others pass a call straight on;
`passing` says which ways a call can take without the caller doing anything new, and on that rest the rules about loops.
"""

from cordboard.ivr.topology.check import check_flow
from cordboard.ivr.topology.rules import RULES, Rule

__all__ = ["RULES", "Rule", "check_flow"]
