"""The processes of the cluster as data: what each is called with, when it counts as ready, what must be ready before.

Nothing here starts anything; `processes` does, in the order that `after` gives.
"""

from __future__ import annotations

import dataclasses
import pathlib

from . import plan
from .layout import Layout

NAMES = frozenset(
    {"etcd", "containerd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"}
)
"""The components that a whole cluster has."""


@dataclasses.dataclass(frozen=True)
class Binaries:
    """Folders that hold the programs: built ones, Debian's daemons and the CNI plugins."""

    kube: pathlib.Path
    daemons: pathlib.Path
    cni: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Check:
    """How a component shows that it is ready: a URL that answers 200, a socket that accepts, or nothing to wait for."""

    url: str = ""
    socket: pathlib.Path | None = None


@dataclasses.dataclass(frozen=True)
class Component:
    """One process of the cluster."""

    name: str
    argv: tuple[str, ...]
    ready: Check = Check()
    after: tuple[str, ...] = ()


def _flags(**flags: str | int | pathlib.Path | bool) -> tuple[str, ...]:
    """`_flags(bind_address="x")` is `--bind-address=x`; booleans as Go spells them."""
    words = {k.replace("_", "-"): str(v).lower() if isinstance(v, bool) else str(v) for k, v in flags.items()}
    return tuple(f"--{name}={value}" for name, value in words.items())


def make_components(layout: Layout, binaries: Binaries) -> tuple[Component, ...]:
    """Every process of the cluster, each after those it needs."""
    return (
        _etcd(layout, binaries),
        _containerd(layout, binaries),
        _apiserver(layout, binaries),
        _controller_manager(layout, binaries),
        _scheduler(layout, binaries),
        _kubelet(layout, binaries),
        _proxy(layout, binaries),
    )


def _etcd(layout: Layout, binaries: Binaries) -> Component:
    flags = _flags(
        data_dir=layout.cluster / "etcd",
        listen_client_urls="http://127.0.0.1:2379",
        advertise_client_urls="http://127.0.0.1:2379",
        listen_peer_urls="http://127.0.0.1:2380",
        heartbeat_interval=20,  # one member has nobody to hear from, and elects itself after the election timeout
        election_timeout=200,
        unsafe_no_fsync=True,  # a cluster to try things on: a power cut may cost its state, never its speed
    )
    argv = (str(binaries.daemons / "etcd"), *flags)
    return Component("etcd", argv, Check(url="http://127.0.0.1:2379/health"))


def _containerd(layout: Layout, binaries: Binaries) -> Component:
    argv = (str(binaries.daemons / "containerd"), "-c", str(layout.run / "containerd.toml"))
    return Component("containerd", argv, Check(socket=layout.socket))


def _apiserver(layout: Layout, binaries: Binaries) -> Component:
    pki = layout.pki
    flags = _flags(
        etcd_servers="http://127.0.0.1:2379",
        bind_address="0.0.0.0",  # noqa: S104 - pods reach it at the node's address, and every call needs a certificate
        advertise_address=plan.NODE_ADDRESS,
        secure_port=6443,
        client_ca_file=pki / "ca.crt",
        tls_cert_file=pki / "apiserver.crt",
        tls_private_key_file=pki / "apiserver.key",
        service_account_key_file=pki / "sa.pub",
        service_account_signing_key_file=pki / "sa.key",
        service_account_issuer="https://kubernetes.default.svc",
        service_cluster_ip_range=plan.SERVICE_RANGE,
        authorization_mode="Node,RBAC",
        allow_privileged=True,
        # The node's name is in nobody's DNS, and `kubectl logs` asks the kubelet.
        kubelet_preferred_address_types="InternalIP",
        kubelet_client_certificate=pki / "admin.crt",
        kubelet_client_key=pki / "admin.key",
    )
    argv = (str(binaries.kube / "kube-apiserver"), *flags)
    return Component("kube-apiserver", argv, Check(url=f"{plan.API_SERVER}/readyz"), ("etcd",))


def _controller_manager(layout: Layout, binaries: Binaries) -> Component:
    pki = layout.pki
    flags = _flags(
        kubeconfig=layout.run / "controller-manager.conf",
        service_account_private_key_file=pki / "sa.key",
        root_ca_file=pki / "ca.crt",
        cluster_signing_cert_file=pki / "ca.crt",
        cluster_signing_key_file=pki / "ca.key",
        use_service_account_credentials=True,
        leader_elect=False,
        kube_api_qps=200,
        kube_api_burst=400,
    )
    argv = (str(binaries.kube / "kube-controller-manager"), *flags)
    ready = Check(url="https://127.0.0.1:10257/healthz")
    return Component("kube-controller-manager", argv, ready, ("kube-apiserver",))


def _scheduler(layout: Layout, binaries: Binaries) -> Component:
    kubeconfig = layout.run / "scheduler.conf"
    flags = _flags(kubeconfig=kubeconfig, leader_elect=False, kube_api_qps=200, kube_api_burst=400)
    argv = (str(binaries.kube / "kube-scheduler"), *flags)
    return Component("kube-scheduler", argv, Check(url="https://127.0.0.1:10259/healthz"), ("kube-apiserver",))


def _kubelet(layout: Layout, binaries: Binaries) -> Component:
    flags = _flags(
        config=layout.run / "kubelet.yaml",
        kubeconfig=layout.run / "node.conf",
        hostname_override=plan.NODE,
        node_ip=plan.NODE_ADDRESS,
        root_dir=layout.cluster / "kubelet",
    )
    argv = (str(binaries.kube / "kubelet"), *flags)
    # It exits when containerd's socket is not there yet.
    after = ("kube-apiserver", "containerd")
    return Component("kubelet", argv, Check(url="http://127.0.0.1:10248/healthz"), after)


def _proxy(layout: Layout, binaries: Binaries) -> Component:
    flags = _flags(
        kubeconfig=layout.run / "proxy.conf",
        proxy_mode="iptables",
        hostname_override=plan.NODE,
        cluster_cidr=plan.POD_RANGE,
        conntrack_max_per_core=0,
        iptables_min_sync_period="100ms",  # a changed endpoint is in the rules a tenth of a second later
    )
    argv = (str(binaries.kube / "kube-proxy"), *flags)
    return Component("kube-proxy", argv, Check(url="http://127.0.0.1:10256/livez"), ("kube-apiserver",))
