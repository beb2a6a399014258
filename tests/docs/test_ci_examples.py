"""The examples for continuous integration, run as a build server runs them: a real repository, a real local vendor."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cordboard.sandbox.server import RunningSandbox, running_sandbox

CHECKOUT = Path(__file__).parents[2]
SCRIPT = CHECKOUT / "examples" / "ci" / "generic.sh"
WORKFLOW = yaml.safe_load((CHECKOUT / "examples" / "ci" / "github-actions.yml").read_text())
FOLDER = "call flows"
FLOW = f"{FOLDER}/the clinic's menu/clinic_menu.json"  # blanks and a quote, as people name things


class Repository:
    """A git repository with the clinic's call flow in its first commit, the base."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._variables = {
            **os.environ,
            **{f"GIT_{who}_{what}": "ada@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
            "GIT_CONFIG_GLOBAL": os.devnull,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(CHECKOUT),
            "CORDBOARD_HOME": str(root.parent / "home"),
            "REPORTS": str(root.parent / "reports"),
        }
        self._git("init", "--quiet")
        self.commit(clinic_menu=".json", clinic_suite=".yaml")
        self.base = self._git("rev-parse", "HEAD").strip()

    def commit(self, **examples: str) -> None:
        """Copies examples into the folder of the flow and commits whatever changed."""
        folder = (self.root / FLOW).parent
        folder.mkdir(parents=True, exist_ok=True)
        for name, ending in examples.items():
            (folder / f"{name}{ending}").write_text((CHECKOUT / "examples" / f"{name}{ending}").read_text())
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", "Change call flows")

    def edit_flow(self, old: str, new: str) -> None:
        """Replaces a text in the call flow and commits it."""
        file = self.root / FLOW
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))
        self.commit()

    def script(self, verb: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """What one step of the build does."""
        return self._run(str(SCRIPT), verb, self.base, FOLDER, **variables)

    def _git(self, *words: str) -> str:
        done = self._run("git", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = self._variables | variables
        return subprocess.run(words, cwd=self.root, env=environment, text=True, capture_output=True, check=False)


@pytest.fixture
def box() -> Iterator[RunningSandbox]:
    with running_sandbox() as box:
        yield box


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    (tmp_path / "repository").mkdir()
    return Repository(tmp_path / "repository")


def test_a_summary_says_what_callers_notice_of_a_flow_and_of_a_patch(repository: Repository) -> None:
    repository.commit(clinic_holiday=".yaml")
    repository.edit_flow('"welcome": {', '"welcome": {"prompt": "Good day.",')
    explained = repository.script("explain")
    assert explained.returncode == 0, explained.stderr
    flow, patch = explained.stdout.split("\n### ")[1:]
    assert flow.startswith(FLOW) and "Good day." in flow
    assert "\n    pressing 9 reached agent; it now reaches emergency\n" in patch
    assert json.loads(repository.script("list").stdout) == [str(Path(FLOW).parent)]


def test_where_no_call_flow_changed_nothing_is_done(repository: Repository) -> None:
    (repository.root / "README.md").write_text("Our call flows.")
    repository.commit()
    done = {verb: repository.script(verb) for verb in ("check", "list", "apply")}
    assert {verb: (each.returncode, each.stdout) for verb, each in done.items()} == {
        "check": (0, ""),
        "list": (0, "[]\n"),
        "apply": (0, ""),
    }


def test_a_base_that_is_not_there_is_said(repository: Repository) -> None:
    repository.base = "0" * 40  # what a build server gives for a new branch
    checked = repository.script("check")
    assert (checked.returncode, checked.stdout) == (2, "")
    assert "fetch the whole history" in checked.stderr


@pytest.mark.prefect
def test_a_broken_flow_is_annotated_and_every_suite_is_run(repository: Repository, prefect_server: str) -> None:
    one = '"dtmf == \'1\'", "destinationNodeId": '
    repository.edit_flow(f'{one}"appointments"', f'{one}"billing"')
    checked = repository.script("check", GITHUB_ACTIONS="true", PREFECT_API_URL=prefect_server)
    assert checked.returncode == 1, checked.stderr
    assert re.search(rf"(?m)^::error file={FLOW},line=\d+,title=ivr/unreachable::.*appointments", checked.stdout)
    assert "failed: appointments are made by key 1" in checked.stdout
    (junit,) = (repository.root.parent / "reports").glob("*.junit.xml")
    assert 'failures="1"' in junit.read_text()


@pytest.mark.prefect
def test_a_merged_patch_is_rehearsed_and_saved_once_however_often_the_build_runs(
    repository: Repository, box: RunningSandbox, prefect_server: str
) -> None:
    repository.commit(clinic_holiday=".yaml")
    first, second = (repository.script("apply", PREFECT_API_URL=prefect_server, **box.env()) for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    saved, again = json.loads(first.stdout), json.loads(second.stdout)
    assert (saved["status"], saved["version"], saved["rehearsals"][0]["passed"]) == ("saved", 13, 5)
    assert (again["status"], again["version"], again["attempts"]) == ("unchanged", 13, 0)
    assert len(list(box.truth.saves_of("clinic-menu"))) == 1


def steps_of(job: str) -> list[dict[str, Any]]:
    return list(WORKFLOW["jobs"][job]["steps"])


def test_the_workflow_asks_for_little_and_shows_its_secrets_to_the_step_that_saves_alone() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in WORKFLOW["jobs"].values())
    (saves,) = [step for step in steps_of("update") if "secrets." in json.dumps(step)]
    assert "generic.sh apply" in saves["run"]
    assert json.dumps(WORKFLOW).count("secrets.") == json.dumps(saves).count("secrets.") == 3


def test_updates_wait_for_a_review_and_none_that_waits_is_dropped() -> None:
    update = WORKFLOW["jobs"]["update"]
    assert update["environment"] == "live-call-flows"
    assert update["concurrency"] == {"group": "call-flow-${{ matrix.folder }}", "queue": "max"}
    assert WORKFLOW["defaults"]["run"]["shell"] == "bash"  # with pipefail: an update that fails fails its step


@pytest.mark.parametrize("job", WORKFLOW["jobs"])
def test_steps_run_the_script_and_put_no_name_of_a_file_into_their_text(job: str) -> None:
    texts = [step["run"] for step in steps_of(job) if "run" in step]
    verbs = [verb for text in texts for verb in re.findall(r"examples/ci/generic\.sh (\w+)", text)]
    assert set(verbs) <= {"check", "explain", "list", "apply"} and verbs
    assert not any("${{" in text for text in texts)  # a name could be a command
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]) for step in steps_of(job) if "uses" in step)
