"""The registry as Python: a method for each operation of its API, typed as its answers are.

from serin_services.registry.client import Client

with Client() as registry:
    for version in registry.versions("momentum"):
        print(version.version, version.stage)
"""

from serin_services.registry.client.administration import Administration
from serin_services.registry.client.learning import Learning
from serin_services.registry.client.outcomes import Outcomes
from serin_services.registry.client.rollouts import Rollouts
from serin_services.registry.client.sources import Sources


class Client(Sources, Rollouts, Outcomes, Learning, Administration):
    """One caller's connection to a registry; for each thread its own.

    Every method raises the kinds of `errors.py` with the registry's own sentences: NotFoundError, ConflictError and so on,
    and UnavailableError where it does not answer.
    """
