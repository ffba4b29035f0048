"""How often the machine itself stands still: a loop that only looks at the clock sees gaps where it was kept from running.

    python stalls.py <seconds>

Prints the share of time that lies in gaps of more than a millisecond, and the longest gap in ms. What a request waits for
in such a gap no server can help, and no percentile beyond that share says anything about one.
"""

import json
import sys
import time

GAP_SECONDS = 0.001


def main(seconds: float) -> None:
    gaps = []
    last = began = time.perf_counter()
    while last - began < seconds:
        now = time.perf_counter()
        if now - last > GAP_SECONDS:
            gaps.append(now - last)
        last = now
    print(json.dumps({"share": sum(gaps) / seconds, "longest": max(gaps, default=0.0) * 1000}))


if __name__ == "__main__":
    main(float(sys.argv[1]))
