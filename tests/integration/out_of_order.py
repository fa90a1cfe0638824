# SPDX-License-Identifier: Apache-2.0
"""Late samples: the same stream to the store and to real Prometheus, old and
new, and each one's directory opened by the other."""
import random
import signal
import time

from harness import config, equal, newest, run, series_key
import remote_body
from remote_body import Sample

WINDOW = "storage:\n  tsdb:\n    out_of_order_time_window: 3h\n"
MINUTE = 60 * 1000
SERIES = 20


class Stream:
    """Batches of (series, time, value); every fourth sample is late, some are
    too late, some are there already."""

    def __init__(self, seed, newest):
        r = random.Random(seed)
        self.batches = []
        self.want = {}  # (series, time): value
        last = {}
        at = newest - 30 * MINUTE
        top = at
        for n in range(400):
            batch = []
            for _ in range(r.randrange(1, 30)):
                s = r.randrange(SERIES)
                t = top + r.randrange(4500)
                if r.random() < 0.4:
                    t = top - r.randrange(1, 170 * MINUTE)
                v = float(r.randrange(1000))
                if (s, t) in self.want:
                    continue
                self.want[s, t] = v
                last[s] = max(last.get(s, 0), t)
                batch.append((s, t, v))
            # Remote write: a series' samples ascend within a request.
            batch.sort(key=lambda x: (x[0], x[1]))
            top = max([top] + [t for _, t, _ in batch])
            self.batches.append(batch)
        self.top = top

    def send(self, url, batches=None):
        for batch in self.batches if batches is None else batches:
            series = {}
            for s, t, v in batch:
                series.setdefault(s, []).append(Sample(t, v))
            remote_body.write(url, [
                ({"__name__": "late", "n": str(s)}, samples)
                for s, samples in sorted(series.items())])

    def dump(self):
        out = {}
        for (s, t), v in sorted(self.want.items()):
            key = series_key({"__name__": "late", "n": str(s)})
            out.setdefault(key, []).append((t, v))
        return out


def check_by_query(server, stream, each=7):
    """Some of the samples, found by instant queries at their times."""
    by_time = {}
    for (s, t), v in stream.want.items():
        by_time.setdefault(t, {})[s] = v
    for t in sorted(by_time)[::each]:
        got = {dict(k).get("n"): float(v) for k, (_, v) in
               server.query("late", at=t / 1000).items()}
        for s, v in by_time[t].items():
            equal(got.get(str(s)), v, f"series {s} at {t}")


def prometheus(case, binary, **kw):
    return case.prometheus("global: {}\n" + WINDOW,
                           "--web.enable-remote-write-receiver",
                           binary=binary, **kw)


def now():
    return int(time.time() * 1000)


def theirs_to_ours(case, binary, sig):
    stream = Stream(1, now())
    p = prometheus(case, binary)
    stream.send(p.url)
    p.kill(sig)
    s = case.sonde(config(), data=case.copy(p.data, "copy"))
    check_by_query(s, stream)
    equal(s.metric("sonde_storage_corruptions_total"), 0.0, "damage")


def test_old_closed(case):
    """a directory of Prometheus 2.42, closed"""
    theirs_to_ours(case, None, signal.SIGTERM)


def test_old_killed(case):
    """a directory of Prometheus 2.42, killed"""
    theirs_to_ours(case, None, signal.SIGKILL)


def test_new_closed(case):
    """a directory of Debian sid's Prometheus, closed"""
    theirs_to_ours(case, newest("prometheus"), signal.SIGTERM)


def test_new_killed(case):
    """a directory of Debian sid's Prometheus, killed"""
    theirs_to_ours(case, newest("prometheus"), signal.SIGKILL)


run(globals())
