"""Images as OCI layouts, written without an image builder: what `serin build` makes, and what it must not be."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serin_services.image import builds, inventory, layouts, sbom
from serin_services.package import folder

INSTALLED = inventory.Inventory(
    runtime="localhost/serin-runtime-xgboost:0123456789ab",
    python="3.11.2",
    distribution="debian",
    packages=(
        inventory.PythonPackage("numpy", "2.4.6", "BSD-3-Clause"),
        inventory.PythonPackage("PyYAML", "6.0.3", "my own words"),
        inventory.PythonPackage("xgboost-cpu", "3.2.0", ""),
    ),
    system=(inventory.SystemPackage("libc6", "2.36-9", "amd64"),),
)
# The content of a file; a link to somewhere; nothing for a folder.
Member = bytes | str | None
BASE: Mapping[str, Member] = {"bin": "usr/bin", "usr/bin/python3": b"#!", "etc/passwd": b"root"}


def read_version(package: folder.Package, bill: bytes) -> dict[str, Member]:
    """Give the files that a version adds to its runtime."""
    names = [path.relative_to(package.path) for path in package.path.rglob("*") if path.is_file()]
    return {f"package/{name}": (package.path / name).read_bytes() for name in names} | {builds.BILL: bill}


def write_layout(
    root: Path,
    package: folder.Package,
    *more: Mapping[str, Member],
    labels: Mapping[str, str | None] | None = None,
    user: str = "65532:65532",
    packed: bool = False,
) -> str:
    """Write the image of a package, with more layers and other labels if they are given, and give its digest."""
    bill = sbom.write(package, INSTALLED, 0)
    said = {**builds.make_labels(package, bill), **(labels or {})}
    tars = [make_layer(files) for files in (BASE, read_version(package, bill), *more)]
    kind = "application/vnd.oci.image.layer.v1.tar" + ("+gzip" if packed else "")
    config = {
        "config": {"User": user, "Labels": {key: value for key, value in said.items() if value is not None}},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in tars]},
    }
    blobs = [gzip.compress(layer, mtime=0) if packed else layer for layer in tars]
    manifest = {
        "schemaVersion": 2,
        "config": add(root, json.dumps(config).encode(), layouts.CONFIG_TYPE),
        "layers": [add(root, blob, kind) for blob in blobs],
    }
    entry = add(root, json.dumps(manifest).encode(), layouts.MANIFEST_TYPE)
    (root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (root / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    return str(entry["digest"])


def make_layer(files: Mapping[str, Member]) -> bytes:
    """Write a layer."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        for name, member in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(member, str):
                info.type, info.linkname = tarfile.SYMTYPE, member
            elif member is None:
                info.type = tarfile.DIRTYPE
            else:
                info.size = len(member)
            layer.addfile(info, io.BytesIO(member) if isinstance(member, bytes) else None)
    return buffer.getvalue()


def archive(root: Path, target: Path) -> Path:
    """Pack a layout into an archive."""
    with tarfile.open(target, "w") as tar:
        tar.add(root, ".")
    return target


def add(root: Path, content: bytes, media_type: str) -> dict[str, Any]:
    """Write a blob and describe it."""
    path = root / layouts.blob_path(digest(content))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return {"mediaType": media_type, "digest": digest(content), "size": len(content)}


def digest(content: bytes) -> str:
    """Give a digest as images have it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
