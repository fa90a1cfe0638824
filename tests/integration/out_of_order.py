# SPDX-License-Identifier: Apache-2.0
"""Late samples: the same stream to the store and to real Prometheus, old and
new, and each one's directory opened by the other."""
import random
import signal
import time

from harness import config, equal, need, newest, run, series_key
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


def sonde(case, **kw):
    return case.sonde(config(rest=WINDOW), "--web.enable-remote-write-receiver",
                      **kw)


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


def ours_to_theirs(case, binary, sig):
    stream = Stream(2, now())
    s = sonde(case)
    stream.send(s.url)
    check_by_query(s, stream, each=31)
    s.kill(sig)
    p = prometheus(case, binary, data=case.copy(s.data, "copy"))
    check_by_query(Queries(p), stream)
    for line in ("corruption", "Corruption", "unknown series"):
        need(line not in p.log(), p.log()[-2000:])


class Queries:
    """Real Prometheus asked as the agent is."""

    def __init__(self, server):
        self.server = server

    def query(self, text, at):
        return {series_key(r["metric"]): (r["value"][0], r["value"][1])
                for r in self.server.query(text, at)}


def test_ours_old_closed(case):
    """our directory opened by Prometheus 2.42, closed"""
    ours_to_theirs(case, None, signal.SIGTERM)


def test_ours_old_killed(case):
    """our directory opened by Prometheus 2.42, killed"""
    ours_to_theirs(case, None, signal.SIGKILL)


def test_ours_new_killed(case):
    """our directory opened by Debian sid's Prometheus, killed"""
    ours_to_theirs(case, newest("prometheus"), signal.SIGKILL)


def verdict(server, samples):
    status, _, _ = remote_body.post(server.url, remote_body.body_v1(
        [({"__name__": "v", "n": n}, [Sample(t, v)]) for n, t, v in samples]))
    return status // 100


def test_verdicts(case):
    """what is late, too late or twice is judged as by Prometheus"""
    s, p = sonde(case), prometheus(case, newest("prometheus"))
    t = now()
    for rows, want in (
            ([("a", t, 1)], 2),
            ([("a", t - 1, 2)], 2),
            ([("a", t - 1, 2)], 2),
            ([("a", t, 1)], 2),
            ([("a", t, 2)], 4),
            ([("a", t - 180 * MINUTE + 1, 1)], 2),
            ([("a", t - 180 * MINUTE - 1, 1)], 4),
            ([("b", t - 150 * MINUTE, 1)], 2),
            ([("b", t - 10 * MINUTE, 1)], 2),
            ([("b", t - 20 * MINUTE, 1)], 2),
            ([("c", t - 240 * MINUTE, 1)], 4)):
        equal(verdict(p, rows), want, f"Prometheus: {rows}")
        equal(verdict(s, rows), want, f"sonde: {rows}")


def test_killed(case):
    """killed while late samples come, it has all that it acknowledged"""
    stream = Stream(3, now())
    s = sonde(case)
    done, kept = 0, dict(stream.want)
    for at in (60, 130, 131, 200, 320, 400):
        stream.send(s.url, stream.batches[done:at])
        done = at
        s.kill()
        s = sonde(case)
        stream.want = {(n, t): v for b in stream.batches[:done]
                       for n, t, v in b}
        check_by_query(s, stream, each=41)
    equal(stream.want, kept, "all were sent")
    check_by_query(s, stream)


def test_metrics(case):
    """late samples are counted by Prometheus' names"""
    s = sonde(case)
    t = now()
    for rows in [("a", t, 1)], [("a", t - 1, 1)], [("a", t - 240 * MINUTE, 1)]:
        verdict(s, rows)
    equal(s.metric("prometheus_tsdb_head_out_of_order_samples_appended_total"
                   '{type="float"}'), 1.0)
    equal(s.metric('prometheus_tsdb_too_old_samples_total{type="float"}'), 1.0)
    need(s.metric("prometheus_tsdb_out_of_order_wbl_page_flushes_total"),
         "the log's own")


def test_window_by_reload(case):
    """the window opens and closes by a reload"""
    s = case.sonde(config(), "--web.enable-remote-write-receiver")
    t = now()
    equal(verdict(s, [("a", t, 1)]), 2)
    equal(verdict(s, [("a", t - 1, 1)]), 4)
    equal(s.reload(config(rest=WINDOW))[0], 200)
    equal(verdict(s, [("a", t - 1, 1)]), 2)
    equal(s.reload(config())[0], 200)
    equal(verdict(s, [("a", t - 2, 1)]), 4)
    equal(s.value("v", at=(t - 1) / 1000), 1.0)


run(globals())
