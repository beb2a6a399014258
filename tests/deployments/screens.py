"""`python -m tests.deployments.screens`: pictures of the UI as a person meets it, for a person to look at.

    python -m tests.deployments.screens [FOLDER]

Starts `make up` on free ports in a new home, and signs in with Chromium: the list of deployments, the form of each, a
chain run, a simulation with its report, an update that waits for approval, a batch half way. They are in
`.cordboard/screenshots` unless a folder is given. Nothing judges them: `make test` does, where a page is the point.
"""

from __future__ import annotations

import csv
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.deployments.upping import CHECKOUT, ENDS, Server, settings, up

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ROWS = 800


class Screens:
    """Takes pictures of one server's UI."""

    def __init__(self, page: Page, server: Server, folder: Path) -> None:
        self.page, self.server, self.folder = page, server, folder
        self.ui = server.url.removesuffix("/api")

    def sign_in(self) -> None:
        """As a person does, once."""
        self.page.goto(self.ui)
        self.page.get_by_placeholder("admin:pass").fill(self.server.sign_in)
        self.page.keyboard.press("Enter")
        self.page.get_by_text("Dashboard").first.wait_for()

    def take(self, name: str, path: str, seen: str) -> None:
        """A picture of a page once it shows a text.

        Args:
            name: of the picture's file.
            path: of the page.
            seen: the text.
        """
        self.page.goto(f"{self.ui}{path}")
        self.snap(name, seen)

    def snap(self, name: str, seen: str) -> None:
        """A picture of the page as it is, once it shows a text and has come to rest."""
        self.page.get_by_text(seen).first.wait_for(timeout=60_000)
        self.page.wait_for_timeout(1_500)  # the graph glides into its place
        self.page.screenshot(path=self.folder / f"{name}.png", full_page=True)
        print(self.folder / f"{name}.png", flush=True)

    def run(self, name: str, state: str, **parameters: Any) -> str:
        """Starts a run and waits for a state of it; gives its id."""
        run = self.server.start(name, **parameters)
        wait_until(lambda: self.server.run(run)["state_name"] in {state, "Failed", "Crashed"}, 300)
        return run

    def artifacts(self, run: str) -> list[dict[str, Any]]:
        """What a run left to look at."""
        asked = {"artifacts": {"flow_run_id": {"any_": [run]}}}
        found: list[dict[str, Any]] = self.server.ask("POST", "artifacts/filter", **asked)
        return found


def every_screen(screens: Screens, folder: Path) -> None:
    """Goes through all that a person sees first."""
    screens.take("deployments", "/deployments", "run-chain")
    for each in screens.server.deployments():
        screens.take(f"form-{each['name']}", f"/deployments/deployment/{each['id']}/run", "Additional Options")
    run = screens.run("run-chain", "Completed")
    screens.take("chain", f"/runs/flow-run/{run}", "update_crm")
    run = screens.run("simulate-ivr", "Completed")
    screens.take("simulation", f"/runs/flow-run/{run}", "12 of 12 calls")
    (report,) = screens.artifacts(run)
    screens.take("simulation-report", f"/artifacts/artifact/{report['id']}", "calls passed")
    update = {**screens.server.deployment("update-ivr")["parameters"]["update"], "dry_run": False}
    screens.take("approval-run", f"/runs/flow-run/{screens.run('update-ivr', 'Paused', update=update)}", "Paused")
    screens.page.get_by_role("button", name="Resume").first.click()
    screens.snap("approval", "Save this to the live call flow")
    half_way(screens, folder)


def half_way(screens: Screens, folder: Path) -> None:
    """A batch that waits for places, with its progress and the time left."""
    rows, trigger = folder / "rows.csv", folder / "trigger.yaml"
    with (CHECKOUT / "examples/reminders.csv").open(newline="") as examples, rows.open("w", newline="") as output:
        head, first, *_ = csv.reader(examples)
        csv.writer(output).writerows([head, *([f"APT-{number}", *first[1:]] for number in range(ROWS))])
    example = (CHECKOUT / "examples/reminders.yaml").read_text()
    trigger.write_text(example.replace("max_running: 5", "max_running: 40"))
    start = {"trigger": str(trigger), "rows": str(rows), "run_key": "half-way"}
    run = screens.run("trigger-workflows", "Running", start=start)
    wait_until(lambda: any((each["data"] or 0) > 40 for each in screens.artifacts(run)), 600)
    screens.take("batch", f"/runs/flow-run/{run}", "Running")
    (progress,) = screens.artifacts(run)
    screens.take("batch-progress", f"/artifacts/artifact/{progress['id']}", "left")
    screens.server.ask("POST", f"flow_runs/{run}/set_state", state={"type": "CANCELLING"})
    wait_until(lambda: screens.server.run(run)["state_type"] in ENDS, 120)


def wait_until(is_so: Callable[[], bool], seconds: float) -> None:
    """Waits for a condition."""
    until = time.monotonic() + seconds
    while True:
        with suppress(httpx.TimeoutException):  # a server on SQLite may be that busy
            if is_so():
                return
        if time.monotonic() > until:
            raise TimeoutError(f"not so within {seconds:.0f} s")
        time.sleep(0.5)


def main() -> int:
    """Takes all pictures."""
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        print("Pictures need Chromium (Debian's package `chromium`).", file=sys.stderr)
        return 3
    pictures = Path(sys.argv[1] if len(sys.argv) > 1 else ".cordboard/screenshots")
    pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        environment, _ = settings(Path(scratch) / "home")
        with up(environment, Path(scratch) / "up.txt", wait_until):
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": 1500, "height": 1300})
            screens = Screens(page, Server(Path(scratch) / "home"), pictures)
            screens.sign_in()
            every_screen(screens, Path(scratch))
            browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
