# SPDX-License-Identifier: Apache-2.0
"""A small FastAPI application with metrics and a health endpoint."""
import random
import sys
import time

import uvicorn
from fastapi import FastAPI, Response
from prometheus_client import (CONTENT_TYPE_LATEST, Counter, Histogram,
                               generate_latest)

app = FastAPI()
requests = Counter("http_requests_total", "Requests served.",
                   ["method", "route", "status"])
seconds = Histogram("http_request_duration_seconds", "Time to serve.",
                    ["route"])


@app.get("/items/{item}")
def item(item: int):
    began = time.time()
    time.sleep(random.random() / 100)
    status = 404 if item > 90 else 200
    requests.labels("GET", "/items/{item}", status).inc()
    seconds.labels("/items/{item}").observe(time.time() - began)
    return Response(status_code=status)


@app.get("/health")
def health():
    return {"status": "ok"}


@app.get("/metrics")
def metrics():
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]),
                log_level="warning")
