"""The configuration files of the node's components, as text made from the layout and the plan."""

from __future__ import annotations

import base64
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import yaml

from . import plan
from .components import Binaries
from .layout import Layout

KUBECONFIGS: Mapping[str, str] = {
    "node": "node",
    "controller-manager": "controller-manager",
    "scheduler": "scheduler",
    "proxy": "proxy",
}
"""Kubeconfig file of each component, and the certificate that it carries."""


def make_containerd(layout: Layout, binaries: Binaries, pause_image: str) -> str:
    """Containerd's configuration. Network namespaces stand below our own folder, so that `down` finds them all."""
    return f"""version = 2
root = "{layout.containerd}"
state = "{layout.run}/containerd"
[grpc]
  address = "{layout.socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause_image}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  max_concurrent_downloads = 1
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{binaries.cni}"
    conf_dir = "{layout.run}/cni"
"""


def make_cni(layout: Layout) -> str:
    """One bridge for all pods; addresses are handed out from files below our own folder."""
    bridge = {
        "type": "bridge",
        "bridge": plan.POD_BRIDGE,
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(layout.run / "addresses"),
            "ranges": [[{"subnet": plan.POD_RANGE}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    return json.dumps({"cniVersion": "0.4.0", "name": plan.POD_NETWORK, "plugins": [bridge]}, indent=1)


def make_kubelet(layout: Layout, resolv_conf: pathlib.Path) -> str:
    """The kubelet's configuration, tuned so that pods start fast and nobody else's full disk evicts them."""
    config: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "x509": {"clientCAFile": str(layout.pki / "ca.crt")},
            "webhook": {"enabled": True},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        # Below a group of our own, so that `down` knows whose processes those are.
        "cgroupRoot": f"/{plan.CGROUP}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [plan.DNS_ADDRESS],
        "clusterDomain": plan.DNS_DOMAIN,
        "resolvConf": str(resolv_conf),
        "containerRuntimeEndpoint": f"unix://{layout.socket}",
        "tlsCertFile": str(layout.pki / "node.crt"),
        "tlsPrivateKeyFile": str(layout.pki / "node.key"),
        "podLogsDir": str(layout.cluster / "pod-logs"),
        "staticPodPath": "",
        "enforceNodeAllocatable": [],
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        # No registry can give an image back that was removed to make room.
        "imageGCHighThresholdPercent": 100,
        "imageMaximumGCAge": "0s",
        "serializeImagePulls": False,
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
        "eventRecordQPS": 0,
        "makeIPTablesUtilChains": False,
        # Mounted ConfigMaps and Secrets follow their objects at the next sync: how fast a new alert rule is in force.
        "syncFrequency": "2s",
        "maxPods": 200,
    }
    return yaml.safe_dump(config)


def make_kubeconfig(pki: pathlib.Path, certificate: str) -> str:
    """A kubeconfig that carries its certificates, so that it can be copied on its own."""

    def embedded(name: str) -> str:
        return base64.b64encode((pki / name).read_bytes()).decode()

    cluster = {"server": plan.API_SERVER, "certificate-authority-data": embedded("ca.crt")}
    user = {
        "client-certificate-data": embedded(f"{certificate}.crt"),
        "client-key-data": embedded(f"{certificate}.key"),
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "serin-local", "cluster": cluster}],
        "users": [{"name": certificate, "user": user}],
        "contexts": [{"name": "serin-local", "context": {"cluster": "serin-local", "user": certificate}}],
        "current-context": "serin-local",
    }
    return yaml.safe_dump(config)


def choose_resolv_conf(resolv_conf: str, systemd_exists: bool) -> pathlib.Path:
    """The resolver file that pods can use: systemd's list where the usual file names only a stub on the loopback."""
    servers = [
        words[1] for line in resolv_conf.splitlines() if len(words := line.split()) > 1 and words[0] == "nameserver"
    ]
    if servers and all(server.startswith("127.") for server in servers) and systemd_exists:
        return pathlib.Path("/run/systemd/resolve/resolv.conf")
    return pathlib.Path("/etc/resolv.conf")
