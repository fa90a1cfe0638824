# SPDX-License-Identifier: Apache-2.0
"""A Flask application with prometheus-flask-exporter, or, where that is not
installed (Debian 12 has none), with its families by prometheus_client."""
import time

from flask import Flask

app = Flask(__name__)

try:
    from prometheus_flask_exporter.multiprocess import \
        GunicornInternalPrometheusMetrics
    GunicornInternalPrometheusMetrics(app)
except ImportError:
    from flask import g, request
    from prometheus_client import Counter, Gauge, Histogram

    total = Counter("flask_http_request_total",
                    "Total number of HTTP requests", ["method", "status"])
    seconds = Histogram("flask_http_request_duration_seconds",
                        "Flask HTTP request duration in seconds",
                        ["method", "path", "status"])
    Gauge("flask_exporter_info", "Information about the exporter",
          ["version"], multiprocess_mode="max").labels("0").set(1)

    @app.before_request
    def before():
        g.began = time.perf_counter()

    @app.after_request
    def after(response):
        labels = request.method, request.path, str(response.status_code)
        total.labels(labels[0], labels[2]).inc()
        seconds.labels(*labels).observe(time.perf_counter() - g.began)
        return response


@app.route("/items/<int:item>")
def item(item):
    return "item", 404 if item > 90 else 200


@app.route("/health")
def health():
    return "ok"
