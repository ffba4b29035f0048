"""`serin verify` and `serin sign`: what is as it was built passes, and each change of it is named."""

import base64
import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
import typer.testing
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from serin_services.image import builds, cli, sbom
from serin_services.image import layouts as oci
from serin_services.package import folder
from support import layouts

app = typer.Typer(callback=lambda: None)
app.command("verify")(cli.verify)
app.command("sign")(cli.sign)

# Copies what `buildah push` would write of the one image that it has.
FAKE_BUILDAH = """#!/bin/sh
case "$1" in
inspect) [ "$4" = momentum:1.2.0 ] ;;
push) cp -r "$IMAGE" "${5#dir:}" ;;
esac
"""


def run(*words: object) -> typer.testing.Result:
    return typer.testing.CliRunner().invoke(app, [str(word) for word in words])


def find_bad(*words: object) -> list[dict[str, str]]:
    """Verify, and give the findings that do not hold."""
    result = run("verify", *words, "-o", "json")
    assert result.exit_code == 1, result.output
    report = json.loads(result.stdout)
    assert not report["ok"]
    return [finding for finding in report["findings"] if not finding["ok"]]


@pytest.mark.parametrize("packed", [False, True], ids=["plain layers", "layers with gzip"])
@pytest.mark.parametrize("pack", [False, True], ids=["in a folder", "in an archive"])
def test_an_image_as_it_was_built_holds(package: folder.Package, tmp_path: Path, packed: bool, pack: bool) -> None:
    root = tmp_path / "layout"
    digest = layouts.write_layout(root, package, packed=packed)

    result = run("verify", layouts.archive(root, tmp_path / "image.tar") if pack else root, "-o", "json")

    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["ok"], report["digest"], report["model"], report["version"]) == (True, digest, "momentum", "1.2.0")


def test_an_image_of_an_engine_is_exported_and_read(
    intact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported, binaries = tmp_path / "exported", tmp_path / "bin"
    exported.mkdir()
    binaries.mkdir()
    digest = json.loads((intact / "index.json").read_text())["manifests"][0]["digest"]
    for blob in (intact / "blobs/sha256").iterdir():
        (exported / blob.name).write_bytes(blob.read_bytes())
    (exported / digest.removeprefix("sha256:")).rename(exported / "manifest.json")
    (binaries / "buildah").write_text(FAKE_BUILDAH)
    (binaries / "buildah").chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{binaries}:/usr/bin:/bin")
    monkeypatch.setenv("IMAGE", str(exported))

    found, missing = run("verify", "momentum:1.2.0"), run("verify", "momentum:9")

    assert found.exit_code == 0, found.output
    assert digest in found.stdout
    assert missing.exit_code == 1
    assert (
        "ImageMissing: momentum:9: expected a layout folder, an archive, or an image that buildah has" in missing.stderr
    )


def other_manifest(package: folder.Package) -> bytes:
    document = json.loads((package.path / "manifest.json").read_bytes())
    return json.dumps({**document, "version": "6.6.6"}).encode()


ARTIFACT = "package/model.ubj"
# What a layer on the image changes, or a label; the check that fails, where, and what came.
CHANGES: dict[str, tuple[Callable[[folder.Package], dict[str, object]], str, str, str]] = {
    "a changed artifact": (lambda _: {"more": {ARTIFACT: b"other"}}, "file", ARTIFACT, "5 bytes, sha256:"),
    "a missing artifact": (lambda _: {"more": {"package/.wh.model.ubj": b""}}, "file", ARTIFACT, "nothing"),
    "a link for an artifact": (lambda _: {"more": {ARTIFACT: "/etc/passwd"}}, "file", ARTIFACT, "a link"),
    "an artifact changed by way of a link": (
        lambda _: {"more": {"p": "package", "p/model.ubj": b"other"}}, "link", ARTIFACT, "one that does",
    ),
    "an artifact removed by way of a link": (
        lambda _: {"more": {"p": "package", "p/.wh.model.ubj": b""}}, "link", ARTIFACT, "one that does",
    ),
    "an artifact changed by way of two links": (
        lambda _: {"more": {"p": "/", "q/r": "../p", "q/r/package/model.ubj": b"other"}}, "link", ARTIFACT, "one that does",
    ),
    "a file too many": (lambda _: {"more": {"package/x.pkl": b"\x80"}}, "file", "package/x.pkl", "file"),
    "a folder that is emptied": (
        lambda _: {"more": {"package/.wh..wh..opq": b""}}, "manifest", "package/manifest.json", "no such file",
    ),
    "a folder that is a link": (
        lambda _: {"more": {"package": "/elsewhere"}}, "manifest", "package/manifest.json", "no such file",
    ),
    "a changed manifest": (
        lambda p: {"more": {"package/manifest.json": other_manifest(p)}}, "manifest", "package/manifest.json", "sha256:",
    ),
    "a manifest that is none": (
        lambda _: {"more": {"package/manifest.json": b"{"}}, "manifest", "package/manifest.json", "not JSON",
    ),
    "a changed bill of materials": (lambda _: {"more": {builds.BILL: b"{}"}}, "bill of materials", builds.BILL, "sha256:"),
    "another version on the label": (
        lambda _: {"labels": {"dev.serin.version": "1.3.0"}}, "label", "dev.serin.version", "1.3.0",
    ),
    "no label of the package": (
        lambda _: {"labels": {"dev.serin.package": None}}, "manifest", "label dev.serin.package", "no such label",
    ),
    "root for a user": (lambda _: {"user": ""}, "user", "configuration", "root"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "check", "where", "came"), CHANGES.values(), ids=CHANGES)
def test_a_change_is_named_with_where_what_was_expected_and_what_to_do(
    package: folder.Package,
    tmp_path: Path,
    change: Callable[[folder.Package], dict[str, object]],
    check: str,
    where: str,
    came: str,
) -> None:
    changed = change(package)
    more = [changed.pop("more")] if "more" in changed else []
    layouts.write_layout(tmp_path, package, *more, **changed)  # type: ignore[arg-type]

    bad = find_bad(tmp_path)

    found = [finding for finding in bad if (finding["check"], finding["where"]) == (check, where)]
    assert found, bad
    assert came in found[0]["came"]
    assert found[0]["expected"]
    assert found[0]["advice"]


def test_a_file_put_back_under_a_folder_that_was_a_link_is_not_taken_for_the_package(
    package: folder.Package, tmp_path: Path
) -> None:
    good = (package.path / "model.ubj").read_bytes()
    hidden = [{ARTIFACT: b"other"}, {"a/b": "/package"}, {"a": b"a file"}, {"a": None, "a/b/model.ubj": good}]
    layouts.write_layout(tmp_path, package, *hidden)

    found = {(finding["check"], finding["where"]) for finding in find_bad(tmp_path)}

    assert found == {("file", ARTIFACT), ("link", ARTIFACT)}


def blob_of(layout: Path, layer: int) -> Path:
    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads((layout / "blobs" / index["manifests"][0]["digest"].replace(":", "/")).read_text())
    chosen = manifest["config"] if layer < 0 else manifest["layers"][layer]
    return layout / "blobs" / str(chosen["digest"]).replace(":", "/")


def test_a_layer_changed_on_its_way_is_named(layout: Path) -> None:
    blob = blob_of(layout, 0)
    blob.write_bytes(blob.read_bytes().replace(b"root", b"toor"))

    (bad,) = find_bad(layout)

    assert (bad["check"], bad["where"]) == ("layer", f"sha256:{blob.name[:12]}")
    assert "fetch the image again" in bad["advice"]


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "a cut layer": (lambda root: blob_of(root, 1).write_bytes(blob_of(root, 1).read_bytes()[:700]), "LayerUnreadable"),
    "a missing layer": (lambda root: blob_of(root, 1).unlink(), "BlobMissing"),
    "a changed configuration": (lambda root: blob_of(root, -1).write_bytes(b"{}"), "WrongDigest"),
    "no index": (lambda root: (root / "index.json").unlink(), "BlobMissing"),
    "an index that is not JSON": (lambda root: (root / "index.json").write_text("["), "ImageInvalid"),
    "an index of nothing": (lambda root: (root / "index.json").write_text('{"manifests": []}'), "NotOneImage"),
    "a digest that leads out": (
        lambda root: (root / "index.json").write_text('{"manifests": [{"digest": "../../etc", "size": 1}]}'),
        "ImageInvalid",
    ),
}


@pytest.mark.parametrize(("change", "reason"), BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_read_is_said_in_a_sentence(layout: Path, change: Callable[[Path], object], reason: str) -> None:
    change(layout)

    result = run("verify", layout)

    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {reason}: "), result.stderr


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(b"\x80\x04" * 600)

    result = run("verify", tmp_path / "model.pkl")

    assert (result.exit_code, "error: ImageInvalid" in result.stderr) == (1, True)


def test_text_names_what_does_not_hold(package: folder.Package, tmp_path: Path) -> None:
    layouts.write_layout(tmp_path, package, {ARTIFACT: b"other"})

    result = run("verify", tmp_path)

    assert result.exit_code == 1
    assert "BAD" in result.stdout
    assert "build the image again with `serin build`" in result.stdout
    assert "momentum 1.2.0, 1 findings" in result.stdout


@pytest.mark.parametrize("packed", [False, True], ids=["in a folder", "in an archive"])
def test_a_signature_by_the_key_holds(layout: Path, keys: Path, tmp_path: Path, packed: bool) -> None:
    signed = run("sign", layout, "--key", keys / "ours.pem")
    image = layouts.archive(layout, tmp_path / "image.tar") if packed else layout

    result = run("verify", image, "--key", keys / "ours.pub")

    assert signed.exit_code == 0, signed.output
    assert result.exit_code == 0, result.output
    assert "one by the key" in result.stdout


def test_signing_twice_leaves_both_signatures(layout: Path, keys: Path) -> None:
    for name in ("others", "ours"):
        assert run("sign", layout, "--key", keys / f"{name}.pem").exit_code == 0

    assert run("verify", layout, "--key", keys / "ours.pub").exit_code == 0
    assert run("verify", layout, "--key", keys / "others.pub").exit_code == 0


def test_a_signed_layout_has_one_image_and_one_of_signatures_as_cosign_looks_for_them(layout: Path, keys: Path) -> None:
    for name in ("others", "ours"):
        run("sign", layout, "--key", keys / f"{name}.pem")

    entries = json.loads((layout / "index.json").read_text())["manifests"]
    signed = json.loads((layout / oci.blob_path(entries[1]["digest"])).read_text())

    kinds = [entry["annotations"]["kind"] for entry in entries]
    assert kinds == ["dev.cosignproject.cosign/image", "dev.cosignproject.cosign/sigs"]
    assert len({layer["annotations"]["dev.cosignproject.cosign/signature"] for layer in signed["layers"]}) == 2


def test_a_signature_may_lie_apart(intact: Path, keys: Path, tmp_path: Path) -> None:
    apart = tmp_path / "momentum.sig"
    signed = run("sign", intact, "--key", keys / "ours.pem", "-o", apart, "--reference", "registry.example/momentum")

    result = run("verify", intact, "--key", keys / "ours.pub", "--signature", apart)

    assert signed.exit_code == 0, signed.output
    assert result.exit_code == 0, result.output


def test_what_is_signed_is_what_cosign_signs(intact: Path, keys: Path, tmp_path: Path) -> None:
    digest = json.loads((intact / "index.json").read_text())["manifests"][0]["digest"]
    run("sign", intact, "--key", keys / "ours.pem", "-o", tmp_path / "s", "--reference", "registry.example/momentum")
    payload = (tmp_path / "s.payload.json").read_bytes()

    assert payload == (
        b'{"critical":{"identity":{"docker-reference":"registry.example/momentum"},"image":{"docker-manifest-digest":"'
        + digest.encode()
        + b'"},"type":"cosign container image signature"},"optional":null}'
    )
    public = serialization.load_pem_public_key((keys / "ours.pub").read_bytes())
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(base64.b64decode((tmp_path / "s").read_text()), payload, ec.ECDSA(hashes.SHA256()))


def test_a_key_without_a_signature_fails(intact: Path, keys: Path) -> None:
    (bad,) = find_bad(intact, "--key", keys / "ours.pub")

    assert (bad["check"], bad["came"]) == ("signature", "none")
    assert "serin sign" in bad["advice"]


def test_a_signature_by_another_key_fails(layout: Path, keys: Path) -> None:
    run("sign", layout, "--key", keys / "others.pem")

    (bad,) = find_bad(layout, "--key", keys / "ours.pub")

    assert bad["came"] == "a signature by another key, or of a changed document"


def test_a_signature_of_another_image_fails(package: folder.Package, intact: Path, keys: Path, tmp_path: Path) -> None:
    digest = layouts.write_layout(tmp_path / "other", package, {"etc/other": b""})
    run("sign", tmp_path / "other", "--key", keys / "ours.pem", "-o", tmp_path / "s")

    (bad,) = find_bad(intact, "--key", keys / "ours.pub", "--signature", tmp_path / "s")

    assert bad["came"] == f"a signature of another image, {digest}"


@pytest.mark.parametrize("content", [b"{}", b"\xff", b""], ids=["another document", "no text", "nothing"])
def test_a_changed_document_fails(intact: Path, keys: Path, tmp_path: Path, content: bytes) -> None:
    run("sign", intact, "--key", keys / "ours.pem", "-o", tmp_path / "s")
    (tmp_path / "s.payload.json").write_bytes(content)

    (bad,) = find_bad(intact, "--key", keys / "ours.pub", "--signature", tmp_path / "s")

    assert "a changed document" in bad["came"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n", "cosign import-key-pair"),
        (b"-----BEGIN PRIVATE KEY-----\n", "SERIN_KEY_PASSWORD"),
        (
            rsa.generate_private_key(65537, 2048).private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
            "ECDSA key on P-256",
        ),
    ],
    ids=["a key that cosign encrypted", "no key", "a key of another kind"],
)
def test_a_private_key_of_another_form_is_refused(intact: Path, tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "key.pem").write_bytes(content)

    result = run("sign", intact, "--key", tmp_path / "key.pem", "-o", tmp_path / "s")

    assert result.exit_code == 1
    assert "error: BadKey" in result.stderr
    assert said in result.stderr


def test_a_public_key_of_another_form_is_refused(intact: Path, keys: Path) -> None:
    result = run("verify", intact, "--key", keys / "ours.pem")

    assert (result.exit_code, "error: BadKey" in result.stderr) == (1, True)


def test_an_encrypted_key_is_opened_by_its_password(
    intact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.BestAvailableEncryption(b"secret")
    (tmp_path / "k").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, form))
    refused = run("sign", intact, "--key", tmp_path / "k", "-o", tmp_path / "s")
    monkeypatch.setenv("SERIN_KEY_PASSWORD", "secret")

    assert refused.exit_code == 1
    assert run("sign", intact, "--key", tmp_path / "k", "-o", tmp_path / "s").exit_code == 0


def test_an_archive_is_signed_apart_only(intact: Path, keys: Path, tmp_path: Path) -> None:
    image = layouts.archive(intact, tmp_path / "image.tar")

    result = run("sign", image, "--key", keys / "ours.pem")

    assert result.exit_code == 2
    assert "say where to write it" in result.output


def test_the_bill_of_the_image_is_the_bill_that_was_built(package: folder.Package) -> None:
    assert sbom.write(package, layouts.INSTALLED, 0) == sbom.write(package, layouts.INSTALLED, 0)


@pytest.mark.parametrize("command", ["verify", "sign"])
def test_help_has_examples_on_lines_of_their_own(command: str) -> None:
    lines = [line.strip() for line in run(command, "--help").output.splitlines()]

    assert any(line.startswith(("serin verify momentum:1.0.0", "serin sign momentum:1.0.0")) for line in lines)
