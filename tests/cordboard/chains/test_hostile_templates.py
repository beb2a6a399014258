"""Hostile templates: whatever they try, they are refused or give a JSON value, at once and without growth."""

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cordboard.chains.binding import bind, names_in
from cordboard.chains.filters import MAX_TEXT
from cordboard.chains.template import MAX_SOURCE, parse_template
from cordboard.errors import BindError
from cordboard.jsontext import dump_json
from tests.thorough import count

PROBES = (Path(__file__).parent / "hostile_templates.txt").read_text(encoding="utf-8").splitlines()
CONTEXT: dict[str, Any] = {
    "params": {"a": "text", "items": [1, 2], "keys": {"b": None}},
    "x": {"a": 1, "append": [True], "big": "x" * 100_000},
    "item": ["a", {"id": 1.5}],
}
SECONDS = 0.25


def outcome(template: str) -> str:
    """Binds a template: what it gives as JSON text, or `refused`. Anything but a BindError escapes."""
    try:
        return dump_json(bind(template, CONTEXT, "probe"))
    except BindError:
        return "refused"


def timed(template: str) -> tuple[str, float]:
    """What a template gives, and its CPU seconds: the best of three, as a collection of garbage may fall into one."""
    best = float("inf")
    for _ in range(3):
        parse_template.cache_clear()
        started = time.process_time()
        text = outcome(template)
        best = min(best, time.process_time() - started)
        if best < SECONDS:
            break
    return text, best


def test_the_corpus_holds_at_least_three_hundred_probes() -> None:
    assert len(set(PROBES)) >= 300


def test_every_probe_is_refused_or_gives_json_and_takes_no_time() -> None:
    """Published attacks on Jinja: none reaches a Python attribute, none executes, none builds anything large."""
    results = {probe: timed(probe) for probe in PROBES}
    slow = {probe: seconds for probe, (_, seconds) in results.items() if seconds > SECONDS}
    assert not slow
    leaks = ("<class", "<function", "<built-in", "uid=", "root:", "Undefined", "<bound")
    assert not [
        probe for probe, (text, _) in results.items() if any(leak in text for leak in leaks) or len(text) > 200_000
    ]


def test_templates_are_never_run_unsandboxed() -> None:
    """The script that this project replaces rendered configuration with a plain Jinja environment: it ran."""
    with pytest.raises(BindError, match="calls are not allowed"):
        bind("{{ cycler.__init__.__globals__.os.popen('id').read() }}", {})


@pytest.mark.parametrize("name", ["__class__", "items", "append", "__len__"])
def test_a_python_attribute_is_not_a_field(name: str) -> None:
    """Only entries of objects are looked at: `items` is an entry where there is one, and otherwise nothing."""
    with pytest.raises(BindError, match="not there"):
        bind(f"{{{{ value.{name} }}}}", {"value": {}})
    assert bind(f"{{{{ value.{name} }}}}", {"value": {name: 7}}) == 7


def test_checking_a_template_never_computes_its_constants() -> None:
    """Jinja folds constants while it compiles, so that validating `'a' * 10**8` takes seconds; here it is refused."""
    names_in("{{ warm.up }}")
    started = time.process_time()
    with pytest.raises(BindError, match="arithmetic"):
        names_in("{{ 'a' * 10**8 }}")
    assert time.process_time() - started < 0.005


@pytest.mark.parametrize(
    "bomb",
    [
        "{{ " + "(" * 4000 + "1" + ")" * 4000 + " }}",
        "{{ " + "[" * 4000 + " }}",
        "{{ " + "not " * 2000 + "1 }}",
        "{{ " + "-" * 8000 + "1 }}",
        "{{ x" + ".a" * 4000 + " }}",
        "{{ x" + "[x" * 2000 + "]" * 2000 + " }}",
        "{{ 1" + " if 1 else 1" * 600 + " }}",
        "{{ 1" + " ~ 1" * 1900 + " }}",
        "{{ x" + "|trim" * 1500 + " }}",
        "{{ " + "9" * 8000 + " }}",
        "{{ [" + "1," * 3900 + "] }}",
        "{{ " + "1 and " * 1300 + "1 }}",
        "{{ '\\\\'" + " | tojson" * 60 + " }}",
        "{{ [" + ", ".join(["x"] * 100) + "] | tojson }}",
        "{{ [" + ", ".join(["x.big"] * 100) + "] | join }}",
        "{{ " + " ~ ".join(["x.big"] * 100) + " }}",
        "{{ [" + ", ".join(["x.a"] * 190) + "] }}",
        "{{ x.big }}" * 700,
        "{{" * 4000,
        "{" * 8000,
        "{{ '" + "a" * MAX_SOURCE + "' }}",
        "{{ " + "{" * 3000 + "}" * 3000 + " }}",
        "{{ x" + " is defined" * 700 + " }}",
        "{{ x" + " == 1" * 1500 + " }}",
    ],
)
def test_bombs_are_refused_or_small_and_quick(bomb: str) -> None:
    """Nesting ends before recursion does, and no step may make more than a mebibyte of text."""
    text, seconds = timed(bomb)
    assert seconds < SECONDS
    assert text == "refused" or len(text) <= 20 * MAX_TEXT


@pytest.mark.parametrize(
    "template",
    [
        "{{ x.big ~ x.big ~ x.big ~ x.big ~ x.big ~ x.big ~ x.big ~ x.big ~ x.big ~ x.big ~ x.big }}",
        "{{ [x.big, x.big, x.big, x.big, x.big, x.big, x.big, x.big, x.big, x.big, x.big] | join }}",
        "{{ [x.big, x.big, x.big, x.big, x.big, x.big, x.big, x.big, x.big, x.big, x.big] | tojson }}",
        "{{ [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] | join(x.big) }}",
        "{{ x.big }}" * 11,
    ],
)
def test_no_step_makes_more_text_than_a_mebibyte(template: str) -> None:
    with pytest.raises(BindError, match="longer than 1048576 characters"):
        bind(template, CONTEXT)


def test_expressions_are_bounded_in_parts_and_in_levels() -> None:
    assert bind("{{ [" + "1," * 399 + "] }}", {}) == [1] * 399
    assert bind("{{ x" + "|trim" * 63 + " }}", {"x": " a "}) == "a"
    for large in (
        "{{ [" + "1," * 400 + "] }}",
        "{{ x" + "|trim" * 64 + " }}",
        "{{ " + "(" * 17 + "1" + ")" * 17 + " }}",
    ):
        with pytest.raises(BindError, match=r"at the most|deeper"):
            bind(large, {"x": "a"})


ATOMS = st.sampled_from(
    [
        "x",
        "params",
        "item",
        "x.a",
        "params.items",
        "x['append']",
        "1",
        "'a'",
        "none",
        "true",
        "1.5",
        "missing",
        "__class__",
    ]
)


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    names = st.sampled_from(["__class__", "a", "items", "__globals__", "format", "append", "0"])
    words = st.sampled_from(["+", "*", "~", "**", "==", "<", "in", "and", "or", "if", "|", "%", ",", "is", "not in"])
    tails = st.sampled_from(
        [
            "|tojson",
            "|length",
            "|attr('a')",
            "|join",
            "|first",
            "|default(1)",
            " is defined",
            "()",
            "[0]",
            "[:]",
            "|int",
        ]
    )
    return st.one_of(
        st.builds("({})".format, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("{{'a': {}}}".format, inner),
        st.builds("{}.{}".format, inner, names),
        st.builds("{} {} {}".format, inner, words, inner),
        st.builds("{}{}".format, inner, tails),
        st.builds("{}[{}]".format, inner, inner),
        st.builds("{} if {} else {}".format, inner, inner, inner),
        st.builds("not {}".format, inner),
    )


@settings(max_examples=count(500, 1_500), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.recursive(ATOMS, _grown, max_leaves=12))
def test_any_expression_that_the_grammar_can_make_is_refused_or_gives_json(expression: str) -> None:
    """No expression escapes as another exception, and none takes long."""
    text, seconds = timed(f"{{{{ {expression} }}}}")
    assert text == "refused" or len(text) <= 2_000_000
    assert seconds < SECONDS


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet="{}%#'\"\\|.[]() aé\n1*~", max_size=60))
def test_any_text_at_all_is_refused_or_gives_json(text: str) -> None:
    """Unbalanced braces and quotes, backslashes and line ends included."""
    outcome(text)
