"""What `cordboard check` finds in a chain: everything at once, each at its line, with a way to mend it."""

import time
from pathlib import Path

import pytest

from cordboard.chains.model import check_chain, check_document, load_chain, parse_chain
from cordboard.documents import parse_document
from cordboard.errors import InvalidDocument
from cordboard.findings import Finding, Severity

EXAMPLES = Path(__file__).parents[3] / "examples"


def check(text: str) -> tuple[Finding, ...]:
    return check_document(parse_document(text, "chain.yaml"))


def chain(actions: str, params: str = "") -> str:
    return f"kind: chain\nname: test\nparams: {{{params}}}\nactions:\n{actions}"


def rules(findings: tuple[Finding, ...]) -> set[tuple[str, str]]:
    return {(finding.rule.removeprefix("chain/"), finding.path.removeprefix("actions.")) for finding in findings}


def test_the_example_has_no_findings() -> None:
    assert check_chain(EXAMPLES / "customer_sync.yaml") == ()


def test_a_file_full_of_mistakes_gets_them_all_at_once_with_lines() -> None:
    """One broken part does not hide the faults of the others: shape, templates, graph and types are all reported."""
    findings = check_chain(EXAMPLES / "broken" / "many_faults.yaml")
    assert [(finding.line, finding.rule.removeprefix("chain/")) for finding in findings] == [
        (6, "shape"),
        (6, "unused-param"),
        (10, "unknown-param"),
        (11, "unknown-key"),
        (14, "unknown-name"),
        (19, "possibly-skipped"),
        (19, "wrong-type"),
        (20, "template"),
        (21, "shape"),
        (22, "cycle"),
        (24, "item-outside"),
        (24, "unknown-field"),
        (25, "duplicate-dependency"),
        (28, "unknown-dependency"),
    ]
    with pytest.raises(InvalidDocument) as caught:
        load_chain(EXAMPLES / "broken" / "many_faults.yaml")
    assert caught.value.findings == findings


def test_a_missing_file_is_a_finding() -> None:
    (finding,) = check_chain(Path("no/such/file.yaml"))
    assert (finding.rule, finding.file) == ("document/unreadable", "no/such/file.yaml")


def test_a_cycle_is_spelled_out_once() -> None:
    """Each action waits for the next one in the path, and the first stands at the end again."""
    (finding,) = check_chain(EXAMPLES / "broken" / "cycle.yaml")
    assert "a → c → b → a" in finding.message
    waits = {"a": "b", "b": "a", "c": "d, a", "d": "c"}
    two = check(chain("\n".join(f"  {name}: {{definition_id: d, depends_on: [{on}]}}" for name, on in waits.items())))
    assert [finding.message.split(": ")[1] for finding in two] == ["a → b → a", "c → d → c"]


@pytest.mark.parametrize(
    ("action", "rule", "hint"),
    [
        ("inputs: {x: '{{ frist.id }}'}", "unknown-name", "first"),
        ("inputs: {x: '{{ account }}'}", "unknown-name", "params.account"),
        ("inputs: {x: '{{ params.acount }}'}", "unknown-param", "account"),
        ("depends_on: [frist]", "unknown-dependency", "first"),
        ("depends_on: [second]", "self-dependency", ""),
        ("inputs: {x: '{{ second.id }}'}", "self-reference", ""),
        ("when: '{{ second is defined }}'", "self-reference", ""),
        ("inputs: {x: '{{ item }}'}", "item-outside", ""),
        ("for_each: '{{ item.list }}'", "item-outside", ""),
        ("{for_each: '{{ first.a }}', when: '{{ item }}'}", "item-outside", ""),
        ("inputs: {x: '{{ first.id + 1 }}'}", "template", ""),
        ("inputs: {x: '{% if first %}'}", "template", ""),
        ("inputs: {'{{ first.id }}': x}", "template", ""),
        ("when: first.ok", "template", ""),
        ("for_each: '{{ first.a }}, {{ first.b }}'", "template", ""),
        ("timeout: 3", "unknown-key", "timeout_seconds"),
        ("timeout_seconds: 0", "shape", ""),
        ("timeout_seconds: 3601", "shape", ""),
        ("timeout_seconds: '3'", "shape", ""),
        ("timeout_seconds: true", "shape", ""),
        ("retries: 11", "shape", ""),
        ("retries: 1.5", "shape", ""),
        ("idempotent: yes", "shape", ""),
        ("on_failure: ignore", "shape", ""),
        ("on_failure: {fallbak: 1}", "shape", ""),
        ("inputs: [1]", "shape", ""),
        ("output_schema: {type: text}", "shape", ""),
        ("output_schema: {propertys: {}}", "unknown-key", "properties"),
    ],
)
def test_each_mistake_has_its_rule_and_its_mend(action: str, rule: str, hint: str) -> None:
    """One mistake in the second of two actions: one finding, in that action, and a hint where one can be given."""
    body = action[1:-1] if action.startswith("{") else action
    text = chain(f"  first: {{definition_id: def-1, inputs: {{a: '{{{{ params.account }}}}'}}}}\n"
                 f"  second: {{definition_id: def-2, {body}}}", "account: {type: string}")  # fmt: skip
    (finding,) = [finding for finding in check(text) if finding.severity is Severity.ERROR]
    assert finding.rule == f"chain/{rule}"
    assert finding.path.startswith("actions.second")
    assert hint in finding.hint
    assert (finding.file, finding.line) == ("chain.yaml", 6)


@pytest.mark.parametrize(
    "name", ["bad-id", "1st", "params", "item", "true", "null", "in", "é", "a" * 65, "a b", "__proto__x."]
)
def test_an_action_needs_a_name_that_templates_can_use(name: str) -> None:
    assert rules(check(chain(f"  '{name}': {{definition_id: d}}"))) == {("name", name)}


@pytest.mark.parametrize("name", ["items", "keys", "self", "__proto__", "_", "loop", "end", "a" * 64])
def test_names_that_mean_something_elsewhere_are_ordinary_here(name: str) -> None:
    text = chain(f"  {name}: {{definition_id: d}}\n  z: {{definition_id: d, inputs: {{x: '{{{{ {name}.id }}}}'}}}}")
    assert parse_chain(parse_document(text, "f")).actions["z"].depends_on == (name,)


@pytest.mark.parametrize(
    ("param", "faulty"),
    [
        ("{required: true, default: x}", True),
        ("{type: integer, default: '5'}", True),
        ("{type: integer, default: true}", True),
        ("{type: boolean, default: no}", True),
        ("{type: number, default: 5}", False),
        ("{type: array, default: [1]}", False),
        ("{secret: true, default: x}", True),
        ("{secret: true, type: object}", True),
        ("{secret: true, required: true}", False),
    ],
)
def test_parameters_are_checked_where_they_are_declared(param: str, faulty: bool) -> None:
    text = chain("  a: {definition_id: d, inputs: {x: '{{ params.p }}'}}", f"p: {param}")
    assert bool(check(text)) is faulty


def test_a_parameter_that_nothing_uses_is_a_warning() -> None:
    (finding,) = check(chain("  a: {definition_id: d}", "p: {}"))
    assert (finding.rule, finding.severity) == ("chain/unused-param", Severity.WARNING)


SKIPPED = "  a: {{definition_id: d, {rule}}}\n  b: {{definition_id: d, {field}}}\n"


@pytest.mark.parametrize("rule", ["when: '{{ params }}'", "on_failure: continue"])
@pytest.mark.parametrize(
    ("field", "safe"),
    [
        ("inputs: {x: '{{ a.id }}'}", False),
        ("inputs: {x: 'id {{ a.id }}'}", False),
        ("when: '{{ a.id }}'", False),
        ("for_each: '{{ a.list }}'", False),
        ("inputs: {x: '{{ a.id | default(null) }}'}", True),
        ("inputs: {x: '{{ a.id if a is defined else 0 }}'}", True),
        ("when: '{{ a is defined }}', inputs: {x: '{{ a.id }}'}", True),
        ("when: '{{ a is defined and a.n > 1 }}', for_each: '{{ a.list }}'", True),
        ("when: '{{ a is undefined }}', inputs: {x: '{{ a.id }}'}", False),
        ("when: '{{ a.id and a is defined }}'", False),
        ("depends_on: [a]", True),
    ],
)
def test_what_may_be_absent_has_to_be_asked_for(rule: str, field: str, safe: bool) -> None:
    """An action skipped by its `when`, or failed under `continue`, leaves no output; others still run."""
    found = rules(check(chain(SKIPPED.format(rule=rule, field=field))))
    assert ("possibly-skipped" not in {rule for rule, _ in found}) is safe


@pytest.mark.parametrize(
    "rule",
    ["on_failure: stop", "on_failure: {fallback: {id: 0}}", "for_each: '{{ params.l }}', on_failure: continue"],
)
def test_what_is_always_there_needs_no_question(rule: str) -> None:
    """A failed `stop` skips its dependants, a fallback stands in, and a `for_each` under `continue` gives its list."""
    text = chain(SKIPPED.format(rule=rule, field="inputs: {x: '{{ a }}'}"), "l: {type: array}")
    assert "possibly-skipped" not in {rule for rule, _ in rules(check(text))}


def test_the_same_condition_on_both_actions_is_no_risk() -> None:
    same = "when: '{{ params.go }}'"
    text = chain(SKIPPED.format(rule=same, field=f"{same}, inputs: {{x: '{{{{ a.id }}}}'}}"), "go: {type: boolean}")
    assert check(text) == ()


TYPED = """\
  a:
    definition_id: d
    output_schema:
      type: object
      properties:
        id: {type: string}
        n: {type: integer}
        list: {type: array, items: {type: object, properties: {k: {type: number}}}}
"""


@pytest.mark.parametrize(
    ("field", "rule"),
    [
        ("inputs: {x: '{{ a.idd }}'}", "unknown-field"),
        ("inputs: {x: '{{ a.id.x }}'}", "unknown-field"),
        ("inputs: {x: '{{ a[0] }}'}", "unknown-field"),
        ("inputs: {x: '{{ a.list.k }}'}", "unknown-field"),
        ("inputs: {x: '{{ a.list[0].q }}'}", "unknown-field"),
        ("inputs: {x: '{{ a.idd | default(null) }}'}", "unknown-field"),
        ("for_each: '{{ a.id }}'", "wrong-type"),
        ("for_each: '{{ a.list | length }}'", "wrong-type"),
        ("for_each: '{{ a.id | upper }}'", "wrong-type"),
        ("for_each: '{{ a.list }}', inputs: {x: '{{ item.q }}'}", "unknown-field"),
        ("inputs_schema: {properties: {x: {type: integer}}}, inputs: {x: '{{ a.id }}'}", "wrong-type"),
        ("inputs_schema: {properties: {x: {type: integer}}}, inputs: {x: '{{ a.n }} '}", None),
        ("inputs_schema: {properties: {x: {type: integer}}}, inputs: {x: 'n{{ a.n }}'}", "wrong-type"),
        ("inputs_schema: {properties: {x: {type: integer}}}, inputs: {x: twelve}", "wrong-type"),
        ("inputs_schema: {properties: {x: {type: array, items: {type: string}}}}, inputs: {x: [a, 1]}", "wrong-type"),
        ("inputs_schema: {required: [y], properties: {y: {}}}", "missing-input"),
        ("inputs_schema: {properties: {number: {}}}, inputs: {nummer: 1}", "unknown-input"),
        ("inputs: {x: '{{ a.id }} {{ a.list[0].k }} {{ a.list | length }} {{ a[params.q] }}'}", None),
        ("for_each: '{{ a.list }}', inputs: {x: '{{ item.k }}', i: '{{ item_index }}'}", None),
        ("inputs_schema: {properties: {x: {type: number}}}, inputs: {x: '{{ a.n }}'}", None),
        ("inputs_schema: {properties: {x: {type: string}}}, inputs: {x: '{{ params.q }}'}", None),
    ],
)
def test_templates_are_held_against_declared_schemas(field: str, rule: str | None) -> None:
    """Only what can be decided is reported: unknown fields, lists that are none, types that contradict each other."""
    found = {rule for rule, _ in rules(check(chain(f"{TYPED}  b: {{definition_id: d, {field}}}", "q: {type: string}")))}
    assert found - {"unused-param"} == ({rule} if rule else set())


@pytest.mark.parametrize(
    ("template", "rules_found"),
    [("{{ u.id }}", {"unknown-field"}), ("{{ u[0].idd }}", {"unknown-field"}), ("{{ u[0].id }}", set())],
)
def test_the_output_of_a_fan_out_is_a_list_of_what_its_schema_says(template: str, rules_found: set[str]) -> None:
    """`output_schema` describes the output of one call; with `for_each` there is one for each item."""
    fan = "for_each: '{{ params.l }}', output_schema: {properties: {id: {}}}"
    text = chain(
        f"  u: {{definition_id: d, {fan}}}\n  b: {{definition_id: d, inputs: {{x: '{template}'}}}}", "l: {type: array}"
    )
    assert {rule for rule, _ in rules(check(text))} == rules_found


def test_too_much_is_refused_by_count() -> None:
    actions = "\n".join(f"  a{number}: {{definition_id: d}}" for number in range(2_001))
    assert rules(check(chain(actions))) == {("shape", "actions")}
    assert rules(check(chain(f"  a: {{definition_id: d, inputs: {{x: {'y' * 300_000}}}}}"))) == {("limit", "a.inputs")}


@pytest.mark.parametrize(
    "actions",
    [
        "\n".join(
            f"  a{n}: {{definition_id: d, depends_on: [a{(n + 1) % 2000}, a{(n * 7) % 2000}]}}" for n in range(2000)
        ),
        "\n".join(
            f"  a{n}: {{definition_id: d, inputs: {{{', '.join(f'k{k}: 1' for k in range(40))}}}}}" for n in range(500)
        ),
        "  a:\n    definition_id: d\n    inputs:\n" + "\n".join(f"      k{n}: '{{{{ u{n}.x }}}}'" for n in range(9000)),
        "\n".join(f"  a{n}: {{definition_id: d, {', '.join(f'q{k}: 1' for k in range(40))}}}" for n in range(500)),
        "\n".join(f"  a{n}: {{definition_id: {n}}}" for n in range(2000)),
    ],
    ids=["one big knot", "many inputs", "many unknown names", "many unknown keys", "every id wrong"],
)
def test_hostile_chains_cost_little(actions: str) -> None:
    """A file made to be expensive is answered in well under two seconds, with a bounded list of findings."""
    started = time.process_time()
    findings = check(chain(actions))
    assert time.process_time() - started < 2
    assert len(findings) <= 1000
