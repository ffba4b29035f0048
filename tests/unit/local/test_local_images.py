"""Images: small, reproducible, under the names that pods use."""

import hashlib
import io
import json
import pathlib
import tarfile

import pytest

from serin_local import images, oci, versions

LDD = """\tlinux-vdso.so.1 (0x00007ffc)
\tlibseccomp.so.2 => /lib/x86_64-linux-gnu/libseccomp.so.2 (0x00007f45547c1000)
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f45545df000)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f45547f4000)
"""


def read(archive: pathlib.Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {entry.name: file.read() for entry in tar if (file := tar.extractfile(entry))}


@pytest.fixture
def image(tmp_path: pathlib.Path) -> oci.Image:
    program, data = tmp_path / "program", tmp_path / "data"
    program.write_text("#!/bin/sh\n")
    data.write_text("template")
    return oci.Image("serin.local/thing:1", {"/bin/thing": program, "/etc/thing/data": data}, ("/bin/thing",))


def test_libraries_are_read_from_what_ldd_says() -> None:
    assert oci.parse_ldd(LDD) == [
        "/lib/x86_64-linux-gnu/libseccomp.so.2",
        "/lib/x86_64-linux-gnu/libc.so.6",
        "/lib64/ld-linux-x86-64.so.2",
    ]
    assert oci.parse_ldd("\tnot a dynamic executable\n") == []


def test_an_archive_holds_what_its_digests_say(image: oci.Image, tmp_path: pathlib.Path) -> None:
    oci.write_archive(image, tmp_path / "a.tar")

    files = read(tmp_path / "a.tar")
    blobs = {name.removeprefix("blobs/sha256/"): data for name, data in files.items() if name.startswith("blobs/")}
    index = json.loads(files["index.json"])
    assert all(hashlib.sha256(data).hexdigest() == name for name, data in blobs.items())
    assert index["manifests"][0]["annotations"] == {"io.containerd.image.name": "serin.local/thing:1"}
    manifest = json.loads(blobs[index["manifests"][0]["digest"].removeprefix("sha256:")])
    content = io.BytesIO(blobs[manifest["layers"][0]["digest"].removeprefix("sha256:")])
    with tarfile.open(fileobj=content) as layer:
        assert {"bin/thing", "etc/thing/data", "etc/passwd", "tmp"} <= set(layer.getnames())


def test_the_same_files_give_the_same_archive(image: oci.Image, tmp_path: pathlib.Path) -> None:
    oci.write_archive(image, tmp_path / "a.tar")
    oci.write_archive(image, tmp_path / "b.tar")

    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_programs_do_not_run_as_root(image: oci.Image, tmp_path: pathlib.Path) -> None:
    oci.write_archive(image, tmp_path / "a.tar")

    configs = [json.loads(data) for data in read(tmp_path / "a.tar").values() if data.startswith(b'{"architecture"')]
    assert [config["config"]["User"] for config in configs] == ["65532:65532"]


def test_only_missing_layers_are_sent_under_every_name(tmp_path: pathlib.Path) -> None:
    exported = tmp_path / "image"
    exported.mkdir()
    blobs = {hashlib.sha256(data).hexdigest(): data for data in (b"config", b"base", b"version")}
    config, base, version = (f"sha256:{digest}" for digest in blobs)
    for digest, data in blobs.items():
        (exported / digest).write_bytes(data)
    manifest = {"config": {"digest": config}, "layers": [{"digest": base}, {"digest": version}, {"digest": version}]}
    (exported / "manifest.json").write_text(json.dumps(manifest))

    oci.write_partial_archive(exported, ["localhost/a:1", "docker.io/library/a:1"], {base}, tmp_path / "a.tar")

    files = read(tmp_path / "a.tar")
    names = [row["annotations"]["io.containerd.image.name"] for row in json.loads(files["index.json"])["manifests"]]
    sent = {name.removeprefix("blobs/sha256/") for name in files if name.startswith("blobs/")}
    written = hashlib.sha256((exported / "manifest.json").read_bytes()).hexdigest()
    assert names == ["localhost/a:1", "docker.io/library/a:1"]
    assert sent == {written, config.removeprefix("sha256:"), version.removeprefix("sha256:")}


@pytest.mark.parametrize(
    ("reference", "names"),
    [
        pytest.param("localhost/a:1", ["localhost/a:1", "docker.io/library/a:1"], id="a short name gets its long form"),
        pytest.param("localhost/x/a:1", ["localhost/x/a:1", "docker.io/x/a:1"], id="a name with a folder too"),
        pytest.param("registry.example/a:1", ["registry.example/a:1"], id="a full name stays as it is"),
    ],
)
def test_names_for_pods(reference: str, names: list[str]) -> None:
    assert images.pod_names(reference) == names


def test_tags_of_system_images_follow_their_content() -> None:
    made = images.make_system_images(versions.load())

    references = [image.reference for image in made.values()]
    assert len(set(references)) == len(references)
    assert all(image.reference == f"serin.local/{name}:{image.version}-{image.key}" for name, image in made.items())
