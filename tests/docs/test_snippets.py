"""Documentation that cannot rot: what it shows is checked, parsed, run or compared with the code. Needs no server."""

from __future__ import annotations

import argparse
import dataclasses
import doctest
import importlib
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from standardwebhooks import Webhook

from cordboard import cli
from cordboard.chains.filters import FILTERS, TESTS
from cordboard.chains.params import SECRET_VARIABLE
from cordboard.chains.results import ActionResult, ActionStatus
from cordboard.chains.shape import json_schema
from cordboard.ivr.merge.shape import NodeChangeShape, PatchShape, WayShape
from cordboard.ivr.shape import ConnectionShape, FlowShape, LimitsShape, NodeShape, SuppressionShape
from cordboard.ivr.suite.shape import CaseShape, ExpectShape, SuiteShape
from cordboard.ivr.topology import RULES
from cordboard.sandbox.callback_rules import Callbacks
from cordboard.sandbox.debug_rules import DebugRules, ScriptedAnswer
from cordboard.sandbox.definition import Client, DataAction, Definition, Failure, Lookup, RateLimit
from cordboard.sandbox.erp import ErpRules
from cordboard.sandbox.faults import Drip, Fault, Faults, Hang, LateCommit, Match, RateLimited
from cordboard.sandbox.flow_rules import FlowRules
from cordboard.sandbox.workflow_rules import Ends, Workflow
from cordboard.sandbox.workflow_rules import Result as WorkflowResult
from cordboard.sandbox.workflow_rules import Variable as WorkflowVariable
from cordboard.settings import Settings
from cordboard.triggers.rows import OWN_COLUMNS
from cordboard.triggers.shape import TriggerShape, VariableShape
from cordboard.triggers.values import DataType
from cordboard.updating.model import Status as UpdateStatus
from cordboard.vendors.login import CXoneLogin, GenesysLogin
from flows import __main__ as flows
from tasks.registration_run import Status

CHECKOUT = Path(__file__).parents[2]
PAGES = [CHECKOUT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES += sorted((CHECKOUT / "docs").glob("*.md"))
TEXTS = {page.name: page.read_text() for page in PAGES}
EVERYTHING = "\n".join(TEXTS.values())
ENVIRONMENT = re.compile(r"\b(?:CORDBOARD|CXONE|GENESYS)_[A-Z_]*[A-Z]\b")


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block: `place` is its page and line."""

    place: str
    language: str
    text: str


def blocks(*languages: str) -> list[Block]:
    """The blocks of these languages on all pages; a list item's indentation is taken off."""
    fence = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
    return [
        Block(
            f"{name}:{text.count(chr(10), 0, found.start()) + 1}", found[2], re.sub(rf"(?m)^{found[1]}", "", found[3])
        )
        for name, text in TEXTS.items()
        for found in fence.finditer(text)
        if found[2] in languages
    ]


def commands() -> Iterator[tuple[str, str, str]]:
    """Place, command and shown output: `$ ` starts a command in a console block, in bash blocks every line is one."""
    for block in blocks("console"):
        for part in re.split(r"(?m)^\$ ", block.text)[1:]:
            command, _, shown = part.partition("\n")
            yield block.place, command, shown
    for block in blocks("bash"):
        for line in block.text.replace("\\\n", " ").splitlines():
            if line.strip():
                yield block.place, line, ""


def words_of(command: str) -> tuple[list[str], bool]:
    """The words of a command without variables before it and without a redirection, and whether it was whole."""
    words = shlex.split(command)
    while words and re.match(r"[A-Z_]+=", words[0]):
        words.pop(0)
    end = next((index for index, word in enumerate(words) if word in {">", "|", "&&"}), len(words))
    return words[:end], end == len(words)


# --- what is shown is right -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [pytest.param(block, id=block.place) for block in blocks("yaml")])
def test_files_in_the_documentation_are_without_a_finding(
    block: Block, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not re.search(r"(?m)^kind: ", block.text):
        return  # a part of another file, such as prefect.yaml
    for example in (CHECKOUT / "examples").glob("*.yaml"):  # what a sample may name beside itself
        shutil.copy(example, tmp_path)
    file = tmp_path / "sample.yaml"
    file.write_text(block.text)
    assert cli.main(["check", str(file)]) == 0
    assert capsys.readouterr().out.count("\n") == 1  # a summary, and no finding


@pytest.mark.parametrize("block", [pytest.param(block, id=block.place) for block in blocks("json", "python")])
def test_json_and_python_in_the_documentation_can_be_read(block: Block) -> None:
    if block.language == "json":
        json.loads(block.text)
    else:
        compile(block.text, block.place, "exec")


@pytest.mark.parametrize("command", [pytest.param(command, id=place) for place, command, _ in commands()])
def test_commands_in_the_documentation_exist_with_their_options(command: str) -> None:
    words, _ = words_of(command)
    if words[:1] == ["cordboard"]:
        cli._parser(words[1:2]).parse_args(words[1:])
    elif words[:3] == ["python", "-m", "flows"]:
        flows._parser().parse_args(words[3:])
    elif words[:2] == ["python", "-m"]:
        assert (CHECKOUT / f"{words[2].replace('.', '/')}.py").is_file()
    elif words[:1] == ["make"]:
        assert re.search(rf"(?m)^{words[1]}:", (CHECKOUT / "Makefile").read_text())


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        pytest.param(command, shown, id=place)
        for place, command, shown in commands()
        if re.match(r"cordboard (check|graph|schema) ", command) and shown
    ],
)
def test_what_an_offline_command_is_shown_to_print_is_what_it_prints(
    command: str, shown: str, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line `...` in the documentation stands for anything."""
    words, whole = words_of(command)
    assert whole, "show the output of the whole command"
    cli.main(words[1:])
    assert doctest.OutputChecker().check_output(shown, printed := capsys.readouterr().out, doctest.ELLIPSIS), printed


def test_every_drawing_is_what_graph_prints_for_the_example(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["graph", "examples/customer_sync.yaml"]) == 0
    printed = capsys.readouterr().out
    drawn = {block.text for block in blocks("mermaid") if not block.place.startswith("architecture.md")}
    assert drawn == {printed}


def test_the_shown_receiver_takes_what_we_sign_and_nothing_else() -> None:
    (snippet,) = [block for block in blocks("python") if block.place.startswith("webhooks.md")]
    names: dict[str, Any] = {}
    exec(compile(snippet.text, snippet.place, "exec"), names)
    secret, now, body = "whsec_" + "c2VjcmV0" * 4, datetime.now(UTC), '{"status": "started"}'
    headers = {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(int(now.timestamp())),
        "Webhook-Signature": Webhook(secret).sign("msg_1", now, body),
    }
    assert names["verified"](body.encode(), headers, secret) == {"status": "started"}
    assert names["verified"](body.encode() + b" ", headers, secret) is None
    assert names["verified"](b"\xff", headers, secret) is None
    assert names["verified"](body.encode(), headers | {"Webhook-Signature": "nonsense"}, secret) is None


# --- what exists is documented ----------------------------------------------------------------------------------------


def options_of(parser: argparse.ArgumentParser, verb: str) -> Iterator[tuple[str, str]]:
    """Every verb below a parser, each with its options, the empty one for the verb itself."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from options_of(below, f"{verb} {name}")
        elif action.dest not in {"help", "version"}:
            yield from ((verb, option) for option in action.option_strings if option.startswith("--"))
    if not any(isinstance(action, argparse._SubParsersAction) for action in parser._actions):
        yield verb, ""


@pytest.mark.parametrize(
    ("verb", "option"),
    sorted(
        {
            *options_of(cli._parser(["sandbox"]), "cordboard"),
            *options_of(cli._parser(["plan"]), "cordboard"),
            *options_of(flows._parser(), "python -m flows"),
        }
    ),
)
def test_every_verb_and_option_is_documented(verb: str, option: str) -> None:
    pages = [text for text in TEXTS.values() if verb in text]
    assert any(re.search(rf"{option}\b", text) for text in pages), f"{verb} {option}"


@pytest.mark.parametrize("setting", dataclasses.fields(Settings), ids=lambda setting: setting.name)
def test_every_setting_stands_in_its_page_with_its_default(setting: dataclasses.Field[Any]) -> None:
    row = re.search(rf"\| `CORDBOARD_{setting.name.upper()}` \| (.*?) \|", TEXTS["settings.md"])
    assert row, setting.name
    if not isinstance(setting.default, str) or setting.default:
        default = f"{setting.default:g}" if isinstance(setting.default, float) else str(setting.default)
        assert row[1].strip("`") == default


def test_no_variable_is_documented_that_nothing_reads() -> None:
    known = {f"CORDBOARD_{setting.name.upper()}" for setting in dataclasses.fields(Settings)}
    sources = [*(CHECKOUT / "deployments").glob("*.py"), *(CHECKOUT / "tests").glob("*.py")]
    sources += (CHECKOUT / "deployments/cluster").glob("*.yaml")
    known |= {name for source in sources for name in ENVIRONMENT.findall(source.read_text())}
    for login in (CXoneLogin, GenesysLogin):
        known |= {f"{login.PREFIX}_{each.name.upper()}" for each in dataclasses.fields(login)}
    found = {name for name in ENVIRONMENT.findall(EVERYTHING) if not name.startswith(SECRET_VARIABLE)}
    assert found <= known


def keys_of_chain() -> Iterator[str]:
    schema = json_schema()
    for part in (schema, *schema["$defs"].values()):
        yield from part.get("properties", ())


def keys_of_call_flow() -> set[str]:
    """Every word that a call flow's file may hold."""
    parts = (FlowShape, NodeShape, ConnectionShape, LimitsShape, SuppressionShape)
    return {field.alias or name for part in parts for name, field in part.model_fields.items()}


KEYS: dict[str, set[str]] = {
    "write-a-chain.md": {*keys_of_chain(), *FILTERS, *TESTS},
    "sandbox.md": {
        field.alias or name
        for part in (
            *(Definition, Client, RateLimit, DataAction, Lookup, Failure, FlowRules),
            *(DebugRules, ScriptedAnswer, Faults, Match),
            *(Workflow, WorkflowVariable, Ends, WorkflowResult, Callbacks, ErpRules),
        )
        for name, field in part.model_fields.items()
        if name != "rules"
    }
    | {name for part in (Fault, Hang, Drip, LateCommit, RateLimited) for name in part.model_fields},
    "write-a-call-flow.md": {*RULES, *keys_of_call_flow()},
    "register-a-call-flow.md": set(get_args(Status)),
    "patch-a-live-flow.md": {
        field.alias or name
        for part in (PatchShape, NodeChangeShape, WayShape)
        for name, field in part.model_fields.items()
    },
    "update-a-live-flow.md": set(get_args(UpdateStatus)),
    "start-workflows.md": {*TriggerShape.model_fields, *VariableShape.model_fields, *get_args(DataType), *OWN_COLUMNS},
    "simulate.md": {*SuiteShape.model_fields, *CaseShape.model_fields, *ExpectShape.model_fields},
    "run-and-redrive.md": {*ActionResult(ActionStatus.FAILED, items={"failed": 1}).as_json()},
}


@pytest.mark.parametrize(("page", "key"), [(page, key) for page, keys in KEYS.items() for key in sorted(keys)])
def test_every_key_is_explained_on_its_page(page: str, key: str) -> None:
    assert re.search(rf"`[^`\n]*\b{key}\b[^`\n]*`", TEXTS[page]), f"{key} is missing in {page}"


EXAMPLES = [path for path in sorted((CHECKOUT / "cordboard").rglob("*.py")) if ">>> " in path.read_text()]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_in_docstrings_give_what_they_show(path: Path) -> None:
    module = importlib.import_module(".".join(path.relative_to(CHECKOUT).with_suffix("").parts))
    found = doctest.testmod(module)
    assert (found.failed, found.attempted > 0) == (0, True)


# --- the pages themselves ---------------------------------------------------------------------------------------------


def anchors_of(text: str) -> set[str]:
    """The anchors that a page's headings make, as GitHub names them."""
    titles = re.findall(r"(?m)^#+ (.+)$", text)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)]+)\)", page.read_text()):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        assert not anchor or anchor in anchors_of(file.read_text()), target


def test_the_readme_is_short_and_leads_to_every_page() -> None:
    assert len(TEXTS["README.md"].splitlines()) < 150
    assert [
        page.name for page in PAGES if page.parent.name == "docs" and f"docs/{page.name}" not in TEXTS["README.md"]
    ] == []


@pytest.mark.parametrize("words", ["exactly once", "exactly-once", "immutable", "guaranteed delivery"])
def test_nothing_is_promised_in_words_that_cannot_be_kept(words: str) -> None:
    assert words not in EVERYTHING.lower()
