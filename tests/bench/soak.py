#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A long run: many series scraped fast while queries are asked, with blocks
so short that everything the store does happens many times. Memory must stay
flat and no scrape be missed.

Every minute a line tells resident memory, what is on disk, how many scrapes
were late or lost and how long the slowest query and scrape took. At the end
the memory of the last quarter is compared with that of the second, and every
target's samples are counted: one for each interval.
"""

import argparse
import json
import os
import pathlib
import shutil
import sys
import tempfile
import threading
import time
import urllib.parse

import scrape_bench as base


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--minutes", type=float, default=60)
    p.add_argument("--targets", type=int, default=5)
    p.add_argument("--series", type=int, default=20000, help="of each target")
    p.add_argument("--interval", type=int, default=5, help="seconds")
    p.add_argument("--block", default="5m", help="length of a block")
    p.add_argument("--build-dir", type=pathlib.Path,
                   default=os.environ.get("SONDE_BUILD_DIR", "."))
    p.add_argument("--growth", type=float, default=0.10,
                   help="how much the memory may grow from the second "
                        "quarter to the last")
    p.add_argument("--sonde-flags", default="", metavar="FLAGS")
    p.add_argument("--keep", action="store_true")
    options = p.parse_args()
    options.gzip = False
    options.sonde_flags += f" --storage.tsdb.min-block-duration={options.block}"
    return options


class Asker:
    """Asks one query after the other in a thread of its own."""

    def __init__(self, server):
        self.server = server
        self.slowest = 0.0
        self.asked = self.failed = 0
        self.ended = False
        self.thread = threading.Thread(target=self.go, daemon=True)
        self.thread.start()

    def ask(self, text, back):
        q = urllib.parse.urlencode({"query": text,
                                    "time": f"{time.time() - back:.3f}"})
        began = time.monotonic()
        try:
            doc = json.loads(base.get(f"http://127.0.0.1:{self.server.port}"
                                      f"/api/v1/query?{q}", timeout=30))
            self.failed += doc["status"] != "success"
        except (OSError, ValueError):
            self.failed += 1
        self.asked += 1
        self.slowest = max(self.slowest, time.monotonic() - began)

    def go(self):
        back = 0
        while not self.ended:
            self.ask('{job="bench",__name__=~".*_total"}', back)
            self.ask("up", back)
            back = (back + 61) % 1800
            time.sleep(0.5)

    def take_slowest(self):
        slowest, self.slowest = self.slowest, 0.0
        return slowest


def folder_bytes(folder):
    return sum(f.stat().st_blocks * 512 for f in folder.rglob("*")
               if f.is_file())


def missing(server, options, began, ended):
    """Scrapes that should be there and are not."""
    lost = 0
    q = urllib.parse.urlencode({"query": 'up{job="bench"}'})
    # Instant by instant, half-way between scrapes' slots.
    t = began
    while t < ended:
        doc = json.loads(base.get(
            f"http://127.0.0.1:{server.port}/api/v1/query?{q}&time={t:.3f}",
            timeout=30))
        up = sum(1 for r in doc["data"]["result"] if r["value"][1] == "1")
        lost += options.targets - up
        t += options.interval
    return lost


def run(options):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="soak-"))
    generator = base.Generator(options)
    server = base.Sonde("sonde", base.find_program("sonde", options), folder,
                        options)
    try:
        server.start(generator.port_base)
        time.sleep(2 * options.interval)
        began = time.time()
        first = server.read()
        asker = Asker(server)
        readings = []
        while time.time() - began < options.minutes * 60:
            time.sleep(60)
            r = server.read()
            readings.append(r["rss"])
            print(f"{(time.time() - began) / 60:6.1f} min  "
                  f"rss {r['rss'] / 1e6:6.1f} MB  peak {r['peak'] / 1e6:6.1f}"
                  f" MB  disk {folder_bytes(server.folder) / 1e6:7.1f} MB  "
                  f"{(r['cpu'] - first['cpu']) / (r['samples'] - first['samples']) * 1e6:.3f}"
                  f" CPU s/M  queries {asker.asked} "
                  f"({asker.failed} failed, slowest "
                  f"{asker.take_slowest() * 1000:.0f} ms)", flush=True)
        asker.ended = True
        asker.thread.join()
        lost = missing(server, options, began, time.time() - options.interval)
        quarter = max(1, len(readings) // 4)
        early = max(readings[quarter:2 * quarter] or readings)
        late = max(readings[-quarter:])
        print(f"missed scrapes: {lost}; failed queries: {asker.failed}; "
              f"memory {early / 1e6:.1f} -> {late / 1e6:.1f} MB")
        if lost or asker.failed or late > early * (1 + options.growth):
            raise base.Failed("not flat, or something was missed")
    finally:
        server.stop()
        generator.stop()
        if options.keep:
            print(f"# data and log are in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def main():
    try:
        run(arguments())
    except base.Failed as e:
        print(f"soak: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
