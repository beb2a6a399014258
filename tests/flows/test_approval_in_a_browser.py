"""A person decides about an update in the Prefect UI, with what it changes in front of them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.prefect,
    pytest.mark.timeout(180),
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian's package `chromium`)"),
]
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


def in_the_menu(page: Any) -> None:
    page.locator("button:has(svg.lucide-ellipsis-vertical)").first.click(timeout=30_000)
    page.get_by_role("menuitem", name="Resume").click()


def on_a_button(page: Any) -> None:
    page.get_by_role("button", name="Resume").first.click(timeout=30_000)


@pytest.mark.parametrize(
    ("ui", "resume", "send"), [("/v2", in_the_menu, "Resume"), ("", on_a_button, "Submit")], ids=["new UI", "older UI"]
)
def test_a_person_sees_what_changes_agrees_by_name_and_the_run_goes_on(
    vendor: Any, start: Any, prefect_server: str, wait_until: Any, ui: str, resume: Any, send: str
) -> None:
    """In the older UI, to which the settings lead a browser, and in the newer one beside it."""
    from playwright.sync_api import expect, sync_playwright

    box = vendor()
    process = start(box, "update-ivr", "examples/clinic_holiday.yaml", "--approval", "--json")
    found: list[str] = []
    wait_until(lambda: found.extend(paused(prefect_server)) or bool(found), 60)
    pictures = Path(os.environ.get("CORDBOARD_SCREENSHOTS", ".cordboard/screenshots"))
    pictures.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(viewport={"width": 1500, "height": 1300})
        page.goto(f"{prefect_server.removesuffix('/api')}{ui}/runs/flow-run/{found[0]}")
        resume(page)
        expect(page.get_by_text("Save this to the live call flow").first).to_be_visible(timeout=30_000)
        expect(page.get_by_text("What callers notice").first).to_be_visible()
        page.get_by_role("switch").first.click()
        page.locator("textarea").first.fill("Ada Lovelace")
        page.screenshot(path=pictures / f"approval{ui.replace('/', '-')}.png")
        page.get_by_role("button", name=send, exact=True).last.click()
        out, err = process.communicate(timeout=60)
        browser.close()
    document = json.loads(out)
    assert (document["status"], document["decision"]["by"]) == ("saved", "Ada Lovelace"), err
    assert len(box.truth.effects_on("clinic-menu")) == 1


def paused(api: str) -> list[str]:
    body = {"flow_runs": {"state": {"type": {"any_": ["PAUSED"]}}}, "flows": {"name": {"any_": ["update-ivr"]}}}
    return [str(each["id"]) for each in httpx.post(f"{api}/flow_runs/filter", json=body).raise_for_status().json()]
