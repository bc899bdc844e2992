"""Rules of what is shipped: by name, by the user's ``.gaitwayignore`` files, and by content (credentials, Git LFS)."""

from __future__ import annotations

import functools
import hashlib
import re
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from .archive import PayloadFile

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec


IGNORE_FILE = ".gaitwayignore"
RUNTIME = "gaitway_runtime"

DATA = "json|yaml|yml|toml|ini|cfg|conf|txt|csv|xml|properties"
"""Suffixes of files that hold values rather than code."""

SECRETS = (
    # variables of shells, Compose and Terraform
    *(".env", ".env.*", "*.env", ".envrc", ".envrc.*", "*.tfvars", "*.tfvars.json", "*.tfstate", "*.tfstate.*"),
    *(".terraformrc", "terraform.rc", "credentials.tfrc.json", ".terraform.d"),
    # keys
    *("*.pem", "*.key", "*.p8", "*.p12", "*.pfx", "*.pkcs12", "*.jks", "*.keystore", "*.kdb", "*.kdbx", "*.ppk"),
    *(
        "*.gpg",
        "*.pgp",
        "*.ovpn",
        "id_rsa*",
        "id_dsa*",
        "id_ecdsa*",
        "id_ed25519*",
        "*_rsa",
        "*_ed25519",
        ".ssh",
        ".gnupg",
    ),
    # logins of programs
    *(".netrc", "_netrc", ".pypirc", ".npmrc", ".yarnrc.yml", ".htpasswd", ".git-credentials", ".gitcookies"),
    *(".pgpass", "pgpass.conf", ".my.cnf", ".mylogin.cnf", ".s3cfg", ".boto", ".rclone.conf", "rclone.conf"),
    *(
        ".databrickscfg",
        ".dockercfg",
        ".dockerconfigjson",
        ".vault-token",
        ".vault_pass*",
        "vault_pass*",
        "vault-pass*",
    ),
    *("kaggle.json", "ngrok.yml", ".passwd*", "passwords.*", "password.*", "*_history", ".*_history"),
    # tokens
    *(
        "hf_token*",
        ".hf_token*",
        "*.token",
        "token",
        "token.txt",
        "tokens.json",
        "token.json",
        ".token*",
        "*_token.txt",
        "*-token.txt",
        "*api_key",
        "*api-key",
        "*apikey",
        "*api_key.txt",
    ),
    *(
        "msal_token_cache*",
        "accesstokens.json",
        "azureauth.json",
        "azureprofile.json",
        "application_default_credentials.json",
    ),
    # cloud and cluster
    *(".aws", ".azure", ".gcloud", ".kube", "kubeconfig", "*.kubeconfig", "kubeconfig.*"),
    *("service-account*.json", "service_account*.json", "*-service-account.json", "*_service_account.json"),
    *("client_secret*.json", "gcp-key*.json", "*-credentials.json", "*_credentials.json"),
    # whatever says so itself
    *("credentials", ".credentials*", "secret", "secrets", ".secret*", "*.secret", "*.secrets"),
)
"""Names of files and folders that may hold secrets, in lower case: never shipped, tracked by git or not."""

SECRET_FOLDERS = (".ssh", ".gnupg", ".aws", ".azure", ".gcloud", ".kube", ".env", ".terraform.d", ".secret*", "secrets")
"""Folders of which nothing is shipped."""

SECRET_DATA = ("credentials", "secret", "secrets", "apikey", "api_key", "apikeys", "api_keys")
"""Names that hold secrets as a file of values, and may be a module of somebody's code as ``.py``."""

SECRET_PLACES = (
    *(".docker/config.json", ".config/gcloud/*", ".config/osmo/*", ".config/gh/hosts.yml", ".config/rclone/*"),
    *(
        ".config/wandb/*",
        ".config/containers/auth.json",
        ".ngc/*",
        ".mlflow/credentials",
        ".streamlit/secrets.toml",
        ".huggingface/*",
        ".cache/huggingface/token",
    ),
    *(".cargo/credentials*", ".gem/credentials", ".m2/settings.xml", ".kaggle/*", ".jupyter/*.json", ".ngrok2/*"),
)
"""Paths that may hold secrets where the name alone does not tell."""

SUSPICIOUS = frozenset(
    {"secret", "secrets", "password", "passwords", "passwd", "credential", "credentials", "token", "tokens"}
)
"""Words of a name that a user should see among what is shipped."""

LITTER = (
    ".git",
    ".gaitway",
    ".tmp",
    ".terraform",
    "__pycache__",
    "*.pyc",
    "*.pyo",
    "*.egg-info",
    ".venv",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".hypothesis",
    ".ipynb_checkpoints",
    ".tox",
    ".nox",
    "node_modules",
    ".ds_store",
)
"""Names of caches and of tools' own folders: never shipped, and not worth a word."""


_LITTER = re.compile("|".join(map(translate, LITTER)))
_SECRETS = re.compile("|".join(map(translate, SECRETS)))
_SECRET_FOLDERS = re.compile("|".join(map(translate, SECRET_FOLDERS)))
_SECRET_DATA = re.compile(rf"({'|'.join(SECRET_DATA)})([._-]\w+)?\.({DATA})\Z")
_SECRET_PLACES = re.compile("|".join(f"(?:.*/)?{translate(place)}" for place in SECRET_PLACES))
_EXAMPLE = re.compile(r"[._-](example|sample|template|dist)(\.|\Z)")
_WORD = re.compile(r"[^a-z0-9]+")


def is_litter(path: str) -> bool:
    """Whether a path is, or lies in, a cache or a tool's own folder."""
    return any(map(_LITTER.match, path.casefold().split("/")))


def may_hold_secrets(path: str) -> bool:
    """Whether a path is, or lies in, something that may hold secrets. A file that says it is an example is not."""
    folded = path.casefold()
    *folders, name = folded.split("/")
    if any(map(_SECRET_FOLDERS.match, folders)) or _SECRET_PLACES.match(folded):
        return True
    return not _EXAMPLE.search(name) and bool(_SECRETS.match(name) or _SECRET_DATA.match(name))


def is_suspicious(path: str) -> bool:
    """Whether a name speaks of secrets although it is none that is known to hold any; code is named as it likes."""
    name = path.casefold().rpartition("/")[2]
    return not name.endswith(CODE) and not SUSPICIOUS.isdisjoint(_WORD.split(name))


CODE = (".py", ".pyi", ".sh", ".c", ".cc", ".cpp", ".h", ".hpp", ".rs", ".js", ".ts", ".md", ".rst", ".ipynb")
"""Suffixes of files that are written by hand and needed as they are."""


class GitIgnoreFiles:
    """The ``.gitignore`` files of a folder, for where git itself cannot be asked."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._specs: dict[str, GitIgnoreSpec | None] = {}

    def names(self, path: str) -> bool:
        """Whether the deepest ignore file that speaks of a path (relative to the root) leaves it out."""
        folder = path
        while folder:
            folder = folder.rpartition("/")[0]
            spec = self._spec(folder)
            verdict = spec.check_file(path.removeprefix(f"{folder}/") if folder else path).include if spec else None
            if verdict is not None:
                return verdict
        return False

    def _spec(self, folder: str) -> GitIgnoreSpec | None:
        if folder not in self._specs:
            path = self._root / folder / ".gitignore"
            self._specs[folder] = _read(path) if path.is_file() else None
        return self._specs[folder]


class IgnoreFiles:
    """The ``.gaitwayignore`` files of a folder and of the folders above it up to the repository's top."""

    def __init__(self, root: Path, top: Path | None) -> None:
        folders = [root]
        while top is not None and folders[-1] != top and folders[-1] != folders[-1].parent:
            folders.append(folders[-1].parent)
        self.root = root
        self._specs = [(folder, _read(folder / IGNORE_FILE)) for folder in folders if (folder / IGNORE_FILE).is_file()]

    def names(self, path: str) -> Path | None:
        """Return the ignore file that leaves out ``path`` (relative to the root), or None."""
        for folder, spec in self._specs:
            if spec.match_file((self.root / path).relative_to(folder).as_posix()):
                return folder / IGNORE_FILE
        return None


def _read(path: Path) -> GitIgnoreSpec:
    # Imported here: most folders have no ignore file, and a dry run is to be quick.
    from pathspec import GitIgnoreSpec

    try:
        return GitIgnoreSpec.from_lines(path.read_text(encoding="utf-8").splitlines())
    except (OSError, ValueError) as error:
        raise UsageError(f"the ignore file cannot be read: {error}", source=str(path)) from error


SCANNED_BYTES = 1 << 20
"""Longest file that is looked through for credentials [bytes]."""

_CREDENTIALS = (
    ("a private key", rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    ("an AWS key", rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    ("an AWS secret key", rb"(?i)aws_secret_access_key[\"']?\s*[=:]\s*[\"']?[A-Za-z0-9/+]{40}\b"),
    ("an Azure storage key", rb"(?i)AccountKey=[A-Za-z0-9+/]{43,}={0,2}"),
    ("a shared access signature", rb"[?&]sig=[A-Za-z0-9%/+]{40,}"),
    ("a GitHub token", rb"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,})"),
    ("a GitLab token", rb"\bglpat-[A-Za-z0-9_-]{20,}"),
    ("a Hugging Face token", rb"\bhf_[A-Za-z0-9]{30,}\b"),
    ("an NVIDIA API key", rb"\bnvapi-[A-Za-z0-9_-]{40,}"),
    ("a Google API key", rb"\bAIza[0-9A-Za-z_-]{35}\b"),
    ("a Google service account", rb"\"private_key_id\"\s*:\s*\"[0-9a-f]{20,}\""),
    ("a Slack token", rb"\bxox[abprs]-[A-Za-z0-9-]{20,}"),
    ("a Databricks token", rb"\bdapi[0-9a-f]{32}\b"),
    (
        "a client secret",
        rb"(?i)\bclient_?secret[\"']?\s*[=:]\s*[\"']?(?![a-z_]+\.[a-z_])[a-z_~.-]*\d[A-Za-z0-9~._+/-]{30,}",
    ),
    ("a login of a container registry", rb"\"auth\"\s*:\s*\"[A-Za-z0-9+/]{20,}={0,2}\""),
    ("a token of Anaconda", rb"/t/(?:[a-z]+-)?[0-9a-f][0-9a-f-]{31,}\b"),
    ("a JSON Web Token", rb"\beyJ[A-Za-z0-9_-]{20,}\.eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}"),
    (
        "a password in an address",
        rb"\b[a-z][a-z0-9+.-]*://[^\s/:@'\"<>{}$]+:[^\s/@'\"<>{}$]{6,}@[A-Za-z0-9]",
    ),
)

_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v\d+\n(?:[^\n]*\n)*?oid sha256:[0-9a-f]{64}\nsize (\d+)\n"
)


@dataclass(frozen=True)
class ReadFile:
    """A file of the payload once it has been read."""

    file: PayloadFile
    note: str = ""
    left_out: str = ""
    """Why it is not shipped after all."""


def read_file(source: Path, path: str) -> ReadFile:
    """Hash a file, and look at what is in it.

    Raises:
        UsageError: It cannot be read.
    """
    digest, size, start = hashlib.sha256(), 0, b""
    try:
        with source.open("rb") as stream:
            while block := stream.read(SCANNED_BYTES):
                digest.update(block)
                start = start or block
                size += len(block)
    except OSError as error:
        raise UsageError(f"a file of the payload cannot be read: {error.strerror}", source=str(source)) from None
    file = PayloadFile(source, path, size, digest.hexdigest())
    return _judged(file, start if size <= SCANNED_BYTES else b"")


def _judged(file: PayloadFile, content: bytes) -> ReadFile:
    """Return a file with what its name and content make of it: gaitway's own code is not looked through."""
    if file.path.startswith(f"{RUNTIME}/"):
        return ReadFile(file)
    pointed = lfs_size(content)
    if pointed is not None:
        megabytes = pointed / 2**20
        note = f"{file.path} is a pointer of Git LFS, not the {megabytes:.1f} MiB that it stands for: git lfs pull"
        return ReadFile(file, note)
    kind = credential_in(content)
    if kind and file.path.casefold().endswith(CODE):
        return ReadFile(file, f"{file.path} is shipped and looks like it holds {kind} ({IGNORE_FILE} leaves it out)")
    if kind:
        return ReadFile(file, f"{file.path} is left out: it looks like it holds {kind}", f"may hold {kind}")
    if is_suspicious(file.path):
        return ReadFile(file, f"{file.path} is shipped; if it holds a secret, leave it out in {IGNORE_FILE}")
    return ReadFile(file)


def credential_in(content: bytes) -> str | None:
    """Return what kind of credential a file's content looks like it holds, or None."""
    return next((kind for kind, pattern in _credential_patterns() if pattern.search(content)), None)


@functools.cache
def _credential_patterns() -> tuple[tuple[str, re.Pattern[bytes]], ...]:
    """Return the patterns, compiled when the first file is looked through: gaitway's own are not."""
    return tuple((kind, re.compile(pattern)) for kind, pattern in _CREDENTIALS)


def lfs_size(content: bytes) -> int | None:
    """Return the size of the file that a pointer of Git LFS stands for [bytes], or None for any other content."""
    found = _POINTER.match(content) if len(content) < 1024 else None
    return int(found[1]) if found else None
