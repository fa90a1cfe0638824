# SPDX-License-Identifier: Apache-2.0
"""What a query tells beside its result: the published warnings and infos, with
their places, in a table; and a real Prometheus (the newest) tells the same,
but for what later versions say otherwise."""
import math
import re

from api_pair import *

SPACING_MS = 15000
COUNT = 40
AT = 585  # seconds after the first sample

# The messages' beginnings.
COUNTER = ("metric might not be a counter, name does not end in "
           "_total/_sum/_count/_bucket: ")
QUANTILE = 'quantile value should be between 0 and 1, got '
IN_RANGE = ("ignored histograms in a range containing both floats and "
            "histograms for metric name ")
MIX = 'encountered a mix of histograms and floats for '
TYPES = 'incompatible sample types encountered for binary operator '
BOUNDS = 'mismatched custom buckets were reconciled during '
KIND = 'this native histogram metric is not a '
SCHEMAS = ("vector contains a mix of histograms with exponential and "
           "custom buckets schemas for metric name ")
NAN = "input to histogram_"
LE = 'bucket label "le" is missing or has a malformed value of '


# ---- data --------------------------------------------------------------------

def simple(t, **keys):
    """A histogram of three observations."""
    return Histogram(t, 3, 1.0, zero=1, positive=(((0, 2),), [1, 0]), **keys)


def custom(t, k, *bounds):
    return Histogram(t, 4 * k + 4, 1.0, schema=-53, zero_threshold=0.0,
                     positive=(((0, 2),), [k + 1, 2 * k + 2]), custom=bounds)


def noted(start):
    """Series that there is something to tell of."""
    times = [start + k * SPACING_MS for k in range(COUNT)]
    steps = list(enumerate(times))
    half = COUNT // 2

    def constant(v):
        return [Sample(t, v) for t in times]
    out = [({"__name__": name}, [Sample(t, float(k)) for k, t in steps])
           for name in ("c_total", "c")]
    out += [({"__name__": f"{name}_bucket", "le": le}, constant(v))
            for name, le, v in [("falls", "1", 5.0), ("falls", "2", 3.0),
                                ("falls", "+Inf", 9.0), ("bad", "1", 1.0),
                                ("bad", "abc", 1.0), ("bad", "+Inf", 1.0)]]
    out += [({"__name__": "both", "le": le}, constant(1.0))
            for le in ("1", "+Inf")]
    return out + [
        ({"__name__": "bad_bucket"}, constant(1.0)),
        ({"__name__": "both"}, [simple(t) for t in times]),
        ({"__name__": "nat"},
         [Histogram(t, 3 * k + 3, 1.0 * k, zero=k + 1,
                    positive=(((0, 2),), [k + 1, 0])) for k, t in steps]),
        ({"__name__": "natg"}, [simple(t, hint=3) for t in times]),
        ({"__name__": "nans"},
         [Histogram(t, 5, math.nan, zero=1, positive=(((0, 2),), [1, 0]))
          for t in times]),
        ({"__name__": "cust", "b": "1"},
         [custom(t, k, 1.0, 2.0) for k, t in steps]),
        ({"__name__": "cust", "b": "2"},
         [custom(t, k, 1.0, 5.0) for k, t in steps]),
        ({"__name__": "change"},
         [Sample(t, float(k)) if k < half else simple(t) for k, t in steps]),
        ({"__name__": "schemas"},
         [simple(t) if k < half else custom(t, 1, 1.0, 2.0)
          for k, t in steps]),
        ({"__name__": "two", "k": "f"}, constant(1.0)),
        ({"__name__": "two", "k": "h"}, [simple(t) for t in times]),
    ]


# ---- the table ---------------------------------------------------------------

# Query, warnings, infos: as they are without their prefix.
ROWS = [
    ('rate(c_total[5m])', [], []),
    ('rate(c[5m])', [], [COUNTER + '"c" (1:6)']),
    ('increase(c[5m])', [], [COUNTER + '"c" (1:10)']),
    ('irate(c[5m])', [], []),
    ('delta(c[5m])', [], []),
    ('quantile(2, c)', [QUANTILE + '2 (1:10)'], []),
    ('quantile(-0.1, c)', [QUANTILE + '-0.1 (1:10)'], []),
    ('quantile(NaN, c)', [QUANTILE + 'NaN (1:10)'], []),
    ('quantile_over_time(1.5, c[5m])', [QUANTILE + '1.5 (1:20)'], []),
    ('histogram_quantile(7, falls_bucket)', [QUANTILE + '7 (1:20)'], []),
    ('histogram_quantile(2, nat)', [QUANTILE + '2 (1:20)'], []),
    ('limit_ratio(2, c)',
     ['ratio value should be between -1 and 1, got 2, capping to 1 (1:13)'],
     []),
    ('limit_ratio(-1.5,c)',
     ['ratio value should be between -1 and 1, got -1.5, capping to -1 (1:13)'],
     []),
    ('histogram_quantile(0.9, bad_bucket)',
     [LE + '"" (1:25)', LE + '"abc" (1:25)'],
     []),
    ('histogram_quantile(0.5, both)',
     ['vector contains a mix of classic and native histograms (1:25)'],
     []),
    ('rate(nat[5m])', [], []),
    ('rate(natg[5m])', [KIND + 'counter: "natg" (1:6)'], []),
    ('increase(natg[5m])', [KIND + 'counter: "natg" (1:10)'], []),
    ('irate(natg[5m])', [KIND + 'counter: "natg" (1:7)'], []),
    ('delta(nat[5m])', [KIND + 'gauge: "nat" (1:7)'], []),
    ('idelta(nat[5m])', [KIND + 'gauge: "nat" (1:8)'], []),
    ('delta(natg[5m])', [], []),
    ('rate(change[9m])', [MIX + 'metric name "change" (1:6)'], []),
    ('irate(change[9m])', [], []),
    ('sum_over_time(change[9m])', [MIX + 'metric name "change" (1:15)'], []),
    ('avg_over_time(change[9m])', [MIX + 'metric name "change" (1:15)'], []),
    ('sum(two)', [MIX + 'aggregation (1:5)'], []),
    ('avg(two)', [MIX + 'aggregation (1:5)'], []),
    ('max(two)', [], ['ignored histogram in max aggregation (1:5)']),
    ('min(two)', [], ['ignored histogram in min aggregation (1:5)']),
    ('stddev(two)', [], ['ignored histogram in stddev aggregation (1:8)']),
    ('stdvar(two)', [], ['ignored histogram in stdvar aggregation (1:8)']),
    ('quantile(0.5,two)',
     [],
     ['ignored histogram in quantile aggregation (1:14)']),
    ('topk(1,two)', [], ['ignored histogram in topk aggregation (1:1)']),
    ('bottomk(1,two)', [], ['ignored histogram in bottomk aggregation (1:1)']),
    ('sum(cust)', [], [BOUNDS + 'aggregation (1:5)']),
    ('avg(cust)', [], [BOUNDS + 'aggregation (1:5)']),
    ("cust{b='1'} + on() cust{b='2'}", [], [BOUNDS + 'addition (1:1)']),
    ("cust{b='1'} - on() cust{b='2'}", [], [BOUNDS + 'subtraction (1:1)']),
    ('nat + on() c', [], [TYPES + '"+": histogram + float (1:1)']),
    ('c + on() nat', [],
     [TYPES + '"+": float + histogram (1:1)']),
    ('nat * on() nat', [],
     [TYPES + '"*": histogram * histogram (1:1)']),
    ('nat > on() c', [], [TYPES + '">": histogram > float (1:1)']),
    ('c % on() nat', [],
     [TYPES + '"%": float % histogram (1:1)']),
    ('nat + 1', [], [TYPES + '"+": histogram + float (1:1)']),
    ('1 - nat', [], [TYPES + '"-": float - histogram (1:1)']),
    ('nat > 1', [], [TYPES + '">": histogram > float (1:1)']),
    ('max_over_time(change[9m])', [], [IN_RANGE + '"change" (1:15)']),
    ('stddev_over_time(change[9m])', [], [IN_RANGE + '"change" (1:18)']),
    ('quantile_over_time(0.5, change[9m])',
     [],
     [IN_RANGE + '"change" (1:20)']),
    ('deriv(change[9m])', [], [IN_RANGE + '"change" (1:7)']),
    ('predict_linear(change[9m], 5)', [], [IN_RANGE + '"change" (1:16)']),
    ('min_over_time(nat[5m])', [], []),
    ('rate(schemas[9m])', [SCHEMAS + '"schemas" (1:6)'], []),
    ('sum_over_time(schemas[9m])', [SCHEMAS + '"schemas" (1:15)'], []),
    ('sum(nat) + sum(natg)', [], []),
    ('histogram_quantile(0.5, nans)', [],
     [NAN + 'quantile has NaN observations, result is skewed higher (1:20)']),
    ('histogram_quantile(0.999, nans)', [],
     [NAN + 'quantile has NaN observations, result is NaN (1:20)']),
    ('histogram_fraction(0, 1, nans)', [],
     [NAN + 'fraction has NaN observations, which are excluded from all '
            'fractions (1:20)']),
    ('histogram_quantile(0.5, rate(nans[5m]))', [], []),
    ('sort(c)', [], []),
    ("sort_by_label(c, 'a')", [], []),
    ('rate(c[5m]) + rate(c[5m])', [], [COUNTER + '"c" (1:20)']),
    ('rate(c[5m]) + quantile(2, c)',
     [QUANTILE + '2 (1:24)'],
     [COUNTER + '"c" (1:6)']),
    ('mad_over_time(change[9m])', [], [IN_RANGE + '"change" (1:15)']),
    ('double_exponential_smoothing(change[9m], 0.5, 0.5)',
     [],
     [IN_RANGE + '"change" (1:30)']),
    ('resets(change[9m])', [], []),
    ('changes(change[9m])', [], []),
    ('count(two)', [], []),
    ('group(two)', [], []),
    ('histogram_quantile(scalar(c), nat)', [QUANTILE + '39 (1:20)'], []),
    ('last_over_time(change[9m])', [], []),
    ('sum by (le) (both)', [], []),
    ('rate(falls_bucket[5m])', [], []),
    ("count_values('x', two)", [], []),
    ('clamp(two, 0, 1)', [], []),
    ('abs(two)', [], []),
    ("label_replace(rate(c[5m]),'a','b','','')", [], [COUNTER + '"c" (1:20)']),
    ('avg by (k) (two) / quantile(3, two)',
     [QUANTILE + '3 (1:29)'],
     ['ignored histogram in quantile aggregation (1:32)']),
    ('increase(c[5m:1m])', [], [COUNTER + '"c" (1:1)']),
    ('rate((c)[5m:1m])', [], [COUNTER + '"c" (1:1)']),
    ('rate(sum(c)[5m:1m])', [], []),
    ('\n  rate(c[5m])\n+\n  quantile(2,\n c)',
     [QUANTILE + '2 (4:12)'],
     [COUNTER + '"c" (2:8)']),
    ("'x'", [], []),
    ('absent(two)', [], []),
    ('nat atan2 on() c', [], [TYPES + '"atan2": histogram atan2 float (1:1)']),
    ('nat == on() nat', [], []),
    ('nat and two', [], []),
    ('-two', [], []),
]


def test_annotations(case):
    """the published warnings and infos, with their places"""
    start = (int(time.time()) - 900) * 1000
    s = case.sonde("scrape_configs: []\n", RECEIVER,
                   "--enable-feature=promql-experimental-functions")
    write(s.url, noted(start))
    wrong = []
    for text, warnings, infos in ROWS:
        status, doc = ask(s.url, QUERY, {"query": text,
                                         "time": start // 1000 + AT})
        want = (200, [f"PromQL warning: {w}" for w in warnings],
                [f"PromQL info: {i}" for i in infos])
        got = (status, sorted(doc.get("warnings", [])),
               sorted(doc.get("infos", [])))
        if got != want:
            wrong.append(f"{text}\n  got  {got}\n  want {want}")
    need(not wrong, "\n".join(wrong))


def test_monotonicity(case):
    """what was mended in classic buckets; told only if it mattered"""
    start = 1700000000000
    s = case.sonde("scrape_configs: []\n", RECEIVER)
    write(s.url, noted(start))
    page = "https://prometheus.io/docs/prometheus/latest/querying/functions/"
    text = (f"PromQL info: input to histogram_quantile needed to be fixed for "
            f"monotonicity (see {page}#histogram_quantile), from buckets 2 to "
            f"2, with a max diff of 2, over 3 samples from "
            f"2023-11-14T22:21:25.000Z to 2023-11-14T22:23:05.000Z (1:25)")
    at = start // 1000 + AT
    params = {"start": at - 100, "end": at, "step": 50}
    doc = ask(s.url, RANGE, {"query": "histogram_quantile(0.5, falls_bucket)",
                             **params})[1]
    equal(doc["infos"], [text])
    doc = ask(s.url, RANGE, {"query": "histogram_quantile(1.5, falls_bucket)",
                             **params})[1]
    equal(doc.get("infos"), None)


# ---- beside Prometheus -------------------------------------------------------

def older(note):
    """As 3.5 has it, and ours without what 3.5 has not."""
    note = re.sub(r' for metric name "(bad_bucket|both|falls_bucket|)"(?= \()',
                  "", note)
    return re.sub(r"(fixed for monotonicity \(see [^)]*\)).*( \(\d)", r"\1\2",
                  note)


def later(text, note):
    """Said by versions after 3.5 only, or by 3.5 only."""
    return "sort is ineffective" in note or \
        ("cust" in text and ("custom buckets" in note or
                             "incompatible bucket layout" in note))


def test_annotations_of_prometheus(case):
    """a real Prometheus tells the same, at an instant and over a range"""
    s, peer, _ = pair(case)
    start = (int(time.time()) - 900) * 1000
    for url in (s.url, peer.url):
        write(url, noted(start))
    at = start // 1000 + AT
    wrong = []
    for text, _, _ in ROWS + [("histogram_quantile(0.5, falls_bucket)", 0, 0)]:
        for path, params in ((QUERY, {"time": at}),
                             (RANGE, {"start": at - 100, "end": at,
                                      "step": 50})):
            told = []
            for url in (s.url, peer.url):
                doc = ask(url, path, {**params, "query": text})[1]
                told.append([doc["status"]] + [
                    sorted({older(n) for n in doc.get(kind, [])
                            if not later(text, n)})
                    for kind in ("warnings", "infos")])
            if told[0] != told[1]:
                wrong.append(f"{text} {path}\n  ours   {told[0]}\n"
                             f"  theirs {told[1]}")
    need(not wrong, "\n".join(wrong))


run(globals())
