"""Plays the acts, one after the other, while clients replay rows: deploys, waits for the ending, shows what goes on."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from serin_demo import api, story, summary, traffic, view, watch

_FRAME_SECONDS = 0.25
_RECENT_SECONDS = 5.0
# After an ending the traffic goes on for so long: requests that were lost at the last moment must still be seen.
_CURTAIN_SECONDS = 4.0


@dataclass(frozen=True)
class Stage:
    """Everything that set-up made and the acts need."""

    cluster: api.Api
    prometheus: watch.Prometheus
    deploy: Callable[[story.Act], None]
    """Has an act's version rolled out."""
    tempo: story.Tempo


class Screen(Protocol):
    """Where the scenes are shown."""

    def show(self, scene: view.Scene) -> None:
        """Show this scene instead of the last."""
        ...


class Play:
    """One performance. `run` may be called once."""

    def __init__(self, stage: Stage, replay: traffic.BackgroundReplay, screen: Screen) -> None:
        self._stage = stage
        self._replay = replay
        self._screen = screen
        self._watcher = watch.Watcher(stage.cluster, stage.prometheus)
        self._began = time.time()
        self._deployed: list[str] = []

    def run(self, acts: Sequence[story.Act] = story.ACTS) -> tuple[list[summary.Played], summary.Watched]:
        """Play until the last act or the first that ends wrongly; traffic starts once the first version serves."""
        played: list[summary.Played] = []
        self._watcher.start()
        try:
            for number, act in enumerate(acts, start=1):
                played.append(self._play_act(number, act))
                if played[-1].ending is not act.ending:
                    break
        finally:
            self._watcher.stop()
            self._replay.stop()
        return played, summary.Watched(self._watcher.moments, list(self._watcher.alerts.values()))

    def _play_act(self, number: int, act: story.Act) -> summary.Played:
        began = time.time()
        self._stage.deploy(act)
        self._deployed.append(act.version)
        ending = self._wait_for_ending(number, act, began + self._stage.tempo.act_deadline)
        ended = time.time()
        if ending is not None and number == 1:
            self._replay.start()
        self._show_until(number, act, ended + _CURTAIN_SECONDS)
        failure = self._watcher.sight.rollout.failure
        cause = f"{failure.reason}: {failure.message}" if failure and ending is story.Ending.ROLLED_BACK else ""
        return summary.Played(act, began, ended, ending, cause)

    def _wait_for_ending(self, number: int, act: story.Act, deadline: float) -> story.Ending | None:
        while time.time() < deadline:
            self._screen.show(self._make_scene(number, act))
            ending = story.has_ended(act, self._watcher.sight.rollout)
            if ending is not None:
                return ending
            if number > 1 and not self._replay.running:
                return None
            time.sleep(_FRAME_SECONDS)
        return None

    def _show_until(self, number: int, act: story.Act, end: float) -> None:
        while time.time() < end:
            self._screen.show(self._make_scene(number, act))
            time.sleep(_FRAME_SECONDS)

    def _make_scene(self, number: int, act: story.Act) -> view.Scene:
        book = self._replay.ledger
        now = time.time()
        return view.Scene(
            act=act,
            number=number,
            seconds=now - self._began,
            sight=self._watcher.sight,
            recent=book.window(_RECENT_SECONDS, now),
            recent_seconds=_RECENT_SECONDS,
            lost=len(book.lost(story.BAD_VERSIONS)),
            versions=tuple(self._deployed),
        )
