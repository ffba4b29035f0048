"""`serin init`: a ModelDeployment to begin with."""

import re
from typing import Annotated

import typer

from serin.api import names
from serin.cli import checks, lint
from serin.cli.errors import CliError

_TEMPLATE = """\
apiVersion: {api_version}
kind: {kind}
metadata:
  name: {name}{namespace}
spec:
  model: {model}                        # the model's name, as in its package
  version: "{version}"                  # what should end up in production
  image: {image}
  replicas: 1                           # pods of each version
  route:
    gateway: {gateway}
    # pathPrefix: /{model}              # default: /<namespace>/<name>
  strategy:
    type: Canary
    canary:
      staging: {{duration: 24h}}          # mirrored traffic first; 0s leaves it out
      steps:                            # shares of the real traffic; the last is 100
      - {{weight: 10, duration: 48h}}
      - {{weight: 25, duration: 6h}}
      - {{weight: 50, duration: 6h}}
      - {{weight: 100}}
      bake: 24h                         # the old version stays warm this long
  analysis:
    minRequests: 100                    # fewer in a step prove nothing, and it waits
    criteria:
    - {{name: errorRate, max: "0.05"}}    # share of failed requests
    - {{name: latencyP95, max: 250ms}}
"""


def init(
    name: Annotated[str, typer.Argument(help="The ModelDeployment's name.", show_default=False)],
    image: Annotated[str, typer.Option(help="The version's image, best with its digest.")],
    version: Annotated[str, typer.Option(help="The version that should end up in production.")],
    model: Annotated[str | None, typer.Option(help="The model's name, as in its package; default: NAME.")] = None,
    gateway: Annotated[str, typer.Option(help="The Gateway, as NAME or NAMESPACE/NAME.")] = "public",
    namespace: Annotated[str | None, typer.Option("-n", "--namespace", help="Write this namespace into it.")] = None,
) -> None:
    """Print a ModelDeployment with comments, to begin with.

    \b
    Examples:
      serin init momentum --image registry.example/momentum:1.0.0 --version 1.0.0 --gateway infra/public > momentum.yaml
    """  # noqa: D301 - \b keeps the lines of the examples apart
    text = make_manifest(name, model or name, version, image, gateway, namespace)
    findings = list(lint.check_file(checks.Linter(), "this", text))
    if findings:
        first = findings[0]
        raise CliError(f"{first.path}: {first.problem}, got {first.got}", first.advice, 2)
    typer.echo(text, nl=False)


def make_manifest(name: str, model: str, version: str, image: str, gateway: str, namespace: str | None) -> str:
    """Write the manifest; the comments stand in one column whatever the names are."""
    where, _, gateway_name = gateway.rpartition("/")
    text = _TEMPLATE.format(
        api_version=names.API_VERSION,
        kind=names.KIND,
        name=name,
        namespace=f"\n  namespace: {namespace}" if namespace else "",
        model=model,
        version=version,
        image=image,
        gateway=f"{{name: {gateway_name}, namespace: {where}}}" if where else f"{{name: {gateway_name}}}",
    )
    return "".join(_align(line) + "\n" for line in text.splitlines())


def _align(line: str) -> str:
    found = re.match(r"^(?P<field>.*?\S) +(?P<comment># .*)$", line)
    return f"{found['field']:<39} {found['comment']}" if found else line
