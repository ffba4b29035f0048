"""The fault of version 1.2.0: started in place of the server by an image layer that only the demo builds.

It stands around the product's server, which has no switch for it: the model below is good, its artifact and manifest
pass every check, and still every fifth request fails, as after a bad dependency or a broken build.
"""

import itertools

from serin_services.package import families
from serin_services.server import main

EVERY = 5


class Faulty:
    """A predictor that raises instead of every fifth answer."""

    def __init__(self, predictor: families.Predictor) -> None:
        self._predictor = predictor
        self._numbers = itertools.count(1)

    def predict(self, *inputs: families.Array) -> tuple[families.Array, ...]:
        """Score a batch, or fail."""
        if next(self._numbers) % EVERY == 0:
            raise RuntimeError("the demo's fault: every fifth request fails")
        return self._predictor.predict(*inputs)


if __name__ == "__main__":
    main.serve(wrap=Faulty)
