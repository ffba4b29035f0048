"""The HTTP/2 of gRPC against h2spec, which has a case for each demand of the RFCs."""

import asyncio

from support import h2spec

# What it asks for that is not so here, with the reason.
EXPECTED = {
    # It takes 16 KiB for the largest frame; the server's settings allow 1 MiB.
    "3: Sends a large size HEADERS frame that exceeds the SETTINGS_MAX_FRAME_SIZE",
}


def test_the_connection_follows_the_rfcs() -> None:
    said = asyncio.run(h2spec.run(h2spec.build()))

    assert " tests, " in said, said
    assert h2spec.failures(said) == EXPECTED, said
