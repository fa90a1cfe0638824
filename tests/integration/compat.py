# SPDX-License-Identifier: Apache-2.0
"""Data directories exchanged with Prometheus, of Debian 12 and the newest,
both ways: the same remote writes to both give the same samples by everybody's
reader, live, after a clean stop and after a kill."""
import random
import time

from harness import *
from remote_body import *

HOUR = 3600000
FEATURES = ["--web.enable-remote-write-receiver",
            "--enable-feature=native-histograms,exemplar-storage"]
WINDOW = "storage:\n  tsdb:\n    out_of_order_time_window: 30m\n"


def histogram(rng, t, n, is_float):
    """Counts that grow with n, some buckets later than others."""
    buckets = [n * (k + 1) for k in range(3 + (n > 40))]
    total = sum(buckets)
    if is_float:
        return Histogram(t, total + 0.5, n * 2.5, schema=2, zero=0.5,
                         positive=(((0, len(buckets)),), buckets),
                         is_float=True)
    deltas = [b - a for a, b in zip([0] + buckets, buckets)]
    return Histogram(t, total + 1, n * 2.5, schema=2, zero=1,
                     positive=(((0, len(buckets)),), deltas))


def stream(start, hours, late):
    """Lists of series to be written one after the other."""
    rng = random.Random(7)
    counters = [0] * 5
    for n in range(hours * 60):
        t = start + n * 60000
        series = []
        for i in range(5):
            counters[i] += rng.randrange(0, 50)
            if rng.random() < 0.03:
                counters[i] = 0
            v = float(counters[i]) if rng.random() > 0.02 else STALE
            series.append(({"__name__": "c_total", "i": str(i)},
                           [Sample(t, v)]))
        series.append(({"__name__": "g", "odd": "\u00fc\"\\\n"},
                       [Sample(t, rng.gauss(0, 1e6))]))
        if n % 7 == 0:
            series.append(({"__name__": "rare"}, [Sample(t, float(n))]))
        series.append(({"__name__": "h"}, [histogram(rng, t, n + 1, False)]))
        series.append(({"__name__": "fh"}, [histogram(rng, t, n + 1, True)]))
        yield series
        if late and n % 10 == 9:
            yield [({"__name__": "g", "odd": "\u00fc\"\\\n"},
                    [Sample(t - 150000 - n, float(n))])]


def feed(url, start, hours, late):
    for series in stream(start, hours, late):
        write(url, series)


def sonde_dump(data):
    return parse_dump([SONDE, "tsdb", "dump", data])


def start_time():
    """A while ago, and on no boundary."""
    now = int(time.time() * 1000)
    return now - now % HOUR - 30 * HOUR + 20 * 60000 + 1


def peers():
    """(name, prometheus, promtool) of those that are there."""
    yield "2.42", None, shutil.which("promtool")
    try:
        yield "newest", newest("prometheus"), newest("promtool")
    except Skip as e:
        print(f"# {e}")


def written(start, hours, late):
    """{labels: {ms: sample}} of a stream; what came twice is there once."""
    out = {}
    for series in stream(start, hours, late):
        for labels, samples in series:
            at = out.setdefault(series_key(labels), {})
            for x in samples:
                at.setdefault(x.t, x)
    return out


def check_written(dump, truth, what):
    """All samples are there, floats with their values."""
    equal(sorted(dump), sorted(truth), what)
    for labels, samples in truth.items():
        equal([t for t, _ in dump[labels]], sorted(samples),
              f"{what}: times of {labels}")
        for t, text in dump[labels]:
            x = samples[t]
            if isinstance(x, Sample):
                need(text == "NaN" if x.v != x.v else float(text) == x.v,
                     f"{what}: {labels} at {t}: {text}, not {x.v}")
            else:
                need(f"count:{x.count:g}," in text.replace(" ", ""),
                     f"{what}: {labels} at {t}: {text}, not {x.count}")


def exchange(case, late, hours, end):
    t0 = start_time()
    truth = written(t0, hours, late)
    conf = WINDOW if late else ""
    s = case.sonde("scrape_configs: []\n" + conf,
                   "--web.enable-remote-write-receiver", data="ours")
    feed(s.url, t0, hours, late)
    getattr(s, end)()
    if end == "kill":  # what a kill tore is mended by the next start
        case.sonde("scrape_configs: []\n" + conf, data="ours").stop()
    ours = sonde_dump(s.data)
    check_written(ours, truth, "sonde's own")
    for name, prometheus, promtool in peers():
        p = case.prometheus("global: {}\n" + conf, *FEATURES,
                            binary=prometheus,
                            data=case.path(f"theirs-{name}"))
        feed(p.url, t0, hours, late)
        getattr(p, end)()
        equal_dumps(sonde_dump(p.data), ours, f"{name}'s, read by sonde")
        # By its own reader: of its directory, of ours, of ours after it ran
        # on it (its reader leaves out some first histograms).
        theirs = promtool_dump(case.copy(p.data, f"t-{name}"), promtool)
        q = case.prometheus("global: {}\n" + conf, *FEATURES,
                            binary=prometheus,
                            data=case.copy(s.data, f"swap-{name}"))
        q.stop()
        if not late:  # promtool leaves a part of overlapping blocks out
            for data, what in ((s.data, "sonde's"), (q.data, "handed over")):
                equal_dumps(promtool_dump(
                    case.copy(data, f"d-{name}-{what}"), promtool),
                    theirs, f"{what}, read by promtool {name}")
        r = case.sonde("scrape_configs: []\n" + conf,
                       data=os.path.basename(case.copy(q.data, f"r-{name}")))
        r.stop()
        equal_dumps(sonde_dump(r.data), ours, f"to {name} and back")


def test_clean(case):
    """directories of both after hours of writes and a clean stop"""
    exchange(case, False, 8, "stop")


def test_killed(case):
    """directories of both after a kill"""
    exchange(case, False, 4, "kill")


def test_late(case):
    """directories of both with samples out of order, stopped"""
    exchange(case, True, 8, "stop")


def test_late_killed(case):
    """directories of both with samples out of order, killed"""
    exchange(case, True, 4, "kill")


run(globals())
