# SPDX-License-Identifier: Apache-2.0
"""What an agent costs when little happens, and how soon it is at work:
resident memory with three jobs (itself, a Redis if one can be started, a
small endpoint), and when the last of 200 targets had its first scrape."""
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BUILD = os.environ.get("SONDE_BUILD_DIR", ".")
TARGETS = 200


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def status(pid, field):
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith(field + ":"):
                return int(line.split()[1])


class Endpoint:
    """Notes when each path was asked for first."""

    def __init__(self):
        first = self.first = {}

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                first.setdefault(self.path, time.monotonic())
                body = b"some_metric 1\n"
                self.send_response(200)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 512
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()


def start(folder, text, port):
    path = os.path.join(folder, "sonde.yml")
    with open(path, "w") as f:
        f.write(text)
    return subprocess.Popen(
        [os.path.join(BUILD, "sonde"), f"--config.file={path}",
         f"--storage.tsdb.path={folder}/data-{port}",
         f"--web.listen-address=127.0.0.1:{port}"],
        stderr=open(os.path.join(folder, "log"), "w"))


def idle(folder, seconds):
    end = Endpoint()
    web, redis_port = free_port(), free_port()
    redis = None
    if shutil.which("redis-server"):
        redis = subprocess.Popen(
            ["redis-server", "--port", str(redis_port), "--bind",
             "127.0.0.1", "--save", ""], stdout=subprocess.DEVNULL)
    p = start(folder, "global: {scrape_interval: 5s, scrape_timeout: 5s}\n"
              "scrape_configs:\n"
              f"  - {{job_name: self, static_configs: [{{targets: ['127.0.0.1:{web}']}}]}}\n"
              f"  - {{job_name: redis, plugin: redis, static_configs: [{{targets: ['127.0.0.1:{redis_port}']}}]}}\n"
              f"  - {{job_name: app, static_configs: [{{targets: ['127.0.0.1:{end.port}']}}]}}\n",
              web)
    time.sleep(seconds)
    with urllib.request.urlopen(f"http://127.0.0.1:{web}/api/v1/targets") as r:
        up = r.read().count(b'"health":"up"')
    print(f"idle with 3 jobs ({up} targets up) after {seconds} s: "
          f"{status(p.pid, 'VmRSS') / 1024:.1f} MiB resident "
          f"(peak while starting {status(p.pid, 'VmHWM') / 1024:.1f} MiB)")
    p.terminate()
    p.wait()
    if redis:
        redis.terminate()
        redis.wait()


def first_scrapes(folder):
    end = Endpoint()
    jobs = "".join(
        f"  - {{job_name: j{i}, metrics_path: /m{i}, scrape_interval: 1s, "
        f"scrape_timeout: 1s, static_configs: [{{targets: "
        f"['127.0.0.1:{end.port}']}}]}}\n" for i in range(TARGETS))
    began = time.monotonic()
    p = start(folder, "scrape_configs:\n" + jobs, free_port())
    while len(end.first) < TARGETS and time.monotonic() < began + 30:
        time.sleep(0.005)
    took = max(end.first.values()) - began if end.first else float("nan")
    print(f"{len(end.first)} of {TARGETS} targets at a 1 s interval had been "
          f"scraped {took:.2f} s after the process was started")
    p.terminate()
    p.wait()


if __name__ == "__main__":
    work = tempfile.mkdtemp(prefix="sonde-footprint-")
    try:
        first_scrapes(work)
        idle(work, int(sys.argv[1]) if len(sys.argv) > 1 else 30)
    finally:
        shutil.rmtree(work, ignore_errors=True)
