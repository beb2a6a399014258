"""The run page of the Prefect UI in a real browser. By hand: `make screenshot`; the pictures are in `.cordboard`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.prefect,
    pytest.mark.xdist_group("prefect"),
    pytest.mark.timeout(180),
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian's package `chromium`)"),
]
ARROWS = {
    ("fetch_customer", "enrich"),
    ("fetch_customer", "update_crm"),
    ("enrich", "update_crm"),
    ("enrich", "notify_each (3 items)"),
}
ARTIFACTS = {  # and what must be seen on the page of each
    "customer-sync-summary": "text=3 of 4 actions completed",
    "customer-sync-timeline": "img[src^='data:image/svg']",
    "customer-sync-actions": "text=the vendor rejects the request",
}
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
]


def test_the_run_page_shows_the_graph_of_the_chain_and_its_artifacts(
    vendor: Any, run: Any, prefect_server: str, checkout: Path, wait_until: Callable[..., None]
) -> None:
    from playwright.sync_api import expect, sync_playwright

    box = vendor(
        {"match": {"definition_id": "def-update-crm"}, "fault": {"status": 422, "body": {"message": "locked"}}}
    )
    document = run(box, Path("examples/customer_sync.yaml"), run_key="in-a-browser")
    assert document["status"] == "partial"
    flow_run = run_named(prefect_server, "customer-sync (in-a-browser)")
    wait_until(lambda: edges(prefect_server, flow_run) == ARROWS)  # task runs reach the server as events
    pictures = Path(os.environ.get("CORDBOARD_SCREENSHOTS", ".cordboard/screenshots"))
    pictures.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(viewport={"width": 1500, "height": 1300})
        page.goto(f"{prefect_server.removesuffix('/api')}/runs/flow-run/{flow_run}")
        expect(page.get_by_text("Partial").first).to_be_visible(timeout=30_000)
        expect(page.locator("canvas").first).to_be_visible(timeout=30_000)
        page.wait_for_load_state("networkidle")
        page.screenshot(path=pictures / "run.png")
        page.get_by_role("tab", name="Artifacts").or_(page.get_by_text("Artifacts", exact=True)).first.click()
        expect(page.get_by_text("customer-sync-summary").first).to_be_visible(timeout=30_000)
        page.screenshot(path=pictures / "artifacts.png")
        for key, seen in ARTIFACTS.items():
            page.goto(f"{prefect_server.removesuffix('/api')}/artifacts/artifact/{artifact(prefect_server, key)}")
            expect(page.locator(seen).first).to_be_visible(timeout=30_000)
            page.screenshot(path=pictures / f"{key}.png")
        browser.close()


def run_named(api: str, name: str) -> str:
    body = {"flow_runs": {"name": {"any_": [name]}}, "sort": "START_TIME_DESC"}
    return str(httpx.post(f"{api}/flow_runs/filter", json=body).raise_for_status().json()[0]["id"])


def edges(api: str, flow_run: str) -> set[tuple[str, str]]:
    """The arrows that the UI draws, by the names it shows."""
    graph = httpx.get(f"{api}/flow_runs/{flow_run}/graph-v2").raise_for_status().json()
    nodes = dict(graph["nodes"])
    labels = {key: node["label"] for key, node in nodes.items()}
    return {(labels[parent["id"]], labels[key]) for key, node in nodes.items() for parent in node["parents"]}


def artifact(api: str, key: str) -> str:
    body = {"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC"}
    return str(httpx.post(f"{api}/artifacts/filter", json=body).raise_for_status().json()[0]["id"])
