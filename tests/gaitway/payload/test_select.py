"""Which files a payload takes, which it never takes, and what its hash stands for."""

import os
import subprocess
from pathlib import Path

import pytest

from gaitway.errors import UsageError
from gaitway.payload.archive import Payload
from gaitway.payload.select import select, select_folder
from gaitway.payload.sources import check_imports


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


def test_a_tracked_folder_that_became_a_link_to_elsewhere_ships_nothing_from_there(repo: Path, tmp_path: Path) -> None:
    folder = repo / "src" / "training"
    write(folder / "package", module="of the repository")
    git(repo, "add", ".")
    write(tmp_path / "elsewhere", module="of somebody else")
    (folder / "package" / "module").unlink()
    (folder / "package").rmdir()
    (folder / "package").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="package points to"):
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
    assert {
        "a",
        "gaitway_runtime/__init__.py",
        "gaitway_runtime/spec/job.py",
        "gaitway_runtime/requirements.txt",
    } <= paths
    assert not [path for path in paths if path.endswith(".pyc")]


def test_the_default_folder_may_be_missing_a_named_one_may_not(tmp_path: Path) -> None:
    missing = str(tmp_path / "src" / "training")
    assert "gaitway_runtime/spec/job.py" in {file.path for file in select(missing).files}
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


def extension(folder: Path) -> Path:
    """A project as Isaac Lab's template lays it out: the package ``ext`` at ``source/ext/ext``."""
    for name in ("setup.py", "config/extension.toml", "docs/index", "ext/__init__.py", "ext/tasks/__init__.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    return folder


def test_the_package_of_a_project_is_imported_by_its_own_name(tmp_path: Path) -> None:
    source = extension(tmp_path / "source" / "ext")
    payload = select("none", (str(source),), imports=("ext",))
    assert own(payload) == {
        "setup.py",
        "config/extension.toml",
        "docs/index",
        "ext/__init__.py",
        "ext/tasks/__init__.py",
    }
    assert any("is a Python project" in note for note in payload.notes)
    assert check_imports(payload, ("ext", "ext.tasks")) == ()
    assert "must be installed" in check_imports(payload, ("other",))[0]


def test_a_project_that_is_imported_through_its_folder_stays_below_its_name(tmp_path: Path) -> None:
    source = extension(tmp_path / "source" / "ext")
    payload = select("none", (str(source),), imports=("ext.ext",))
    assert "ext/ext/__init__.py" in own(payload)
    with pytest.raises(
        UsageError, match=r"--import ext would import an empty folder: ext has no __init__.py"
    ) as refused:
        check_imports(payload, ("ext",))
    assert (refused.value.hint or "").startswith("--import ext.ext, or")


def test_two_projects_travel_together(tmp_path: Path) -> None:
    first = extension(tmp_path / "source" / "ext")
    second = extension(tmp_path / "source" / "two")
    (second / "ext").rename(second / "two")
    payload = select("none", (str(first), str(second)))
    assert {"ext/__init__.py", "two/__init__.py", "setup.py"} <= own(payload)


def test_a_package_of_a_src_layout_lies_at_the_root(tmp_path: Path) -> None:
    project = tmp_path / "walker-lab"
    write(project / "src", walker__tasks="")
    (project / "pyproject.toml").write_text("")
    (project / "src" / "walker" / "__init__.py").write_text("")
    assert own(select("none", (str(project),))) == {"walker/tasks", "walker/__init__.py"}


SECRETS = """.env prod.env .env.local .envrc terraform.tfvars prod.auto.tfvars.json .kube/config .docker/config.json
.config/gcloud/application_default_credentials.json .mlflow/credentials .databrickscfg .streamlit/secrets.toml
credentials.json credentials.yaml secrets.yml .pgpass .vault-token hf_token hf_token.txt .huggingface/token
client_secret_12.json service-account.json my-service-account.json kubeconfig dev.kubeconfig .aws/credentials
.ssh/config deploy_rsa id_ed25519 server.key .s3cfg kaggle.json .my.cnf msal_token_cache.json token.json .npmrc
.config/wandb/settings .bash_history vault.ppk .netrc .gnupg/secring.gpg passwords.txt api_key.txt
.ngc/config .config/containers/auth.json azureauth.json .dockerconfigjson token.txt
.wandb_api_key openai_api_key.txt"""
HARMLESS = """train.py secrets.py credentials.py tokenizer.json tokenizer_config.json .env.example prod.env.sample
tokens.txt keys.py
history.csv environment.yaml walker/token_embedding.py config.json docker/config.json kube/config.yaml access.py
monkey.usd hockey.py"""


@pytest.mark.parametrize("tracked", [True, False])
def test_secrets_by_their_usual_names_never_travel(tmp_path: Path, tracked: bool) -> None:
    for name in f"{SECRETS} {HARMLESS}".split():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    if tracked:
        git(tmp_path, "init", "-q")
        git(tmp_path, "add", "-f", ".")
    payload = select(str(tmp_path))
    assert own(payload) == set(HARMLESS.split())
    assert {left.path for left in payload.left_out} == set(SECRETS.split())


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("a private key", "-----BEGIN OPENSSH " + "PRIVATE KEY-----"),
        ("an AWS key", "id: AKIA" + "ABCDEFGHIJKLMNOP"),
        ("an Azure storage key", "AccountKey=" + "a" * 86 + "=="),
        ("a GitHub token", "ghp_" + "a" * 36),
        ("a Hugging Face token", "hf_" + "a" * 34),
        ("an NVIDIA API key", "nvapi-" + "a" * 60),
        ("a login of a container registry", '{"auths": {"nvcr.io": {"auth": "' + "b" * 60 + '"}}}'),
        ("a client secret", '{"clientId": "x", "clientSecret": "abc8Q~' + "c" * 34 + '"}'),
        ("a token of Anaconda", "https://conda.example.com/t/lab-" + "d" * 40 + "/team"),
        ("a password in an address", "postgres://me:hunter2hunter2" + "@db.example.com/x"),
    ],
)
def test_a_credential_in_a_file_is_seen(tmp_path: Path, kind: str, text: str) -> None:
    (tmp_path / "notes.yaml").write_text(f"a: 1\nb: {text}\n")
    (tmp_path / "train.py").write_text(f"b = '{text}'\n")
    payload = select(str(tmp_path))
    assert own(payload) == {"train.py"}
    assert f"notes.yaml is left out: it looks like it holds {kind}" in payload.notes
    assert any(note.startswith(f"train.py is shipped and looks like it holds {kind}") for note in payload.notes)


def test_a_name_that_speaks_of_secrets_is_named(tmp_path: Path) -> None:
    (tmp_path / "my-token-for-the-lab.bin").write_text("x")
    payload = select(str(tmp_path))
    assert "my-token-for-the-lab.bin" in own(payload)
    assert any("my-token-for-the-lab.bin is shipped; if it holds a secret" in note for note in payload.notes)


def test_what_is_ignored_does_not_travel_when_git_does_not_answer(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = repo / "src" / "training"
    (training / ".gitignore").write_text("/sub/\n!keep_log\n*.sav\n")
    (training / "keep_log").write_text("")
    (training / "a.sav").write_text("")
    (repo / ".git" / "HEAD").write_text("broken")
    payload = select(str(training))
    assert own(payload) == {"tracked", "fresh", "keep_log", ".gitignore", "noise_log"}
    assert {left.path for left in payload.left_out} >= {"sub/module", "a.sav"}


def test_a_pointer_of_git_lfs_is_named(tmp_path: Path) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'4d' * 32}\nsize 48123456\n"
    (tmp_path / "robot.usd").write_text(pointer)
    [note] = select(str(tmp_path)).notes
    assert note.startswith("robot.usd is a pointer of Git LFS, not the")
    assert "45.9 MiB" in note and note.endswith("git lfs pull")


def test_a_submodule_that_is_not_checked_out_is_named(repo: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write(other, module="1")
    git(tmp_path, "init", "-q", str(other))
    git(other, "add", ".")
    git(other, "commit", "-qm", "one")
    git(repo, "-c", "protocol.file.allow=always", "submodule", "-q", "add", str(other), "src/training/other")
    git(repo, "commit", "-qm", "submodule")
    assert "other/module" in own(select(str(repo / "src" / "training")))
    git(repo, "submodule", "-q", "deinit", "-f", "src/training/other")
    payload = select(str(repo / "src" / "training"))
    assert own(payload) == {"tracked", "sub/module", "fresh"}
    assert any("git submodule update --init other" in note for note in payload.notes)
    assert ("other", "a submodule that is not checked out") in [(left.path, left.reason) for left in payload.left_out]


def test_a_sparse_checkout_says_what_is_not_there(repo: Path) -> None:
    git(repo, "sparse-checkout", "set", "--no-cone", "/src/training/tracked", "/.gitignore")
    payload = select(str(repo / "src" / "training"))
    assert own(payload) == {"tracked", "fresh"}
    assert any(note.startswith("sub/module is not checked out (sparse checkout)") for note in payload.notes)
