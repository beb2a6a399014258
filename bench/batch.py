"""`python -m bench.batch`: a batch checked row by row, against bare `csv.reader` and `json.dumps` of the same bodies.

Read the ratio, not the seconds. The bare loop trusts its input: it knows no types, no templates, no duplicate keys.
Each measurement runs in a process of its own; the memory is the most that the check ever held.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).parents[1] / "examples" / "reminders.yaml"
COLUMNS = ("appointment", "customer", "phone", "hours_before", "may_call", "clinic")
SMALL, LARGE = 10_000, 50_000
#: Of the bare loop; and how much more memory five times the rows may take.
MAX_RATIO, MAX_GROWTH = 20, 1.2


def write_rows(path: Path, rows: int) -> None:
    """A batch in which every row fits."""
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        writer.writerows(
            (f"APP-{number}", f"CUST-{number % 5000}", f"+1555{number:07}", "24", "true", "Riverside")
            for number in range(rows)
        )


def bare(path: Path) -> int:
    """The same bodies, as short as it can be written."""
    size = 0
    with path.open(newline="") as stream:
        for row in csv.DictReader(stream):
            size += len(json.dumps(_body(row)))
    return size


def _body(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "workflowId": "wf_appointment_reminder",
        "priority": 3,
        "context": {
            "customerId": row["customer"],
            "phone": row["phone"],
            "hoursBefore": int(row["hours_before"]),
            "mayCall": row["may_call"] == "true",
            "clinic": {"name": row["clinic"], "language": "en"},
        },
        "metadata": {"sourceSystem": "scheduling", "appointment": row["appointment"]},
    }


def checked(path: Path) -> int:
    """The batch as `cordboard check --rows` goes through it."""
    from cordboard.triggers.checking import check_batch  # noqa: PLC0415  not in the process of the bare loop
    from cordboard.triggers.reading import load_trigger  # noqa: PLC0415

    tally = check_batch(load_trigger(EXAMPLE), path)
    assert tally.faulty == 0, tally.shown
    return tally.total


def case(name: str, path: Path) -> dict[str, float]:
    """Seconds of one of both, the best of three, and MiB, in this process."""
    run = {"bare": bare, "checked": checked}[name]
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        run(path)
        best = min(best, time.perf_counter() - began)
    return {"seconds": best, "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def measure(name: str, path: Path) -> dict[str, float]:
    """One of both in a process of its own."""
    command = [sys.executable, "-m", "bench.batch", "--case", name, str(path)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def main() -> int:
    """Measures and prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", nargs=2, metavar=("NAME", "FILE"), help="measure in this process, and print JSON")
    options = parser.parse_args()
    if options.case:
        print(json.dumps(case(options.case[0], Path(options.case[1]))))
        return 0
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        for rows in (SMALL, LARGE):
            write_rows(path, rows)
            found[rows] = measure("checked", path)
            print(f"{rows:>7,} rows: {rows / found[rows]['seconds']:,.0f} a second, {found[rows]['mib']:.0f} MiB")
        ratio = found[LARGE]["seconds"] / measure("bare", path)["seconds"]
    growth = found[LARGE]["mib"] / found[SMALL]["mib"]
    print(f"  checked / bare csv and json.dumps {ratio:.1f} (aim: at most {MAX_RATIO})")
    print(f"  memory / that of {LARGE // SMALL} times fewer rows {growth:.2f} (aim: at most {MAX_GROWTH})")
    return 0 if ratio <= MAX_RATIO and growth <= MAX_GROWTH else 1


if __name__ == "__main__":
    sys.exit(main())
