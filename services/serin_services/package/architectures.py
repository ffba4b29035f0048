"""The networks that native PyTorch packages can hold: known by name and sizes, so that weights alone make a model.

Train one of these, save it with `save`, and package the file. Importing this module imports PyTorch.
"""

import itertools
import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import safetensors.torch
import torch

from serin_services.package import errors, manifest
from serin_services.package.families import torch as family

Size = Annotated[int, pydantic.Field(ge=1, le=65536)]


class Sizes(manifest.Strict):
    """An architecture by name, with the sizes that make a network of it.

    An MLP takes (batch, features); the others (batch, time, features) of any length. Each gives (batch, *outputs), such
    as (batch, horizon, quantiles).
    """

    kind: Literal["mlp", "lstm", "gru", "transformer"]
    features: Size
    hidden: Size = 64
    layers: Annotated[int, pydantic.Field(ge=1, le=256)] = 2
    heads: Annotated[int, pydantic.Field(ge=1, le=256)] = 4
    outputs: Annotated[tuple[Size, ...], pydantic.Field(min_length=1, max_length=4)] = (1,)


class Network(torch.nn.Module):  # type: ignore[misc] # torch is not followed
    """One of the architectures."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.body = BODIES[sizes.kind](sizes)
        self.head = torch.nn.Linear(sizes.hidden, math.prod(sizes.outputs))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Compute the output of a batch."""
        hidden = self.body(values)
        if isinstance(hidden, tuple):
            hidden = hidden[0]
        last = hidden if self.sizes.kind == "mlp" else hidden[:, -1]
        return self.head(last).unflatten(1, self.sizes.outputs)


def make_mlp(sizes: Sizes) -> torch.nn.Module:
    """Make layers with ReLU between them."""
    widths = [sizes.features, *[sizes.hidden] * sizes.layers]
    layers: list[torch.nn.Module] = []
    for before, after in itertools.pairwise(widths):
        layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers)


def make_transformer(sizes: Sizes) -> torch.nn.Module:
    """Make an encoder that sees each step's position by a sine, so that any length goes."""
    layer = torch.nn.TransformerEncoderLayer(sizes.hidden, sizes.heads, 4 * sizes.hidden, dropout=0, batch_first=True)
    encoder = torch.nn.TransformerEncoder(layer, sizes.layers, enable_nested_tensor=False)
    return torch.nn.Sequential(torch.nn.Linear(sizes.features, sizes.hidden), Positions(), encoder)


class Positions(torch.nn.Module):  # type: ignore[misc] # torch is not followed
    """Adds sines of each step's position (Vaswani et al. 2017, section 3.5)."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Add them."""
        steps, width = hidden.shape[1:]
        half = (width + 1) // 2
        rates = torch.exp(torch.arange(half) * (-math.log(10_000) / half))
        angles = torch.arange(steps)[:, None] * rates
        return hidden + torch.cat([angles.sin(), angles.cos()], dim=1)[:, :width]


BODIES = {
    "mlp": make_mlp,
    "lstm": lambda sizes: torch.nn.LSTM(sizes.features, sizes.hidden, sizes.layers, batch_first=True),
    "gru": lambda sizes: torch.nn.GRU(sizes.features, sizes.hidden, sizes.layers, batch_first=True),
    "transformer": make_transformer,
}


def make(kind: str, **sizes: Any) -> Network:  # noqa: ANN401 - whatever Sizes takes
    """Make a network to train."""
    return Network(Sizes.model_validate({"kind": kind, **sizes}))


def save(network: Network, path: Path) -> None:
    """Write weights and architecture into one safetensors file."""
    weights = {name: value.detach().contiguous() for name, value in network.state_dict().items()}
    described = network.sizes.model_dump_json()
    safetensors.torch.save_file(weights, path, {family.ARCHITECTURE: described})


def load(described: dict[str, Any], artifact: bytes) -> Network:
    """Put weights into the architecture that they are for.

    The network is made without memory for its weights, so that sizes made up in a header cost nothing.

    Raises:
        errors.PackageError: an unknown architecture, or weights of another.
    """
    try:
        with torch.device("meta"):
            network = Network(Sizes.model_validate(described))
    except pydantic.ValidationError as error:
        raise errors.PackageError(
            "UnknownArchitecture", f"{family.ARCHITECTURE}: {manifest.describe(error)}; known are {', '.join(BODIES)}"
        ) from error
    weights = safetensors.torch.load(artifact)
    expected = {name: list(value.shape) for name, value in network.state_dict().items()}
    given = {name: list(value.shape) for name, value in weights.items()}
    if expected != given:
        names = sorted(name for name in expected.keys() | given.keys() if expected.get(name) != given.get(name))
        raise errors.PackageError(
            "UnknownArchitecture",
            f"the weights are not of the architecture {json.dumps(described)}: {names[0]} has the shape "
            f"{given.get(names[0])}, expected {expected.get(names[0])} ({len(names)} such)",
        )
    network.load_state_dict(weights, assign=True)
    network.eval()
    return network
