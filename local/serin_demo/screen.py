"""Where scenes appear: a terminal that is redrawn, or a log that gets a line whenever there is something new."""

from typing import Self

from rich.console import Console
from rich.live import Live

from serin_demo import view

# A log of a phase that lasts shows that the demo is alive, no more.
_QUIET_SECONDS = 5.0


class LiveScreen:
    """Redraws one picture in place."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False)

    def show(self, scene: view.Scene) -> None:
        """Draw the scene over the last one."""
        self._live.update(view.make_picture(scene), refresh=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()


class LogScreen:
    """Writes a line when the rollout moves on, an alert comes or goes, and every few seconds besides."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: tuple[object, ...] = ()
        self._last_seconds = 0.0

    def show(self, scene: view.Scene) -> None:
        """Write the scene, if it is news."""
        alerts = tuple(view.name_firing(scene.sight.alerts))
        news = (scene.number, scene.sight.rollout.milestone, alerts, scene.lost)
        if scene.number != (self._last[0] if self._last else None):
            self._console.print(view.make_heading(scene), soft_wrap=True)
        if news == self._last and scene.seconds - self._last_seconds < _QUIET_SECONDS:
            return
        self._last, self._last_seconds = news, scene.seconds
        self._console.print(view.make_line(scene), soft_wrap=True, highlight=False, markup=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return None


def make_screen(console: Console) -> LiveScreen | LogScreen:
    """Choose by what the output is."""
    return LiveScreen(console) if console.is_terminal else LogScreen(console)
