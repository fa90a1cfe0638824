# SPDX-License-Identifier: Apache-2.0
"""Acknowledged is durable: kill -9 at random moments while remote writes come
in, and while blocks are made, merged and dropped and the log is cut, because
the data's time runs fast and blocks are short."""
import os
import random
import threading
import time
import urllib.error

from harness import *
from remote_body import *

KILLS = int(os.environ.get("SONDE_TEST_KILLS", "200"))
SERIES = 40
STEP_MS = 5000
FLAGS = ["--web.enable-remote-write-receiver",
         "--storage.tsdb.min-block-duration=1m",
         "--storage.tsdb.retention.time=10d",
         "--storage.tsdb.wal-segment-size=10MB"]


def value(i, t):
    """What series `i` says at a time; not compressible away."""
    return float((t // STEP_MS * 2654435761 + i * 40503) % 1000003)


class Writer(threading.Thread):
    """Posts one step after the other until the server is gone; remembers what
    was acknowledged."""

    def __init__(self, url, start, worker, acked):
        super().__init__(daemon=True)
        self.url, self.t, self.worker, self.acked = url, start, worker, acked
        self.refused = None

    def run(self):
        while True:
            t = self.t
            series = [({"__name__": "load", "w": str(self.worker),
                        "i": str(i), "era": str(t // 3600000)},
                       [Sample(t, value(i, t))]) for i in range(SERIES)]
            try:
                status, text, _ = post(self.url, body_v1(series))
            except (OSError, urllib.error.URLError):
                return
            if status // 100 != 2:
                self.refused = f"{status} {text}"
                return
            self.acked.append(t)
            self.t = t + STEP_MS


def check(dump, acked, workers):
    """Every acknowledged sample once and right, and nothing made up."""
    have = {}
    for labels, samples in dump.items():
        d = dict(labels)
        if d.get("__name__") != "load":
            continue
        at = have.setdefault((int(d["w"]), int(d["i"])), {})
        for t, v in samples:
            need(t not in at, f"{d} has {t} twice")
            need(float(v) == value(int(d["i"]), t), f"{d} at {t}: {v}")
            at[t] = True
    missing = [(w, i, t) for w in range(workers) for t in acked[w]
               for i in range(SERIES) if t not in have[(w, i)]]
    equal(missing[:10], [], f"{len(missing)} lost")
    return sum(len(a) for a in acked) * SERIES


def test_kills(case):
    """random kills during writes and compaction lose nothing acknowledged"""
    rng = random.Random(20261121)
    workers = 2
    start = int(time.time() * 1000) - 30 * 86400000
    start -= start % STEP_MS
    acked = [[] for _ in range(workers)]
    blocks = set()
    for _ in range(KILLS):
        s = case.sonde("scrape_configs: []\n", *FLAGS)
        # Together in time, or one would be too late for the other.
        t = max([start] + [a[-1] + 2 * STEP_MS for a in acked if a])
        writers = [Writer(s.url, t, w, acked[w]) for w in range(workers)]
        for w in writers:
            w.start()
        time.sleep(rng.random() * 0.5)
        s.kill()
        for w in writers:
            w.join(PATIENCE)
            need(not w.refused, f"refused: {w.refused}")
        case.processes.remove(s)
        blocks |= {n for n in os.listdir(s.data) if len(n) == 26}
    need(len(blocks) >= KILLS // 20, f"only {len(blocks)} blocks were made")
    s = case.sonde("scrape_configs: []\n", *FLAGS)
    s.stop()
    total = check(promtool_dump(case.copy(s.data, "copy")), acked, workers)
    print(f"# {total} samples acknowledged, {len(blocks)} blocks seen")
    need(total > KILLS * SERIES, f"only {total} samples")


run(globals())
