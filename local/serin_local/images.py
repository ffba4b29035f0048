"""Images: the cluster's own, the Python base that others build on, and loading of built ones into the node."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import os
import pathlib
import subprocess
import tempfile

from . import builds, downloads, errors, layers, layout, oci, plan, store, versions
from .progress import Progress

NAMESPACE = "k8s.io"
BUILDAH_ADVICE = "check `buildah info` and the free disk below /var/lib/containers, then run it again"
BASE_KEY_LABEL = "dev.serin.base-key"
BASE_ENVIRONMENT = "PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"


@dataclasses.dataclass(frozen=True)
class SystemImage:
    """An image that the cluster itself runs: which build (or unpacked program) stands where in it."""

    name: str
    version: str
    key: str
    path: str

    @property
    def reference(self) -> str:
        """The name with a tag that changes with the content, so that a pulled one is never a stale one."""
        return f"serin.local/{self.name}:{self.version}-{self.key}"


def make_system_images(pins: versions.Versions) -> dict[str, SystemImage]:
    """Every image of the cluster itself, by name."""
    keys = {build.output: builds.make_key(build) for build in builds.make_builds(pins)}
    keys["envoy"] = downloads.make_envoy_key(pins)
    keys["prometheus-alertmanager"] = downloads.make_daemons_key(pins)
    bin_ = "/usr/local/bin"
    rows = (
        ("pause", pins.pause, "pause", f"{bin_}/pause"),
        ("coredns", pins.coredns.version, "coredns", f"{bin_}/coredns"),
        ("envoy-gateway", pins.envoy_gateway.version, "envoy-gateway", f"{bin_}/envoy-gateway"),
        ("envoy", pins.envoy, "envoy", f"{bin_}/envoy"),
        ("prometheus-operator", pins.prometheus_operator.version, "prometheus-operator", f"{bin_}/prometheus-operator"),
        # The operator starts the reloader by this very path.
        (
            "prometheus-config-reloader",
            pins.prometheus_operator.version,
            "prometheus-config-reloader",
            "/bin/prometheus-config-reloader",
        ),
        ("prometheus", pins.prometheus.version, "prometheus", f"{bin_}/prometheus"),
        ("alertmanager", pins.alertmanager, "prometheus-alertmanager", f"{bin_}/alertmanager"),
    )
    writer = pathlib.Path(oci.__file__).read_bytes()
    return {
        name: SystemImage(name, version, store.make_key(keys[program], path, writer), path)
        for name, version, program, path in rows
    }


def ensure_archive(
    place: layout.Layout, image: SystemImage, program: pathlib.Path, data: dict[str, pathlib.Path]
) -> pathlib.Path:
    """The archive of a system image, made of its program and data files, written when it is not in the cache."""

    def make(draft: pathlib.Path) -> None:
        files = {image.path: program, **data}
        oci.write_archive(oci.Image(image.reference, files, (image.path,)), draft / "image.tar")

    return store.ensure(place, f"image-{image.name}", image.key, make) / "image.tar"


def ctr(place: layout.Layout) -> list[str]:
    """The start of a command line for containerd's own client."""
    daemons = store.path(place, "daemons", downloads.make_daemons_key(versions.load()))
    return [str(daemons / "usr" / "bin" / "ctr"), "-a", str(place.socket), "-n", NAMESPACE]


def present(place: layout.Layout) -> set[str]:
    """The names of the images that the node has. Raises `ClusterError` when containerd does not answer."""
    done = subprocess.run([*ctr(place), "images", "ls", "-q"], capture_output=True, text=True, check=False)
    if done.returncode:
        log = place.log / "containerd.log"
        raise errors.ClusterError("list images", done.stderr.strip(), "start the cluster: `serin local up`", log)
    return set(done.stdout.split())


def ensure_imported(place: layout.Layout, archives: dict[str, pathlib.Path]) -> None:
    """Import the archives (name to file) whose image the node does not have, several at once."""
    there = present(place)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(_import, place, name, file) for name, file in archives.items() if name not in there]
        for job in jobs:
            job.result()


def _import(place: layout.Layout, name: str, archive: pathlib.Path) -> None:
    argv = [*ctr(place), "images", "import", str(archive)]
    store.execute(place, f"load {name}".replace("/", "_"), argv, layers.ADVICE)


def base(progress: Progress | None = None, place: layout.Layout | None = None) -> str:
    """Ensure that the Python base image is in buildah's store, and return its name.

    A base of the same name that somebody else put there (a pulled one) is left as it is: it serves as well.
    Raises `ClusterError` when mmdebstrap or buildah fails.
    """
    place, pins, shown = place or layout.default(), versions.load(), progress or Progress()
    key = make_base_key(pins)
    label = _buildah_label(plan.BASE_IMAGE)
    if label is not None and label in {"", key}:
        return plan.BASE_IMAGE
    folder = store.ensure(place, "base", key, lambda draft: _bootstrap(place, pins, draft, shown))
    with shown.step(f"commit {plan.BASE_IMAGE}"):
        _commit_base(place, folder / "base.tar", key)
    return plan.BASE_IMAGE


def make_base_key(pins: versions.Versions) -> str:
    """The hash of what decides what is in the base image."""
    return store.make_key(pins.suite, BASE_ENVIRONMENT, *_mmdebstrap(pins, "base.tar"))


def _mmdebstrap(pins: versions.Versions, target: str) -> list[str]:
    unneeded = ("usr/share/man", "usr/share/doc", "usr/share/locale", "usr/share/info")
    # The names that the official image of this name has; and pip may install, as it may there.
    names = 'for n in python python3 python3.11; do ln -s /usr/bin/python3.11 "$1/usr/local/bin/$n"; done'
    pip = 'ln -s /usr/bin/pip3 "$1/usr/local/bin/pip"; rm -f "$1"/usr/lib/python3.11/EXTERNALLY-MANAGED'
    lean = 'rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin "$1"/var/log/*'
    return [
        "mmdebstrap",
        "--variant=minbase",
        "--mode=root",
        *(f"--dpkgopt=path-exclude=/{folder}/*" for folder in unneeded),
        '--aptopt=APT::Install-Recommends "false"',
        f"--include={','.join(pins.python)}",
        *(f"--customize-hook={hook}" for hook in (names, pip, lean)),
        pins.suite,
        target,
    ]


def _bootstrap(place: layout.Layout, pins: versions.Versions, draft: pathlib.Path, progress: Progress) -> None:
    with progress.step("bootstrap the Python base image"):
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "0", "TMPDIR": str(place.work)}
        argv = _mmdebstrap(pins, str(draft / "base.tar"))
        store.execute(place, "base image", argv, downloads.APT_ADVICE, env=environment)


def _buildah_label(image: str) -> str | None:
    """The label that names the key of our base image: None without such an image, empty when it is not ours."""
    argv = ["buildah", "inspect", "--type", "image", image]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    labels = json.loads(done.stdout)["OCIv1"]["config"].get("Labels") or {}
    return str(labels.get(BASE_KEY_LABEL, ""))


def _commit_base(place: layout.Layout, archive: pathlib.Path, key: str) -> None:
    argv = ["buildah", "from", "--pull-never", "scratch"]
    made = subprocess.run(argv, capture_output=True, text=True, check=False)
    if made.returncode:
        raise errors.ClusterError("base image", f"`buildah from scratch`: {made.stderr.strip()}", BUILDAH_ADVICE)
    container = made.stdout.strip()

    def buildah(*words: str) -> None:
        store.execute(place, "base image", ["buildah", *words], BUILDAH_ADVICE)

    try:
        buildah("add", "-q", container, str(archive), "/")
        buildah("config", "--env", BASE_ENVIRONMENT, "--env", "LANG=C.UTF-8", "--cmd", "python3", container)
        buildah("config", "--label", f"{BASE_KEY_LABEL}={key}", container)
        buildah("commit", "-q", "--timestamp", "0", container, plan.BASE_IMAGE)
    finally:
        buildah("rm", container)


def load(image: str, place: layout.Layout | None = None) -> str:
    """Load an image of buildah's store into the node, and return the name by which pods find it.

    A name without a registry (`momentum:1.0.0`, in buildah `localhost/momentum:1.0.0`) is known to pods as
    `docker.io/library/momentum:1.0.0` too, which is what the kubelet makes of the short name.
    Raises `ClusterError` when there is no such image or the cluster is down.
    """
    place = place or layout.default()
    reference, identity = _inspect(image)
    names = pod_names(reference)
    known = json.loads(place.loaded.read_text()) if place.loaded.exists() else {}
    there = present(place)
    if all(known.get(name) == identity and name in there for name in names):
        return names[0]
    _transfer(place, reference, names)
    place.loaded.write_text(json.dumps({**known, **dict.fromkeys(names, identity)}, indent=1))
    return names[0]


def _transfer(place: layout.Layout, reference: str, names: list[str]) -> None:
    """Bring an image over under all of its names, reading and sending only the blobs that the node does not have."""
    with tempfile.TemporaryDirectory(dir=place.home, prefix="load-") as name:
        exported, archive = pathlib.Path(name) / "image", pathlib.Path(name) / "image.tar"
        done = subprocess.run([*ctr(place), "content", "ls", "-q"], capture_output=True, text=True, check=False)
        there = set(done.stdout.split())
        layers.export(place, reference, exported, there)
        oci.write_partial_archive(exported, names, there, archive)
        _import(place, reference, archive)


def pod_names(reference: str) -> list[str]:
    """The names that pods may use for an image of buildah's: its own, and the long form of its short name."""
    prefix = "localhost/"
    if not reference.startswith(prefix):
        return [reference]
    short = reference.removeprefix(prefix)
    return [reference, f"docker.io/{short}" if "/" in short else f"docker.io/library/{short}"]


def _inspect(image: str) -> tuple[str, str]:
    argv = ["buildah", "images", "--json", image]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    rows = json.loads(done.stdout) if done.returncode == 0 and done.stdout.strip() else []
    if not rows:
        problem = f"buildah has no image {image!r}: {done.stderr.strip()}"
        raise errors.ClusterError("load image", problem, "build it first (`serin build`, `buildah bud -t NAME:TAG`)")
    names = rows[0].get("names") or [image]
    return next((name for name in names if name.endswith(image)), names[0]), rows[0]["id"]
