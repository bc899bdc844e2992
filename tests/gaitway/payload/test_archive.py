"""Packing is reproducible; unpacking refuses what a hostile archive may try."""

import io
import stat
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaitway.errors import UsageError
from gaitway.payload.archive import Payload, packed, unpack
from gaitway.payload.select import select


@pytest.fixture
def payload(tmp_path: Path) -> Payload:
    folder = tmp_path / "code"
    (folder / "sub").mkdir(parents=True)
    (folder / "b.py").write_text("print('b')\n")
    (folder / "sub" / "ä.py").write_text("x" * 5000)
    return select(str(folder))


def archive(*members: tuple[str, bytes], mode: int = stat.S_IFREG | 0o644) -> io.BytesIO:
    """Return a zip archive with some members, as they are."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        for name, content in members:
            info = zipfile.ZipInfo("placeholder")
            info.filename = name
            info.external_attr = mode << 16
            bundle.writestr(info, content)
    return buffer


def refused(archive: io.BytesIO, into: Path, match: str, **bounds: int) -> None:
    """Assert that an archive is refused and leaves nothing behind."""
    into.parent.mkdir(exist_ok=True)
    before = set(into.parent.iterdir())
    with pytest.raises(UsageError, match=match):
        unpack(archive, into, **bounds)
    assert set(into.parent.iterdir()) == before


def test_an_archive_is_the_same_byte_for_byte(payload: Payload) -> None:
    first = packed(payload)
    for file in payload.files:
        if "gaitway_runtime" not in file.path:
            file.source.touch()
            file.source.chmod(0o755)
    assert packed(payload) == first
    assert packed(Payload(tuple(reversed(payload.files)), payload.sha256)) == first


def test_members_are_sorted_with_fixed_times_and_permissions(payload: Payload) -> None:
    infos = zipfile.ZipFile(io.BytesIO(packed(payload))).infolist()
    assert [info.filename for info in infos] == sorted(info.filename for info in infos)
    assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)}
    assert {stat.S_IMODE(info.external_attr >> 16) for info in infos} == {0o644}


def test_what_is_packed_is_what_is_unpacked(payload: Payload, tmp_path: Path) -> None:
    into = tmp_path / "out" / "payload"
    made = unpack(io.BytesIO(packed(payload)), into, max_files=len(payload.files), max_bytes=payload.size)
    assert {path.relative_to(into).as_posix() for path in made} == {file.path for file in payload.files}
    assert select(str(into)).sha256 == payload.sha256


def test_a_file_that_changes_while_it_is_packed_is_an_error(payload: Payload) -> None:
    next(file for file in payload.files if file.path == "b.py").source.write_text("other")
    with pytest.raises(UsageError, match=r"b\.py changed while it was packed"):
        packed(payload)


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "C:x", "./x", "a//b", "a\\..\\b", "a\nb", ".."])
def test_a_member_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    refused(archive(("ok", b""), (name, b"x")), tmp_path / "in" / "to", "archive member")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_a_link_or_special_member_is_refused(tmp_path: Path, kind: int) -> None:
    refused(archive(("link", b"/etc/passwd"), mode=kind | 0o777), tmp_path / "in" / "to", "link or a special file")


@pytest.mark.parametrize("names", [("a", "a"), ("Dir/a", "dir/A"), ("\u00e9", "e\u0301")])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_for_one_place_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    refused(archive(*((name, b"x") for name in names)), tmp_path / "in" / "to", "the same file")


def test_a_file_below_a_file_is_refused(tmp_path: Path) -> None:
    refused(archive(("a", b"x"), ("a/b", b"x")), tmp_path / "in" / "to", "below another that is a file")


def test_too_many_and_too_large_are_refused(tmp_path: Path) -> None:
    many = archive(*((f"f{number}", b"x") for number in range(5)))
    refused(many, tmp_path / "in" / "to", "5 members", max_files=4)
    refused(many, tmp_path / "in" / "to", "too large", max_bytes=4)


def test_a_member_larger_than_it_says_is_refused(tmp_path: Path) -> None:
    content = b"x" * 100_000
    lying = bytearray(archive(("bomb", content)).getvalue())
    for size_at in (lying.find(b"PK\x03\x04") + 22, lying.find(b"PK\x01\x02") + 24):
        lying[size_at : size_at + 4] = (10).to_bytes(4, "little")
    refused(io.BytesIO(bytes(lying)), tmp_path / "in" / "to", "broken|too large", max_bytes=1000)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x05\x06"])
def test_something_else_than_an_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    refused(io.BytesIO(content), tmp_path / "in" / "to", "broken")


def test_a_damaged_archive_is_refused(payload: Payload, tmp_path: Path) -> None:
    damaged = bytearray(packed(payload))
    damaged[200:260] = bytes(60)
    refused(io.BytesIO(bytes(damaged)), tmp_path / "in" / "to", "archive")


def test_an_existing_folder_is_never_written_into(payload: Payload, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    refused(io.BytesIO(packed(payload)), tmp_path / "there", "exists")


@given(st.lists(st.text(alphabet="ab/.\\A:\0\n é", max_size=6), max_size=4), st.integers(0, 0o177777))
def test_no_archive_writes_outside_its_folder(names: list[str], mode: int) -> None:
    import tempfile
    import warnings

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        into = Path(folder) / "deep" / "into"
        try:
            made = unpack(archive(*((name or "x", b"x") for name in names), mode=mode), into)
        except UsageError:
            assert not into.exists()
        else:
            assert all(path.is_file() and path.resolve().is_relative_to(into) for path in made)
        outside = [path for path in Path(folder).rglob("*") if path.is_file() and not path.is_relative_to(into)]
        assert outside == []
