"""The picture of a call flow: everything is there, nothing covers anything else, and no text breaks out."""

import base64
import hashlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.errors import BadCall
from cordboard.findings import Finding, Severity
from cordboard.ivr.draw import MAX_BOXES, to_html, to_svg
from cordboard.ivr.draw.measure import width_of, wrapped
from cordboard.ivr.model import Flow, Node, Place, Transition
from cordboard.ivr.reading import load_flow
from cordboard.ivr.topology import check_flow
from tests.thorough import count

EXAMPLES = Path(__file__).parents[3] / "examples"
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onload='alert(1)",
    "]]><x/>",
    "<!-- -->",
    "&amp;&lt;&#x3c;",
    "javascript:alert(1)",
    "\x1b[31mred\x00\x07",
    "\u202egnp.exe\u2066",
    "\ud800",
    "</style><style>*{display:none}",
    "</title></svg>",
    "a" * 5000,
    "",
]


@dataclass(frozen=True)
class Area:
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "Area") -> bool:
        beside = self.right <= other.left or other.right <= self.left
        return not (beside or self.bottom <= other.top or other.bottom <= self.top)

    def holds(self, x: float, y: float, margin: float = 1.0) -> bool:
        inside = self.left + margin < x < self.right - margin
        return inside and self.top + margin < y < self.bottom - margin


def example(name: str) -> Flow:
    return load_flow(EXAMPLES / f"{name}.yaml")


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)


def body(svg: str) -> ET.Element:
    return next(part for part in parsed(svg).iter(f"{SVG}g") if "translate" in part.get("transform", ""))


def area(rect: ET.Element) -> Area:
    x, y, width, height = (float(rect.get(name, "nan")) for name in ("x", "y", "width", "height"))
    return Area(x, y, x + width, y + height)


def boxes(svg: str) -> dict[str, Area]:
    groups = [part for part in body(svg).iter(f"{SVG}g") if part.get("class", "").startswith("cb-box")]
    return {str(part.get("id")): area(next(part.iter(f"{SVG}rect"))) for part in groups}


def labels(svg: str) -> list[Area]:
    return [area(r) for r in body(svg).iter(f"{SVG}rect") if r.get("class", "").startswith(("cb-label", "cb-post"))]


def lines(svg: str) -> list[str]:
    return [str(path.get("d")) for path in body(svg).iter(f"{SVG}path")]


def points(way: str) -> Iterator[tuple[float, float]]:
    """Points along a path of straight pieces and cubic curves."""
    x = y = 0.0
    for command, numbers in re.findall(r"([MHC])([-\d. ]+)", way):
        values = [float(number) for number in numbers.split()]
        if command == "M":
            x, y = values
        elif command == "H":
            yield from ((x + (values[0] - x) * step / 10, y) for step in range(11))
            x = values[0]
        else:
            for step in range(21):
                t = step / 20
                a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
                x1, y1, x2, y2, x3, y3 = values
                yield a * x + b * x1 + c * x2 + d * x3, a * y + b * y1 + c * y2 + d * y3
            x, y = values[4:]


def assert_nothing_is_covered(svg: str) -> None:
    things = [*boxes(svg).values(), *labels(svg)]
    ordered = sorted(things, key=lambda thing: thing.left)
    assert not [(one, two) for i, one in enumerate(ordered) for two in ordered[i + 1 :] if one.overlaps(two)]
    for way in lines(svg):
        covered = [thing for thing in things if any(thing.holds(x, y) for x, y in points(way))]
        assert not covered, way


TEXTS = st.sampled_from(
    ["", "Main menu", "A very long name of a department that needs two lines", "x" * 60, "电话菜单"]
)
CONDITIONS = st.sampled_from(["dtmf == '1'", "no_input", "true", "default", "tier == 'gold' and not vip", "odd ="])


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    count = draw(st.integers(1, 9))
    ids = st.integers(0, count).map(lambda number: f"n{number}")  # the last one is defined nowhere
    nodes = [Node(f"n{number}", draw(TEXTS), draw(TEXTS), draw(TEXTS)) for number in range(count)]
    ways = draw(st.lists(st.builds(Transition, ids, ids, CONDITIONS), max_size=16))
    return Flow("f", "n0", tuple(nodes), tuple(ways))


@settings(max_examples=count(75, 150), deadline=None, derandomize=True)
@given(flows())
def test_nothing_covers_anything_else(flow: Flow) -> None:
    """No box or label lies on another, and no line runs through one."""
    assert_nothing_is_covered(to_svg(flow))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(flows())
def test_every_transition_ends_with_a_tip_at_its_target(flow: Flow) -> None:
    svg = to_svg(flow)
    drawn = boxes(svg)
    reached = {way.target for way in flow.transitions}
    tips = [path for path in body(svg).iter(f"{SVG}path") if path.get("marker-end")]
    ends = [list(points(str(path.get("d"))))[-1] for path in tips]
    for name in reached:
        box = drawn[f"node-{name}"]
        assert any(x in (box.left, box.right) and box.top < y < box.bottom for x, y in ends), name
    for name in {f"node-{node.id}" for node in flow.nodes} - {f"node-{name}" for name in reached}:
        box = drawn[name]
        assert not any(x in (box.left, box.right) and box.top < y < box.bottom for x, y in ends), name


@pytest.mark.parametrize("name", ["main_menu", "hospital_menu", "broken/broken_menu"])
def test_the_examples_are_drawn_whole_and_clear(name: str) -> None:
    flow = example(name)
    svg = to_svg(flow, check_flow(flow, today=date(2026, 1, 1)))
    assert {f"node-{node.id}" for node in flow.nodes} <= boxes(svg).keys()
    assert_nothing_is_covered(svg)


def test_digits_stand_on_the_arrows_in_words() -> None:
    words = [part.text for part in body(to_svg(example("hospital_menu"))).iter(f"{SVG}text")]
    assert {"9 or “emergency” said", "silence", "something not understood", "giving up"} <= set(words)


def test_calls_run_from_left_to_right() -> None:
    drawn = boxes(to_svg(example("main_menu")))
    lefts = [drawn[f"node-{name}"].left for name in ("node_start_01", "node_dtmf_02", "node_queue_03", "node_end_05")]
    assert lefts == sorted(set(lefts))


def test_an_arrow_that_leads_back_looks_different() -> None:
    svg = to_svg(example("hospital_menu"))
    back = [path for path in body(svg).iter(f"{SVG}path") if "cb-back" in path.get("class", "")]
    assert back
    assert "leads back" in svg
    assert "leads back" not in to_svg(example("main_menu"))


def test_what_is_wrong_is_marked_and_said() -> None:
    flow = Flow("f", "a", (Node("a", place=Place("nodes.a")), Node("b")), (Transition("a", "b"),))
    svg = to_svg(flow, [Finding("ivr/x", "is <wrong>", "nodes.a", severity=Severity.WARNING)])
    group = next(part for part in body(svg).iter(f"{SVG}g") if part.get("id") == "node-a")
    assert "cb-warning" in group.get("class", "")
    assert "warning: is <wrong>" in str(group.findtext(f"{SVG}title"))
    assert "1 warning" in svg


def test_the_picture_says_what_it_shows_to_those_who_cannot_see_it() -> None:
    root = parsed(to_svg(example("hospital_menu")))
    assert root.get("role") == "img"
    named = {part.get("id"): part.text for part in root}
    title, description = (str(named[name]) for name in str(root.get("aria-labelledby")).split())
    assert title == "Call flow Hospital main line"
    assert "12 nodes, 19 connections" in description
    assert "begins at node_start" in description


def test_the_picture_suits_dark_surroundings_too() -> None:
    assert "@media (prefers-color-scheme:dark)" in to_svg(example("main_menu"))


def test_the_same_flow_gives_the_same_picture() -> None:
    assert to_html(example("hospital_menu")) == to_html(example("hospital_menu"))


def test_long_ways_in_a_large_flow_end_in_signposts_that_lead_on() -> None:
    chain = [Transition(f"n{number}", f"n{number + 1}") for number in range(99)]
    flow = Flow("f", "n0", tuple(Node(f"n{n}") for n in range(100)), (*chain, Transition("n98", "n2", "no_input")))
    svg = to_svg(flow)
    links = [str(link.get("href")) for link in body(svg).iter(f"{SVG}a")]
    assert links == ["#node-n2"]
    assert links[0][1:] in boxes(svg)
    assert "goes on at another place" in svg


def test_a_picture_of_a_few_hundred_nodes_stays_of_a_size_that_can_be_opened() -> None:
    ways = [Transition(f"n{n}", f"n{(n * 7 + k) % 500}", f"dtmf == '{k}'") for n in range(500) for k in range(4)]
    svg = to_svg(Flow("f", "n0", tuple(Node(f"n{n}", "menu") for n in range(500)), tuple(ways)))
    assert len(svg) < 4_000_000


def test_a_flow_that_is_too_large_is_refused_with_a_way_out() -> None:
    flow = Flow("f", "n0", tuple(Node(f"n{number}") for number in range(MAX_BOXES + 1)), ())
    with pytest.raises(BadCall, match=r"2,001 nodes .* are too many for a picture.* DOT"):
        to_svg(flow)


def test_a_flow_without_nodes_is_an_empty_picture() -> None:
    assert parsed(to_svg(Flow("f", "", (), ()))).tag == f"{SVG}svg"


class Page(HTMLParser):
    """What a browser would see: tags with their attributes, and the texts of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_script = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts.append(data)


def hostile_flow(text: str) -> tuple[Flow, tuple[Finding, ...]]:
    nodes = (Node(text, text, text, text), Node("b", "menu"))
    ways = (Transition("b", text, f'speech == "{text}"'), Transition(text, "b", text), Transition(text, text, text))
    finding = Finding(text, text, text, text, 3, text, proof=(text, "b", text))
    return Flow(text, text, nodes, ways, name=text), (finding,)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_of_a_flow_becomes_markup(text: str) -> None:
    flow, findings = hostile_flow(text)
    plain, plain_findings = hostile_flow("plain")
    for draw in (to_svg, to_html):
        page, harmless = Page(draw(flow, findings)), Page(draw(plain, plain_findings))
        assert {tag for tag, _ in page.tags} <= {tag for tag, _ in harmless.tags} | {"tspan"}
        assert {name for _, attributes in page.tags for name in attributes} <= {
            name for _, attributes in harmless.tags for name in attributes
        }
        assert len(page.scripts) == len(harmless.scripts)
    parsed(to_svg(flow, findings))
    to_html(flow, findings).encode("utf-8")


@pytest.mark.parametrize("text", ["\x1b[31m", "\x00", "\u202e", "\u2066", "\ud800"], ids=range(5))
def test_what_cannot_be_seen_is_shown_as_an_escape(text: str) -> None:
    flow, findings = hostile_flow(f"a{text}b")
    for made in (to_svg(flow, findings), to_html(flow, findings)):
        assert text[0] not in made
        assert text[0].encode("unicode_escape").decode() in made


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_every_link_of_a_page_leads_to_a_node_in_it(text: str) -> None:
    page = Page(to_html(*hostile_flow(text)))
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    links = [str(attributes["href"]) for _, attributes in page.tags if "href" in attributes]
    assert links
    assert all(re.fullmatch(r"#node-[A-Za-z0-9_.-]+", link) and link[1:] in ids for link in links)


def test_two_nodes_never_share_an_anchor() -> None:
    nodes = (Node("-1"), Node("a b"), Node("a_b"), Node("a\nb"))
    assert len(boxes(to_svg(Flow("f", "-1", nodes, ())))) == 4


def test_a_page_runs_its_own_script_and_nothing_else() -> None:
    page = Page(to_html(example("main_menu")))
    policy = next(str(a["content"]) for tag, a in page.tags if tag == "meta" and "http-equiv" in a)
    digest = base64.b64encode(hashlib.sha256("".join(page.scripts).encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; ")
    assert f"script-src 'sha256-{digest}';" in policy
    assert "unsafe-eval" not in policy
    assert policy.count("unsafe-inline") == policy.count("style-src 'unsafe-inline'") == 1


def test_a_page_needs_no_network() -> None:
    made = to_html(example("hospital_menu")).replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert "//" not in made
    assert "@import" not in made
    assert not re.search(r"url\((?!#)", made)


def test_a_page_lists_each_finding_with_its_hint_and_its_way() -> None:
    flow = example("broken/broken_menu")
    findings = check_flow(flow, today=date(2026, 1, 1))
    made = to_html(flow, findings)
    assert made.count('<tr><td class="') == len(findings)
    assert '<a href="#node-node_news"><bdi>node_news</bdi></a> → <a href="#node-node_weather">' in made


def test_a_page_tells_the_flow_as_text() -> None:
    made = to_html(example("main_menu"))
    assert '<li><bdi>1</bdi>: to <a href="#node-node_queue_03"><bdi>node_queue_03</bdi></a></li>' in made


@pytest.mark.parametrize("word", ["mmmm", "iiii", "WWWW", "x" * 100, "Ärztehaus", "电话菜单电话菜单", "👩‍⚕️👩‍⚕️"])
def test_lines_are_never_wider_than_they_may_be(word: str) -> None:
    for line in wrapped(f"{word} and {word} " * 5, 12, 80, lines=4):
        assert width_of(line, 12) <= 80


def test_what_does_not_fit_is_left_out_visibly() -> None:
    assert wrapped("one two three", 10, 1000, lines=2) == ("one two three",)
    assert wrapped("one two three four five six", 10, 40, lines=2)[-1].endswith("…")
    assert wrapped("", 10, 40, lines=2) == ()


def test_drawing_leaves_the_flow_as_it_was() -> None:
    flow = example("hospital_menu")
    to_html(flow)
    assert flow == replace(example("hospital_menu"))
