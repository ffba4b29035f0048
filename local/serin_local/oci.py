"""Small images made without an image builder: one layer with a program, the libraries it needs, and nothing else."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import pathlib
import platform
import re
import stat
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any

USER = 65532
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclasses.dataclass(frozen=True)
class Image:
    """One image: its name, its files (path in the image to file here), and the program among them that it starts."""

    reference: str
    files: Mapping[str, pathlib.Path]
    entrypoint: tuple[str, ...]


def parse_ldd(output: str) -> list[str]:
    """The libraries that `ldd` names, the loader among them; empty for a static program."""
    return re.findall(r"(/\S+)\s+\(0x", output)


def find_libraries(program: pathlib.Path) -> list[pathlib.Path]:
    """The libraries of the machine that a program is linked to; none for a static one."""
    done = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False)
    return [pathlib.Path(name) for name in parse_ldd(done.stdout)]


def write_archive(image: Image, target: pathlib.Path) -> None:
    """Write an image as an OCI archive. The same files give the same bytes."""
    layer = _make_layer(image)
    config = json.dumps(_make_config(image, digest(layer)), sort_keys=True).encode()
    manifest = json.dumps(_make_manifest(config, layer), sort_keys=True).encode()
    index = {
        "schemaVersion": 2,
        "manifests": [
            {
                **_describe(MANIFEST_TYPE, manifest),
                "annotations": {"io.containerd.image.name": image.reference},
            }
        ],
    }
    with tarfile.open(target, "w") as archive:
        _add(archive, "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())
        _add(archive, "index.json", json.dumps(index, sort_keys=True).encode())
        for blob in (layer, config, manifest):
            _add(archive, _path(digest(blob)), blob)


def write_partial_archive(source: pathlib.Path, names: Sequence[str], present: set[str], target: pathlib.Path) -> None:
    """Write what `layers.export` left as an archive under several names, without the blobs in `present`."""
    manifest = (source / "manifest.json").read_bytes()
    content = json.loads(manifest)
    described = _describe(content.get("mediaType", MANIFEST_TYPE), manifest)
    index = {
        "schemaVersion": 2,
        "manifests": [{**described, "annotations": {"io.containerd.image.name": name}} for name in names],
    }
    blobs = dict.fromkeys([content["config"]["digest"], *(row["digest"] for row in content["layers"])])
    with tarfile.open(target, "w") as archive:
        _add(archive, "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())
        _add(archive, "index.json", json.dumps(index).encode())
        _add(archive, _path(digest(manifest)), manifest)
        for name in blobs:
            if name not in present:
                archive.add(source / name.removeprefix("sha256:"), _path(name))


def _path(name: str) -> str:
    """Where a blob stands in an archive."""
    return "blobs/" + name.replace(":", "/")


def _make_layer(image: Image) -> bytes:
    files: dict[str, tuple[bytes, int]] = {
        "etc/passwd": (f"root:x:0:0::/:/bin/false\nserin:x:{USER}:{USER}::/tmp:/bin/false\n".encode(), 0o644),
        "etc/group": (f"root:x:0:\nserin:x:{USER}:\n".encode(), 0o644),
    }
    for path, file in image.files.items():
        files[path.lstrip("/")] = (file.read_bytes(), 0o755)
        for library in find_libraries(file) if path in image.entrypoint else ():
            files[str(library).lstrip("/")] = (library.read_bytes(), 0o755)
    folders = sorted({str(parent) for name in files for parent in pathlib.PurePath(name).parents} - {"."})
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        for folder in folders:
            _add_folder(layer, folder, 0o755)
        _add_folder(layer, "tmp", 0o777 | stat.S_ISVTX)
        for name, (data, mode) in sorted(files.items()):
            _add(layer, name, data, mode)
    return buffer.getvalue()


def _add_folder(archive: tarfile.TarFile, name: str, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    archive.addfile(entry)


def _add(archive: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    archive.addfile(entry, io.BytesIO(data))


def _make_config(image: Image, layer: str) -> dict[str, Any]:
    return {
        "architecture": ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {
            "User": f"{USER}:{USER}",
            "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
            "Entrypoint": list(image.entrypoint),
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [layer]},
    }


def _make_manifest(config: bytes, layer: bytes) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _describe("application/vnd.oci.image.config.v1+json", config),
        "layers": [_describe("application/vnd.oci.image.layer.v1.tar", layer)],
    }


def _describe(media_type: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(blob), "size": len(blob)}


def digest(blob: bytes) -> str:
    """The name of a blob by its content."""
    return "sha256:" + hashlib.sha256(blob).hexdigest()
