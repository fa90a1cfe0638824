# SPDX-License-Identifier: Apache-2.0
"""Three processes that make new series without end, so that their files grow
while they are read; ends by itself. argv: how many series each."""
import os
import sys

from prometheus_client import Counter, Histogram

made = Counter("made", "Series made.", ["n"])
seconds = Histogram("seconds", "Of each.", ["n"])
for _ in range(3):
    if os.fork() == 0:
        for n in range(int(sys.argv[1])):
            made.labels(n).inc()
            seconds.labels(n).observe(n / 1000)
        os._exit(0)
for _ in range(3):
    os.wait()
