"""Which files a payload takes, which it never takes, and what its hash stands for."""

import os
import subprocess
from pathlib import Path

import pytest

from gaitway.errors import UsageError
from gaitway.payload.manifest import Payload
from gaitway.payload.select import select, select_folder


def write(folder: Path, **files: str) -> Path:
    """Write files; ``__`` in a name stands for ``/`` and ``_dot_`` for a leading dot."""
    for name, text in files.items():
        path = folder / name.replace("_dot_", ".").replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def git(folder: Path, *args: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *args], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository with a training folder: a tracked file, an ignored one, a new one."""
    top = tmp_path / "repo"
    write(top / "src" / "training", tracked="1", sub__module="2", noise_log="x")
    (top / ".gitignore").write_text("*_log\n")
    git(top.parent, "init", "-q", str(top))
    git(top, "add", ".")
    git(top, "commit", "-qm", "first")
    (top / "src" / "training" / "fresh").write_text("3")
    return top


def own(payload: Payload) -> set[str]:
    """The payload's paths beside the runtime's."""
    return {file.path for file in payload.files if not file.path.startswith("gaitway_runtime/")}


def test_git_chooses_tracked_and_new_files_and_says_what_it_ignores(repo: Path) -> None:
    payload = select(str(repo / "src" / "training"))
    assert own(payload) == {"tracked", "sub/module", "fresh"}
    assert payload.commit == git(repo, "rev-parse", "HEAD")
    assert payload.dirty == ("fresh",)
    assert [(left.path, left.reason) for left in payload.left_out] == [("noise_log", "ignored by git")]


def test_a_changed_and_a_deleted_file_are_dirty(repo: Path) -> None:
    training = repo / "src" / "training"
    (training / "tracked").write_text("changed")
    (training / "sub" / "module").unlink()
    payload = select(str(training))
    assert payload.dirty == ("fresh", "sub/module", "tracked")
    assert own(payload) == {"tracked", "fresh"}


def test_a_callers_git_variables_do_not_lead_elsewhere(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert "tracked" in own(select(str(repo / "src" / "training")))


def test_looking_does_not_touch_the_index(repo: Path) -> None:
    os.utime(repo / "src" / "training" / "tracked", (1, 1))  # makes git want to refresh its index
    before = (repo / ".git" / "index").read_bytes()
    select(str(repo / "src" / "training"))
    assert (repo / ".git" / "index").read_bytes() == before


def test_without_git_all_files_but_caches_are_taken(tmp_path: Path) -> None:
    folder = write(tmp_path / "code", a="1", sub__b="2", __pycache____a_pyc="x", sub__c="3")
    write(folder / "env", **{"pyvenv.cfg": "", "lib": "x"})
    write(folder, **{"c.pyc": "x"})
    assert own(select(str(folder))) == {"a", "sub/b", "sub/c"}


def test_without_a_git_program_all_files_are_taken_and_it_says_so(
    repo: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    payload = select(str(repo / "src" / "training"))
    assert "noise_log" in own(payload)
    assert "git cannot be started" in payload.notes[0]


def test_a_folder_that_git_ignores_was_named_on_purpose(repo: Path) -> None:
    write(repo / "data_log", a="1")
    selection = select_folder(repo / "data_log")
    assert set(selection.sources) == {"a"}
    assert selection.commit is None


@pytest.mark.parametrize("name", [".env", ".env.local", "id_rsa", "server.key", "cert.PEM", ".aws/config"])
def test_secrets_are_never_shipped_even_when_tracked_and_it_says_so(repo: Path, name: str) -> None:
    training = repo / "src" / "training"
    (training / name).parent.mkdir(exist_ok=True)
    (training / name).write_text("secret")
    git(repo, "add", "--force", ".")
    payload = select(str(training))
    assert name not in own(payload)
    assert (name, "may hold secrets") in {(left.path, left.reason) for left in payload.left_out}


def test_ignore_files_of_the_folder_and_of_the_repository_count(repo: Path) -> None:
    (repo / ".gaitwayignore").write_text("/src/training/fresh\n")
    (repo / "src" / "training" / ".gaitwayignore").write_text("*\n!tracked\n")
    payload = select(str(repo / "src" / "training"))
    assert own(payload) == {"tracked"}
    assert {left.path for left in payload.left_out} >= {"fresh", "sub/module"}


def test_a_repository_inside_is_chosen_by_its_own_git_unless_it_is_left_out(repo: Path) -> None:
    training = repo / "src" / "training"
    for name in ("inner", "unwanted", ".tmp", "id_rsa_clone"):
        write(training / name, kept="1", _dot_gitignore="noise\n", noise="2")
        git(training, "init", "-q", name)
        git(training / name, "add", ".")
        git(training / name, "commit", "-qm", "inner")
    (training / ".gaitwayignore").write_text("unwanted\n")
    payload = select(str(training))
    assert own(payload) == {"tracked", "sub/module", "fresh", "inner/kept", "inner/.gitignore"}
    assert payload.commit == git(repo, "rev-parse", "HEAD")


def test_a_link_to_a_file_inside_is_shipped_as_that_file(tmp_path: Path) -> None:
    folder = write(tmp_path / "code", real="content")
    (folder / "alias").symlink_to("real")
    files = {file.path: file for file in select(str(folder)).files}
    assert files["alias"].sha256 == files["real"].sha256


@pytest.mark.parametrize("target", ["/etc/hostname", "../outside", "sub", "nowhere", "loop", ".env"])
def test_any_other_link_is_an_error_that_names_it(tmp_path: Path, target: str) -> None:
    folder = write(tmp_path / "code", real="1", sub__x="2", _dot_env="secret")
    write(tmp_path, outside="x")
    (folder / "loop").symlink_to(target)
    with pytest.raises(UsageError, match=f"loop points to {target}"):
        select(str(folder))


def test_a_pipe_is_an_error(tmp_path: Path) -> None:
    folder = write(tmp_path / "code", real="1")
    os.mkfifo(folder / "pipe")
    with pytest.raises(UsageError, match="not a regular file"):
        select(str(folder))


def test_a_name_that_would_not_survive_is_an_error(tmp_path: Path) -> None:
    folder = write(tmp_path / "code", real="1")
    (folder / "a\\b").write_text("x")
    with pytest.raises(UsageError, match="cannot be shipped"):
        select(str(folder))


def test_names_that_differ_by_case_alone_are_an_error(tmp_path: Path) -> None:
    folder = write(tmp_path / "code", Readme="1", README="2")
    with pytest.raises(UsageError, match="differ only by case"):
        select(str(folder))


def test_a_users_own_folder_gets_the_runtime(tmp_path: Path) -> None:
    paths = {file.path for file in select(str(write(tmp_path / "mine", a="1")), named=True).files}
    assert {"a", "gaitway_runtime/__init__.py", "gaitway_runtime/job.py", "gaitway_runtime/requirements.txt"} <= paths
    assert not [path for path in paths if path.endswith(".pyc")]


def test_the_default_folder_may_be_missing_a_named_one_may_not(tmp_path: Path) -> None:
    missing = str(tmp_path / "src" / "training")
    assert "gaitway_runtime/job.py" in {file.path for file in select(missing).files}
    with pytest.raises(UsageError, match="does not exist"):
        select(missing, named=True)


def test_more_folders_and_files_go_under_their_own_names(tmp_path: Path) -> None:
    tasks = write(tmp_path / "my_tasks", walk="")
    single = write(tmp_path, **{"one.py": ""}) / "one.py"
    payload = select(str(tmp_path / "missing"), [str(tasks), str(single)])
    assert own(payload) == {"my_tasks/walk", "one.py"}
    assert payload.roots == ("the installed runtime", str(tasks), str(single))


def test_two_files_for_one_place_are_an_error(tmp_path: Path) -> None:
    one, two = write(tmp_path / "a" / "tasks", x="1"), write(tmp_path / "b" / "tasks", x="2")
    with pytest.raises(UsageError, match="would both be shipped as tasks/x"):
        select(str(tmp_path / "missing"), [str(one), str(two)])


def test_a_secret_that_is_named_is_refused(tmp_path: Path) -> None:
    write(tmp_path, _dot_env="TOKEN=1")
    with pytest.raises(UsageError, match="may hold secrets"):
        select(str(tmp_path / "missing"), [str(tmp_path / ".env")])


def test_the_hash_is_of_paths_and_contents_alone(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one", a="1", b="2"), write(tmp_path / "two", b="2", a="1")
    os.utime(two / "a", (1, 1))
    (two / "b").chmod(0o700)
    assert select(str(one)).sha256 == select(str(two)).sha256
    (two / "b").write_text("3")
    assert select(str(one)).sha256 != select(str(two)).sha256
    (two / "b").write_text("2")
    (two / "b").rename(two / "c")
    assert select(str(one)).sha256 != select(str(two)).sha256
