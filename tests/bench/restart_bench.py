#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares how soon a killed store is there again, and what it has lost.

Each of sonde, Prometheus and VictoriaMetrics scrapes the same generated
targets until every series has so many samples by its own count, is ended
(kill -9, or SIGTERM with --clean), the files are dropped from the page cache,
and it is started again without targets. Told are the seconds until it says
that it is ready, until the newest value of every series has been answered, and
how many of the samples that it had counted are still there (a peer's own
metrics and the scrapes' are in neither).

Dropping the page cache needs root (/proc/sys/vm/drop_caches); without it the
files are asked out of the cache one by one, which is nearly as good.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.parse

import scrape_bench as base

POLL = 0.005


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--targets", type=int, default=10)
    p.add_argument("--series", type=int, default=20000, help="of each target")
    p.add_argument("--interval", type=int, default=1, help="seconds")
    p.add_argument("--samples", type=int, default=50, help="of each series")
    p.add_argument("--clean", action="store_true",
                   help="stop it properly instead of killing it")
    p.add_argument("--only", default="sonde,prometheus,victoria-metrics",
                   help="which to run, by comma")
    p.add_argument("--build-dir", type=pathlib.Path,
                   default=os.environ.get("SONDE_BUILD_DIR", "."))
    p.add_argument("--peers", type=pathlib.Path,
                   default=pathlib.Path(tempfile.gettempdir())
                   / "newer-debian" / "sid" / "run")
    p.add_argument("--fetch", action="store_true")
    p.add_argument("--sonde-flags", default="", metavar="FLAGS")
    p.add_argument("--json", type=pathlib.Path, help="also write results here")
    p.add_argument("--keep", action="store_true", help="keep data and logs")
    options = p.parse_args()
    options.gzip = False
    return options


def drop_caches(folder):
    os.sync()
    try:
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3\n")
        return
    except OSError:
        pass
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as f:
                os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def ask(server, text, at):
    q = urllib.parse.urlencode({"query": text, "time": f"{at:.3f}"})
    doc = json.loads(base.get(
        f"http://127.0.0.1:{server.port}/api/v1/query?{q}", timeout=120))
    return doc["data"]["result"]


def ready(server):
    """VictoriaMetrics answers /health when it is open."""
    path = "/health" if server.name == "victoria-metrics" else "/-/ready"
    try:
        base.get(f"http://127.0.0.1:{server.port}{path}", timeout=60)
        return True
    except (urllib.error.URLError, OSError):
        return False


def fill(server, generator, options):
    """Scrapes until there are enough; how many it says it has."""
    want = options.targets * options.series * options.samples
    server.start(generator.port_base)
    end = time.monotonic() + options.samples * options.interval * 3 + 60
    while time.monotonic() < end:
        have = server.samples()
        if have >= want:
            return have
        time.sleep(0.2)
    raise base.Failed(f"{server.name} has not got {want} samples in time")


def start_again(server):
    config = server.folder / server.config_name()
    config.write_text("scrape_configs: []\n")
    log = open(server.folder / "log", "ab")
    began = time.monotonic()
    server.process = base.subprocess.Popen(
        server.command(config), stdin=base.subprocess.DEVNULL, stdout=log,
        stderr=base.subprocess.STDOUT, cwd=server.folder)
    log.close()
    return began


def until(what, probe, began, patience=300):
    while time.monotonic() - began < patience:
        try:
            got = probe()
        except (urllib.error.URLError, OSError, KeyError, ValueError):
            got = None
        if got:
            return time.monotonic() - began, got
        time.sleep(POLL)
    raise base.Failed(f"waited {patience} s for {what}")


def count_left(server, options, stopped_at):
    """The samples of all series, by its own means."""
    if server.name == "sonde":
        server.stop()
        lines = base.subprocess.run(
            f"{server.program} tsdb dump {server.folder / 'data'} | wc -l",
            shell=True, capture_output=True, text=True, check=True)
        return float(lines.stdout)
    span = options.samples * options.interval * 3 + 120
    got = ask(server, f'sum(count_over_time({{job="bench"}}[{span}s]))',
              stopped_at + 1)
    return float(got[0]["value"][1]) if got else 0.0


def measure(server, generator, options):
    try:
        had = fill(server, generator, options)
        pid = server.process.pid
        stopped_at = time.time()
        os.kill(pid, signal.SIGTERM if options.clean else signal.SIGKILL)
        server.process.wait()
        drop_caches(server.folder)
        began = start_again(server)
        ready_s, _ = until("ready", lambda: ready(server), began)
        answer_s, got = until("a full answer", lambda: ask(
            server, '{job="bench"}', stopped_at + 1), began)
        peak = base.memory_bytes(server.process.pid, "VmHWM")
        left = count_left(server, options, stopped_at)
        return {"name": server.name, "samples": had, "ready": ready_s,
                "answer": answer_s,
                "left": left, "answered": len(got),
                "peak": peak}
    finally:
        server.stop()


def print_table(results, options):
    series = options.targets * options.series
    print(f"\n{series} series, {options.samples} samples each, "
          f"{'stopped' if options.clean else 'killed'}, cold cache\n")
    print(f"{'':18}{'samples had':>12}{'still there':>12}"
          f"{'ready s':>10}{'answer s':>10}{'peak MB':>9}")
    for r in results:
        print(f"{r['name']:18}{r['samples']:12.0f}{r['left']:12.0f}"
              f"{r['ready']:10.2f}{r['answer']:10.2f}"
              f"{r['peak'] / 1e6:9.0f}")


def run(options):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="restart-bench-"))
    generator = None
    results = []
    try:
        generator = base.Generator(options)
        for name in options.only.split(","):
            program = base.find_program(name, options)
            if not program:
                continue
            server = base.KINDS[name](name, program, folder, options)
            try:
                results.append(measure(server, generator, options))
            except base.Failed as e:
                if name == "sonde":
                    raise
                print(f"# left out: {e}")
        print_table(results, options)
        if options.json:
            options.json.write_text(json.dumps(results, indent=2) + "\n")
    finally:
        if generator:
            generator.stop()
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


def main():
    try:
        run(arguments())
    except base.Failed as e:
        print(f"restart_bench: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
