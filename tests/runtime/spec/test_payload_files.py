"""A payload that was changed on its way is refused by the job."""

from collections.abc import Callable
from pathlib import Path

import pytest
from gaitway_runtime.spec.errors import JobFailed
from gaitway_runtime.spec.files import check_payload
from gaitway_runtime.spec.result import write_json

from gaitway.payload.archive import to_document
from gaitway.payload.select import select


@pytest.mark.parametrize(
    "change", [lambda file: file.write_text("x = 2"), lambda file: file.unlink()], ids=["changed", "missing"]
)
def test_a_file_that_differs_is_named(tmp_path: Path, change: Callable[[Path], object]) -> None:
    folder = tmp_path / "payload"
    (folder / "gaitway_runtime").mkdir(parents=True)
    (folder / "gaitway_runtime" / "__init__.py").write_text("")
    (folder / "mine.py").write_text("x = 1")
    write_json(to_document(select(str(folder))), tmp_path / "payload.json")
    check_payload(folder, tmp_path / "payload.json")
    change(folder / "mine.py")
    with pytest.raises(JobFailed, match=r"not what was submitted: mine\.py differs"):
        check_payload(folder, tmp_path / "payload.json")


def test_a_job_without_a_list_is_not_checked(tmp_path: Path) -> None:
    check_payload(tmp_path / "payload", tmp_path / "payload.json")
