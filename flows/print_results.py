"""What a person reads at the end of `python -m flows`: how each job ended, and how to go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cordboard.findings import Finding, Severity
from cordboard.starting.model import single_run_key


def print_table(document: dict[str, Any]) -> None:
    """Prints how each action ended, and how to go on where something is left to do."""
    from tasks.artifacts import action_rows, what_next  # noqa: PLC0415

    rows = action_rows(document)
    width = max(len(row["action"]) for row in rows)
    print(f"{document['chain']}: {document['status']} in {document['duration_ms'] / 1000:.1f} s")
    for row in rows:
        requests = f"{row['requests']} request{'' if row['requests'] == 1 else 's'}"
        print(f"  {row['action']:<{width}}  {row['status']:<9}  {requests:<11} {row['note']}".rstrip())
    if document["status"] != "completed":
        print(what_next(document))


def print_registration(document: dict[str, Any]) -> None:
    """Prints what a registration would change or did, and how to go on."""
    for item in document["findings"]:
        print(_finding_of(item))
    print(f"{document['flow_id']}: {document['status']}")
    for sentence in (document["plan"] or {}).get("changes", []):
        print(f"  {sentence}")
    if document.get("differences"):
        print("Not as it should be:")
        print("".join(f"  {sentence}\n" for sentence in document["differences"]), end="")
    for sentence in document.get("doubts", []):
        print(f"Mind: {sentence}")
    if document.get("error"):
        print(f"The vendor: {document['error'].get('message', 'no answer')}")
    if document.get("idempotency_key"):
        read_back = {True: "read back, and it is what was sent", False: "not what was sent", None: "not read back"}
        requests = f"{document['attempts']} request{'' if document['attempts'] == 1 else 's'}"
        print(f"  key {document['idempotency_key']}, {requests}, {read_back[document['verified']]}")
    if document.get("restore"):
        print(f"To take it back: {document['restore']}")


def print_simulation(document: dict[str, Any]) -> None:
    """Prints each case that did not pass, how many did, and where the reports lie."""
    for case in document["cases"]:
        if case["status"] != "passed":
            print(f"{case['status']}: {case['name']}")
            print("".join(f"  {sentence}\n" for sentence in case["mismatches"]), end="")
    passed = sum(case["status"] == "passed" for case in document["cases"])
    print(f"{document['suite']}: {passed} of {len(document['cases'])} calls passed")
    for name in document["only_here"]:
        print(f"  judged by our engine alone: {name}")
    for what, share in document["coverage"].items():
        print(f"  {what}: {share['taken']} of {share['total']} taken")
    if document["reports"]:
        first, *others = map(_shown_path, document["reports"])
        print(f"  {first}, and beside it {', '.join(Path(path).name.partition('.')[2] for path in others)}")


def print_update(document: dict[str, Any]) -> None:
    """Prints what an update changes or changed, why it did not, and how to go on."""
    for item in document["findings"]:
        print(_finding_of(item))
    version = f", version {document['version']}" if document["version"] else ""
    print(f"{document['flow_id']}: {document['status']}{version}")
    _print_decision(document)
    for conflict in document["conflicts"]:
        print(f"  {conflict['sentence']}")
    for change in document["noticed"]:
        print(f"  callers notice: {change['sentence']}")
    for sentence in document["changes"]:
        print(f"  {sentence}")
    for each in document["rehearsals"]:
        print(f"  rehearsed {each['suite']}: {each['passed']} of {each['total']} calls are as they must be")
        for broken in each["broken"]:
            print(f"    {broken['name']}: {'; '.join(broken['mismatches'])}")
    if document["rehearsals"] and document["unrehearsed"]:
        print(f"  changed, and in no call of the rehearsal: {', '.join(document['unrehearsed'])}")
    if document["differences"]:
        print("Not as it should be:")
        print("".join(f"  {sentence}\n" for sentence in document["differences"]), end="")
    for sentence in document["notes"]:
        print(f"Mind: {sentence}")
    if document["error"]:
        print(f"The vendor: {document['error'].get('message', 'no answer')}")
    if document["status"] == "unknown":
        print("Give the same command again: it finds out first what became of this save, and does nothing twice")
    if document["undo"]:
        print(f"To take it back: {document['undo']}")


def print_starts(document: dict[str, Any]) -> None:
    """Prints how many starts a batch has and how they ended, and how to go on."""
    for item in document.get("findings", [])[:20]:
        print(_finding_of(item))
    good, total = document["started"] + document["already_started"], document["total"]
    if document["status"] == "planned":
        print(f"{document['workflow_id']}: {total} rows fit; nothing was sent")
        return
    if document["status"] == "invalid":
        print(f"{document['workflow_id']}: {total} rows fit, {document['faulty']} do not; nothing was sent")
        print("Start the others with --skip-faulty, or mend all and give the same command again")
        _print_faulty(document)
        return
    before = f", {document['already_started']} of them before" if document["already_started"] else ""
    print(f"{document['workflow_id']}: {good} of {total} started{before} in {document['duration_ms'] / 1000:.1f} s")
    for name, said in (("failed", "not started"), ("unknown", "not known"), ("faulty", "left out: do not fit")):
        if document[name]:
            print(f"  {document[name]} {said}")
    _print_faulty(document)
    for kind, count in document["kinds"].items():
        print(f"    {kind}: {count}")
    if document["ends"] is not None:
        said = ", ".join(f"{count} {status}" for status, count in sorted(document["ends"].items()))
        print(f"  instances: {said}")
    if document["error"]:
        print(f"The run ended early: {document['error']}")
    print(f"  each row: {_shown_path(document['results'])}")
    if good < total:
        print(_how_to_go_on(document["run_key"]))


def _how_to_go_on(run_key: str) -> str:
    if run_key.startswith(single_run_key("")):  # a key that was made for it: the same command would make another start
        return f"To go on: give the command again with --run-key {run_key}; without it another one is started"
    return f"To go on: give the same command again (run key {run_key})"


def _print_faulty(document: dict[str, Any]) -> None:
    if document["faulty_rows"]:
        print(f"  the faulty rows, each with its reason: {_shown_path(document['faulty_rows'])}")
        print("  mend them there, delete what stands twice, and give that file as --rows")


def print_completions(document: dict[str, Any]) -> None:
    """Prints what became of completions, and how the ERP's records stand."""
    if document["status"] == "busy":
        print("another process applies them already")
        return
    repeated = document["repeated"] + document["contradicted"]
    print(f"{document['ended']} ended, {repeated} repeated, {document['unfit']} unfit")
    if erp := document["erp"]:
        print(f"  ERP records: {erp['delivered']} delivered, {erp['pending']} waiting, {erp['dead']} given up")


def print_reaped(document: dict[str, Any]) -> None:
    """Prints how instances stood that had not reported."""
    if document["status"] == "busy":
        print("another process asks for them already")
    else:
        print(", ".join(f"{document[name]} {name}" for name in ("ended", "running", "lost", "left")))


def print_waiting(facts: dict[str, Any]) -> None:
    """Prints what a batch waits for."""
    for sentence in facts["sentences"]:
        print(sentence)


def _print_decision(document: dict[str, Any]) -> None:
    if document["status"] == "declined" and document["decision"]:
        who, why = document["decision"]["by"] or "nobody", document["decision"]["comment"]
        print(f"  decided by {who}{': ' + why if why else ''}")


def _shown_path(path: str) -> str:
    """A path as a person would write it: from here, where it lies below."""
    here = Path(path)
    return str(here.relative_to(Path.cwd()) if here.is_relative_to(Path.cwd()) else here)


def print_drift(document: dict[str, Any]) -> None:
    """Prints each flow and what moved."""
    for each in document["flows"]:
        print(f"{each['flow_id']} ({each['file']}): {each['status']}")
        said = each["changes"] or ([each["error"]["message"]] if each["error"] else [])
        print("".join(f"  {sentence}\n" for sentence in said), end="")


def _finding_of(item: dict[str, Any]) -> str:
    return str(Finding(**{**item, "severity": Severity(item["severity"]), "proof": tuple(item["proof"])}))
