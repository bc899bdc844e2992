"""Files that appear whole or not at all."""

from pathlib import Path

import pytest
from gaitway_runtime.spec.files import replacing


def test_a_file_is_the_old_one_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "document.json"
    path.write_text("old")
    with replacing(path) as partial:
        partial.write_text("ne")
        assert path.read_text() == "old"
        partial.write_text("new")
        assert partial.suffix == ".json"
    assert path.read_text() == "new"
    assert [found.name for found in tmp_path.iterdir()] == ["document.json"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_writer_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "document.json"
    path.write_text("old")
    with pytest.raises(OSError, match="full"), replacing(path) as partial:
        partial.write_text("half")
        raise OSError("disk full")
    assert path.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["document.json"]
