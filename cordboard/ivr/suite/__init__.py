"""Suites: calls that are kept beside a flow, each with what must come of it.

    kind: ivr-suite
    flow: main_menu.yaml                  # or the flow's id at the vendor
    fragments:
      in_the_daytime: {variables: {desk_is_open: true}}
    cases:
      - name: sales
        use: [in_the_daytime]
        dtmf: "1"
        expect: {exit: node_end_05, visited: [node_queue_03]}
      - name: a digit                     # two cases: `a digit [1]` and `a digit [2]`
        each: [{digit: "1", node: node_queue_03}, {digit: "2", node: node_transfer_04}]
        dtmf: "{{ each.digit }}"
        expect: {visited: ["{{ each.node }}"]}

A fragment is laid under the case: objects are merged field by field, and what the case says itself wins. A placeholder
that is the whole text becomes the value of its column, whatever that is; inside a text it becomes text. Nothing else is
computed. A call that ends by a fault of the flow, or because nobody says what the caller does next (`then: stop`),
fails its case, unless the case expects that `end`.
"""

from cordboard.ivr.suite.coverage import Coverage, Covered, Tally, coverage
from cordboard.ivr.suite.judging import judge, path_differences, same_value
from cordboard.ivr.suite.model import Case, Expectation, Suite
from cordboard.ivr.suite.reading import load_suite, read_suite
from cordboard.ivr.suite.running import CaseResult, Status, judged, run_case, run_cases, run_suite

__all__ = [
    "Case",
    "CaseResult",
    "Coverage",
    "Covered",
    "Expectation",
    "Status",
    "Suite",
    "Tally",
    "coverage",
    "judge",
    "judged",
    "load_suite",
    "path_differences",
    "read_suite",
    "run_case",
    "run_cases",
    "run_suite",
    "same_value",
]
