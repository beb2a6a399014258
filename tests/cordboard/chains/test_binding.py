"""How templates become values."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.chains.binding import MAX_BOUND, bind, bind_condition, names_in
from cordboard.errors import BindError
from cordboard.jsontext import dump_json
from cordboard.outline import UNPRINTABLE
from tests.thorough import count

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
LOOKS_LIKE_SOMETHING_ELSE = st.sampled_from(
    [
        "+15551234567",
        "007",
        "True",
        "[1]",
        "1e5",
        "12_34",
        "1,2",
        "...",
        "b'aa'",
        "-" * 5000,
        "null",
        "{{ x }}",
        "{% x %}",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
    | LOOKS_LIKE_SOMETHING_ELSE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
CONTEXT: dict[str, Any] = {
    "params": {"account_id": "A-1", "limit": 7, "test_mode": False, "none": None},
    "enrich": {"contacts": [{"id": "c1", "phone": "+1555"}, {"id": "c2"}], "score": 1.5, "empty": [], "flag": "false"},
    "item": {"id": "c1"},
}


@settings(max_examples=count(250, 1_000), deadline=None)
@given(JSON)
def test_a_lone_expression_gives_the_very_value(value: Any) -> None:
    """Whatever a vendor returned arrives unchanged: same value, same type, also inside; nothing is evaluated again.

    The script that this project replaces made text of every value (`7` became `'7'`, a list its Python spelling), and
    Jinja's native mode makes numbers of telephone numbers.
    """
    bound = bind("{{ x }}", {"x": value})
    assert bound is value
    assert dump_json(bind({"a": ["  {{ x }}\n"]}, {"x": value})) == dump_json({"a": [value]})


@settings(max_examples=500, deadline=None)
@given(TEXT, st.sampled_from(["{{ x }}", "{% if x %}", "{# x #}", "{{", "}}", "{{ x.__class__ }}"]))
def test_templates_inside_values_come_out_byte_for_byte(text: str, template: str) -> None:
    """Second order: what a caller or a vendor wrote is data, also when it looks like a template."""
    hostile = text + template
    assert bind("{{ x }}", {"x": hostile}) == hostile
    assert bind("<{{ x }}>{{ x }}", {"x": hostile}) == f"<{hostile}>{hostile}"
    assert bind("{{ bind | default(x) ~ '' }}", {"x": hostile}) == hostile


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "items", "keys", "__proto__", "self"]), min_size=1, max_size=6), st.data())
def test_a_name_missing_at_any_depth_is_an_error_that_spells_its_path(keys: list[str], data: st.DataObject) -> None:
    """The replaced script rendered an undefined name as empty text and sent the call all the same."""
    missing_at = data.draw(st.integers(0, len(keys) - 1))
    value: Any = {"other": 1}
    for key in reversed(keys[:missing_at]):
        value = {key: value}
    expression = ".".join(["root", *keys])
    with pytest.raises(BindError) as caught:
        bind({"id": f"{{{{ {expression} }}}}"}, {"root": value}, "actions.enrich.inputs")
    assert caught.value.path == "actions.enrich.inputs.id"
    assert f"`{'.'.join(['root', *keys[: missing_at + 1]])}` is not there" in caught.value.reason


def test_a_misspelled_name_is_answered_with_the_names_that_are_spelled_alike() -> None:
    with pytest.raises(BindError, match=r"actions\.a\.inputs: `enrich\.contact` .* \(did you mean contacts\?\)"):
        bind("{{ enrich.contact }}", CONTEXT, "actions.a.inputs")
    with pytest.raises(BindError, match=r"`enrihc` is not defined here \(did you mean enrich\?\)"):
        bind("{{ enrihc.contacts }}", CONTEXT)


def test_an_error_never_repeats_a_value() -> None:
    """Values may be secrets or personal data; only names and paths are spelled."""
    for template in ("{{ s.x }}", "{{ s | int }}", "{{ s < 1 }}", "{{ [s] }}-", "{{ 1 in s[0] }}"):
        with pytest.raises(BindError) as caught:
            bind(template, {"s": "hunter2-secret"})
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "key", ["items", "keys", "__proto__", "__class__", "ключ", "日本", "a b", "a.b", "self", "0", "{{"]
)
def test_every_key_is_an_ordinary_key(key: str) -> None:
    """Entries only: names of Python's methods, and text that is no identifier, bind like all others."""
    assert bind("{{ x[params.key] }}", {"x": {key: [1]}, "params": {"key": key}}) == [1]
    assert bind({key: "{{ x }}"}, {"x": 1}) == {key: 1}
    if key.isidentifier():
        assert bind(f"{{{{ x.{key} }}}}", {"x": {key: [1]}}) == [1]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("plain", "plain"),
        ("a }} b { c", "a }} b { c"),
        ('{"a": {"b": 1}}', '{"a": {"b": 1}}'),
        ("id-{{ params.account_id }}/{{ params.limit }}", "id-A-1/7"),
        ("{{ params.test_mode }} {{ params.none }} {{ enrich.score }}", "false null 1.5"),
        ("{{ enrich.contacts | length }}", 2),
        ("{{ enrich.contacts[0].phone }}", "+1555"),
        ("{{ enrich.contacts[-1]['id'] }}", "c2"),
        ("{{ enrich.contacts.0.id }}", "c1"),
        ("{{ enrich.contacts[params.limit].id | default('nobody') }}", "nobody"),
        ("{{ enrich.empty | first | default(null) }}", None),
        ("{{ (enrich.contacts | last).id | upper }}", "C2"),
        ("{{ enrich.score | string ~ '!' }}", "1.5!"),
        ("{{ ['a', 1, true, none] | join('-') }}", "a-1-true-null"),
        ("{{ {'a': [1, {'b': params.limit}]}}}", {"a": [1, {"b": 7}]}),
        ("{{ {'a': 'ü'} | tojson }};", '{"a":"ü"};'),
        ("{{ '{{' }}", "{{"),
        ("{{ '}}' ~ \"}}\" }}", "}}}}"),
        ("{{ ' 12 ' | int }}", 12),
        ("{{ '1.5' | float }}", 1.5),
        ("{{ 3.0 | int }}", 3),
        ("{{ 'vip' if params.limit > 5 else 'usual' }}", "vip"),
        ("{{ none is none and 'x' is string and 1 is number and not true is number }}", True),
        ("{{ {} is mapping and [] is sequence and not 'x' is sequence and true is boolean }}", True),
        ("{{ 1 < 2 <= 2 and 'a' < 'b' and 'b' in 'abc' and 'id' in item and 2 not in [1] }}", True),
        ("{{ -1 }}", -1),
        ("line\nbreak {{ params.limit }}\n", "line\nbreak 7\n"),
    ],
)
def test_expressions(template: str, expected: Any) -> None:
    """Fields, filters, tests, conditions: a table of what templates can do, and of what their text looks like."""
    bound = bind(template, CONTEXT)
    assert bound == expected
    assert type(bound) is type(expected)


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [("1", "true", False), ("0", "false", False), ("1", "1.0", True), ("'1'", "1", False), ("none", "false", False),
     ("[1, [true]]", "[1, [1]]", False), ("{'a': 1}", "{'a': 1.0}", True), ("{'a': 1}", "{'b': 1}", False)],
)  # fmt: skip
def test_equality_is_that_of_json(left: str, right: str, equal: bool) -> None:
    """In Python `True == 1`; in JSON a boolean is no number."""
    assert bind(f"{{{{ {left} == {right} }}}}", {}) is equal
    assert bind(f"{{{{ {left} != {right} }}}}", {}) is not equal
    assert bind(f"{{{{ {left} in [{right}] }}}}", {}) is equal


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ enrich.contacts }} and more", "say how with"),
        ("{{ 1 < 'a' }}", "have no order"),
        ("{{ true < 2 }}", "have no order"),
        ("{{ 3.5 | int }}", "whole numbers"),
        ("{{ true | int }}", "whole numbers"),
        ("{{ enrich | upper }}", "works on text, not on object"),
        ("{{ 5 | length }}", "not on number"),
        ("{{ 1 in 5 }}", "cannot look for"),
        ("{{ params.limit.digits }}", "is a number"),
        ("{{ enrich.contacts.id }}", "is a list"),
        ("{{ params.none.x }}", "is null"),
        ("{{ enrich.contacts[9] }}", "the list has 2 entries"),
        ("{{ enrich.empty | first }}", "is empty"),
        ("{{ 'x' if false }}", "no `else`"),
        ("{{ not missing }}", "not defined"),
        ("{{ [missing] }}", "not defined"),
        ("{{ {'a': missing} }}", "not defined"),
        ("{{ missing ~ 'a' }}", "not defined"),
        ("{{ x | shout }}", "there is no filter `shout`"),
        ("{{ x is odd }}", "there is no test `odd`"),
        ("{{ open", "never closed"),
        ("{% if x %}y{% endif %}", "statements are not allowed"),
        ("{# note #}", "comments are not allowed"),
        ("{{ x + 1 }}", "arithmetic"),
        ("{{ x() }}", "calls"),
        ("{{ x[1:2] }}", "slices"),
        ("{{ (1, 2) }}", "tuples"),
    ],
)
def test_what_does_not_fit_is_an_error_that_says_why(template: str, reason: str) -> None:
    with pytest.raises(BindError) as caught:
        bind(template, CONTEXT, "here")
    assert reason in caught.value.reason
    assert caught.value.path == "here"


def test_guards_ask_without_failing() -> None:
    """`is defined` and `default` may look at what is not there, at any depth."""
    assert bind("{{ gone.a[0].b is defined }}", CONTEXT) is False
    assert bind("{{ gone.a | default({'b': []}) }}", CONTEXT) == {"b": []}
    assert bind("{{ gone is undefined or gone.x > 1 }}", CONTEXT) is True
    assert bind("{{ params.none | default('x') }}", CONTEXT) is None  # null is a value


def test_a_condition_is_true_or_false_and_never_a_guess() -> None:
    """The text `false` counts as true almost everywhere; here it has to be compared."""
    assert bind_condition("{{ enrich.contacts | length > 1 }}", CONTEXT) is True
    assert bind_condition("{{ enrich.empty }}", CONTEXT) is False
    assert bind_condition(" {{ params.account_id }} ", CONTEXT) is True
    with pytest.raises(BindError, match="compare it"):
        bind_condition("{{ enrich.flag }}", CONTEXT)
    for text in ("true", "enrich.score > 1", "a {{ item }}"):
        with pytest.raises(BindError, match="must be one"):
            bind_condition(text, CONTEXT, "actions.a.when")


def test_a_result_larger_than_the_bound_is_refused() -> None:
    """A template can name one large value many times; the product is bounded."""
    value = "x" * (MAX_BOUND // 4)
    assert bind(["{{ x }}"] * 3, {"x": value}) == [value] * 3
    with pytest.raises(BindError, match="larger than"):
        bind(["{{ x }}"] * 5, {"x": value})


def test_binding_leaves_template_and_context_alone() -> None:
    template = {"a": ["{{ enrich }}", {"b": "{{ item.id }}"}]}
    before = dump_json([template, CONTEXT])
    bind(template, CONTEXT)
    assert dump_json([template, CONTEXT]) == before


def test_references_say_what_they_need_and_what_they_ask_for() -> None:
    """`guarded` marks references that work, too, where their root is not there."""
    template = "{{ a.b[0].c if a is defined and d else e }} {{ f.g[h.i].j | trim | default(k) }} {{ '{{ no }}' }}"
    found = [(str(reference), reference.guarded, reference.whole) for reference in names_in(template)]
    assert found == [
        ("a", True, True), ("d", False, True), ("a.b[0].c", True, True), ("e", False, True),
        ("f.g", True, False), ("h.i", False, True), ("k", False, True),
    ]  # fmt: skip
    assert names_in("no template, {no} reference") == ()


@pytest.mark.parametrize(
    "guard",
    [
        "x is defined and {}",
        "x is undefined or {}",
        "not x is defined or {}",
        "{} if x is defined else 1",
        "1 if x is undefined else {}",
        "({} | default(null))",
    ],
)
def test_guarded_references_really_survive_absence(guard: str) -> None:
    """The static notion agrees with the evaluation: nothing marked as guarded can fail for lack of its root."""
    template = f"{{{{ {guard.format('x.y')} }}}}"
    assert all(reference.guarded for reference in names_in(template) if reference.root == "x")
    bind(template, {})


@settings(max_examples=300, deadline=None)
@given(TEXT)
def test_text_without_braces_stands_for_itself(text: str) -> None:
    if not any(mark in text for mark in ("{{", "{%", "{#")):
        assert bind(text, {}) == text
    if not any(mark in text for mark in ("{", "}")) and not UNPRINTABLE.search(text):
        assert bind(f"-{text}{{{{ 1 }}}}", {}) == f"-{text}1"
