#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares what it costs to scrape and keep the same generated targets.

Starts the target generator, then sonde, Prometheus and VictoriaMetrics, one
after the other or side by side, each scraping all targets at the same
interval. After a warm-up it takes two readings, `--measure` seconds apart, of
each one's processor time (/proc/PID/stat) and of the samples it has ingested
by its own count; memory is VmRSS at the end and VmHWM, the peak since start,
by series. What the generator itself uses is printed apart.

A peer that is not there or does not work is said and left out; with `--fetch`
it is unpacked from Debian sid first. Only sonde missing or not working is a
failure.

Everything runs on one machine, so only the ratios mean something elsewhere.
"""

import argparse
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """The benchmark can not go on; the text says why."""


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--targets", type=int, default=10)
    p.add_argument("--series", type=int, default=20000, help="of each target")
    p.add_argument("--interval", type=int, default=5, help="seconds")
    p.add_argument("--warmup", type=int, default=30, help="seconds")
    p.add_argument("--measure", type=int, default=60, help="seconds")
    p.add_argument("--gzip", action="store_true", help="compressed bodies")
    p.add_argument("--side-by-side", action="store_true",
                   help="all at once instead of one after the other")
    p.add_argument("--only", default="sonde,prometheus,victoria-metrics",
                   help="which to run, by comma")
    p.add_argument("--build-dir", type=pathlib.Path,
                   default=os.environ.get("SONDE_BUILD_DIR", "."),
                   help="where sonde and tests/bench/targets are")
    p.add_argument("--peers", type=pathlib.Path,
                   default=pathlib.Path(tempfile.gettempdir())
                   / "newer-debian" / "sid" / "run",
                   help="folder with the peers' programs")
    p.add_argument("--fetch", action="store_true",
                   help="unpack peers that are not there from Debian sid")
    p.add_argument("--sonde-flags", default="", metavar="FLAGS",
                   help="more flags for sonde, by blanks")
    p.add_argument("--json", type=pathlib.Path, help="also write results here")
    p.add_argument("--keep", action="store_true", help="keep data and logs")
    return p.parse_args()


def free_port_range(count):
    """The first of so many free ports in a row, below the ephemeral ones."""
    first = random.randrange(12000, 30000, 100)
    for base in range(first, 32000 - count, 100):
        try:
            for port in range(base, base + count):
                with socket.socket() as s:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    s.bind(("127.0.0.1", port))
            return base
        except OSError:
            continue
    raise Failed(f"found no {count} free ports in a row")


def get(url, timeout=5.0):
    """Without any proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=timeout) as r:
        return r.read().decode()


def cpu_seconds(pid):
    """User and system time of the process, ended threads included."""
    text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_bytes(pid, field):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{field}:\s+(\d+) kB", text, re.M)[1]) * 1024


class Server:
    """One of those that are compared."""

    #: metrics that count ingested samples; the first found is taken
    counters = ("prometheus_tsdb_head_samples_appended_total",)
    counter_labels = ""

    def __init__(self, name, program, folder, options):
        self.name = name
        self.program = program
        self.folder = folder / name
        self.options = options
        self.port = 0
        self.process = None
        self.first = self.last = None

    def scrape_config(self, port_base):
        targets = ", ".join(f"'127.0.0.1:{port_base + i}'"
                            for i in range(self.options.targets))
        interval = self.options.interval
        return (f"global:\n  scrape_interval: {interval}s\n"
                f"  scrape_timeout: {interval}s\n"
                f"scrape_configs:\n  - job_name: bench\n"
                f"    static_configs:\n      - targets: [{targets}]\n")

    def command(self, config):
        return [str(self.program), f"--config.file={config}",
                f"--storage.tsdb.path={self.folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}"]

    def config_name(self):
        return "prometheus.yml"

    def start(self, port_base):
        self.port = free_port_range(1)
        self.folder.mkdir(parents=True)
        config = self.folder / self.config_name()
        config.write_text(self.scrape_config(port_base))
        log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen(
            self.command(config), stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, cwd=self.folder)
        log.close()
        self.await_answer()

    def log_tail(self):
        lines = (self.folder / "log").read_text(errors="replace").split("\n")
        return "\n".join("    " + line[:300] for line in lines[-8:] if line)

    def await_answer(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Failed(f"{self.name} ended with code "
                             f"{self.process.returncode}:\n{self.log_tail()}")
            try:
                get(f"http://127.0.0.1:{self.port}/metrics")
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise Failed(f"{self.name} does not answer on port {self.port}:\n"
                     f"{self.log_tail()}")

    def samples(self):
        page = get(f"http://127.0.0.1:{self.port}/metrics", timeout=30)
        for name in self.counters:
            values = re.findall(
                rf"^{name}(?:\{{[^}}]*{self.counter_labels}[^}}]*\}})? "
                rf"([0-9.e+]+)", page, re.M)
            if values:
                return sum(float(v) for v in values)
        raise Failed(f"{self.name} has no metric {' or '.join(self.counters)}")

    def read(self):
        if self.process.poll() is not None:
            raise Failed(f"{self.name} ended with code "
                         f"{self.process.returncode}:\n{self.log_tail()}")
        pid = self.process.pid
        # The samples first: asking costs a little, which stays outside.
        samples = self.samples()
        return {"time": time.monotonic(), "samples": samples,
                "cpu": cpu_seconds(pid), "rss": memory_bytes(pid, "VmRSS"),
                "peak": memory_bytes(pid, "VmHWM")}

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def result(self):
        samples = self.last["samples"] - self.first["samples"]
        series = self.options.targets * self.options.series
        rounds = (self.last["time"] - self.first["time"]) \
            / self.options.interval
        if samples < series * rounds / 2:
            raise Failed(f"{self.name} ingested {samples:.0f} samples where "
                         f"about {series * rounds:.0f} were to be had:\n"
                         f"{self.log_tail()}")
        return {"name": self.name, "samples": samples,
                "cpu_per_million":
                    (self.last["cpu"] - self.first["cpu"]) / samples * 1e6,
                "rss_per_series": self.last["rss"] / series,
                "peak_per_series": self.last["peak"] / series,
                "rss": self.last["rss"], "peak": self.last["peak"]}


class Sonde(Server):
    def config_name(self):
        return "sonde.yml"

    def command(self, config):
        return super().command(config) + self.options.sonde_flags.split()


class VictoriaMetrics(Server):
    counters = ("vm_rows_inserted_total",)
    counter_labels = 'type="promscrape"'

    def command(self, config):
        return [str(self.program), f"-promscrape.config={config}",
                f"-storageDataPath={self.folder / 'data'}",
                f"-httpListenAddr=127.0.0.1:{self.port}",
                "-retentionPeriod=1d"]


KINDS = {"sonde": Sonde, "prometheus": Server,
         "victoria-metrics": VictoriaMetrics}


def find_program(name, options):
    """The program, or None with a line that says so."""
    if name == "sonde":
        program = options.build_dir / "sonde"
        if not program.exists():
            raise Failed(f"no {program}: run make first")
        return program.resolve()
    program = options.peers / name
    if not program.exists() and options.fetch:
        tool = HERE.parent / "tools" / "newer-debian"
        subprocess.run([tool, "sid", name, options.peers.parent.parent],
                       stdout=subprocess.DEVNULL, check=False)
    if program.exists():
        return program
    print(f"# {name} is missing: no {program} "
          f"(--fetch unpacks it from Debian sid)")
    return None


class Generator:
    """tests/bench/targets; its processor time is told apart."""

    def __init__(self, options):
        program = options.build_dir / "tests" / "bench" / "targets"
        if not program.exists():
            raise Failed(f"no {program}: run make bench")
        self.port_base = free_port_range(options.targets)
        command = [str(program), f"--targets={options.targets}",
                   f"--series={options.series}",
                   f"--port-base={self.port_base}"]
        if options.gzip:
            command.append("--gzip")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE,
                                        text=True)
        if not self.process.stdout.readline().startswith("ready"):
            raise Failed("the target generator did not start")

    def cpu(self):
        return cpu_seconds(self.process.pid)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def measure(servers, generator, options):
    """All of `servers` at once."""
    names = ", ".join(s.name for s in servers)
    try:
        for s in servers:
            s.start(generator.port_base)
        print(f"# {names}: warming up {options.warmup} s, then measuring "
              f"{options.measure} s", flush=True)
        time.sleep(options.warmup)
        generated = generator.cpu()
        for s in servers:
            s.first = s.read()
        time.sleep(options.measure)
        for s in servers:
            s.last = s.read()
        generated = generator.cpu() - generated
        results = [s.result() for s in servers]
        total = sum(r["samples"] for r in results)
        for r in results:
            r["generator_cpu_per_million"] = generated / total * 1e6
        return results
    finally:
        for s in servers:
            s.stop()


def ratio(value, base):
    return f"{value / base:5.1f}x" if base else "     -"


def print_table(results, options):
    base = next((r for r in results if r["name"] == "sonde"), None)
    series = options.targets * options.series
    print(f"\n{options.targets} targets x {options.series} series = {series}, "
          f"every {options.interval} s, measured for {options.measure} s, "
          f"{'side by side' if options.side_by_side else 'one by one'}"
          f"{', gzip' if options.gzip else ''}\n")
    print(f"{'':18}{'samples':>10}  {'CPU s per million':>19}"
          f"  {'RSS B per series':>18}  {'peak B per series':>19}")
    for r in results:
        row = f"{r['name']:18}{r['samples']:10.0f}"
        for key, width, digits in (("cpu_per_million", 12, 3),
                                   ("rss_per_series", 11, 0),
                                   ("peak_per_series", 12, 0)):
            row += f"  {r[key]:{width}.{digits}f} "
            row += ratio(r[key], base[key] if base else 0)
        print(row)
    own = max(r["generator_cpu_per_million"] for r in results)
    print(f"\nNot in it: the generator's own {own:.3f} CPU s per million.")


def run(options):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="scrape-bench-"))
    generator = None
    results = []
    try:
        servers = []
        for name in options.only.split(","):
            if name not in KINDS:
                raise Failed(f"unknown: {name} (known: {', '.join(KINDS)})")
            program = find_program(name, options)
            if program:
                servers.append(KINDS[name](name, program, folder, options))
        if not servers:
            raise Failed("nothing to run")
        generator = Generator(options)
        for group in [servers] if options.side_by_side \
                else [[s] for s in servers]:
            try:
                results += measure(group, generator, options)
            except Failed as e:
                if any(s.name == "sonde" for s in group):
                    raise
                print(f"# left out: {e}")
        if not results:
            raise Failed("nothing was measured")
        print_table(results, options)
        if options.json:
            options.json.write_text(json.dumps(results, indent=2) + "\n")
    finally:
        if generator:
            generator.stop()
        if options.keep:
            print(f"# data and logs are in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def main():
    try:
        run(arguments())
    except Failed as e:
        print(f"scrape_bench: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
