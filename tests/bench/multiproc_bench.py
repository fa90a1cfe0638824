# SPDX-License-Identifier: Apache-2.0
"""Reading PROMETHEUS_MULTIPROC_DIR: CPU time of a scrape by the agent (the
store included) and of a page by prometheus_client's own collector, on the same
files, side by side. Prints both and the ratio."""
import argparse
import os
import subprocess
import sys
import tempfile
import time
import urllib.request

PYTHON = "/usr/bin/python3"

WORKER = """
import os
from prometheus_client import Counter, Gauge, Histogram
requests = Counter("requests", "Requests.", ["method", "path"])
seconds = Histogram("seconds", "Latency.", ["method", "path"])
Gauge("inprogress", "Now.", multiprocess_mode="livesum").set(0)
for i in range(int(os.environ["ROUTES"])):
    for method in "GET", "POST":
        requests.labels(method, f"/route/{i}").inc()
        seconds.labels(method, f"/route/{i}").observe(i / 10)
"""

PAGES = """
import time
from prometheus_client import CollectorRegistry, generate_latest, multiprocess
def page():
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return generate_latest(registry)
page()
began = time.process_time()
for _ in range(10):
    text = page()
print((time.process_time() - began) / 10 * 1000)
"""


def library(env):
    return float(subprocess.run([PYTHON, "-c", PAGES], env=env, check=True,
                                capture_output=True, text=True).stdout)


def cpu_ms(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def scrapes(port):
    """How many there were, by the agent's own query."""
    url = (f"http://127.0.0.1:{port}/api/v1/query?"
           "query=count_over_time(up%5B1h%5D)")
    with urllib.request.urlopen(url, timeout=10) as r:
        text = r.read().decode()
    return int(text.rsplit('"', 2)[1]) if '"value"' in text else 0


def agent(build, top, folder, seconds):
    port = 19479
    config = os.path.join(top, "sonde.yml")
    with open(config, "w") as f:
        f.write("scrape_configs:\n  - job_name: bench\n"
                "    scrape_interval: 500ms\n    scrape_timeout: 500ms\n"
                f"    options: {{multiproc_dir: {folder}}}\n"
                "    static_configs: [{targets: ['127.0.0.1:1']}]\n")
    p = subprocess.Popen([os.path.join(build, "sonde"),
                          f"--config.file={config}",
                          f"--storage.tsdb.path={top}/data-{seconds}",
                          f"--web.listen-address=127.0.0.1:{port}"],
                         stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 30
        n = 0
        while n < 4 and time.monotonic() < end:
            time.sleep(0.1)
            try:
                n = scrapes(port)
            except OSError:
                pass
        began, first = cpu_ms(p.pid), n
        time.sleep(seconds)
        n = scrapes(port)
        return (cpu_ms(p.pid) - began) / max(n - first, 1)
    finally:
        p.kill()
        p.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build-dir", default=".")
    parser.add_argument("--fetch", action="store_true", help="not used")
    parser.add_argument("--seconds", type=int, default=20)
    args, _ = parser.parse_known_args()
    print(f"{'workers':>8} {'values':>8} {'library ms':>11} "
          f"{'sonde ms':>9} {'ratio':>6}")
    for workers in 4, 40:
        with tempfile.TemporaryDirectory(prefix="sonde-bench-") as top:
            folder = os.path.join(top, "metrics")
            os.mkdir(folder)
            env = dict(os.environ, PROMETHEUS_MULTIPROC_DIR=folder,
                       ROUTES="50")
            for _ in range(workers):
                subprocess.run([PYTHON, "-c", WORKER], env=env, check=True)
            theirs = library(env)
            ours = agent(args.build_dir, top, folder, args.seconds)
            values = workers * (100 * 17 + 1)
            print(f"{workers:8} {values:8} {theirs:11.1f} {ours:9.2f} "
                  f"{theirs / ours:6.1f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
