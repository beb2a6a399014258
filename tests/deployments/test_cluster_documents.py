"""Workers on several machines share the folder for documents, and their processes may have the same ids."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tasks.documents import keep_document


def test_who_writes_a_document_at_the_same_time_under_the_same_process_id_disturbs_nobody(tmp_path: Path) -> None:
    """Threads have one process id, as workers in containers often do: ids begin at 1 in each."""

    def write(worker: int) -> None:
        for _ in range(20):
            keep_document(tmp_path, "workflow starts", "nightly", {"worker": worker, "rows": [worker] * 200})

    with ThreadPoolExecutor(8) as workers:
        assert list(workers.map(write, range(8))) == [None] * 8
    (kept,) = [each for each in tmp_path.rglob("*") if each.is_file()]
    document = json.loads(kept.read_text())
    assert document["rows"] == [document["worker"]] * 200
    assert kept.stat().st_mode & 0o077 == 0
