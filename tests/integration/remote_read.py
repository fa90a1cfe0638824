# SPDX-License-Identifier: Apache-2.0
"""Remote read and federation: real Prometheus servers, old and new, read from
the agent, and its answers are those that a real Prometheus gives.
"""
import json
import re
import struct
import time

from harness import *
from remote_body import *

RECEIVER = "--web.enable-remote-write-receiver"
NATIVE = "--enable-feature=native-histograms"
HEAD = {"Content-Type": "application/x-protobuf",
        "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Read-Version": "0.1.0"}


# ---- the wire ----------------------------------------------------------------

def unsnappy(data):
    """A block, decompressed."""
    length, at = read_varint(data, 0)
    out = bytearray()
    while at < len(data):
        tag = data[at]
        kind, at = tag & 3, at + 1
        if kind == 0:
            n = tag >> 2
            if n >= 60:
                extra = n - 59
                n = int.from_bytes(data[at:at + extra], "little")
                at += extra
            out += data[at:at + n + 1]
            at += n + 1
            continue
        if kind == 1:
            n, back = (tag >> 2 & 7) + 4, tag >> 5 << 8 | data[at]
            at += 1
        else:
            size = 2 if kind == 2 else 4
            n = (tag >> 2) + 1
            back = int.from_bytes(data[at:at + size], "little")
            at += size
        for _ in range(n):
            out.append(out[-back])
    equal(len(out), length, "length of a snappy block")
    return bytes(out)


def read_varint(data, at):
    n = shift = 0
    while True:
        b = data[at]
        at += 1
        n |= (b & 0x7F) << shift
        if b < 0x80:
            return n, at
        shift += 7


def fields(data):
    """(number, value) of each field of a message."""
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        if key & 7 == 0:
            value, at = read_varint(data, at)
        elif key & 7 == 1:
            value, at = struct.unpack_from("<d", data, at)[0], at + 8
        else:
            n, at = read_varint(data, at)
            value, at = data[at:at + n], at + n
        yield key >> 3, value


def crc32c(data):
    crc = 0xFFFFFFFF
    for b in data:
        crc ^= b
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def labels_of(message):
    return tuple(tuple(v.decode() for _, v in fields(f))
                 for number, f in fields(message) if number == 1)


def matcher(kind, name, value):
    return (field_varint(1, kind) if kind else b"") + field_bytes(2, name) + \
        field_bytes(3, value)


def request(queries, accept=()):
    out = b""
    for start, end, matchers in queries:
        q = field_varint(1, start) + field_varint(2, end)
        q += b"".join(field_bytes(3, matcher(*m)) for m in matchers)
        out += field_bytes(1, q)
    for a in accept:
        out += field_varint(2, a)
    return out


def ask(url, body, compress=True):
    """(status, headers, bytes) of a read."""
    req = urllib.request.Request(url + "/api/v1/read",
                                 data=snappy(body) if compress else body,
                                 headers=HEAD)
    try:
        with urllib.request.urlopen(req, timeout=PATIENCE) as r:
            return r.status, dict(r.headers), r.read()
    except urllib.error.HTTPError as e:
        return e.code, dict(e.headers), e.read()


def bits(v):
    return struct.pack("<d", v)


def samples(answer):
    """[{labels: (samples, histograms)}] of an answer of type SAMPLES."""
    status, headers, body = answer
    equal((status, headers["Content-Type"], headers["Content-Encoding"]),
          (200, "application/x-protobuf", "snappy"))
    results = []
    for _, result in fields(unsnappy(body)):
        series = {}
        for _, one in fields(result):
            floats, hists = [], []
            for number, f in fields(one):
                if number == 2:
                    s = dict(fields(f))
                    floats.append((s.get(2, 0), bits(s.get(1, 0.0))))
                if number == 4:
                    hists.append(plain(f))
            series[labels_of(one)] = (floats, hists)
        results.append(series)
    return results


def plain(message):
    """A histogram's fields without those that say nothing."""
    out = {}
    for number, v in fields(message):
        if isinstance(v, float):
            v = bits(v)
        if number in (8, 11):
            v = tuple(f for f in fields(v) if f[1])
        if v not in (0, b"", bits(0.0)):
            out.setdefault(number, []).append(v)
    return out


def frames(answer):
    """[(query, labels, [(min, max, kind, data)])] of a streamed answer."""
    status, headers, body = answer
    equal((status, headers["Content-Type"]),
          (200, "application/x-streamed-protobuf; "
                "proto=prometheus.ChunkedReadResponse"))
    out, at = [], 0
    while at < len(body):
        n, at = read_varint(body, at)
        crc = struct.unpack_from(">I", body, at)[0]
        message = body[at + 4:at + 4 + n]
        at += 4 + n
        equal(crc, crc32c(message), "checksum of a frame")
        query, series = 0, []
        for number, v in fields(message):
            if number == 2:
                query = v
            else:
                series.append(v)
        equal(len(series), 1, "series of a frame")
        chunks = []
        for number, v in fields(series[0]):
            if number == 2:
                c = dict(fields(v))
                chunks.append((c.get(1, 0), c.get(2, 0), c[3], c[4]))
        out.append((query, labels_of(series[0]), chunks))
    return out


# ---- data --------------------------------------------------------------------

def data(start):
    out = []
    for i in range(4):
        out.append(({"__name__": "c_total", "job": "a", "i": str(i)},
                    [Sample(start + k * 15000, k * 1.5 + i)
                     for k in range(300)]))
    out.append(({"__name__": "g", "job": "b"},
                [Sample(start + k * 15000, STALE if k == 50 else -k / 3)
                 for k in range(100)]))
    out.append(({"__name__": "nat", "job": "a"},
                [Histogram(start + k * 15000, 3 * k, 1.5 * k, schema=1, zero=k,
                           positive=(((0, 2),), [k, 0]))
                 for k in range(1, 200)]))
    out.append(({"__name__": "natf", "job": "a"},
                [Histogram(start + k * 15000, 3.5 * k, 1.5 * k, schema=0,
                           zero=1.5 * k, is_float=True,
                           positive=(((0, 2),), [1.0 * k, 1.0 * k]))
                 for k in range(1, 50)]))
    return out


EXTERNAL = "global: {external_labels: {zone: z1, job: ext}}\n"


def pair(case):
    start = (int(time.time()) - 5000) * 1000
    peer = case.prometheus(EXTERNAL, RECEIVER, NATIVE,
                           binary=newest("prometheus"))
    s = case.sonde(EXTERNAL, RECEIVER)
    for url in (peer.url, s.url):
        write(url, data(start))
    return s, peer, start


# ---- tests -------------------------------------------------------------------

REQUESTS = [
    [[(0, "__name__", "c_total")]],
    [[(2, "__name__", "c.*|g"), (1, "i", "2")]],
    [[(3, "__name__", "c.*")], [(0, "__name__", "g")], [(0, "x", "no")]],
    [[(0, "__name__", "g"), (0, "zone", "z1")]],
    [[(0, "__name__", "g"), (0, "zone", "z2")]],
    [[(0, "__name__", "natf")], [(0, "__name__", "nat")]],
]


def test_samples(case):
    """samples are those that Prometheus gives"""
    s, peer, start = pair(case)
    for queries in REQUESTS:
        for span in ((start, start + 5000000), (start + 100001, start + 200000)):
            body = request([(*span, m) for m in queries])
            ours, theirs = (samples(ask(u, body)) for u in (s.url, peer.url))
            equal(len(ours), len(queries))
            for a, b in zip(ours, theirs):
                equal(sorted(a), sorted(k for k in b if b[k] != ([], [])))
                for key in a:
                    equal(a[key][0], b[key][0], f"{queries} {key}")
                    equal([{k: v for k, v in h.items() if k != 14}
                           for h in a[key][1]],
                          [{k: v for k, v in h.items() if k != 14}
                           for h in b[key][1]], f"{queries} {key}")


def test_frames(case):
    """frames hold the same series in order, and chunks with all samples"""
    s, peer, start = pair(case)
    for queries in REQUESTS:
        body = request([(start, start + 5000000, m) for m in queries], (1, 0))
        ours, theirs = (frames(ask(u, body)) for u in (s.url, peer.url))
        equal([f[:2] for f in ours], [f[:2] for f in theirs], f"{queries}")
        for a, b in zip(ours, theirs):
            equal({c[2] for c in a[2]}, {c[2] for c in b[2]})
            equal((a[2][0][0], a[2][-1][1]), (b[2][0][0], b[2][-1][1]))
            equal(sum(struct.unpack(">H", c[3][:2])[0] for c in a[2]),
                  sum(struct.unpack(">H", c[3][:2])[0] for c in b[2]))


def test_refusals(case):
    """what is no request, or asks for too much, is refused as Prometheus does"""
    start = (int(time.time()) - 5000) * 1000
    limit = "--storage.remote.read-sample-limit=1000"
    peer = case.prometheus(EXTERNAL, RECEIVER, NATIVE, limit,
                           binary=newest("prometheus"))
    s = case.sonde(EXTERNAL, RECEIVER, limit)
    for url in (peer.url, s.url):
        write(url, data(start))
    whole = (start, start + 5000000)
    for body, compress in [
            (b"\xff\xff\xff\xff\x0f", False),
            (b"no snappy", False),
            (b"\x0a\xff", True),
            (request([(*whole, [(0, "__name__", "c_total")])]), True),
            (request([(*whole, [(2, "__name__", "(")])]), True),
            (request([(*whole, [(0, "__name__", "g")])], (7,)), True)]:
        ours = ask(s.url, body, compress)
        theirs = ask(peer.url, body, compress)
        equal(ours[0], theirs[0], f"{body!r}: {ours[2]} {theirs[2]}")
        if compress and ours[0] == 400 and body != b"\x0a\xff":
            equal(ours[2], theirs[2], f"{body!r}")
    equal(ask(s.url, b"\x80\x80\x80\x80\x7f" + b"x" * 30, False)[0], 400)


def reads(case, binary, *flags):
    start = (int(time.time()) - 5000) * 1000
    s = case.sonde(EXTERNAL, RECEIVER)
    write(s.url, data(start))
    reader = case.prometheus(
        f"remote_read: [{{url: '{s.url}/api/v1/read', read_recent: true}}]\n",
        *flags, binary=binary)
    at = start // 1000 + 4000
    for query in ("c_total", "rate(c_total[5m])", "sum(c_total) by (job)",
                  'c_total{zone="z1"}', "g[10m]", "nat",
                  "count_over_time(c_total[1h])"):
        if query == "nat" and not flags:
            continue
        theirs = reader.query(query, at)
        ours = s.api("query", query=query, time=at)["result"]
        for one in ours:
            if query != "sum(c_total) by (job)" and "zone" not in query:
                one["metric"]["zone"] = "z1"
        if "zone=" in query:
            equal(len(theirs), 4, query)
            continue
        key = lambda r: json.dumps(r["metric"], sort_keys=True)
        equal(sorted(theirs, key=key), sorted(ours, key=key), query)


def test_old_prometheus(case):
    """Prometheus 2 reads from it"""
    reads(case, None)


def test_new_prometheus(case):
    """Prometheus 3 reads from it"""
    reads(case, newest("prometheus"), NATIVE)


def federates(case, binary):
    s = case.sonde(EXTERNAL, RECEIVER)
    now = int(time.time() * 1000)
    write(s.url, [({"__name__": "fed", "job": "j", "instance": "i", "n": str(n)},
                   [Sample(now - 20000, n / 7)]) for n in range(5)] +
          [({"__name__": "lone"}, [Sample(now - 20000, 1e21)])])
    reader = case.prometheus(f"""
scrape_configs:
  - job_name: federate
    honor_labels: true
    metrics_path: /federate
    scrape_interval: 1s
    params: {{'match[]': ['{{__name__=~"fed|lone"}}']}}
    static_configs: [{{targets: ['127.0.0.1:{s.port}']}}]
""", binary=binary)

    def found():
        result = reader.query('{__name__=~"fed|lone"}', time.time())
        return result if len(result) == 6 else None
    got = {series_key(r["metric"]): r["value"][1]
           for r in wait_for("federated series", found)}
    want = {series_key({"__name__": "fed", "job": "j", "instance": "i",
                        "n": str(n), "zone": "z1"}) for n in range(5)}
    want.add(series_key({"__name__": "lone", "job": "ext", "zone": "z1"}))
    equal(set(got), want)
    equal(got[series_key({"__name__": "fed", "job": "j", "instance": "i",
                          "n": "1", "zone": "z1"})], repr(1 / 7))
    up = reader.query("up", time.time())
    equal([r["value"][1] for r in up], ["1"])


def test_old_prometheus_federates(case):
    """Prometheus 2 federates from it"""
    federates(case, None)


def test_new_prometheus_federates(case):
    """Prometheus 3 federates from it"""
    federates(case, newest("prometheus"))


def native_series(now):
    """One of each kind of histogram, and a name that has a float as well."""
    spans = ((0, 2), (1, 1))
    return [
        ({"__name__": "nat", "k": "int"},
         [Histogram(now, 12, 18.4, schema=1, zero=2, zero_threshold=0.001,
                    positive=(spans, (1, 2, -1)),
                    negative=(((1, 1),), (4,)))]),
        ({"__name__": "nat", "k": "float"},
         [Histogram(now, 7.5, -3.25, schema=0, zero=0.5, is_float=True,
                    positive=(spans, (1.5, 2.5, 3.0)))]),
        ({"__name__": "nat", "k": "empty"}, [Histogram(now, 0, 0.0)]),
        ({"__name__": "nat", "k": "gauge"},
         [Histogram(now, 6, 1.0, hint=3, positive=(spans, (1, 1, 1)))]),
        ({"__name__": "nat", "k": "plain"}, [Sample(now, 3.5)]),
        ({"__name__": "nat", "k": "ended"},
         [Histogram(now - 1000, 1, 1.0, positive=(((0, 1),), (1,))),
          Histogram(now, 0, STALE)]),
    ]


# What makes a scrape of Prometheus' own page fail, or is not in it.
def odd_series(now):
    return [({"__name__": "none"},
             [Histogram(now, 0, 0.0, is_float=True,
                        positive=(((0, 2),), (0.0, 0.0)))])] + [({"__name__": "cust", "k": k},
             [Histogram(now, n * 6, 9.5, schema=-53, zero_threshold=0.0,
                        is_float=is_float, positive=(((0, 1), (1, 2)), buckets),
                        custom=(0.5, 1.0, 2.5))])
            for k, n, is_float, buckets in [("int", 1, False, (1, 1, 1)),
                                            ("float", 0.5, True,
                                             (0.5, 1.0, 1.5))]]


def content_type(url, accept):
    r = urllib.request.Request(url + "/federate?match[]=nat",
                               headers={"Accept": accept})
    with urllib.request.urlopen(r, timeout=PATIENCE) as answer:
        return answer.headers["Content-Type"]


PROTO = ("application/vnd.google.protobuf;encoding=delimited;"
         "proto=io.prometheus.client.MetricFamily")
ACCEPTS = [
    "*/*", "text/plain", PROTO, PROTO + ";q=0.5,text/plain;q=0.6",
    PROTO + ";q=0.6,text/plain;version=0.0.4;q=0.5", "text/plain," + PROTO,
    PROTO + ",text/plain", "text/plain;version=1.0.0," + PROTO + ";q=0.1",
    "application/vnd.google.protobuf",
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5," +
    PROTO + ";q=0.4,*/*;q=0.1",
]


def test_native_histograms_are_federated(case):
    """native histograms come through, as from a real Prometheus"""
    new = newest("prometheus")
    s = case.sonde(EXTERNAL, RECEIVER)
    peer = case.prometheus(EXTERNAL, RECEIVER, NATIVE, binary=new)
    now = int(time.time() * 1000) - 5000
    for url in (s.url, peer.url):
        write(url, native_series(now))
    for accept in ACCEPTS:
        equal(content_type(s.url, accept), content_type(peer.url, accept),
              accept)
    write(s.url, odd_series(now))
    reader = case.prometheus("scrape_configs:\n" + "".join(f"""
  - job_name: {name}
    honor_labels: true
    metrics_path: /federate
    scrape_interval: 1s
    params: {{'match[]': ['nat', '{{__name__=~"nat|none|cust",k!="plain"}}']}}
    static_configs: [{{targets: ['127.0.0.1:{port}']}}]
    metric_relabel_configs: [{{target_label: job, replacement: {name}}}]
""" for name, port in (("ours", s.port), ("theirs", peer.port))), NATIVE,
                             binary=new)

    def found(job, n):
        result = reader.query(f'{{__name__=~"nat|none|cust.*",job="{job}"}}',
                              time.time())
        return result if len(result) == n else None

    def values(result):
        return {series_key({k: v for k, v in r["metric"].items()
                            if k != "job"}):
                r.get("histogram", r.get("value"))[1] for r in result}
    theirs = values(wait_for("what the peer has", lambda: found("theirs", 5)))
    ours = values(wait_for("what we have", lambda: found("ours", 5 + 1 + 12)))
    custom = {k: v for k, v in ours.items()
              if dict(k)["__name__"].startswith("cust")}
    for k in custom:
        del ours[k]
    none = ours.pop(series_key({"__name__": "none", "zone": "z1"}))
    equal(none, {"count": "0", "sum": "0"})
    equal(ours, theirs)
    equal(sorted((dict(k)["k"], dict(k)["__name__"], dict(k).get("le"), v)
                 for k, v in custom.items()), sorted(
        [(k, "cust_bucket", le, v) for k, rows in
         (("int", [("0.5", "1"), ("1.0", "1"), ("2.5", "3"), ("+Inf", "6")]),
          ("float", [("0.5", "0.5"), ("1.0", "0.5"), ("2.5", "1.5"),
                     ("+Inf", "3")])) for le, v in rows] +
        [("int", "cust_count", None, "6"), ("float", "cust_count", None, "3"),
         ("int", "cust_sum", None, "9.5"), ("float", "cust_sum", None, "9.5")]),
        "custom buckets become classic ones")
    equal([r["value"][1] for r in reader.query("up", time.time())], ["1", "1"])


run(globals())
