"""The operator as the tests handle it: its pod and process, its log, its sudden end."""

import os
import signal
from pathlib import Path
from typing import Any

from serin_demo import install
from support import world as worlds

SELECTOR = "app.kubernetes.io/name=serin,app.kubernetes.io/component=operator"


class Operator:
    """The installed operator; its node is this machine, so its process is one of this machine's."""

    def __init__(self, world: "worlds.World") -> None:
        self._world = world

    def pods(self) -> list[dict[str, Any]]:
        """List the operator's pods that are not on their way out."""
        found = self._world.find("Pod", install.NAMESPACE, SELECTOR)
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def wait_ready(self, seconds: float = 60) -> dict[str, Any]:
        """Wait until the operator's one pod is ready."""
        found = self._world.wait("the operator's pod to be ready", self.pods, _is_one_ready, seconds)
        return dict(found[0])

    def process(self, pod: dict[str, Any]) -> int | None:
        """Find the process of the operator in this pod, by the pod's control group; None while there is none."""
        uid = pod["metadata"]["uid"]
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and _is_operator(entry, uid):
                return int(entry.name)
        return None

    def kill(self) -> None:
        """Kill the operator as a node's failure does: no signal that it could answer, and a new pod elsewhere.

        It is frozen at once and does nothing from that moment on; then its pod's object is deleted, and the kubelet sends
        SIGKILL. Killed before the kubelet knows of the deletion, it would be started a second time beside the new pod,
        which no node does that has failed.
        """
        pod = self.wait_ready()
        process = self._world.wait("the operator's process", lambda: self.process(pod), bool, 10)
        os.kill(process, signal.SIGSTOP)
        self._world.delete("Pod", install.NAMESPACE, pod["metadata"]["name"], grace=0)
        self._world.wait("the operator's end", lambda: self.process(pod), lambda found: found is None, 30)

    def logs(self) -> str:
        """Read the log of the pod that runs now."""
        return self._world.kubectl("-n", install.NAMESPACE, "logs", f"deploy/{install.RELEASE}", "--tail=-1")


def _is_one_ready(pods: list[dict[str, Any]]) -> bool:
    return len(pods) == 1 and any(
        c["type"] == "Ready" and c["status"] == "True" for c in pods[0].get("status", {}).get("conditions", [])
    )


def _is_operator(process: Path, uid: str) -> bool:
    try:
        command = (process / "cmdline").read_bytes()
        return b"serin.main" in command and uid in (process / "cgroup").read_text().replace("_", "-")
    except OSError:  # it ended while it was looked at
        return False
