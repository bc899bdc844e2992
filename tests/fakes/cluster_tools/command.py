"""One command of a stand-in: ``command.py FOLDER PROGRAM ARGUMENTS...``.

It takes only the verbs and flags that are in its table, keeps what was made, so that a look finds it again, and writes
down every call. A flag or verb that the real program does not have would otherwise go unnoticed.
"""

import json
import os
import signal
import sys
from pathlib import Path

AZ = {"--subscription", "--only-show-errors", "--resource-group", "--name", "--output"}
COMPUTE = AZ | {"--workspace-name"}
VAULT = AZ | {"--vault-name"}
EXTENSION = AZ | {"--cluster-type", "--cluster-name"}
HELM = {"--kubeconfig", "--namespace"}
KUBECTL = {"--kubeconfig", "--namespace"}
FLAGS = {
    "az aks get-credentials": AZ | {"--file", "--overwrite-existing"},
    "az extension add": AZ | {"--upgrade"},
    "az k8s-extension create": EXTENSION | {"--extension-type", "--scope", "--release-train", "--config"},
    "az k8s-extension delete": EXTENSION | {"--yes"},
    "az ml compute show": COMPUTE,
    "az ml compute attach": COMPUTE
    | {"--type", "--resource-id", "--namespace", "--identity-type", "--user-assigned-identities"},
    "az ml compute detach": COMPUTE | {"--yes"},
    "az keyvault secret show": VAULT | {"--query"},
    "az keyvault secret set": VAULT | {"--file", "--encoding"},
    "kubelogin convert-kubeconfig": {"--login", "--kubeconfig"},
    "kubectl apply": KUBECTL | {"--filename", "--validate=warn"},
    "kubectl get": KUBECTL,
    "kubectl delete": KUBECTL | {"--ignore-not-found"},
    "kubectl port-forward": KUBECTL,
    "helm upgrade": HELM
    | {"--install", "--repo", "--version", "--create-namespace", "--values", "--wait", "--timeout"},
    "helm status": HELM,
    "helm uninstall": HELM | {"--ignore-not-found", "--wait"},
    "osmo login": {"--method", "--username"},
    "osmo user get": set(),
    "osmo user create": {"--roles"},
    "osmo token set": {"--user", "--expires-at", "--roles", "--format-type"},
    "osmo pool list": set(),
}
"""Verbs and their flags, as the programs document them."""


def main() -> int:
    """Answer one call."""
    folder, program, words = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    argv = [program, *words]
    fed = "" if sys.stdin.isatty() else sys.stdin.read()
    with (folder / "calls.jsonl").open("a") as log:
        environ = {name: os.environ[name] for name in ("OSMO_CONFIG_FILE_DIR",) if name in os.environ}
        log.write(json.dumps({"argv": argv, "fed": fed, "environ": environ}) + "\n")
    failing = folder / "fail"
    if failing.exists() and failing.read_text() and failing.read_text() in " ".join(argv):
        print("ERROR: (Throttled) come back later", file=sys.stderr)
        return 1
    verb = next((verb for verb in sorted(FLAGS, key=len, reverse=True) if _is(verb, argv)), None)
    if verb is None:
        print(f"unknown command: {' '.join(argv)}", file=sys.stderr)
        return 2
    unknown = [word for word in words if word.startswith("--") and word not in FLAGS[verb]]
    if unknown:
        print(f"unrecognized arguments of {verb}: {' '.join(unknown)}", file=sys.stderr)
        return 2
    return _answer(verb, argv, fed, folder / "made")


def _is(verb: str, argv: list[str]) -> bool:
    """Whether a call is of a verb; helm and kubectl take flags before theirs."""
    bare = [argv[0], *argv[3:]] if argv[1:2] == ["--kubeconfig"] else argv
    return bare[: len(verb.split())] == verb.split()


def _value(argv: list[str], flag: str) -> str:
    return argv[argv.index(flag) + 1]


def _answer(verb: str, argv: list[str], fed: str, made: Path) -> int:
    made.mkdir(exist_ok=True)
    match verb:
        case "az keyvault secret set":
            _keep(made, "secret", _value(argv, "--name"), fed)
        case "az keyvault secret show":
            return _secret(argv, made)
        case "az ml compute attach":
            _keep(made, "compute", _value(argv, "--name"))
        case "az ml compute show":
            return _look(made, "compute", _value(argv, "--name"))
        case "helm upgrade":
            _keep(made, "release", argv[argv.index("--install") + 1])
        case "helm uninstall":
            (made / f"release.{argv[4]}").unlink(missing_ok=True)
        case "helm status":
            return _look(made, "release", argv[4])
        case "kubectl apply":
            kind, name = (_line(fed, key) for key in ("kind:", "  name:"))
            _keep(made, kind.lower(), name, fed)
        case "kubectl get":
            return _look(made, argv[4], argv[5])
        case "kubectl port-forward":
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            print("Forwarding from 127.0.0.1:9000 -> 80", flush=True)
            signal.pause()
        case "osmo user create":
            _keep(made, "user", argv[3])
        case "osmo user get":
            return _look(made, "user", argv[3])
        case "osmo token set":
            print(json.dumps({"token": "osmo-token-of-the-agent"}))
    return 0


def _secret(argv: list[str], made: Path) -> int:
    """Show a secret: Terraform has made two, the set-up makes its own."""
    name = _value(argv, "--name")
    known = {"osmo-postgresql-password": "database-word", "osmo-redis-password": "redis-word"}
    path = made / f"secret.{name}"
    if name not in known and not path.exists():
        print("ERROR: (SecretNotFound)", file=sys.stderr)
        return 3
    if "--query" in argv:
        print(known.get(name) or path.read_text())
    return 0


def _keep(made: Path, kind: str, name: str, text: str = "") -> None:
    (made / f"{kind}.{name}").write_text(text)


def _look(made: Path, kind: str, name: str) -> int:
    return 0 if (made / f"{kind}.{name}").exists() else 1


def _line(text: str, key: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(key)).partition(":")[2].strip()


sys.exit(main())
