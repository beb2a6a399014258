"""The CI workflow that a new repository has: the steps of the project's own example, over the folders of the layout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cordboard.cli import main

CHECKOUT = Path(__file__).parents[3]
SCRIPT = CHECKOUT / "examples" / "ci" / "generic.sh"
SHIPPED = CHECKOUT / "cordboard" / "layout" / "files" / "dot-github" / "workflows" / "call-flows.yml"
OURS, EXAMPLE = (
    yaml.safe_load(path.read_text()) for path in (SHIPPED, CHECKOUT / "examples" / "ci" / "github-actions.yml")
)
AT_THE_CHECKOUT = "Check Cordboard out beside it"


def steps(workflow: dict[str, Any], job: str) -> list[dict[str, Any]]:
    """The steps of a job, but the one that only a repository apart needs."""
    return [step for step in workflow["jobs"][job]["steps"] if step.get("name") != AT_THE_CHECKOUT]


def test_the_steps_are_those_of_the_example() -> None:
    def as_there(step: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(step).replace("make -C cordboard-checkout", "make").replace("$PWD/cordboard-checkout", "$PWD")
        text = text.replace("cordboard-checkout/", "").replace("$FOLDERS", r"\"$FOLDER\"")
        return dict(json.loads(text))

    assert list(OURS["jobs"]) == list(EXAMPLE["jobs"])
    for job in OURS["jobs"]:
        assert [as_there(step) for step in steps(OURS, job)] == steps(EXAMPLE, job)
        assert len(OURS["jobs"][job]["steps"]) == len(EXAMPLE["jobs"][job]["steps"]) + 1
    kept = ("permissions", "defaults", True)  # YAML reads `on` as true
    assert {key: OURS[key] for key in kept} == {key: EXAMPLE[key] for key in kept}
    assert OURS["jobs"]["update"]["concurrency"] == EXAMPLE["jobs"]["update"]["concurrency"]
    assert OURS["jobs"]["update"]["environment"] == EXAMPLE["jobs"]["update"]["environment"]


class Repository:
    """A new repository with its first commit, as a build server has it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        who = {f"GIT_{who}_{what}": "ada@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        ours = {"GIT_CONFIG_GLOBAL": os.devnull, "PATH": path, "CORDBOARD_HOME": str(root.parent / "home")}
        python_path = os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH", "")]))
        self.variables = {**os.environ, **who, **ours, "PYTHONPATH": python_path}
        assert main(["init", str(root)]) == 0
        self.run("git", "init", "--quiet")
        self.base = self.commit()

    def commit(self) -> str:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", "Change it")
        return self.run("git", "rev-parse", "HEAD").stdout.strip()

    def edit(self, file: str, old: str, new: str) -> None:
        text = (self.root / file).read_text()
        assert old in text
        (self.root / file).write_text(text.replace(old, new))

    def script(self, verb: str, **variables: str) -> subprocess.CompletedProcess[str]:
        folders = OURS["env"]["FOLDERS"].split()
        return self.run(str(SCRIPT), verb, self.base, *folders, **variables)

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = self.variables | variables
        return subprocess.run(words, cwd=self.root, env=environment, text=True, capture_output=True, check=False)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def test_a_pull_request_is_told_what_callers_notice(repository: Repository) -> None:
    repository.edit("flows/reception.yaml", "on weekdays from eight to five", "every day from eight to six")
    repository.edit("patches/clinic/2026-12-24_holiday.yaml", "clinic-holiday", "clinic-new-year")
    repository.commit()
    explained = repository.script("explain")
    assert explained.returncode == 0, explained.stderr
    assert "### flows/reception.yaml" in explained.stdout and "every day from eight to six" in explained.stdout
    assert "pressing 2 reached billing; it now reaches agent" in explained.stdout
    assert repository.script("list").stdout == '["patches/clinic"]\n'


@pytest.mark.slow
@pytest.mark.prefect
def test_a_pull_request_that_breaks_a_call_is_not_green(repository: Repository, prefect_server: str) -> None:
    repository.edit("flows/reception.yaml", "to: node_emergency, when", "to: node_operator, when")
    repository.commit()
    checked = repository.script("check", PREFECT_API_URL=prefect_server)
    assert checked.returncode == 1, checked.stderr
    assert "flows/reception.yaml:" in checked.stdout
    assert "failed: an emergency after two wrong keys" in checked.stdout and "Clinic: 3 of 3" in checked.stdout
