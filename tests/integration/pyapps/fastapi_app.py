# SPDX-License-Identifier: Apache-2.0
"""A FastAPI application with the families of prometheus-fastapi-instrumentator
and starlette_exporter, made with prometheus_client alone: Debian 12 has
neither of the two. Names, labels and modes are theirs; buckets are fewer."""
import os

from fastapi import FastAPI, Request, Response
from prometheus_client import (Counter, Gauge, Histogram, Summary,
                               make_asgi_app)

app = FastAPI()

# prometheus-fastapi-instrumentator
requests = Counter("http_requests_total", "Total number of requests.",
                   ["handler", "method", "status"])
request_size = Summary("http_request_size_bytes", "Content length.",
                       ["handler"])
highr = Histogram("http_request_duration_highr_seconds", "Latency.",
                  buckets=(0.01, 0.1, 0.5, 1, 1.5, 10, 60))
lowr = Histogram("http_request_duration_seconds", "Latency by handler.",
                 ["handler", "method"], buckets=(0.1, 0.5, 1))
inprogress = Gauge("http_requests_inprogress", "Now.",
                   multiprocess_mode="livesum")
# starlette_exporter
starlette = Counter("starlette_requests_total", "Total HTTP requests",
                    ["method", "path", "status_code", "app_name"])
starlette_seconds = Histogram("starlette_request_duration_seconds",
                              "HTTP request duration, in seconds",
                              ["method", "path", "status_code", "app_name"])
# One of each mode that the library at hand has.
modes = {m: Gauge("mode_" + m, "Mode " + m, ["worker"], multiprocess_mode=m)
         for m in sorted(Gauge._MULTIPROC_MODES)}
modes_set = False


@app.middleware("http")
async def measure(request: Request, call_next):
    global modes_set
    path = request.url.path
    if not path.startswith("/items"):
        return await call_next(request)
    if not modes_set:
        modes_set = True
        for gauge in modes.values():
            gauge.labels("any").set(os.getpid() % 1000 / 8)
    with inprogress.track_inprogress():
        response = await call_next(request)
    status = str(response.status_code)
    seconds = int(path.rsplit("/", 1)[1]) / 37
    requests.labels("/items/{item}", "GET", status[0] + "xx").inc()
    request_size.labels("/items/{item}").observe(len(path))
    highr.observe(seconds)
    lowr.labels("/items/{item}", "GET").observe(seconds)
    starlette.labels("GET", "/items/\"é\"\n", status, "starlette").inc()
    starlette_seconds.labels("GET", "/items", status,
                             "starlette").observe(seconds)
    return response


@app.get("/items/{item}")
async def item(item: int):
    return Response(status_code=404 if item > 90 else 200)


@app.get("/pid")
async def pid():
    return os.getpid()


@app.get("/health")
async def health():
    return {"status": "ok"}


@app.get("/ready")
async def ready():
    return Response("warming up", status_code=503)


if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    app.mount("/metrics", make_asgi_app())
