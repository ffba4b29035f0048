"""Addresses, names and ports of the local cluster, in one place because every component repeats some of them."""

from __future__ import annotations

NODE = "local"
NODE_ADDRESS = "10.250.0.1"
NODE_BRIDGE = "serin0"
POD_BRIDGE = "serin-pods"
POD_NETWORK = "serin"
POD_RANGE = "10.244.0.0/24"
SERVICE_RANGE = "10.96.0.0/16"
KUBERNETES_ADDRESS = "10.96.0.1"
DNS_ADDRESS = "10.96.0.10"
DNS_DOMAIN = "cluster.local"
CGROUP = "serin-local"
API_SERVER = "https://127.0.0.1:6443"

GATEWAY_NAMESPACE = "serin-gateway"
GATEWAY_NAME = "public"
GATEWAY_CLASS = "eg"
ENVOY_NAMESPACE = "envoy-gateway-system"
MONITORING_NAMESPACE = "monitoring"

PORTS = {
    2379: "etcd",
    2380: "etcd (peers)",
    6443: "kube-apiserver",
    10248: "kubelet (health)",
    10249: "kube-proxy (metrics)",
    10250: "kubelet",
    10256: "kube-proxy (health)",
    10257: "kube-controller-manager",
    10259: "kube-scheduler",
}
"""Ports that the components listen on, on the machine itself."""

BASE_IMAGE = "docker.io/library/python:3.11-slim"
"""The base that `serin build` and the operator's image start from; made here because no registry is asked."""
