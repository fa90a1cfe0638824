# SPDX-License-Identifier: Apache-2.0
"""Random queries over random data, asked of the agent and of a real Prometheus
(the newest; Debian 12's where that is not to be had): every difference is a bug
here or is listed below with the rule of later versions that explains it.

SONDE_TEST_QUERIES (how many), SONDE_TEST_SEED, and SONDE_TEST_VERBOSE (all
differences) change a run.
"""
import json
import math
import os
import random
import time

from harness import *
from promql_queries import *
from remote_body import *

QUERIES = int(os.environ.get("SONDE_TEST_QUERIES", "3000"))
SEED = int(os.environ.get("SONDE_TEST_SEED", "20261121"))
VERBOSE = "SONDE_TEST_VERBOSE" in os.environ
START_MS = 1699999980000  # fixed, so that a seed is the same run at any time
FEATURES = ["--web.enable-remote-write-receiver",
            "--enable-feature=native-histograms,promql-experimental-functions"]


# ---- data --------------------------------------------------------------------

def walk(rng, start, spacing=15000):
    """Times with jitter and gaps, never on a whole second."""
    t = start
    while t < start + SPAN_S * 1000:
        t += spacing + rng.randrange(-900, 900)
        if rng.random() < 0.01:
            t += rng.choice([60000, 301000, 400000])
        if t % 1000 == 0:
            t += 7
        yield t


def counter(rng, start):
    v = float(rng.randrange(0, 1000))
    whole = rng.random() < 0.7
    for t in walk(rng, start):
        if rng.random() < 0.02:
            v = 0.0
        v += rng.randrange(0, 50) if whole else rng.random() * 3
        yield Sample(t, STALE if rng.random() < 0.005 else v)


def gauge(rng, start):
    v = rng.gauss(0, 100)
    odd = rng.random() < 0.3
    for t in walk(rng, start):
        v += rng.gauss(0, 5)
        x = v
        if odd and rng.random() < 0.03:
            x = rng.choice([math.nan, math.inf, -math.inf, 0.0, -0.0, 1e300])
        if rng.random() < 0.01:
            x = STALE
        yield Sample(t, x)


def classic(rng, start):
    """{le: samples} with _sum and _count."""
    bounds = ["0.1", "0.5", "1", "2.5", "+Inf"]
    counts = [0] * len(bounds)
    rows = {b: [] for b in bounds}
    rows["sum"], rows["count"] = [], []
    total = 0.0
    for t in walk(rng, start):
        if rng.random() < 0.02:
            counts, total = [0] * len(bounds), 0.0
        counts = [c + rng.randrange(0, 8) for c in counts]
        total += rng.random() * 10
        so_far = 0
        for b, c in zip(bounds, counts):
            so_far += c
            rows[b].append(Sample(t, float(so_far)))
        rows["sum"].append(Sample(t, total))
        rows["count"].append(Sample(t, float(so_far)))
    return rows


def native(rng, start, is_float, gauge_like):
    buckets = [rng.randrange(0, 5) for _ in range(6)]
    low = [rng.randrange(0, 3) for _ in range(2)]
    zero, total = 1, 0.0
    schema = rng.choice([0, 1, 2])
    for t in walk(rng, start):
        if rng.random() < 0.03:
            buckets, low, zero, total = [0] * 6, [0] * 2, 0, 0.0
        buckets = [b + rng.randrange(0, 4) for b in buckets]
        low = [b + rng.randrange(0, 2) for b in low]
        zero += rng.randrange(0, 2)
        total += rng.random() * 5
        if rng.random() < 0.01:
            schema = rng.choice([0, 1, 2])
        spans = ((-2, 3), (2, 3))
        count = sum(buckets) + sum(low) + zero
        if is_float:
            yield Histogram(t, float(count), total, schema=schema,
                            zero=float(zero), is_float=True,
                            positive=(spans, [float(b) for b in buckets]),
                            negative=(((0, 2),), [float(b) for b in low]),
                            hint=3 if gauge_like else 0)
        else:
            def deltas(xs):
                return [b - a for a, b in zip([0] + xs, xs)]
            yield Histogram(t, count, total, schema=schema, zero=zero,
                            positive=(spans, deltas(buckets)),
                            negative=(((0, 2),), deltas(low)),
                            hint=3 if gauge_like else 0)


def all_series(rng, start):
    out = []
    for job in ("a", "b"):
        for i in range(5):
            labels = {"job": job, "i": str(i)}
            out.append(({"__name__": "c_total", **labels},
                        list(counter(rng, start))))
            out.append(({"__name__": "g", **labels}, list(gauge(rng, start))))
            if i < 3:
                out.append(({"__name__": "g2", **labels},
                            list(gauge(rng, start))))
            if i < 2:
                for le, samples in classic(rng, start).items():
                    name = "h_" + (le if le in ("sum", "count") else "bucket")
                    more = {} if le in ("sum", "count") else {"le": le}
                    out.append(({"__name__": name, **labels, **more}, samples))
                out.append(({"__name__": "nh", **labels},
                            list(native(rng, start, False, False))))
                out.append(({"__name__": "nf", **labels},
                            list(native(rng, start, True, i == 1))))
        out.append(({"__name__": "one", "job": job, "role": "x" + job},
                    list(gauge(rng, start))))
    return out


def feed(url, series):
    """In slices of time, since both refuse what is much older than the
    newest."""
    times = sorted({s.t for _, samples in series for s in samples})
    for i in range(0, len(times), 400):
        low, high = times[i], times[min(i + 400, len(times)) - 1]
        write(url, [(labels, [s for s in samples if low <= s.t <= high])
                    for labels, samples in series
                    if any(low <= s.t <= high for s in samples)])


# ---- comparing ---------------------------------------------------------------

def ask(url, path, **params):
    status, text = get(f"{url}/api/v1/{path}?"
                       + urllib.parse.urlencode(params))
    return status, json.loads(text)


def close(a, b, tolerance=1e-9):
    if a == b:
        return True
    x, y = float(a), float(b)
    if math.isnan(x) or math.isnan(y):
        return math.isnan(x) and math.isnan(y)
    if math.isinf(x) or math.isinf(y):
        return x == y
    return abs(x - y) <= tolerance * max(abs(x), abs(y), 1e-6)


def adds_up(h):
    return close(sum(float(b[3]) for b in h.get("buckets", [])), h["count"],
                 1e-6)


def same_histogram(a, b):
    if adds_up(a) and not adds_up(b):
        return close(a["count"], b["count"])  # 3.5 loses track of buckets
    if not close(a["count"], b["count"]) or not close(a["sum"], b["sum"]):
        return False
    x, y = a.get("buckets", []), b.get("buckets", [])
    return len(x) == len(y) and all(
        p[0] == q[0] and all(close(m, n) for m, n in zip(p[1:], q[1:]))
        for p, q in zip(x, y))


def points(series):
    out = {}
    for key in ("value", "histogram"):
        if key in series:
            out[series[key][0]] = series[key][1]
    for key in ("values", "histograms"):
        for t, v in series.get(key, []):
            out[t] = v
    return out


def same_points(a, b, query):
    # Squares of large numbers: their order changes what is left of them.
    tolerance = 1e-5 if re.search("std|deriv|predict", query) else 1e-9
    if a.keys() != b.keys():
        return f"stamps {sorted(a.keys() ^ b.keys())[:3]}"
    for t in a:
        if isinstance(a[t], dict) != isinstance(b[t], dict):
            return f"kinds at {t}"
        ok = same_histogram(a[t], b[t]) if isinstance(a[t], dict) \
            else close(a[t], b[t], tolerance)
        if not ok:
            return f"at {t}: {a[t]} / {b[t]}"
    return None


def difference(ours, theirs, query=""):
    (so, do), (st, dt) = ours, theirs
    if so != st:
        return f"status {so} / {st}: {do.get('error')} / {dt.get('error')}"
    if so != 200:
        if do["errorType"] != dt["errorType"] or \
                group(do["error"]) != group(dt["error"]):
            return f"error {do['error']} / {dt['error']}"
        return None
    ro, rt = do["data"], dt["data"]
    if ro["resultType"] != rt["resultType"]:
        return f"type {ro['resultType']} / {rt['resultType']}"
    if ro["resultType"] in ("scalar", "string"):
        return None if close(ro["result"][1], rt["result"][1]) else \
            f"{ro['result']} / {rt['result']}"
    a = {series_key(s["metric"]): points(s) for s in ro["result"]}
    b = {series_key(s["metric"]): points(s) for s in rt["result"]}
    if len(a) != len(ro["result"]):
        return "a series twice"
    if a.keys() != b.keys():
        return f"series {sorted(a.keys() ^ b.keys())[:2]}"
    for k in a:
        why = same_points(a[k], b[k], query)
        if why:
            return f"{dict(k)} {why}"
    for kind in ("warnings", "infos"):
        x = sorted(map(note, filter(told, do.get(kind, []))))
        y = sorted(map(note, dt.get(kind, [])))
        if x != y:
            return f"{kind} {x} / {y}"
    return None


def group(text):
    """Which of several groups is told of depends on the order of a map."""
    return re.sub(r"(duplicate series for the match group).*;", r"\1", text)


def note(text):
    """Later versions tell more of what was mended in a histogram, and no name
    beside a bad bound."""
    text = re.sub(r'(malformed value of "[^"]*") for metric name "[^"]*"',
                  r"\1", text)
    return re.sub(r"(needed to be fixed for monotonicity \(see [^)]*\)).*( \(\d)",
                  r"\1\2", text)


def told(text):
    """Later versions say this, 3.5 does not."""
    return "sort is ineffective for range queries" not in text and \
        "conflicting counter resets" not in text


# Rules of versions after 3.5 that explain a difference: (why, test).
KNOWN = [
    ("which of equals are chosen depends on the order of series, which is not "
     "defined",
     lambda q, why: ("topk" in q or "bottomk" in q) and
     re.match("series|.* stamps|error found duplicate", why)),
    ("the last digit of a sum may be in a label",
     lambda q, why: "count_values" in q and why.startswith("series")),
    ("a NaN makes the median deviation NaN",
     lambda q, why: "mad_over_time" in q and ": NaN / " in why),
    ("of a large number, angles are what its last digit says",
     lambda q, why: re.search(r"\b(sin|cos|tan)\(.*(exp|sinh|cosh|\^)", q) and
     " at " in why),
    ("sinh and cosh are finite up to the last exponent",
     lambda q, why: re.search("sinh|cosh", q) and
     (why.endswith("Inf") or re.search("(tan|sin|cos)\\(.*(sinh|cosh)", q))),
    ("histograms too are not extended beyond where they would have been zero",
     lambda q, why: re.search(r"(rate|increase)\((nh|nf)", q) and
     " at " in why),
    ("a pair counts as a match also where a comparison filters it",
     lambda q, why: why.startswith("status 422 / 200: multiple matches") and
     re.search("[<>]|!=|==", q)),
    ("the order of matchers on one label is the store's",
     lambda q, why: "absent" in q and "job!=" in q and "job=" in q and
     why.startswith("series")),
    ("what was multiplied with -1 is a gauge",
     lambda q, why: "(-n" in q and "not a gauge" in why),
    ("a name marked for removal stays marked through last_over_time and "
     "first_over_time of a subquery",
     lambda q, why: re.search(r"(last|first)_over_time\(.*\[\w+:", q) and
     why.startswith("series")),
    ("what a histogram says of resets is forgotten in a subquery",
     lambda q, why: re.search(r"\(-?n[hf]\b.*\)\[\w+:", q)),
]


def known(query, why):
    return any(test(query, why) for _, test in KNOWN)


def contradicts_itself(peer, ours, kind, params):
    """3.5 spoils native histograms over ranges from one step to the next: its
    own instant answers differ from its range's, and agree with ours."""
    status, doc = ours
    if kind != "query_range" or status != 200 or "n" not in params["query"]:
        return False
    stamps = sorted({t for s in doc["data"]["result"] for t in points(s)})
    for t in stamps:
        slice_ = []
        for s in doc["data"]["result"]:
            p = points(s)
            if t in p:
                key = "histogram" if isinstance(p[t], dict) else "value"
                slice_.append({"metric": s["metric"], key: [t, p[t]]})
        mine = 200, {"data": {"resultType": "vector", "result": slice_}}
        status, theirs = ask(peer.url, "query", query=params["query"], time=t)
        for kind_of_note in ("warnings", "infos"):
            theirs.pop(kind_of_note, None)
        if difference(mine, (status, theirs), params["query"]):
            return False
    return bool(stamps)


def compare(case, kind, queries=QUERIES // 2, feature=""):
    rng = random.Random(SEED)
    start = START_MS
    series = all_series(rng, start)
    peer = case.prometheus("global: {}\n", FEATURES[0],
                           FEATURES[1] + feature, binary=newest("prometheus"))
    s = case.sonde("scrape_configs: []\n",
                   "--web.enable-remote-write-receiver",
                   "--enable-feature=promql-experimental-functions" + feature)
    feed(peer.url, series)
    feed(s.url, series)
    g = Generator(rng, start)
    differing = []
    explained = 0
    for n in range(queries):
        query = g.vector(rng.choice([1, 2, 2, 3]))
        t = start // 1000 + rng.randrange(300, SPAN_S)
        if kind == "query":
            params = {"query": query, "time": t}
        else:
            step = rng.choice([7, 15, 30, 60, 97])
            params = {"query": query, "start": t - rng.randrange(0, 900),
                      "end": t, "step": step}
        ours = ask(s.url, kind, **params)
        why = difference(ours, ask(peer.url, kind, **params), query)
        need(s.alive(), f"sonde ended at {query}")
        if why and (known(query, why) or
                    contradicts_itself(peer, ours, kind, params)):
            explained += 1
        elif why:
            differing.append((query, params, why))
            if VERBOSE:
                print(f"# {query}  {params}\n#    {why}", flush=True)
    print(f"# {queries} queries, {len(differing)} differ, "
          f"{explained} explained")
    need(not differing, "\n".join(
        f"{q}\n  {p}\n  {w}" for q, p, w in differing[:10]))


def test_instant(case):
    """instant queries give what a real Prometheus gives"""
    compare(case, "query")


def test_range(case):
    """range queries give what a real Prometheus gives"""
    compare(case, "query_range")


def test_delayed_names(case):
    """so do instant queries that lose names at the end"""
    compare(case, "query", QUERIES // 4, ",promql-delayed-name-removal")


def test_delayed_names_of_ranges(case):
    """and range queries"""
    compare(case, "query_range", QUERIES // 4,
            ",promql-delayed-name-removal")


run(globals())
