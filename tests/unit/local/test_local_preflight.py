"""What stands in the way is found before anything starts, all of it in one run."""

import dataclasses
import os
import pathlib
import socket
from typing import Any

import pytest

from serin_local import errors, preflight

GOOD = preflight.Facts(
    system="Linux",
    machine="x86_64",
    user=0,
    apt=True,
    go="1.26.8",
    go_needed="1.26.7",
    cold=True,
    disk_free=50 * preflight.GIB,
    disk_at=pathlib.Path("/"),
    memory_available=8 * preflight.GIB,
    socket="/root/.cache/serin/cluster/run/containerd.sock",
)


def change(**fields: Any) -> preflight.Facts:
    return dataclasses.replace(GOOD, **fields)


def test_a_good_machine_passes() -> None:
    assert preflight.find(GOOD) == []
    preflight.require(GOOD)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        pytest.param(change(system="Darwin"), "Darwin", id="another system than Linux"),
        pytest.param(change(machine="aarch64"), "aarch64", id="an architecture without Envoy"),
        pytest.param(change(user=1000), "only root", id="not root"),
        pytest.param(change(apt=False), "apt-get", id="no apt when something must be fetched"),
        pytest.param(change(go=""), "no `go`", id="no go when something must be built"),
        pytest.param(change(go="1.26.6"), "1.26.6", id="go one patch too old"),
        pytest.param(change(go="1.9"), "1.9", id="go versions compare as numbers"),
        pytest.param(change(disk_free=11 * preflight.GIB), "11.0 GB are free", id="too little disk for building"),
        pytest.param(change(cold=False, disk_free=preflight.GIB), "1.0 GB", id="too little disk for running"),
        pytest.param(change(memory_available=preflight.GIB), "1.0 GB of memory", id="too little memory"),
        pytest.param(change(socket="/" + "x" * 107), "108 characters", id="a socket path that the kernel refuses"),
        pytest.param(
            change(listeners={6443: "k3s (process 7)"}),
            "6443 (for kube-apiserver) by k3s (process 7)",
            id="a port in use",
        ),
        pytest.param(change(foreign_bridges=("serin0",)), "another SERIN_HOME", id="another cluster is up"),
    ],
)
def test_finding(facts: preflight.Facts, words: str) -> None:
    findings = preflight.find(facts)

    assert len(findings) == 1
    assert words in findings[0].problem
    assert findings[0].advice


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(change(cold=False, go=""), id="no go when everything is built"),
        pytest.param(change(cold=False, apt=False), id="no apt when everything is fetched"),
        pytest.param(change(go="1.27"), id="a newer go"),
        pytest.param(change(cold=False, disk_free=3 * preflight.GIB), id="less disk when everything is built"),
    ],
)
def test_no_finding(facts: preflight.Facts) -> None:
    assert preflight.find(facts) == []


def test_all_findings_come_at_once() -> None:
    with pytest.raises(errors.ClusterError) as caught:
        preflight.require(change(user=1000, go="", disk_free=0))

    assert all(words in str(caught.value) for words in ("preflight", "only root", "no `go`", "0.0 GB are free"))


def test_listeners_of_the_kernel_table() -> None:
    row = "  0: 0100007F:094B 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  0  0 4711 1 0 100 0"

    assert preflight.parse_listeners([row.format(state="0A")]) == {"4711": 2379}
    assert preflight.parse_listeners([row.format(state="01")]) == {}


def test_a_listener_is_named_with_its_process() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]

        found = preflight.find_listeners({port}, ours=set())

        assert f"(process {os.getpid()})" in found[port]
        assert preflight.find_listeners({port}, ours={os.getpid()}) == {}


def test_a_listener_that_started_with_the_cluster_is_no_finding() -> None:
    assert preflight.find_listeners(set(), ours=set()) == {}
