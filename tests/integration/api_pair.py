# SPDX-License-Identifier: Apache-2.0
"""The agent beside a real Prometheus (the newest), fed the same data and asked
the same questions."""
import json
import time

from harness import *
from remote_body import *

RECEIVER = "--web.enable-remote-write-receiver"
FEATURES = "--enable-feature=exemplar-storage,native-histograms," \
    "promql-experimental-functions"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def data(start):
    """Counters, a classic and a native histogram, odd names, exemplars."""
    out = []
    for i in range(3):
        out.append(({"__name__": "http_requests_total", "job": "web",
                     "instance": f"web{i}:80", "code": "200"},
                    [Sample(start + k * 15000, 10.0 * k + i)
                     for k in range(120)]))
    for le in ("0.1", "1", "+Inf"):
        out.append(({"__name__": "lat_seconds_bucket", "le": le, "job": "web"},
                    [Sample(start + k * 15000, float(k))
                     for k in range(120)]))
    out.append(({"__name__": "odd.name", "job": "a<b>&\"c\"", "näme": "ä"},
                [Sample(start + k * 15000 + 250, 0.1 * k)
                 for k in range(120)]))
    out.append(({"__name__": "nat", "job": "web"},
                [Histogram(start + k * 15000, 3 * k, 1.5 * k, schema=1, zero=k,
                           positive=(((0, 2),), [k, 0]))
                 for k in range(1, 100)]))
    out.append(({"__name__": "gone", "job": "web"},
                [Sample(start, 1.0), Sample(start + 15000, STALE)]))
    return out


def ask(url, path, params=None, method="GET", headers=None):
    text = urllib.parse.urlencode(params or {}, doseq=True)
    if method == "POST":
        status, body = get(f"{url}{path}", data=text.encode(),
                           headers={**FORM, **(headers or {})})
    else:
        status, body = get(f"{url}{path}" + ("?" + text if text else ""),
                           headers=headers, method=method)
    try:
        return status, json.loads(body)
    except ValueError:
        return status, body


def ordered(doc):
    """Lists whose order means nothing, sorted."""
    if isinstance(doc, dict):
        data = doc.get("data")
        if isinstance(data, dict) and data.get("resultType") == "vector":
            data["result"].sort(key=lambda s: json.dumps(s["metric"],
                                                         sort_keys=True))
        if isinstance(data, list) and data and isinstance(data[0], dict):
            data.sort(key=lambda s: json.dumps(s, sort_keys=True))
    return doc


def pair(case, more=""):
    """The agent, Prometheus, and the time at which their data begins; with
    more features in both."""
    start = (int(time.time()) - 2000) * 1000
    peer = case.prometheus("global: {}\n", RECEIVER, FEATURES + more,
                           binary=newest("prometheus"))
    s = case.sonde("scrape_configs: []\n", RECEIVER,
                   "--enable-feature=promql-experimental-functions" + more)
    for url in (peer.url, s.url):
        write(url, data(start))
    return s, peer, start // 1000


def compare(s, peer, requests):
    differing = []
    for request in requests:
        ours = ask(s.url, *request)
        theirs = ask(peer.url, *request)
        if (ours[0], ordered(ours[1])) != (theirs[0], ordered(theirs[1])):
            differing.append(f"{request}\n  ours   {str(ours)[:700]}\n"
                             f"  theirs {str(theirs)[:700]}")
    need(not differing, f"{len(differing)} of {len(requests)} differ\n" +
         "\n".join(differing))


QUERY = "/api/v1/query"
RANGE = "/api/v1/query_range"
