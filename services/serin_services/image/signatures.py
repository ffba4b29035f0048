"""Signatures of images as cosign makes and checks them: ECDSA on P-256 over a "simple signing" document.

The document names the image by the digest of its manifest (containers/image, atomic-signature specification); cosign keeps
it as a layer of an image of its own, the signature beside it as an annotation (cosign's SIGNATURE_SPEC).
"""

import base64
import binascii
import json
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from serin_services.image import layouts
from serin_services.package import errors, folder

TYPE = "cosign container image signature"
ANNOTATION = "dev.cosignproject.cosign/signature"
# How the entries of a layout's index say what they are: cosign looks for the image and its signatures by these alone.
IMAGE_KIND = "dev.cosignproject.cosign/image"
SIGNATURES_KIND = "dev.cosignproject.cosign/sigs"
ALGORITHM = ec.ECDSA(hashes.SHA256())


def make_payload(digest: str, reference: str) -> bytes:
    """Write the document that is signed: this digest, under this name."""
    critical = {
        "identity": {"docker-reference": reference},
        "image": {"docker-manifest-digest": digest},
        "type": TYPE,
    }
    return json.dumps({"critical": critical, "optional": None}, separators=(",", ":")).encode()


def sign(key: ec.EllipticCurvePrivateKey, payload: bytes) -> str:
    """Sign a document; the signature is in base64, as cosign has it."""
    return base64.b64encode(key.sign(payload, ALGORITHM)).decode()


def find_problem(key: ec.EllipticCurvePublicKey, payload: bytes, signature: str, digest: str) -> str | None:
    """Say why a signature is not one of this image by this key, or nothing if it is."""
    try:
        key.verify(base64.b64decode(signature, validate=True), payload, ALGORITHM)
    except (InvalidSignature, binascii.Error, ValueError):
        return "a signature by another key, or of a changed document"
    try:
        signed = json.loads(payload)["critical"]["image"]["docker-manifest-digest"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "a signed document that names no image"
    return None if signed == digest else f"a signature of another image, {signed}"


def read_private_key(path: Path, password: bytes | None) -> ec.EllipticCurvePrivateKey:
    """Read a P-256 key in PKCS #8 PEM, encrypted or not.

    Raises:
        errors.PackageError: it is something else.
    """
    content = folder.read_limited(path, 64 * 1024, "the private key")
    if b"SIGSTORE PRIVATE KEY" in content or b"COSIGN PRIVATE KEY" in content:
        raise errors.PackageError(
            "BadKey",
            f"{path}: expected a PKCS #8 PEM key, got one that cosign encrypted in its own way; sign with cosign itself, "
            "or make a key for both: `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` and "
            "`cosign import-key-pair`",
        )
    try:
        key = serialization.load_pem_private_key(content, password)
    except (ValueError, TypeError) as error:
        raise errors.PackageError(
            "BadKey", f"{path}: cannot be read as a PKCS #8 PEM key: {error}; its password goes in SERIN_KEY_PASSWORD"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise wrong_kind(path)
    return key


def read_public_key(path: Path) -> ec.EllipticCurvePublicKey:
    """Read a P-256 key in PEM, such as cosign.pub.

    Raises:
        errors.PackageError: it is something else.
    """
    try:
        key = serialization.load_pem_public_key(folder.read_limited(path, 64 * 1024, "the public key"))
    except (ValueError, TypeError) as error:
        raise errors.PackageError(
            "BadKey", f"{path}: expected a public key in PEM, such as cosign.pub, got something else: {error}"
        ) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise wrong_kind(path)
    return key


def wrong_kind(path: Path) -> errors.PackageError:
    """Say that a key is not of the one kind that cosign's default is."""
    return errors.PackageError(
        "BadKey", f"{path}: expected an ECDSA key on P-256, got another kind; make one of that kind"
    )


def add_to_layout(root: Path, digest: str, payload: bytes, signature: str) -> None:
    """Put a signature into a layout folder, where `cosign verify --local-image`, `cosign load` and `serin verify` find it.

    Beside those that are there: cosign reads one image of signatures, each a layer.
    """
    index = json.loads((root / "index.json").read_bytes())
    name = {"kind": SIGNATURES_KIND, "org.opencontainers.image.ref.name": digest.replace(":", "-") + ".sig"}
    before = next((entry for entry in index["manifests"] if entry.get("annotations") == name), None)
    layers = json.loads((root / layouts.blob_path(before["digest"])).read_bytes())["layers"] if before else []
    layers.append(write_blob(root, payload, layouts.SIGNATURE_TYPE) | {"annotations": {ANNOTATION: signature}})
    rootfs = {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]}
    config = write_blob(root, dump({"architecture": "", "os": "", "config": {}, "rootfs": rootfs}), layouts.CONFIG_TYPE)
    manifest = {"schemaVersion": 2, "mediaType": layouts.MANIFEST_TYPE, "config": config, "layers": layers}
    signatures = write_blob(root, dump(manifest), layouts.MANIFEST_TYPE) | {"annotations": name}
    for entry in index["manifests"]:
        if entry["digest"] == digest:
            entry["annotations"] = {**entry.get("annotations", {}), "kind": IMAGE_KIND}
    index["manifests"] = [*(entry for entry in index["manifests"] if entry is not before), signatures]
    (root / "index.json").write_bytes(dump(index))


def write_blob(root: Path, content: bytes, media_type: str) -> dict[str, Any]:
    """Write a blob into a layout folder and describe it."""
    digest = f"sha256:{folder.sha256(content)}"
    (root / layouts.blob_path(digest)).write_bytes(content)
    return {"mediaType": media_type, "digest": digest, "size": len(content)}


def dump(document: dict[str, Any]) -> bytes:
    """Write JSON the same way each time."""
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
