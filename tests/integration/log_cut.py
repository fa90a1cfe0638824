# SPDX-License-Identifier: Apache-2.0
"""The log while it is cut again and again: killed between, read by others,
and written by others with what they compress it with."""
import glob
import os
import shutil
import time

from harness import *
from remote_body import *

MINUTE = 60000
HOUR = 60 * MINUTE
CONFIG = "scrape_configs: []\nstorage:\n  exemplars:\n    max_exemplars: 100\n"
FEATURES = ["--web.enable-remote-write-receiver",
            "--enable-feature=native-histograms,exemplar-storage"]


def start_time():
    now = int(time.time() * 1000)
    return now - now % HOUR - 30 * HOUR + 17 * MINUTE


def minute(start, n):
    """What is written in one minute; one series lives for an hour only."""
    t = start + n * MINUTE
    buckets = [n + 1, 2, n % 3 + 1]
    deltas = [b - a for a, b in zip([0] + buckets, buckets)]
    yield {"__name__": "c_total"}, [Sample(t, float(n))]
    yield ({"__name__": "h"},
           [Histogram(t, sum(buckets), n * 1.5, schema=1,
                      positive=(((0, 3),), deltas))])
    yield {"__name__": "short", "hour": str(n // 60)}, [Sample(t, float(n))]


def feed(url, start, first, last):
    for n in range(first, last):
        write(url, list(minute(start, n)))


def check(dump, start, minutes, what, names=("c_total", "h")):
    """Every sample is there."""
    times = [start + n * MINUTE for n in range(minutes)]
    for name in names:
        equal([t for t, _ in dump[(("__name__", name),)]], times,
              f"{what}: {name}")
    for hour in range(minutes // 60):
        equal([t for t, _ in
               dump[(("__name__", "short"), ("hour", str(hour)))]],
              times[hour * 60:hour * 60 + 60], f"{what}: hour {hour}")


def sonde_dump(data):
    return parse_dump([SONDE, "tsdb", "dump", data])


def checkpoints(data):
    return sorted(os.path.basename(p)
                  for p in glob.glob(os.path.join(data, "wal/checkpoint.*")))


def cut_often(case, compression):
    """Hours of samples, a new segment with each life, half of them ended by
    a kill."""
    start = start_time()
    flags = ["--web.enable-remote-write-receiver",
             "--enable-feature=exemplar-storage",
             f"--storage.tsdb.wal-compression-type={compression}"]
    for hour in range(12):
        s = case.sonde(CONFIG, *flags)
        feed(s.url, start, hour * 60, hour * 60 + 60)
        if hour % 2:
            s.kill()
        else:
            s.stop()
    s = case.sonde(CONFIG, *flags)
    wait_for("a checkpoint", lambda: checkpoints(s.data))
    equal(s.metric("sonde_storage_corruptions_total"), 0)
    s.stop()
    equal(len(checkpoints(s.data)), 1, "checkpoints")
    check(sonde_dump(s.data), start, 720, "sonde's own")
    return start, s.data


def read_by(case, start, data, binary, promtool, what):
    # promtool leaves out some histograms, of its own directories too.
    check(promtool_dump(case.copy(data, f"dump-{what}"), promtool), start, 720,
          f"promtool {what}", names=("c_total",))
    p = case.prometheus("global: {}\n", *FEATURES, binary=binary,
                        data=case.copy(data, f"open-{what}"))
    for name in ("c_total", "h"):
        got = p.query(f"count_over_time({name}[20h])",
                      start / 1000 + 12 * 3600)
        equal([r["value"][1] for r in got], ["720"], f"{what}: {name}")
    p.stop()
    need("corrupt" not in p.log().lower(), p.log()[-3000:])


def test_cut_and_read(case):
    """a log cut after kills, read by real Prometheus"""
    start, data = cut_often(case, "snappy")
    read_by(case, start, data, None, shutil.which("promtool"), "2.42")
    read_by(case, start, data, newest("prometheus"), newest("promtool"),
            "newest")


def test_zstd(case):
    """the same, compressed with zstd"""
    start, data = cut_often(case, "zstd")
    read_by(case, start, data, newest("prometheus"), newest("promtool"),
            "newest")


def test_zstd_of_prometheus(case):
    """zstd records and a checkpoint that real Prometheus wrote"""
    start = start_time()
    data = case.path("theirs")
    for hour in range(12):
        p = case.prometheus("global: {}\n", *FEATURES,
                            "--storage.tsdb.wal-compression-type=zstd",
                            binary=newest("prometheus"), data=data)
        feed(p.url, start, hour * 60, hour * 60 + 60)
        p.stop()
    need(checkpoints(data), "Prometheus made no checkpoint")
    s = case.sonde(CONFIG, data="theirs")
    equal(s.metric("sonde_storage_corruptions_total"), 0)
    s.stop()
    check(sonde_dump(data), start, 720, "Prometheus'")


def test_saved_head_of_prometheus(case):
    """a head that real Prometheus saved, and one that it finds of ours"""
    start = start_time()
    flags = ["--enable-feature=memory-snapshot-on-shutdown,"
             "exemplar-storage,native-histograms",
             "--web.enable-remote-write-receiver"]
    p = case.prometheus("global: {}\n", *flags, binary=newest("prometheus"))
    feed(p.url, start, 0, 60)
    p.stop()
    need(glob.glob(os.path.join(p.data, "chunk_snapshot.*")),
         "Prometheus saved nothing")
    s = case.sonde(CONFIG, "--web.enable-remote-write-receiver",
                   data=os.path.basename(p.data))
    equal(s.metric("sonde_storage_corruptions_total"), 0)
    feed(s.url, start, 60, 120)
    s.stop()
    need(glob.glob(os.path.join(p.data, "chunk_snapshot.*")),
         "sonde saved nothing")
    p = case.prometheus("global: {}\n", *flags, binary=newest("prometheus"),
                        data=p.data)
    need("failed to load chunk snapshot" not in p.log().lower(),
         p.log()[-3000:])
    got = p.query("count_over_time(c_total[20h])", start / 1000 + 2 * 3600)
    equal([r["value"][1] for r in got], ["120"])
    feed(p.url, start, 120, 180)
    p.kill()
    s = case.sonde(CONFIG, data=os.path.basename(p.data))
    s.stop()
    check(sonde_dump(p.data), start, 180, "after three")


run(globals())
