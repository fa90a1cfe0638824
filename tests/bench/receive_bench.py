#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares what it costs to receive the same generated remote writes.

Starts sonde, Prometheus and VictoriaMetrics, one after the other, and sends
each the same series with tests/bench/remote_write_load: first a few steps that
make the series, then, as fast as it answers, the ones that count. Reads each
one's processor time before and after, and its memory at the end and at most.

With `--backfill` it sends `--hours` of samples at `--every` seconds instead,
waits until the receiver has nothing more to do, and also tells what the sealed
blocks (of VictoriaMetrics: its data) take by sample.

Everything runs on one machine, the sender included, so only the ratios mean
something elsewhere.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import scrape_bench as bench  # noqa: E402


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--series", type=int, default=0,
                   help="default 100000; 10000 with --backfill")
    p.add_argument("--steps", type=int, default=60, help="that count")
    p.add_argument("--warmup", type=int, default=3, help="steps")
    p.add_argument("--batch", default="2000,10000",
                   help="samples a request, by comma: a run for each")
    p.add_argument("--connections", type=int, default=4)
    p.add_argument("--version", type=int, default=1, choices=(1, 2),
                   help="of remote write; VictoriaMetrics knows only 1")
    p.add_argument("--backfill", action="store_true")
    p.add_argument("--hours", type=float, default=6)
    p.add_argument("--every", type=int, default=15, help="seconds")
    p.add_argument("--only", default="sonde,prometheus,victoria-metrics")
    p.add_argument("--build-dir", type=pathlib.Path,
                   default=os.environ.get("SONDE_BUILD_DIR", "."))
    p.add_argument("--peers", type=pathlib.Path,
                   default=pathlib.Path(tempfile.gettempdir())
                   / "newer-debian" / "sid" / "run")
    p.add_argument("--fetch", action="store_true",
                   help="unpack peers that are not there from Debian sid")
    p.add_argument("--sonde-flags", default="", metavar="FLAGS")
    p.add_argument("--json", type=pathlib.Path, help="also write results here")
    p.add_argument("--keep", action="store_true", help="keep data and logs")
    o = p.parse_args()
    o.series = o.series or (10000 if o.backfill else 100000)
    return o


class Receiver(bench.Server):
    def scrape_config(self, port_base):
        return "global: {}\n"

    def command(self, config):
        return super().command(config) + ["--web.enable-remote-write-receiver"]

    def disk(self):
        """(bytes, samples) of the sealed blocks."""
        size = samples = 0
        for meta in (self.folder / "data").glob("*/meta.json"):
            block = json.loads(meta.read_text())
            samples += block["stats"]["numSamples"]
            size += sum(f.stat().st_size for f in meta.parent.rglob("*")
                        if f.is_file())
        return size, samples


class Sonde(Receiver):
    def config_name(self):
        return "sonde.yml"

    def command(self, config):
        return super().command(config) + self.options.sonde_flags.split()


class VictoriaMetrics(Receiver):
    def command(self, config):
        return [str(self.program),
                f"-storageDataPath={self.folder / 'data'}",
                f"-httpListenAddr=127.0.0.1:{self.port}",
                "-retentionPeriod=1d"]

    def disk(self):
        size = sum(f.stat().st_size
                   for f in (self.folder / "data" / "data").rglob("*")
                   if f.is_file())
        size += sum(f.stat().st_size
                    for f in (self.folder / "data" / "indexdb").rglob("*")
                    if f.is_file())
        return size, None


KINDS = {"sonde": Sonde, "prometheus": Receiver,
         "victoria-metrics": VictoriaMetrics}


def load(server, options, batch, steps, start_ms, every_ms, prebuild):
    command = [options.build_dir / "tests" / "bench" / "remote_write_load",
               f"--port={server.port}", f"--series={options.series}",
               f"--steps={steps}", f"--batch={batch}",
               f"--connections={options.connections}",
               f"--start-ms={start_ms}", f"--every-ms={every_ms}",
               f"--version={options.version}"]
    if getattr(options, "families", 0):
        command.append(f"--families={options.families}")
    if prebuild:
        command.append("--prebuild")
    out = subprocess.run(command, capture_output=True, text=True, check=False)
    if out.returncode != 0:
        raise bench.Failed(f"the sender failed: {out.stderr[-500:]}\n"
                           f"{server.log_tail()}")
    result = json.loads(out.stdout)
    if result["refused"]:
        raise bench.Failed(f"{server.name} refused: {out.stderr[-500:]}")
    return result


def settle(server, patience=600, quiet_for=75):
    """Waits until it is idle: less than 2 % of a processor for longer than
    the minute after which all of them look for work."""
    end = time.monotonic() + patience
    quiet = time.monotonic()
    cpu = bench.cpu_seconds(server.process.pid)
    while time.monotonic() < end and time.monotonic() - quiet < quiet_for:
        time.sleep(2)
        now = bench.cpu_seconds(server.process.pid)
        if now - cpu > 0.04:
            quiet = time.monotonic()
        cpu = now


def throughput(server, options, batch):
    pid = server.process.pid
    every = 1000
    begin = int(time.time() * 1000) - (options.warmup + options.steps) * every
    load(server, options, batch, options.warmup, begin, every, False)
    cpu = bench.cpu_seconds(pid)
    r = load(server, options, batch, options.steps,
             begin + options.warmup * every, every, True)
    cpu = bench.cpu_seconds(pid) - cpu
    return {"name": server.name, "batch": batch, "samples": r["samples"],
            "per_second": r["samples"] / r["seconds"],
            "cpu_per_million": cpu / r["samples"] * 1e6,
            "sender_cpu_per_million": r["cpu"] / r["samples"] * 1e6,
            "rss": bench.memory_bytes(pid, "VmRSS"),
            "peak": bench.memory_bytes(pid, "VmHWM")}


def backfill(server, options, batch):
    pid = server.process.pid
    every = options.every * 1000
    steps = int(options.hours * 3600 // options.every)
    begin = int(time.time() * 1000) - steps * every
    cpu = bench.cpu_seconds(pid)
    r = load(server, options, batch, steps, begin, every, False)
    sent = bench.cpu_seconds(pid) - cpu
    settle(server)
    cpu = bench.cpu_seconds(pid) - cpu
    rss, peak = (bench.memory_bytes(pid, f) for f in ("VmRSS", "VmHWM"))
    if isinstance(server, VictoriaMetrics):
        server.stop()  # its last samples are in memory until then
    size, sealed = server.disk()
    return {"name": server.name, "batch": batch, "samples": r["samples"],
            "per_second": r["samples"] / r["seconds"],
            "cpu_per_million": cpu / r["samples"] * 1e6,
            "cpu": cpu, "cpu_sending": sent,
            "sender_cpu_per_million": r["cpu"] / r["samples"] * 1e6,
            "sealed": sealed if sealed is not None else r["samples"],
            "bytes_per_sample": size / (sealed or r["samples"]),
            "rss": rss, "peak": peak}


def print_table(results, options):
    print(f"\n{options.series} series, remote write {options.version}.0, "
          f"{options.connections} connections\n")
    print(f"{'':18}{'batch':>7}{'samples':>10}{'samples/s':>12}"
          f"{'CPU s/million':>15}{'sender':>8}{'RSS MB':>8}{'peak':>7}" +
          (f"{'CPU s':>8}{'sealed':>10}{'B/sample':>10}"
           if options.backfill else ""))
    for r in results:
        row = (f"{r['name']:18}{r['batch']:7}{r['samples']:10}"
               f"{r['per_second']:12.0f}{r['cpu_per_million']:15.3f}"
               f"{r['sender_cpu_per_million']:8.3f}{r['rss'] / 1e6:8.0f}"
               f"{r['peak'] / 1e6:7.0f}")
        if options.backfill:
            row += (f"{r['cpu']:8.1f}{r['sealed']:10}"
                    f"{r['bytes_per_sample']:10.2f}")
        print(row)


def main():
    options = arguments()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sonde-receive-bench-"))
    results, failed = [], False
    work = backfill if options.backfill else throughput
    try:
        for batch in [int(x) for x in options.batch.split(",")]:
            for name in options.only.split(","):
                program = bench.find_program(name, options)
                if not program or (options.version == 2 and
                                   name == "victoria-metrics"):
                    continue
                server = KINDS[name](name, program,
                                     folder / str(batch), options)
                try:
                    server.start(0)
                    results.append(work(server, options, batch))
                except bench.Failed as e:
                    print(f"# {e}")
                    failed |= name == "sonde"
                finally:
                    server.stop()
    finally:
        if options.keep:
            print(f"# data and logs are in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print_table(results, options)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except bench.Failed as e:
        sys.exit(f"receive_bench: {e}")
