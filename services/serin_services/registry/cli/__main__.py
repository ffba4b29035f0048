"""Runs `python -m serin_services.registry.cli`, where there is no command `serin`: in the registry's own image."""

from serin_services.registry.cli.main import app

if __name__ == "__main__":
    app(prog_name="serin registry")
