"""``gaitway release`` and ``gaitway verify``: signed releases of policies."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ..ledger import Ledger
from ..release.build import Release, build_release
from ..release.oci import Pushed, push
from ..release.sources import find_sources
from ..signatures.manifest import SIGNATURE_FILE
from ..signatures.signing import PASSWORD_VARIABLE, Signer, Verifier
from ..signatures.verification import Verified, opened, verify_release
from . import output
from .command import SectionOption, VerbCommand, json_option


def _release(
    reference: str,
    folder: str | None,
    key: str | None,
    certificate: str | None,
    certificate_chain: tuple[str, ...],
    sigstore: bool,
    unsigned: bool,
    push_to: str | None,
    as_json: bool,
) -> None:
    """Make a release."""
    signer = None
    if not unsigned:
        signer = Signer(
            private_key=Path(key) if key else None,
            password=os.environ.get(PASSWORD_VARIABLE),
            certificate=Path(certificate) if certificate else None,
            certificate_chain=tuple(map(Path, certificate_chain)),
            sigstore=sigstore,
            identity_token=os.environ.get("SIGSTORE_ID_TOKEN"),
        )
    sources = find_sources(reference, Ledger.at_home(os.environ))
    name = sources.training.name if sources.training else sources.inference.name
    target = Path(folder) if folder else Path(f"{name}-release")
    made = build_release(sources, target, name=name, signer=signer)
    pushed = push(made.folder, made.manifest, push_to) if push_to else None
    _show_release(made, pushed, as_json)


def _show_release(made: Release, pushed: Pushed | None, as_json: bool) -> None:
    following = f"gaitway verify {made.folder} {'--key PUBLIC.pem' if made.signed else '--unsigned'}"
    if as_json:
        output.document(
            {
                "release": str(made.folder),
                "name": made.manifest.name,
                "task": made.manifest.task,
                "checkpoint_sha256": made.manifest.checkpoint_sha256,
                "signed": made.signed,
                "files": [file.path for file in made.manifest.files],
                "pushed": {"reference": pushed.reference, "digest": pushed.digest} if pushed else None,
                "next": following,
            }
        )
    else:
        output.answer(f"release     {made.folder}: {len(made.manifest.files)} files")
        output.answer(f"checkpoint  sha256 {made.manifest.checkpoint_sha256}")
        output.answer(f"signature   {SIGNATURE_FILE if made.signed else 'none: not signed'}")
        if pushed:
            output.answer(f"pushed      {pushed.reference}@{pushed.digest}")
    output.say_command("next:", following)


release = VerbCommand(
    "release",
    callback=_release,
    params=[
        click.Argument(["reference"], metavar="RUN|MODEL"),
        SectionOption(
            ["folder", "--output", "-o"],
            metavar="DIR",
            section="Core",
            help="Folder to make; RUN-release when omitted.",
        ),
        SectionOption(
            ["--key"],
            metavar="FILE",
            section="Signature",
            help=f"Private key to sign with, PEM, elliptic curve; {PASSWORD_VARIABLE} holds its password.",
        ),
        SectionOption(["--certificate"], metavar="FILE", section="Signature", help="Certificate of the key, PEM."),
        SectionOption(
            ["--certificate-chain"], metavar="FILE", multiple=True, section="Signature", help="Its issuers; repeatable."
        ),
        SectionOption(
            ["--sigstore"], is_flag=True, section="Signature", help="Sign with your identity through Sigstore."
        ),
        SectionOption(["--unsigned"], is_flag=True, section="Signature", help="Make the release without a signature."),
        SectionOption(
            ["push_to", "--push"],
            metavar="OCI",
            section="Core",
            help="Push it too: oci://HOST/REPOSITORY:TAG, or oci:///PATH:TAG for a layout on disk.",
        ),
        json_option(),
    ],
    help="RUN is a run of this folder, MODEL is models:/NAME/VERSION. Its checkpoint must have been exported "
    "(gaitway infer) and have met its gate (gaitway validate) in runs of this folder. The release holds the "
    "checkpoint, exports, contract, verdict, parity, films, provenance and a bill of materials, and is signed with "
    "OpenSSF model signing.",
)


def _verify(
    place: str,
    key: str | None,
    certificate_chain: tuple[str, ...],
    identity: str | None,
    issuer: str | None,
    unsigned: bool,
    parity: bool,
    as_json: bool,
) -> None:
    """Verify a release."""
    verifier = Verifier(
        public_key=Path(key) if key else None,
        certificate_chain=tuple(map(Path, certificate_chain)),
        identity=identity,
        issuer=issuer,
    )
    with opened(Path(place)) as folder:
        found = verify_release(folder, verifier, unsigned=unsigned, parity=parity)
    following = f"gaitway validate --task {found.manifest.task} --checkpoint-uri {place}/{found.checkpoint.path}"
    if as_json:
        output.document(_verified_document(place, found, following))
        return
    output.answer(f"release     {found.manifest.name}, made {found.manifest.created}")
    output.answer(f"files       {len(found.manifest.files)}, all as they were released")
    output.answer(f"signature   {found.signature}")
    output.answer(f"verdict     gate met, by the checkpoint sha256 {found.manifest.checkpoint_sha256}")
    if found.parity is not None:
        output.answer(f"parity      exports equal: largest difference {found.parity:.2g}")
    output.say_command("next:", following)


def _verified_document(place: str, found: Verified, following: str) -> dict[str, object]:
    return {
        "release": place,
        "name": found.manifest.name,
        "task": found.manifest.task,
        "created": found.manifest.created,
        "checkpoint_sha256": found.manifest.checkpoint_sha256,
        "signature": found.signature,
        "parity": found.parity,
        "files": [file.path for file in found.manifest.files],
        "next": following,
    }


verify = VerbCommand(
    "verify",
    callback=_verify,
    params=[
        click.Argument(["place"], metavar="RELEASE"),
        SectionOption(
            ["--key"], metavar="FILE", section="Signature", help="Public key whose signature is accepted, PEM."
        ),
        SectionOption(
            ["--certificate-chain"],
            metavar="FILE",
            multiple=True,
            section="Signature",
            help="Certificates whose signatures are accepted; repeatable.",
        ),
        SectionOption(["--identity"], metavar="WHO", section="Signature", help="Sigstore identity that is accepted."),
        SectionOption(["--issuer"], metavar="URL", section="Signature", help="Issuer of that identity."),
        SectionOption(["--unsigned"], is_flag=True, section="Signature", help="Check everything but the signature."),
        SectionOption(
            ["--parity"], is_flag=True, section="Core", help="Measure again that the exports equal the checkpoint."
        ),
        json_option(),
    ],
    help="RELEASE is a folder that gaitway release made, or a zip or tar archive of one. Checked are the signature, "
    "every file's hash, that nothing was added or removed, and that verdict, contract and exports belong to the "
    "released checkpoint.",
)
