"""`python -m serin_services.server`."""

from serin_services.server import main

main.serve()
