# SPDX-License-Identifier: Apache-2.0
"""Native histograms: the same samples make the same chunks in the store and
in real Prometheus, byte for byte, and each reads the other's."""
import glob
import os
import random
import shutil
import subprocess
import struct
import time

from harness import config, equal, need, newest, run
import remote_body
from remote_body import STALE, Histogram, Sample

STEP = 10 * 1000
SAMPLES = 650


# ---- samples -----------------------------------------------------------------

def spans_of(counts):
    """Spans, and the counts that are listed, of {index: count}."""
    spans, last = [], None
    for i in sorted(counts):
        if last is not None and i == last + 1:
            spans[-1][1] += 1
        else:
            spans.append([i if last is None else i - last - 1, 1])
        last = i
    return [tuple(s) for s in spans], [counts[i] for i in sorted(counts)]


def differences(values):
    return [v - (values[i - 1] if i else 0) for i, v in enumerate(values)]


def side(counts, is_float):
    spans, values = spans_of(counts)
    return spans, ([v / 3 for v in values] if is_float
                   else differences(values))


class Counter:
    """Grows, gets new buckets, is reset, lists empty buckets at times, changes
    its schema or threshold, goes stale."""

    def __init__(self, seed, is_float=False, custom=(), gauge=False):
        self.r = random.Random(seed)
        self.is_float, self.custom, self.gauge = is_float, custom, gauge
        self.schema, self.threshold = -53 if custom else 3, 2.0 ** -128
        if custom:
            self.threshold = 0.0
        self.reset()

    def reset(self):
        self.positive, self.negative, self.zero = {}, {}, 0

    def grow(self):
        r = self.r
        for _ in range(r.randrange(8)):
            top = len(self.custom) + 1 if self.custom else 40
            i = int(r.triangular(0, top, top / 3))
            self.positive[i] = self.positive.get(i, 0) + r.randrange(200)
        if not self.custom and r.random() < 0.3:
            i = r.randrange(-5, 5)
            self.negative[i] = self.negative.get(i, 0) + r.randrange(1, 5)
        if not self.custom:
            self.zero += r.randrange(3)

    def shrink(self):
        for i in list(self.positive):
            if self.r.random() < 0.2:
                self.positive[i] = self.r.randrange(100)
            if self.r.random() < 0.1:
                del self.positive[i]

    def listed(self, counts):
        """Some writers list empty buckets now and then, or leave them out. Not
        behind the last one of a counter: Prometheus 3.5 takes them for a reset
        when it pads others there."""
        shown = {i: c for i, c in counts.items() if c or self.r.random() < 0.5}
        if self.gauge and shown and self.r.random() < 0.1:
            shown.setdefault(max(shown) + 1, 0)
        if self.custom:
            shown = {i: c for i, c in shown.items() if i <= len(self.custom)}
        return shown

    def next(self, t):
        r = self.r
        x = r.random()
        if x < 0.004:
            self.reset()
        elif x < 0.006 and not self.custom:
            self.schema = r.randrange(0, 5)
            self.reset()
        elif x < 0.008 and not self.custom:
            self.threshold = r.choice([0.001, 2.0 ** -128, 0.0, 0.5])
        elif x < 0.012:
            return Histogram(t, 0, STALE, is_float=self.is_float,
                             zero_threshold=0)
        self.grow()
        if self.gauge:
            self.shrink()
        total = sum(self.positive.values()) + sum(self.negative.values()) + \
            self.zero
        scale = 3 if self.is_float else 1
        return Histogram(
            t, total / scale if self.is_float else total, total * 1.7,
            schema=self.schema, zero_threshold=self.threshold,
            zero=self.zero / scale if self.is_float else self.zero,
            positive=side(self.listed(self.positive), self.is_float),
            negative=side(self.listed(self.negative), self.is_float),
            hint=3 if self.gauge else 0, is_float=self.is_float,
            custom=self.custom)


BOUNDS = (0.005, 0.01, 0.25, 1, 2.5, 1e6 / 3, 1e9)


class Mixed:
    """Changes its kind now and then."""

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.kinds = [Counter(seed + 1), Counter(seed + 2, True), None]
        self.kind = self.kinds[0]

    def next(self, t):
        if self.r.random() < 0.02:
            self.kind = self.r.choice(self.kinds)
        if self.kind is None:
            return Sample(t, STALE if self.r.random() < 0.05
                          else float(self.r.randrange(1000)))
        return self.kind.next(t)


def stream(seed, custom):
    """{series: samples}"""
    start = int(time.time() * 1000) - SAMPLES * STEP - 5000
    makers = {"h_int": Counter(seed), "h_float": Counter(seed + 10, True),
              "h_int_gauge": Counter(seed + 20, gauge=True),
              "h_float_gauge": Counter(seed + 30, True, gauge=True),
              "h_mixed": Mixed(seed + 40)}
    if custom:
        makers["h_custom"] = Counter(seed + 50, custom=BOUNDS)
        makers["h_custom_float"] = Counter(seed + 60, True, custom=BOUNDS)
    return {name: [m.next(start + i * STEP) for i in range(SAMPLES)]
            for name, m in makers.items()}


def send(url, samples):
    for at in range(0, SAMPLES, 10):
        for name, rows in samples.items():
            for row in rows[at:at + 10]:
                remote_body.write(url, [({"__name__": name}, [row])])


# ---- files -------------------------------------------------------------------

def uvarint(data, at):
    n = shift = 0
    while True:
        n |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return n, at


def mapped_chunks(folder):
    """{series reference: [(first, last time, encoding, bytes)]}"""
    found = {}
    for path in sorted(glob.glob(os.path.join(folder, "chunks_head", "*"))):
        with open(path, "rb") as f:
            data = f.read()
        at = 8
        while at + 25 <= len(data):
            ref, mint, maxt = struct.unpack_from(">Qqq", data, at)
            if ref == 0:
                break
            n, to = uvarint(data, at + 25)
            found.setdefault(ref, []).append(
                (mint, maxt, data[at + 24], data[to:to + n]))
            at = to + n + 4
    return found


def same_chunks(got, want):
    need(sorted(got) == sorted(want), f"series {sorted(got)} {sorted(want)}")
    chunks = unknown = 0
    for ref in want:
        if any(w[2] == 1 for w in want[ref]):
            continue  # floats are cut by a rule of our own
        for i, (g, w) in enumerate(zip(got[ref], want[ref])):
            what = f"series {ref} chunk {i}"
            equal(g[:3], w[:3], what)
            if g[3] != w[3]:
                # "Not known" of a reset is always true, if less than said.
                known = bytearray(g[3])
                need(g[2] in (2, 3) and known[2] & 0xC0 == 0,
                     f"{what}\n got: {g[3].hex()}\nwant: {w[3].hex()}")
                known[2] |= w[3][2] & 0xC0
                equal(known.hex(), w[3].hex(), what)
                unknown += 1
            chunks += 1
    need(unknown <= chunks // 20, f"{unknown} headers say less")
    return chunks


FLAGS = ("--web.enable-remote-write-receiver",
         "--enable-feature=native-histograms")


# ---- tests -------------------------------------------------------------------

def test_same_chunks(case):
    """the same samples make the same chunks as in a new Prometheus"""
    p = case.prometheus("global: {}\n", *FLAGS, binary=newest("prometheus"))
    samples = stream(1, True)
    send(p.url, samples)
    p.stop()
    data = case.path("data")
    os.makedirs(data)
    shutil.copytree(os.path.join(p.data, "wal"), os.path.join(data, "wal"))
    s = case.sonde(config())
    s.stop()
    n = same_chunks(mapped_chunks(data), mapped_chunks(p.data))
    need(n > 50, f"only {n} chunks were compared")


def dump(case, data, name):
    """What a new promtool reads in a copy of a directory."""
    out = subprocess.run([newest("promtool"), "tsdb", "dump",
                          case.copy(data, name)],
                         capture_output=True, text=True, timeout=120)
    need(out.returncode == 0, f"promtool tsdb dump: {out.stderr}")
    return [x for x in sorted(out.stdout.splitlines()) if '"h_' in x]


def test_received(case):
    """written to the store by remote write, read by a new promtool"""
    p = case.prometheus("global: {}\n", *FLAGS, binary=newest("prometheus"))
    s = case.sonde(config(), "--web.enable-remote-write-receiver")
    samples = stream(2, True)
    for url in (p.url, s.url):
        send(url, samples)
    p.stop()
    s.kill()
    want = dump(case, p.data, "theirs")
    need(len(want) >= SAMPLES * len(samples) * 0.7, f"{len(want)} lines")
    equal(dump(case, s.data, "ours"), want, "promtool's dump")


def test_old_prometheus(case):
    """what Debian 12's Prometheus wrote is taken in, all of it"""
    p = case.prometheus("global: {}\n", *FLAGS)
    samples = stream(3, False)
    send(p.url, samples)
    p.stop()
    data = case.path("data")
    os.makedirs(data)
    shutil.copytree(os.path.join(p.data, "wal"), os.path.join(data, "wal"))
    s = case.sonde(config())
    need(f"samples={SAMPLES * len(samples)} dropped=0" in s.log(),
         "all samples are replayed")
    s.stop()
    need("corrupt" not in s.log() and "damage" not in s.log(), "no damage")


run(globals())
