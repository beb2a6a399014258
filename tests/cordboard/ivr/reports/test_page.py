"""The page for people: self-contained, safe whatever anybody named, small, and with the flow drawn once."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.ivr.draw.grid import Link, grid_of
from cordboard.ivr.draw.scene import scene_of
from cordboard.ivr.model import Flow, Node, Transition
from cordboard.ivr.reports import Report, to_html
from cordboard.ivr.reports.page.picture import picture_of
from cordboard.ivr.suite import Case, CaseResult, Coverage, Covered
from cordboard.ivr.trace import End, Entry, Trace, digits, from_vendor, speech
from cordboard.ivr.trace.trace import Told
from tests.thorough import count


class Reader(HTMLParser):
    """What a browser would see: tags with their attributes, and the text of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[tuple[str, str]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] in {"script", "style"} and data.strip():
            self.inside.append((self.tags[-1][0], data))


def data_of(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def steps_of(trace: Trace) -> tuple[dict[str, Any], ...]:
    """Variables after each step, as the page's script works them out, from a report of this one call."""
    report = Report("s", Flow("f", "", (), ()), "vendor", "", [CaseResult("c", "failed", trace)], Coverage((), ()))
    _, _, _, steps, _, begin, *_ = data_of(to_html(report))["cases"][0]
    known, found = dict(begin), []
    for step in steps:
        for name, value in (step[6] or {}).items() if isinstance(step, list) else ():
            known = {key: text for key, text in {**known, name: value}.items() if text is not None}
        found.append(dict(known))
    return tuple(found)


def test_the_page_holds_every_call_with_its_steps(run: Callable[..., Report]) -> None:
    data = data_of(to_html(run()))
    assert [row[:2] for row in data["cases"]] == [["sales", 0], ["nine", 1], ["broken", 2]]
    path = [data["nodes"][step[0]][1] for step in data["cases"][0][3]]
    assert path == ["node_start", "node_menu", "node_sales", "node_end"]
    assert data["cases"][0][4] == [0, 1, 4]
    assert data["cases"][0][3][2][6] == {"tries": "1", "queue": '"<b>sales</b>"'}
    assert data["cases"][1][2] == list(run().cases[1].mismatches)


def test_the_header_says_what_the_totals_are(run: Callable[..., Report]) -> None:
    page = to_html(run())
    assert "1 of 3 calls passed, 1 failed, 1 could not be run" in page
    assert "100<small> % · 5 of 5</small>" in page


def test_of_a_flow_that_is_not_known_no_coverage_is_claimed(unknown: Report) -> None:
    page = to_html(unknown)
    assert page.count("<dd><small>not known</small></dd>") == 2
    assert "<small> %" not in page


def test_a_call_says_what_no_node_asked_for(run: Callable[..., Report]) -> None:
    calls = [Case("more", (digits("1"), *[speech("hello")] * 22)), Case("just so", (digits("1"),))]
    more, just_so = data_of(to_html(run(calls)))["cases"]
    assert more[8] == "no node asked for " + ", ".join(['"hello"'] * 20) + ", and 2 more"
    assert just_so[8] == ""


def test_nothing_that_anybody_named_becomes_markup(run: Callable[..., Report], hostile: Report) -> None:
    kinds = {tag for tag, _ in Reader(to_html(run())).tags}
    found = Reader(to_html(hostile)).tags
    assert {tag for tag, _ in found} <= kinds
    assert not [name for _, attributes in found for name in attributes if name.startswith("on")]


def test_hostile_names_reach_the_script_as_text(hostile: Report) -> None:
    page = to_html(hostile)
    assert page.replace("\n", "").isprintable()
    assert data_of(page)["cases"][0][0].startswith("</script><img src=x onerror=alert(1)>")


def test_the_policy_allows_our_script_and_styles_by_their_hashes_and_nothing_else(hostile: Report) -> None:
    reader = Reader(to_html(hostile))
    policy = next(str(attributes["content"]) for _, attributes in reader.tags if "http-equiv" in attributes)
    ours = [(kind, text) for kind, text in reader.inside if not text.startswith('{"cases"')]
    assert [kind for kind, _ in ours] == ["style", "style", "script"]
    for _, text in ours:
        known = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        policy = policy.replace(f"'sha256-{known}'", "ours")
    assert policy == (
        "default-src 'none'; script-src ours; style-src ours ours; img-src data:; base-uri 'none'; form-action 'none'"
    )


def test_the_page_asks_nothing_of_any_network(run: Callable[..., Report]) -> None:
    links = [
        str(value)
        for _, attributes in Reader(to_html(run())).tags
        for name, value in attributes.items()
        if name in {"src", "href", "action", "style"}
    ]
    assert all(link.startswith(("#", "data:,")) for link in links)
    page = to_html(run()).replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?:|@import", page)
    assert set(re.findall(r"url\((.*?)\)", page)) <= {"#cb-tip", "#cb-tip-back"}


def test_a_thousand_calls_of_ten_steps_make_a_page_of_less_than_a_megabyte(run: Callable[..., Report]) -> None:
    steps = tuple(
        Entry(f"node_{step}", "Route", step, "1", "node_x", {"a": step}, {"a": step + 1}) for step in range(10)
    )
    trace = Trace(tuple(step.node for step in steps), {}, End("completed", "node_9", "it ends"), record=Told(steps))
    cases = [CaseResult(f"call number {number}", "failed", trace, ("exit: wrong",)) for number in range(1000)]
    assert len(to_html(run((), extra=cases)).encode()) < 1_000_000


def test_what_was_taken_and_what_was_not_differ_in_the_picture(run: Callable[..., Report]) -> None:
    page = to_html(run([Case("sales", (digits("1"),))]))
    classes = re.findall(r'<g class="(cv-\w+)" data-way="(\d+)"', page)
    assert classes == [("cv-taken", "1"), ("cv-missed", "2"), ("cv-missed", "3")]
    ways = data_of(page)["ways"]
    taken = {piece for way in ways if way[4] for piece in way[5]}
    pieces = re.findall(r'<g class="(cv-\w+)" data-piece="(\d+)"', page)
    assert {int(piece) for kind, piece in pieces if kind == "cv-taken"} == taken != set(range(len(pieces)))
    assert [kind for kind, _ in re.findall(r'<g class="(cv-\w+)" data-node="(\d+)"', page)] == ["cv-taken"] * 4


def test_a_flow_too_large_for_a_picture_has_a_page_without(run: Callable[..., Report]) -> None:
    flow = Flow("big", "n0", tuple(Node(f"n{number}") for number in range(2001)), ())
    page = to_html(replace(run(()), flow=flow, coverage=Coverage((), ())))
    assert "<svg" not in page
    assert "too large for a picture" in page


def test_a_call_of_the_vendor_may_go_where_the_flow_does_not(run: Callable[..., Report]) -> None:
    trace = from_vendor({"path": ["node_start", "node_secret"], "exitNode": "node_secret", "trace": []})
    data = data_of(to_html(run((), extra=[CaseResult("odd", "passed", trace)])))
    assert [data["nodes"][step[0]][1] for step in data["cases"][0][3]] == ["node_start", "node_secret"]
    assert data["cases"][0][4] == 0


def test_of_a_long_call_the_middle_is_left_out_and_variables_stay_right() -> None:
    entries = tuple(
        Entry("n", before={"count": step, f"v{step}": 1}, after={"count": step + 1, f"v{step + 1}": 1})
        for step in range(1200)
    )
    trace = Trace(("n",) * 1200, {}, End("loop", "n", "round"), record=Told(entries))
    known = steps_of(trace)
    assert len(known) == 501  # 400, a number for 700 left out, 100
    assert known[399] == {"count": "400", "v400": "1"}
    assert known[401] == {"count": "1101", "v1101": "1"}
    assert known[-1] == {"count": "1200", "v1200": "1"}


def test_when_there_are_too_many_steps_those_of_calls_that_passed_are_left_out(run: Callable[..., Report]) -> None:
    entries = tuple(Entry("n") for _ in range(500))
    trace = Trace(("n",) * 500, {}, End("completed", "n", "done"), record=Told(entries))
    passed = [CaseResult(f"p{number}", "passed", trace) for number in range(200)]
    failed = [CaseResult(f"f{number}", "failed", trace, ("no",)) for number in range(100)]
    rows = data_of(to_html(run((), extra=[*passed, *failed])))["cases"]
    assert [len(row[3]) for row in rows] == [500] * 100 + [1] * 100 + [500] * 100
    assert rows[150][3] == [500]


def test_values_that_differ_only_in_type_or_far_behind_are_changes() -> None:
    long = "x" * 5000
    before, after = {"a": 1, "b": long + "1", "c": 0}, {"a": True, "b": long + "2", "c": 0}
    trace = Trace(("n",), {}, End("completed", "n", ""), record=Told((Entry("n", before=before, after=after),)))
    report = Report("s", Flow("f", "", (), ()), "local", "", [CaseResult("c", "failed", trace)], Coverage((), ()))
    assert list(data_of(to_html(report))["cases"][0][3][0][6]) == ["a", "b"]


def _end(link: Link) -> int:
    return link.left if link.leftward else link.right


NAMES = st.sampled_from(["a", "b", "c", "d", "e", "ghost"])


@settings(max_examples=count(150, 300), deadline=None)
@given(st.lists(st.tuples(NAMES, NAMES, st.sampled_from(["true", "dtmf == '1'", "no_input"])), min_size=1, max_size=9))
def test_the_pieces_of_a_transition_lead_from_its_node_to_its_target(ways: list[tuple[str, str, str]]) -> None:
    transitions = tuple(Transition(source, target, when) for source, target, when in ways)
    flow = Flow("f", "a", tuple(map(Node, "abcde")), transitions)
    covered = tuple(Covered("", None, number % 2) for number in range(len(ways)))
    picture = picture_of(flow, Coverage((), covered))
    grid = grid_of(scene_of(flow))
    pointed = ["marker-end" in drawn for drawn in re.findall(r'data-piece="\d+">(.*?)</g>', picture.svg)]
    assert pointed == [link.loop or grid.items[_end(link)].what == "box" for link in grid.links]
    for arrow, pieces in zip(picture.scene.arrows, picture.pieces, strict=True):
        links = [grid.links[piece] for piece in pieces]
        ends = [(link.right, link.left) if link.leftward else (link.left, link.right) for link in links]
        assert ends[0][0] == arrow.source
        assert all(one[1] == other[0] for one, other in pairwise(ends))
        assert grid.items[ends[-1][1]].box == arrow.target
        assert grid.items[ends[-1][1]].what in {"box", "post"} or links[-1].loop


def test_a_large_flow_draws_its_long_arrows_as_signposts_that_are_marked_too() -> None:
    nodes = tuple(Node(f"n{number}") for number in range(60))
    chain = [Transition(f"n{number}", f"n{number + 1}") for number in range(59)]
    flow = Flow("long", "n0", nodes, (*chain, Transition("n0", "n59", "no_input")))
    picture = picture_of(flow, Coverage((), (Covered("", None, 1),) * 60))
    assert len(picture.pieces[59]) == 1
    assert f'data-piece="{picture.pieces[59][0]}"' in picture.svg
    assert 'data-way="59"><title>taken once</title><a href="#node-n59">' in picture.svg
