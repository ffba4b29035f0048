"""The BentoML service: what `bentoml serve`, `bentoml build` and BentoML's own clients see of the server.

`python -m serin_services.server` runs the same service inside its one process, with the hot path in front of it.
"""

import asyncio
import dataclasses
import os
from pathlib import Path
from typing import Any

import bentoml
import bentoml.exceptions
import msgspec

from serin_services.package import errors
from serin_services.server import listeners, runtime, schema, settings
from serin_services.server.http import asgi, native, site

# The runtime of this process: given by whoever runs the service inside their own process, else loaded by the service.
shared: list[runtime.Runtime] = []


def find_package(options: settings.Settings) -> settings.Settings:
    """Take the working folder as the package where it is one: BentoML starts a Bento inside its own folder."""
    if "SERIN_PACKAGE" not in os.environ and Path("manifest.json").exists():
        return dataclasses.replace(options, package=Path.cwd())
    return options


@bentoml.service(
    name="serin-model-server",
    workers=1,
    # A finished request stays in memory for this long: BentoML never takes its timer back.
    traffic={"timeout": 10},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
class ModelServer:
    """Predicts with the model version in the package folder."""

    def __init__(self) -> None:
        self._options = find_package(settings.read())
        self._hosted = bool(shared)
        if not self._hosted:
            shared.append(runtime.load(self._options))
        self._runtime = shared[0]
        self._listeners: listeners.Listeners | None = None
        if self._runtime.model is None:
            raise errors.PackageError(self._runtime.state.reason, self._runtime.state.message)
        self._model = self._runtime.model
        self._read = native.make_reader(self._model)
        self._predict = native.Predict(self._model)

    @bentoml.on_startup  # type: ignore[untyped-decorator] # bentoml is not followed
    async def listen(self) -> None:
        """Start gRPC and metrics, unless the process that hosts the service has done so."""
        if self._hosted:
            return
        self._listeners = await listeners.start(self._options, self._runtime.state, self._model)
        self._runtime.state.serve()
        self._listeners.grpc.tell(ready=True)

    @bentoml.on_shutdown  # type: ignore[untyped-decorator] # bentoml is not followed
    async def leave(self) -> None:
        """Stop what `listen` started."""
        self._runtime.state.drain()
        if self._listeners:
            await self._listeners.stop(self._options.drain_seconds)
        if self._model.watch is not None and not self._hosted:
            await asyncio.to_thread(self._model.watch.close, max(1.0, self._options.drain_seconds))

    @bentoml.api(route="/predict")  # type: ignore[untyped-decorator] # bentoml is not followed
    async def predict(self, rows: list[Any]) -> dict[str, Any]:
        """Predict rows, each an object by feature name or a list in the model's order."""
        try:
            inputs = self._read(msgspec.json.encode({"rows": rows}))
        except schema.Refusal as refusal:
            raise bentoml.exceptions.InvalidArgument(str(refusal)) from refusal
        response = self._predict.write(await self._model.predict(inputs), b"")
        answer: dict[str, Any] = msgspec.json.decode(response.body)
        return answer


class HotPath:
    """Answers predictions and probes before BentoML's own application does, in a server that BentoML runs."""

    def __init__(self, app: asgi.Application) -> None:
        self._behind = app
        self._front: asgi.Front | None = None

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """Answer from the front once the service has started."""
        if self._front is None and shared:
            options = settings.read()
            application = site.make_application(options, shared[0].state, shared[0].model)
            self._front = asgi.Front(application, self._behind, options.max_body_bytes)
        await (self._front or self._behind)(scope, receive, send)


# What the decorator has made of the class.
service: Any = ModelServer
service.add_asgi_middleware(HotPath)
