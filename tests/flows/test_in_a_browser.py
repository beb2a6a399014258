"""The run page of the Prefect UI in a real browser; its pictures are in `.cordboard/screenshots`."""

from __future__ import annotations

import asyncio
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
REGISTRATION = {
    "ivr-hospital-main-plan": "text=registers Hospital main line",
    "ivr-hospital-main-picture": "img[src^='data:image/svg']",
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
        page.goto(f"{ui_of(prefect_server)}/runs/flow-run/{flow_run}")
        expect(page.get_by_text("Partial").first).to_be_visible(timeout=30_000)
        expect(page.locator("canvas").first).to_be_visible(timeout=30_000)
        page.wait_for_load_state("networkidle")
        page.screenshot(path=pictures / "run.png")
        page.get_by_role("tab", name="Artifacts").or_(page.get_by_text("Artifacts", exact=True)).first.click()
        expect(page.get_by_text("customer-sync-summary").first).to_be_visible(timeout=30_000)
        page.screenshot(path=pictures / "artifacts.png")
        for key, seen in ARTIFACTS.items():
            page.goto(f"{ui_of(prefect_server)}/artifacts/artifact/{artifact(prefect_server, key)}")
            expect(page.locator(seen).first).to_be_visible(timeout=30_000)
            page.screenshot(path=pictures / f"{key}.png")
        browser.close()


def test_the_ui_shows_the_form_the_steps_the_plan_and_the_picture_of_a_registration(
    vendor: Any, home: Path, prefect_server: str, checkout: Path, wait_until: Callable[..., None]
) -> None:
    from playwright.sync_api import expect, sync_playwright

    ui = ui_of(prefect_server)
    deployment, flow_run = asyncio.run(registered_from_a_deployment(vendor()))
    steps = {"read the live flow", "register ivr_hospital_main", "read ivr_hospital_main back"}
    wait_until(lambda: steps <= task_runs(prefect_server, flow_run), 60)
    pictures = Path(os.environ.get("CORDBOARD_SCREENSHOTS", ".cordboard/screenshots"))
    pictures.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(viewport={"width": 1500, "height": 1300})
        page.goto(f"{ui}/deployments/deployment/{deployment}/run")
        for field in ("Call flow file", "Plan only", "Saved plan", "Restore"):
            expect(page.get_by_text(f"{field} (Optional)").first).to_be_visible(timeout=30_000)
        page.screenshot(path=pictures / "register-form.png")
        page.goto(f"{ui}/runs/flow-run/{flow_run}")
        expect(page.get_by_text("Registered").first).to_be_visible(timeout=30_000)
        page.wait_for_load_state("networkidle")
        page.screenshot(path=pictures / "register-run.png")
        for key, seen in REGISTRATION.items():
            page.goto(f"{ui}/artifacts/artifact/{artifact(prefect_server, key)}")
            expect(page.locator(seen).first).to_be_visible(timeout=30_000)
            page.screenshot(path=pictures / f"{key}.png")
        browser.close()


def ui_of(api: str) -> str:
    """The UI to which the project's settings lead a browser; the newer one is beside it, below `/v2`."""
    return api.removesuffix("/api")


async def registered_from_a_deployment(box: Any) -> tuple[str, str]:
    """Makes the deployment and runs its flow here; gives back the ids of both."""
    from blocks.cxone import CXoneCredentials
    from flows.register_ivr import RegisterIvr, register_ivr

    deployment = await register_ivr.ato_deployment(
        "register-ivr", parameters={"registration": {"file": "examples/hospital_menu.yaml", "dry_run": True}}
    )
    made = await deployment.aapply()
    state = await register_ivr(
        RegisterIvr(file="examples/hospital_menu.yaml"), CXoneCredentials.from_env(box.env()), return_state=True
    )
    return str(made), str(state.state_details.flow_run_id)


def task_runs(api: str, flow_run: str) -> set[str]:
    body = {"flow_runs": {"id": {"any_": [flow_run]}}}
    return {each["name"] for each in httpx.post(f"{api}/task_runs/filter", json=body).raise_for_status().json()}


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
