"""Checks an image against itself and its maker's key: one finding for each thing that must hold."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pydantic
from cryptography.hazmat.primitives.asymmetric import ec

from serin_services.image import builds, layers, layouts, signatures
from serin_services.package import folder, manifest

REBUILD = "build the image again with `serin build`, and do not run this one"


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that must hold of an image, and whether it does: where, what was expected, what came, what to do."""

    check: str
    ok: bool
    where: str
    expected: str
    came: str
    advice: str = ""


@dataclasses.dataclass(frozen=True)
class Report:
    """What was found of an image."""

    image: str
    digest: str
    model: str
    version: str
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether everything holds."""
        return all(finding.ok for finding in self.findings)


@dataclasses.dataclass(frozen=True)
class Signed:
    """A signature with the document that it is of."""

    where: str
    payload: bytes
    signature: str


@dataclasses.dataclass(frozen=True)
class Looked:
    """An image as it was read: its labels, how it starts, its digests, and the files of the version."""

    layout: layouts.Layout
    manifest: layouts.Manifest
    config: layouts.Config
    digests: tuple[layers.Digests, ...]
    files: dict[str, layers.Entry]
    unclear: set[str]

    @property
    def labels(self) -> dict[str, str]:
        """The image's labels."""
        return self.config.config.labels or {}


def verify(layout: layouts.Layout, key: ec.EllipticCurvePublicKey | None, given: Signed | None) -> Report:
    """Read an image and check all of it.

    Args:
        layout: the image.
        key: whose signature it must have; nobody's without one.
        given: a signature that lies apart from the image.

    Raises:
        errors.PackageError: it cannot be read at all.
    """
    looked = look(layout)
    document, of_manifest = check_manifest(looked)
    findings = [
        *check_layers(looked),
        *check_clarity(looked),
        of_manifest,
        *(check_package(looked, document) if document else ()),
        check_labelled(looked, "bill of materials", builds.BILL, "dev.serin.sbom"),
        check_user(looked),
        check_signature(layout, key, given),
    ]
    name = (document.model, document.version) if document else ("", "")
    return Report(layout.where, layout.digest, *name, findings=tuple(findings))


def look(layout: layouts.Layout) -> Looked:
    """Read an image once from its lowest layer to its highest."""
    found = layout.read_manifest(layout.digest)
    config = layout.read_config(found.config.digest)
    tree = layers.Tree(lambda name: name in {builds.PACKAGE, builds.BILL} or name.startswith(f"{builds.PACKAGE}/"))
    digests = []
    for layer in found.layers:
        with layout.open_blob(layer.digest) as blob:
            digests.append(tree.apply(blob, layer.media_type))
    return Looked(layout, found, config, tuple(digests), tree.files, tree.unclear)


def check_layers(looked: Looked) -> Iterator[Finding]:
    """Hold each layer against the image's manifest and configuration."""
    expected = looked.config.rootfs.diff_ids
    yield holds("layers", "configuration", f"{len(looked.digests)} layers", f"{len(expected)} layers", REBUILD)
    for layer, came, diff in zip(looked.manifest.layers, looked.digests, expected, strict=False):
        yield holds(
            "layer",
            short(layer.digest),
            f"{layer.digest}, {layer.size} bytes, {diff} unpacked",
            f"{came.blob}, {came.size} bytes, {came.diff} unpacked",
            "it was changed or cut off on its way: fetch the image again",
        )


def check_clarity(looked: Looked) -> Iterator[Finding]:
    """Refuse what a layer writes to the package by way of a link: it is there with one engine and not with another."""
    for name in sorted(looked.unclear):
        expected = "no layer that reaches it by a link"
        yield Finding("link", False, name or "/", expected, "one that does", REBUILD)


def check_manifest(looked: Looked) -> tuple[manifest.Manifest | None, Finding]:
    """Hold the package's manifest against the label that names it, and read it."""
    where = f"{builds.PACKAGE}/{manifest.FILE_NAME}"
    finding = check_labelled(looked, "manifest", where, "dev.serin.package")
    entry = looked.files.get(where)
    if entry is None or entry.kind != "file":
        return None, finding
    try:
        return manifest.Manifest.model_validate(json.loads(entry.content)), finding
    except pydantic.ValidationError as error:
        said = manifest.describe(error)
    except (ValueError, RecursionError) as error:
        said = f"not JSON: {error}"
    return None, Finding("manifest", False, where, "a package's manifest", said, REBUILD)


def check_package(looked: Looked, document: manifest.Manifest) -> Iterator[Finding]:
    """Hold every file of the package, and the labels, against its manifest."""
    for file in document.files:
        entry = looked.files.get(f"{builds.PACKAGE}/{file.path}")
        expected = f"{file.size} bytes, sha256:{file.sha256}"
        came = "nothing" if entry is None else entry.kind
        if entry is not None and entry.kind == "file":
            came = f"{entry.size} bytes, sha256:{entry.sha256}"
        yield holds("file", f"{builds.PACKAGE}/{file.path}", expected, came, REBUILD)
    listed = {builds.BILL, *(f"{builds.PACKAGE}/{name}" for name in [manifest.FILE_NAME, *paths(document)])}
    for name in sorted(looked.files.keys() - listed):
        yield Finding("file", False, name, "nothing: the manifest does not list it", looked.files[name].kind, REBUILD)
    said = {"model": document.model, "version": document.version, "family": document.family}
    for key, expected in said.items():
        label = f"dev.serin.{key}"
        yield holds("label", label, expected, looked.labels.get(label, "nothing"), REBUILD)


def paths(document: manifest.Manifest) -> list[str]:
    """The paths of a package's files."""
    return [file.path for file in document.files]


def check_labelled(looked: Looked, check: str, where: str, label: str) -> Finding:
    """Hold a file of the image against the label that has its digest."""
    if label not in looked.labels:
        advice = "it was not made by `serin build`, or was labelled anew: build it again"
        return Finding(check, False, f"label {label}", f"the digest of {where}", "no such label", advice)
    entry = looked.files.get(where, layers.Entry(0, "", kind="no such file"))
    came = f"sha256:{entry.sha256}" if entry.kind == "file" else entry.kind
    return holds(check, where, looked.labels[label], came, REBUILD)


def check_user(looked: Looked) -> Finding:
    """Refuse an image that would run as root."""
    user = looked.config.config.user
    ok = user.partition(":")[0] not in {"", "0", "root"}
    advice = "" if ok else "a layer on the image changed its user: set `USER 65532:65532` again"
    return Finding("user", ok, "configuration", "another than root", user or "root", advice)


def check_signature(layout: layouts.Layout, key: ec.EllipticCurvePublicKey | None, given: Signed | None) -> Finding:
    """Find a signature of this image by this key; without a key there is nothing that could be asked for."""
    found = [given] if given else list(read_signatures(layout))
    if key is None:
        came = f"{len(found)} of them, looked at by nobody" if found else "none"
        return Finding("signature", True, "image", "not asked for (no --key)", came)
    problems = [signatures.find_problem(key, one.payload, one.signature, layout.digest) for one in found]
    expected = f"a signature of {layout.digest} by the key"
    if None in problems:
        return Finding("signature", True, short(found[problems.index(None)].where), expected, "one by the key")
    came = "; ".join(filter(None, problems)) or "none"
    advice = "run it only if you know who made it; its maker signs it with `serin sign` or `cosign sign`"
    return Finding("signature", False, layout.where, expected, came, advice)


def read_signatures(layout: layouts.Layout) -> Iterator[Signed]:
    """Read the signatures that lie with the image."""
    for layer in layout.signatures:
        yield Signed(layer.digest, layout.read_blob(layer.digest), layer.annotations.get(signatures.ANNOTATION, ""))


def read_given(signature: Path) -> Signed:
    """Read a signature that lies apart, and beside it the document that it is of.

    Raises:
        errors.PackageError: one of the two is not there.
    """
    text = folder.read_limited(signature, 64 * 1024, "the signature")
    payload = folder.read_limited(payload_path(signature), 64 * 1024, "the signed document")
    return Signed(str(signature), payload, text.decode(errors="replace").strip())


def payload_path(signature: Path) -> Path:
    """Where the signed document lies beside a signature."""
    return signature.with_name(f"{signature.name}.payload.json")


def holds(check: str, where: str, expected: str, came: str, advice: str) -> Finding:
    """Find whether what came is what was expected."""
    return Finding(check, expected == came, where, expected, came, "" if expected == came else advice)


def short(digest: str) -> str:
    """Name a digest by its beginning."""
    return digest[: len("sha256:") + 12]
