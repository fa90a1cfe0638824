# SPDX-License-Identifier: Apache-2.0
"""The remote-write receiver, with real senders: Prometheus of this Debian and
of the newest (1.0 and 2.0), vmagent, the agent itself; and with bodies that no
sender should send."""
import struct
import time

from harness import *

RECEIVER = "--web.enable-remote-write-receiver"
V2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"


# ---- bodies by hand ---------------------------------------------------------

def uvarint(n):
    n &= (1 << 64) - 1
    out = b""
    while n >= 128:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def varint(field, n):
    return uvarint(field << 3) + uvarint(n)


def message(field, data):
    return uvarint(field << 3 | 2) + uvarint(len(data)) + data


def double(field, value):
    return uvarint(field << 3 | 1) + struct.pack("<d", value)


def snappy(data):
    """A block of literals only."""
    pieces = [data[i:i + 60] for i in range(0, len(data), 60)]
    return uvarint(len(data)) + b"".join(
        bytes([len(p) - 1 << 2]) + p for p in pieces)


def series(labels, *samples):
    body = b"".join(message(1, message(1, k.encode()) + message(2, v.encode()))
                    for k, v in labels.items())
    body += b"".join(message(2, double(1, v) + varint(2, t))
                     for t, v in samples)
    return message(1, body)


def series_2(symbols, labels, *samples):
    refs = b""
    for text in [x for pair in labels.items() for x in pair]:
        if text not in symbols:
            symbols.append(text)
        refs += uvarint(symbols.index(text))
    return message(5, message(1, refs) + b"".join(
        message(2, double(1, v) + varint(2, t)) for t, v in samples))


def request_2(*rows):
    symbols = [""]
    body = b"".join(series_2(symbols, *row) for row in rows)
    return b"".join(message(4, s.encode()) for s in symbols) + body


def post(s, data, content_type="application/x-protobuf", encoding="snappy"):
    """(status, text, headers)"""
    headers = {"X-Prometheus-Remote-Write-Version": "0.1.0"}
    if content_type is not None:
        headers["Content-Type"] = content_type
    if encoding is not None:
        headers["Content-Encoding"] = encoding
    req = urllib.request.Request(s.url + "/api/v1/write", data=data,
                                 headers=headers, method="POST")
    try:
        with urllib.request.urlopen(req, timeout=PATIENCE) as r:
            return r.status, r.read().decode(), dict(r.headers)
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode(), dict(e.headers)


def now_ms():
    return int(time.time() * 1000)


# ---- senders ----------------------------------------------------------------

class Counter:
    """A body whose values rise at every scrape."""

    def __init__(self, series=40):
        self.n = 0
        self.series = series

    def __call__(self):
        self.n += 1
        return ("# HELP c_total Counts.\n# TYPE c_total counter\n" + "".join(
            f'c_total{{i="{i}",path="/a b/{i}"}} {self.n + i}\n'
            for i in range(self.series)) + "temperature 36.6\n")


def of_counter(dump):
    return {k: [s for s in v if s[1] != "NaN"] for k, v in dump.items()
            if ("__name__", "c_total") in k}


def same_samples(case, s, sender_data, t, name):
    """Stops the source; all that the sender has must arrive."""
    t.close()
    case.cleanups.remove(t.close)

    def samples(data, what):
        return of_counter(promtool_dump(
            case.copy(data, f"{name}-{what}-{time.monotonic_ns()}")))

    def all_arrived():
        sent = samples(sender_data, "sent")
        need(sent and all(len(v) > 5 for v in sent.values()),
             "samples were sent")
        return samples(s.data, "got") == sent
    wait_for("the last sample to arrive", all_arrived)


def by_prometheus(case, name, binary=None, extra=""):
    s = case.sonde("global: {}\n", RECEIVER)
    t = case.target(Counter())
    p = case.prometheus(
        config(job("app", t.address, interval="200ms"),
               rest=f"remote_write:\n  - url: {s.url}/api/v1/write\n{extra}"
                    "    queue_config: {batch_send_deadline: 100ms}\n"),
        binary=binary)
    wait_for("scrapes", lambda: t.hits >= 15)
    same_samples(case, s, p.data, t, name)
    page = get(p.url + "/metrics")[1]
    failed = sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines()
                 if line.startswith("prometheus_remote_storage_samples_"
                                    "failed_total"))
    equal(failed, 0, "samples that the sender counts as failed")
    return s, p


def test_prometheus(case):
    """Prometheus 2.42 sends 1.0"""
    s, _ = by_prometheus(case, "2.42")
    need(s.metric('sonde_remote_receive_requests_total{version="1.0"}') > 0,
         "1.0 was counted")


def test_newest_prometheus(case):
    """the newest Prometheus sends 1.0"""
    by_prometheus(case, "v1", newest("prometheus"))


def test_newest_prometheus_2(case):
    """the newest Prometheus sends 2.0, and finds all of it written"""
    s, _ = by_prometheus(
        case, "v2", newest("prometheus"),
        "    protobuf_message: io.prometheus.write.v2.Request\n")
    need(s.metric('sonde_remote_receive_requests_total{version="2.0"}') > 0,
         "2.0 was counted")
    equal(s.metric('sonde_remote_receive_requests_total{version="1.0"}'), 0)


def native_histograms(case, extra):
    """A Prometheus that scrapes its own native histograms sends them."""
    s = case.sonde("global: {}\n", RECEIVER)
    port = free_port()
    p = case.prometheus(
        "scrape_configs:\n" + job("self", f"127.0.0.1:{port}",
                                  interval="300ms") +
        f"remote_write:\n  - url: {s.url}/api/v1/write\n{extra}"
        "    send_native_histograms: true\n    send_exemplars: true\n"
        "    queue_config: {batch_send_deadline: 100ms}\n",
        "--enable-feature=native-histograms,exemplar-storage",
        binary=newest("prometheus"), port=port)
    wait_for("native histograms to arrive", lambda: s.metric(
        "sonde_remote_receive_histograms_total"))
    page = get(p.url + "/metrics")[1]
    for kind in ("histograms", "samples"):
        failed = [l for l in page.splitlines() if l.startswith(
            f"prometheus_remote_storage_{kind}_failed_total")]
        equal(sum(float(l.rsplit(" ", 1)[1]) for l in failed), 0, kind)
    equal(s.metric("prometheus_tsdb_head_samples_appended_total"
                   '{type="histogram"}') > 0, True, "they are in the store")


def test_native_histograms(case):
    """native histograms of the newest Prometheus by 1.0"""
    native_histograms(case, "")


def test_native_histograms_2(case):
    """native histograms of the newest Prometheus by 2.0"""
    native_histograms(
        case, "    protobuf_message: io.prometheus.write.v2.Request\n")


def test_vmagent(case):
    """vmagent sends 1.0"""
    path = newest("vmagent", "victoria-metrics")
    s = case.sonde("global: {}\n", RECEIVER)
    body = Counter()
    t = case.target(body)
    scrape = case.write("vmagent.yml", config(
        job("app", t.address, interval="1s")))
    Process(case, [path, f"-promscrape.config={scrape}",
                   f"-remoteWrite.url={s.url}/api/v1/write",
                   f"-remoteWrite.tmpDataPath={case.path('vmagent')}",
                   "-remoteWrite.forcePromProto",
                   f"-httpListenAddr=127.0.0.1:{free_port()}"], "vmagent")
    wait_for("scrapes", lambda: t.hits >= 5)
    wait_for("values to arrive", lambda: len(s.query("c_total")) == 40)
    got = s.query('c_total{i="7"}')
    need(all(float(v[1]) <= body.n + 7 for v in got.values()), f"{got}")


def test_own_agent(case):
    """sonde --agent sends to sonde, outage and kill included"""
    port = free_port()
    s = case.sonde("global: {}\n", RECEIVER, port=port)
    t = case.target(Counter())
    conf = config(job("app", t.address, interval="200ms"),
                  rest=f"remote_write:\n  - url: {s.url}/api/v1/write\n"
                       "    queue_config: {batch_send_deadline: 100ms, "
                       "max_backoff: 300ms}\n")
    path = case.write("agent/sonde.yml", conf)
    agent_port = free_port()
    agent = Process(case, [SONDE, "--agent", f"--config.file={path}",
                           f"--storage.agent.path={case.path('agent/data')}",
                           f"--web.listen-address=127.0.0.1:{agent_port}"],
                    "agent")
    wait_for("values to arrive", lambda: len(s.query("c_total")) == 40)
    s.kill()
    hits = t.hits
    wait_for("scrapes during the outage", lambda: t.hits >= hits + 10)
    s = case.sonde("global: {}\n", RECEIVER, port=port)
    hits = t.hits
    wait_for("scrapes after it", lambda: t.hits >= hits + 10)
    t.close()
    case.cleanups.remove(t.close)
    end = time.monotonic() + PATIENCE
    while True:
        got = of_counter(promtool_dump(
            case.copy(s.data, f"got-{time.monotonic_ns()}")))
        values = [[int(float(v)) for _, v in x] for x in got.values()]
        if values and all(x[-1] - x[0] == len(x) - 1 for x in values) and \
                max(len(x) for x in values) >= t.hits - 2:
            break
        need(time.monotonic() < end, "every scrape arrives, without a hole")
        time.sleep(0.2)
    need(agent.alive(), "the agent runs")


# ---- answers ----------------------------------------------------------------

def test_off(case):
    """without the flag there is no such page, and its body is not read"""
    s = case.sonde("global: {}\n")
    status, _, _ = post(s, snappy(series({"__name__": "a"}, (now_ms(), 1))))
    equal(status, 404)


def test_headers(case):
    """the message is what the headers say; others are 415"""
    s = case.sonde("global: {}\n", RECEIVER)
    t = now_ms()
    v1 = snappy(series({"__name__": "one"}, (t, 1)))
    v2 = snappy(request_2(({"__name__": "two"}, (t, 2))))
    for content_type, encoding, body, want in (
            ("application/x-protobuf", "snappy", v1, 204),
            (None, None, v1, 204),
            ("application/x-protobuf;proto=prometheus.WriteRequest", "snappy",
             v1, 204),
            ("application/x-protobuf; proto=io.prometheus.write.v2.Request",
             "snappy", v2, 204),
            ("application/json", "snappy", v1, 415),
            ("application/x-protobuf;proto=other.Message", "snappy", v1, 415),
            ("application/x-protobuf", "gzip", gzip.compress(b"x"), 415),
            ("application/x-protobuf", "zstd", v1, 415)):
        if content_type is None:  # urllib would put one of its own
            content_type = ""
        status, text, _ = post(s, body, content_type, encoding)
        equal(status, want, f"{content_type!r} {encoding!r}: {text}")
    equal(s.value("one"), 1)
    equal(s.value("two"), 2)
    equal(get(s.url + "/api/v1/write")[0], 405)


def test_messages_flag(case):
    """accepted-protobuf-messages leaves out a version"""
    s = case.sonde("global: {}\n", RECEIVER,
                   "--web.remote-write-receiver.accepted-protobuf-messages="
                   "io.prometheus.write.v2.Request")
    t = now_ms()
    equal(post(s, snappy(series({"__name__": "one"}, (t, 1))))[0], 415)
    equal(post(s, snappy(request_2(({"__name__": "two"}, (t, 2)))), V2)[0],
          204)


def test_hostile(case):
    """bodies that lie about their length, end early or are something else"""
    s = case.sonde("global: {}\n", RECEIVER)
    t = now_ms()
    good = snappy(series({"__name__": "a"}, (t, 1)))
    many = b"".join(message(1, message(1, b"l%d" % i) + message(2, b"v"))
                    for i in range(1000000))
    rows = [
        ("nothing", b"", 400),
        ("4 GiB declared", b"\xff\xff\xff\xff\x0f\x00", 400),
        ("32 MiB declared in five bytes", b"\x80\x80\x80\x10\x00", 400),
        ("cut off", good[:-5], 400),
        ("no compression", series({"__name__": "a"}, (t, 1)), 400),
        ("gzip", gzip.compress(good), 400),
        ("garbage", bytes(range(256)) * 40, 400),
        ("a framed snappy stream", b"\xff\x06\x00\x00sNaPpY" + good, 400),
        ("timeseries as a number", snappy(varint(1, 5)), 400),
        ("a million labels", snappy(message(1, many)), 204),
        ("a million labels and a sample",
         snappy(message(1, many + message(2, double(1, 1) + varint(2, t)))),
         400),
        ("larger than 32 MiB", b"x" * (33 << 20), 413),
        ("good", good, 204),
    ]
    for name, body, want in rows:
        try:
            status, text, _ = post(s, body)
        except urllib.error.URLError:  # it hung up while we wrote
            status, text = 413, ""
        equal(status, want, f"{name}: {text[:300]}")
    equal(s.value("a"), 1)
    need(s.alive(), "sonde runs")
    hwm = int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{s.pid}/status").read())
              [1])
    if "libasan" not in open(f"/proc/{s.pid}/maps").read():
        need(hwm < 400 << 10, f"{hwm} kB at most")


def test_partial_write(case):
    """what can not be taken is named, the rest is stored"""
    for version in (1, 2):
        s = case.sonde("global: {}\n", RECEIVER, data=f"data-{version}")
        t = now_ms() - 60000

        def send(*rows):
            if version == 1:
                return post(s, snappy(b"".join(series(*r) for r in rows)))
            return post(s, snappy(request_2(*rows)), V2)

        status, text, headers = send(({"__name__": "a", "job": "x"}, (t, 1)),
                                     ({"__name__": "b"}, (t, 1)))
        equal(status, 204, text)
        status, text, headers = send(
            ({"__name__": "a", "job": "x"}, (t - 1000, 5), (t + 1000, 2)),
            ({"__name__": "b"}, (t, 7)),
            ({"job": "nameless"}, (t, 1)),
            ({"__name__": "far"}, (t + 3600000, 1)),
            ({"__name__": "c"}, (t + 1000, 3)))
        equal(status, 400, text)
        need('no metric name (series {job="nameless"}' in text, text)
        need("4 of 6 samples refused, the others are stored" in text, text)
        for part in ('out of order sample (series a{job="x"}',
                     "duplicate sample for timestamp", "(series b",
                     "more than 10 minutes ahead of the clock (series far"):
            need(part in text, f"{part}: {text}")
        equal(headers.get("X-Prometheus-Remote-Write-Samples-Written"),
              "2" if version == 2 else None)
        equal(s.value("c"), 3)
        equal(s.value("a"), 2)
        # The clock of the sender poisoned nothing.
        equal(send(({"__name__": "c"}, (t + 2000, 4)))[0], 204)
        equal(send(({"__name__": "c"}, (t + 2000, 4)))[0], 204, "repeated")
        equal(s.metric("prometheus_api_remote_write_invalid_labels_samples"
                       "_total"), 1)


def test_acknowledged_survives_a_kill(case):
    """what was answered 204 is there after kill -9"""
    s = case.sonde("global: {}\n", RECEIVER)
    t = now_ms() - 600000
    for i in range(50):
        body = snappy(b"".join(series({"__name__": "k", "i": str(n)},
                                      (t + i * 1000, i)) for n in range(20)))
        equal(post(s, body)[0], 204)
    s.kill()
    s = case.sonde("global: {}\n", RECEIVER)
    for n in range(20):
        equal(s.value(f'k{{i="{n}"}}', (t + 49000) / 1000), 49)


def test_many_senders(case):
    """many connections at once lose nothing"""
    s = case.sonde("global: {}\n", RECEIVER)
    t = now_ms() - 600000
    results = []

    def sender(n):
        for i in range(20):
            body = snappy(b"".join(
                series({"__name__": "m", "sender": str(n), "i": str(k)},
                       (t + i * 1000, i)) for k in range(50)))
            while True:
                status = post(s, body)[0]
                results.append(status)
                if status != 503:
                    break
                time.sleep(0.1)

    threads = [threading.Thread(target=sender, args=(n,)) for n in range(40)]
    for x in threads:
        x.start()
    for x in threads:
        x.join()
    equal(set(results) - {503}, {204})
    equal(s.metric("sonde_remote_receive_samples_total"), 40 * 20 * 50)
    got = s.query("m", (t + 19000) / 1000)
    equal(len(got), 2000)
    equal({v[1] for v in got.values()}, {"19"})


run(globals())
