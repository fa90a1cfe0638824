#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares how long queries take over the same samples.

Fills sonde, Prometheus and VictoriaMetrics with the same series by remote
write (tests/bench/remote_write_load, and a classic histogram beside it), waits
until they have nothing more to do, and asks each the same queries again and
again. Told are the
medians of the whole request as a client sees it, and each one's memory before
and at most; answers are compared (VictoriaMetrics extrapolates in its own way,
so its values are not).
"""

import argparse
import json
import math
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import time
import urllib.error
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "integration"))
import receive_bench as receive  # noqa: E402
import remote_body  # noqa: E402
import scrape_bench as bench  # noqa: E402

HOUR = 3600
NAME = "service_00_http_requests_total"
SMALL = NAME + '{pod=~"backend-7d9c5b6f4-0000[0-4]"}'  # 250 of them


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--series", type=int, default=10000)
    p.add_argument("--hours", type=float, default=6)
    p.add_argument("--every", type=int, default=15, help="seconds")
    p.add_argument("--rounds", type=int, default=9)
    p.add_argument("--only", default="sonde,prometheus,victoria-metrics")
    p.add_argument("--queries", default="", help="names, by comma")
    p.add_argument("--build-dir", type=pathlib.Path,
                   default=os.environ.get("SONDE_BUILD_DIR", "."))
    p.add_argument("--peers", type=pathlib.Path,
                   default=pathlib.Path(tempfile.gettempdir())
                   / "newer-debian" / "sid" / "run")
    p.add_argument("--fetch", action="store_true")
    p.add_argument("--sonde-flags", default="", metavar="FLAGS")
    p.add_argument("--settle", type=int, default=75, help="seconds of quiet")
    p.add_argument("--json", type=pathlib.Path)
    p.add_argument("--keep", action="store_true")
    o = p.parse_args()
    o.version, o.connections, o.families = 1, 4, 1
    return o


def queries(begin, end):
    """(name, path, parameters)."""
    all_series = '{job="kubernetes-pods"}'

    def instant(q):
        return "query", {"query": q, "time": end}

    def ranged(q, hours, step):
        return "query_range", {"query": q, "start": end - hours * HOUR,
                               "end": end, "step": step}
    return [(n, *x) for n, x in (
        ("instant, all", instant(all_series)),
        ("instant, sum(rate)", instant(f"sum(rate({all_series}[5m]))")),
        ("sum(rate), 6 h by 60 s",
         ranged(f"sum(rate({all_series}[5m]))", 6, 60)),
        ("sum(rate), 1 h by 15 s",
         ranged(f"sum(rate({all_series}[5m]))", 1, 15)),
        ("sum by, rate of 250, 6 h by 60 s",
         ranged(f"sum by (handler) (rate({SMALL}[5m]))", 6, 60)),
        ("histogram_quantile, 6 h by 60 s",
         ranged("histogram_quantile(0.9, sum by (le) "
                "(rate(latency_seconds_bucket[5m])))", 6, 60)),
        ("avg_over_time[1h], 6 h by 5 m",
         ranged(f"avg_over_time({SMALL}[1h])", 5, 300)),
        ("binary, 6 h by 60 s",
         ranged(f"rate({SMALL}[5m]) / rate({SMALL}[5m] offset 10m)", 6, 60)),
        ("raw 250, 6 h by 15 s", ranged(SMALL, 6, 15)),
        ("series, all", ("series", {"match[]": all_series, "start": begin,
                                    "end": end})),
        ("one series, instant", instant(one_series())),
        ("one series, 6 h", ranged(one_series(), 6, 60)),
    )]


def one_series():
    return NAME + '{pod="backend-7d9c5b6f4-00000",handler=' \
        '"/api/v1/resource/0/items",code="200"}'


def fill_histogram(server, begin, steps, every_ms):
    bounds = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1",
              "2.5", "5", "10", "+Inf"]
    for first in range(0, steps, 120):
        series = []
        for pod in range(10):
            for b, le in enumerate(bounds):
                labels = {"__name__": "latency_seconds_bucket", "le": le,
                          "pod": str(pod)}
                series.append((labels, [
                    remote_body.Sample(begin + k * every_ms,
                                       float((b + 1) * k * (3 + pod % 3)))
                    for k in range(first, min(first + 120, steps))]))
        remote_body.write(f"http://127.0.0.1:{server.port}", series)


def ask(server, path, params):
    """(seconds, body)."""
    url = (f"http://127.0.0.1:{server.port}/api/v1/{path}?"
           + urllib.parse.urlencode(params))
    if server.name == "victoria-metrics" and path != "series":
        url += "&nocache=1"
    began = time.monotonic()
    try:
        body = bench.get(url, timeout=300)
    except urllib.error.HTTPError as e:
        raise bench.Failed(f"{server.name}: {params}: {e.code} "
                           f"{e.read().decode()[:500]}") from e
    return time.monotonic() - began, body


def values(body):
    out = {}
    data = json.loads(body)["data"]
    for s in data["result"] if isinstance(data, dict) else []:
        key = tuple(sorted(s["metric"].items()))
        out[key] = s.get("values") or [s["value"]]
    return out


def same(a, b):
    if a.keys() != b.keys():
        return f"{len(a)} and {len(b)} series"
    for k in a:
        if len(a[k]) != len(b[k]):
            return f"{k}: {len(a[k])} and {len(b[k])} points"
        for (t, x), (u, y) in zip(a[k], b[k]):
            if x != y and (t != u or not math.isclose(
                    float(x), float(y), rel_tol=1e-9, abs_tol=1e-12)):
                return f"{k} at {t}: {x} and {y}"
    return None


def measure(server, todo, options):
    rows = {}
    pid = server.process.pid
    before = bench.memory_bytes(pid, "VmRSS")
    for name, path, params in todo:
        ask(server, path, params)
        times = []
        for _ in range(options.rounds):
            seconds, body = ask(server, path, params)
            times.append(seconds * 1000)
        rows[name] = (statistics.median(times), body)
    return {"name": server.name, "rows": rows, "rss": before,
            "peak": bench.memory_bytes(pid, "VmHWM")}


def print_table(results, todo):
    names = [r["name"] for r in results]
    print(f"\n{'median ms':36}" + "".join(f"{n:>18}" for n in names))
    for name, path, _ in todo:
        cells = [r["rows"][name][0] for r in results]
        print(f"{name:36}" + "".join(
            f"{c:10.2f} {c / cells[0]:6.1f}x" for c in cells))
    print(f"{'memory before, MB':36}" +
          "".join(f"{r['rss'] / 1e6:10.0f}{'':8}" for r in results))
    print(f"{'memory at most, MB':36}" +
          "".join(f"{r['peak'] / 1e6:10.0f}{'':8}" for r in results))


def compare(results, todo):
    by = {r["name"]: r for r in results}
    if "sonde" not in by or "prometheus" not in by:
        return
    for name, path, _ in todo:
        if path == "series":
            a, b = (len(json.loads(by[n]["rows"][name][1])["data"])
                    for n in ("sonde", "prometheus"))
            why = None if a == b else f"{a} and {b}"
        else:
            why = same(values(by["sonde"]["rows"][name][1]),
                       values(by["prometheus"]["rows"][name][1]))
        if why:
            raise bench.Failed(f"answers differ: {name}: {why}")
    print("answers of sonde and Prometheus are the same")


def run(options, folder):
    steps = int(options.hours * HOUR // options.every)
    # A whole number of minutes, so that steps fall beside the samples.
    begin = (int(time.time()) - steps * options.every) // 60 * 60 * 1000 + 7000
    results = []
    for name in options.only.split(","):
        program = bench.find_program(name, options)
        if not program:
            continue
        server = receive.KINDS[name](name, program, folder, options)
        try:
            server.start(0)
            last = begin + (steps - 1) * options.every * 1000
            todo = queries(begin / 1000, last // 60000 * 60)
            if options.queries:
                todo = [q for q in todo if q[0] in options.queries.split(",")]
            fill_both(server, options, begin, steps)
            receive.settle(server, quiet_for=options.settle)
            results.append(measure(server, todo, options))
        except bench.Failed as e:
            if name == "sonde":
                raise
            print(f"# left out: {e}")
        finally:
            server.stop()
    print_table(results, todo)
    compare(results, todo)
    if options.json:
        options.json.write_text(json.dumps(
            [{"name": r["name"], "rss": r["rss"], "peak": r["peak"],
              "ms": {n: v[0] for n, v in r["rows"].items()}}
             for r in results], indent=2) + "\n")


def fill_both(server, options, begin, steps):
    every = options.every * 1000
    part = 120
    for first in range(0, steps, part):
        n = min(part, steps - first)
        receive.load(server, options, 10000, n, begin + first * every, every,
                     False)
        fill_histogram(server, begin + first * every, n, every)


def main():
    options = arguments()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="promql-bench-"))
    try:
        run(options, folder)
    except bench.Failed as e:
        print(f"promql_bench: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if options.keep:
            print(f"# data and logs are in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
