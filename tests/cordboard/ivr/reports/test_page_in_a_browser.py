"""The page in a real browser, with a thousand calls. Pictures go to `CORDBOARD_SCREENSHOTS`, if that is set."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cordboard.ivr.reports import Report, write_reports
from cordboard.ivr.suite import Case, Expectation
from cordboard.ivr.trace import digits

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian's package `chromium`)"),
]
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@dataclass
class Seen:
    """A page that is open, and what went on behind it."""

    page: Any
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


@pytest.fixture
def look(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Seen]]:
    """`look(report)` opens its page."""
    contexts = []

    def open_page(report: Report, scheme: str = "light") -> Seen:
        [path] = write_reports(report, tmp_path, ["html"])
        context = browser.new_context(viewport={"width": 1500, "height": 950}, color_scheme=scheme)
        contexts.append(context)
        seen = Seen(context.new_page())
        seen.page.on("request", lambda request: seen.asked.append(request.url))
        seen.page.on("console", lambda message: seen.said.append(message.text))
        seen.page.on("pageerror", lambda error: seen.said.append(str(error)))
        seen.page.on("dialog", lambda dialog: seen.said.append(dialog.message))
        seen.page.goto(path.as_uri())
        seen.page.wait_for_selector("#list li")
        return seen

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def thousand(run: Callable[..., Report]) -> Report:
    """Every hundredth call fails."""
    return run(
        [
            Case(
                f"caller {number}",
                (digits("19"[number % 2]),),
                {"number": number},
                expect=Expectation(exit="node_sales") if number % 100 == 50 else Expectation(),
            )
            for number in range(1000)
        ]
    )


def names(seen: Seen) -> list[str]:
    return [str(name) for name in seen.page.locator("#list button > bdi").all_text_contents()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_thousand_calls_open_without_a_request_or_an_error(
    look: Callable[..., Seen], thousand: Report, scheme: str
) -> None:
    seen = look(thousand, scheme)
    assert len(seen.asked) == 1  # the page itself
    assert seen.said == []
    assert len(names(seen)) == 200  # the rest is drawn when it is looked at
    if folder := os.environ.get("CORDBOARD_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        seen.page.screenshot(path=Path(folder) / f"suite-report-{scheme}.png")


def test_what_is_wrong_comes_first_and_is_shown(look: Callable[..., Seen], thousand: Report) -> None:
    seen = look(thousand)
    assert names(seen)[:11] == [*(f"caller {number}" for number in range(50, 1000, 100)), "caller 0"]
    assert seen.page.locator("#call h2").inner_text() == "✗ caller 50"
    assert "exit: node_end, expected node_sales" in seen.page.locator(".wrong").inner_text()


def test_calls_are_filtered_by_verdict(look: Callable[..., Seen], thousand: Report) -> None:
    seen = look(thousand)
    seen.page.get_by_role("button", name="failed 10").click()
    assert names(seen) == [f"caller {number}" for number in range(50, 1000, 100)]


def test_calls_are_found_by_name_and_by_node(look: Callable[..., Seen], thousand: Report) -> None:
    seen = look(thousand)
    seen.page.fill("#search", "CALLER 77")
    assert names(seen) == ["caller 77", *(f"caller {number}" for number in range(770, 780))]
    seen.page.locator("#picture g[data-node]").nth(1).click()  # only callers who press 1 get to Sales
    assert seen.page.locator("#search").input_value() == "node_sales"
    assert "500 found" in seen.page.locator("#chips").inner_text()
    seen.page.fill("#search", "nobody is called that")
    assert seen.page.locator("#list").inner_text() == "No call is like that."


def test_the_rest_of_the_list_comes_when_it_is_scrolled_to(look: Callable[..., Seen], thousand: Report) -> None:
    seen = look(thousand)
    seen.page.evaluate("document.getElementById('list').scrollTop = 1e6")
    seen.page.locator("#list button").nth(399).wait_for()
    assert names(seen)[399:] == ["caller 393"]


def test_a_call_is_gone_through_step_by_step_with_its_variables(look: Callable[..., Seen], thousand: Report) -> None:
    seen = look(thousand)
    rows = seen.page.locator("#variables tr")
    assert rows.all_inner_texts() == ["variable\tbefore\tafter", "number\t50\t50"]
    seen.page.keyboard.press("ArrowRight")
    seen.page.locator("#on").click()
    assert seen.page.locator("#where").inner_text() == "step 3 of 4, at 0.090 s"
    assert rows.all_inner_texts()[1:] == [
        "number\t50\t50",
        'queue\t–\t"<b>sales</b>"',
        "tries\t–\t1",
    ]
    assert seen.page.locator("tr.changed").count() == 2
    seen.page.locator(".path button").first.click()
    assert seen.page.locator("#back").is_disabled()


def test_the_way_of_a_call_is_shown_in_the_picture(look: Callable[..., Seen], thousand: Report) -> None:
    seen = look(thousand)
    assert seen.page.locator("[data-node].cv-on").count() == 4
    assert seen.page.locator("[data-way].cv-on").evaluate_all("all => all.map(each => each.dataset.way)") == ["1"]
    seen.page.locator("#on").click()
    assert seen.page.locator("[data-node].cv-now").get_attribute("data-node") == "0"


def test_a_link_leads_to_a_call_and_without_one_the_coverage_is_shown(
    look: Callable[..., Seen], run: Callable[..., Report]
) -> None:
    seen = look(run([Case("sales", (digits("1"),)), Case("again", (digits("1"),))]))
    assert seen.page.locator("#call h2").inner_text() == "What no call has taken"
    assert seen.page.locator("#call tr").all_inner_texts()[1:] == [
        "node_menu\tanything else\tnode_menu\t12",
        "node_menu\tgiving up\tnode_end\t13",
    ]
    seen.page.evaluate("location.hash = '#call-2'")
    seen.page.wait_for_function("document.querySelector('#call h2').textContent.includes('again')")


def test_hostile_names_are_shown_as_text_and_do_nothing(look: Callable[..., Seen], hostile: Report) -> None:
    seen = look(hostile)
    assert "</script><img src=x onerror=alert(1)>&\"'`]]>--><!--" in names(seen)
    for number in range(len(names(seen))):
        seen.page.locator("#list button").nth(number).click()
        for _ in range(seen.page.locator("#on:enabled").count() * 3):
            seen.page.keyboard.press("ArrowRight")
    seen.page.get_by_role("button", name="coverage").click()
    assert seen.page.locator("img, bdi *:not(code)").count() == 0
    assert (len(seen.asked), seen.said) == (1, [])


def test_a_call_shows_what_no_node_asked_for(look: Callable[..., Seen], run: Callable[..., Report]) -> None:
    seen = look(run([Case("more", (digits("1"), digits("9")), expect=Expectation(exit="node_menu"))]))
    assert seen.page.inner_text("#left") == "no node asked for 9"
    assert seen.said == []


def test_of_a_flow_that_is_not_known_nothing_is_called_taken(look: Callable[..., Seen], unknown: Report) -> None:
    seen = look(unknown)
    assert "Not known" in seen.page.inner_text("#call")
    assert seen.said == []
