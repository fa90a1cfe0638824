# SPDX-License-Identifier: Apache-2.0
"""The requests that Grafana's Prometheus data source makes, and every other
JSON endpoint with its odd parameters, asked of the agent and of a real
Prometheus (the newest) that were fed the same data: the answers are the same.
"""
import shutil
import subprocess

from api_pair import *


def test_queries(case):
    """query and query_range: GET and POST, shapes, parameters, errors"""
    s, peer, t = pair(case)
    at = t + 900
    span = {"start": t, "end": t + 900, "step": 15}
    texts = ["http_requests_total", "rate(http_requests_total[5m])", "1+1",
             '"text"', "nat", "rate(nat[5m])", '{"odd.name"}', "gone",
             "http_requests_total[1m]", "nat[1m]", "sum by (code) ("
             "rate(http_requests_total[1m]))", "vector(1e21)", "1e21",
             "vector(1e-7)", "-0.0", "vector(NaN)", "Inf", "no_such",
             "histogram_quantile(0.9, lat_seconds_bucket)", "time()",
             "sum(", "a b", "rate(x)", "1 + 2",
             'label_replace(vector(1), "a", "$1", "b", "(")',
             "http_requests_total * on(job) http_requests_total",
             "count_values(\"v\", http_requests_total)", ""]
    requests = []
    for text in texts:
        for method in ("GET", "POST"):
            requests.append((QUERY, {"query": text, "time": at}, method))
            requests.append((RANGE, {"query": text, **span}, method))
    requests += [
        (QUERY, {"query": "http_requests_total", "time": f"{at}.25"}),
        (QUERY, {"query": "http_requests_total", "time": "2020-01-01T00:00:00Z"}),
        (QUERY, {"query": "1", "time": "1.5"}),
        (QUERY, {"query": "1", "time": "2020-01-01"}),
        (QUERY, {"query": "1", "time": "x"}),
        (QUERY, {"query": "1", "time": "4", "timeout": "5M"}),
        (QUERY, {"query": "1", "time": "4", "timeout": "-1s"}),
        (QUERY, {"query": "1", "time": "4", "limit": "x"}),
        (QUERY, {"query": "1", "time": "4", "limit": "-1"}),
        (QUERY, {"query": "1", "time": "4", "lookback_delta": "x"}),
        (QUERY, {"query": "http_requests_total", "time": at,
                 "lookback_delta": "1ms"}),
        (QUERY, {"time": "4"}),
        (QUERY, {"query": ["1", "2"], "time": "4"}),
        (RANGE, {"query": "up"}),
        (RANGE, {**span, "query": "up", "start": "x"}),
        (RANGE, {**span, "query": "up", "end": t - 1}),
        (RANGE, {**span, "query": "up", "step": "0"}),
        (RANGE, {**span, "query": "up", "step": "-1"}),
        (RANGE, {**span, "query": "up", "step": "x"}),
        (RANGE, {**span, "query": "up", "step": ""}),
        (RANGE, {"query": "up", "start": 0, "end": 11001, "step": 1}),
        (RANGE, {"query": "up", "start": 0, "end": 11000, "step": 1}),
        (RANGE, {"query": "vector(2)", "start": 0, "end": 3, "step": "1s500ms"}),
        (RANGE, {**span, "query": "http_requests_total", "limit": "1"}),
        (RANGE, {**span, "query": "http_requests_total", "limit": "3"}),
        (RANGE, {**span, "query": "up[5m]"}),
        (RANGE, {**span, "query": '"x"'}),
        (QUERY, {"query": "1"}, "PUT"),
        (QUERY, {"query": "1"}, "DELETE"),
    ]
    compare(s, peer, requests)


def test_metadata_endpoints(case):
    """series, labels and label values with match[], times and limits"""
    s, peer, t = pair(case)
    span = {"start": t, "end": t + 2000}
    web = '{job="web"}'
    requests = []
    for method in ("GET", "POST"):
        for extra in ({}, span, {"limit": 2}, {"limit": 0}, {"limit": 100}):
            requests += [
                ("/api/v1/labels", {**extra}, method),
                ("/api/v1/labels", {"match[]": web, **extra}, method),
            ]
            if extra != {"limit": 2}:
                requests += [
                    ("/api/v1/series", {"match[]": web, **extra}, method),
                    ("/api/v1/series", {"match[]": [web, "http_requests_total"],
                                        **extra}, method),
                ]
    # Prometheus cuts values before it sorts them: which ones stay is luck.
    for name in ("job", "__name__", "le", "no_such", "n%C3%A4me",
                 "U__n_e4_me", "a-b"):
        for extra in ({}, span, {"match[]": web}, {"limit": 100},
                      {"match[]": ["gone", "nat"]}):
            requests.append((f"/api/v1/label/{name}/values", extra))
    requests += [
        ("/api/v1/series", {}),
        ("/api/v1/series", {"match[]": "{"}),
        ("/api/v1/series", {"match[]": "{}"}),
        ("/api/v1/series", {"match[]": '{x=""}'}),
        ("/api/v1/series", {"match[]": '{x=~".*"}'}),
        ("/api/v1/series", {"match[]": "up", "start": "x"}),
        ("/api/v1/series", {"match[]": "up", "limit": "x"}),
        ("/api/v1/series", {"match[]": "rate(up[5m])"}),
        ("/api/v1/series", {"match[]": web, "start": t + 5000,
                            "end": t + 6000}),
        ("/api/v1/labels", {"match[]": "{"}),
        ("/api/v1/labels", {"match[]": '{x=""}'}),
        ("/api/v1/labels", {"end": "x"}),
        ("/api/v1/label/job/values", {"match[]": "{"}),
        ("/api/v1/label/job/values", {}, "POST"),
        ("/api/v1/label/job/value", {}),
        ("/api/v1/metadata", {}),
        ("/api/v1/metadata", {"limit": "x"}),
        ("/api/v1/metadata", {"limit": "0"}),
        ("/api/v1/metadata", {"limit_per_metric": "x"}),
        ("/api/v1/metadata", {"metric": "up"}),
        ("/api/v1/targets/metadata", {}),
        ("/api/v1/targets/metadata", {"limit": "x"}),
        ("/api/v1/targets/metadata", {"match_target": "{"}),
    ]
    compare(s, peer, requests)


def test_language_tools(case):
    """format_query and parse_query"""
    s, peer, t = pair(case)
    texts = ["up", "sum by (a,b) (rate(x{a=~'b.*',c!=\"d\"}[5m] offset 1m))",
             "a + on(x) group_left(y) b", "a and b", "a > bool 1",
             "x[5m:1m] @ 5", "max_over_time(x[1h:5m] @ start() offset -5m)",
             "-x", "+x", "(x)", "topk(3, x)", "quantile without(z)(0.5, x)",
             "'a\\nb'", "1e9", "0x10", "Inf", "NaN", "1h", "count_values('a', x)",
             "{__name__=~'a.*'}", '{"a.b","c d"="e"}', "sum(", "",
             "absent(x)", "time()", "round(x, 5)", "label_join(x,'a','b','c')",
             "x @ end()", "x @ 1.5", "a atan2 b", "a unless ignoring(z) b"]
    requests = []
    for text in texts:
        requests.append(("/api/v1/format_query", {"query": text}))
        requests.append(("/api/v1/format_query", {"query": text}, "POST"))
    compare(s, peer, requests)
    differing = []
    for text in texts:
        ours = ask(s.url, "/api/v1/parse_query", {"query": text})
        theirs = ask(peer.url, "/api/v1/parse_query", {"query": text})
        if (ours[0], older(ours[1])) != (theirs[0], theirs[1]):
            differing.append(f"{text}\n  {older(ours[1])}\n  {theirs[1]}")
    need(not differing, "\n".join(differing))


def shape(doc):
    """Keys and kinds of values."""
    if isinstance(doc, dict):
        return {k: shape(v) for k, v in doc.items()}
    if isinstance(doc, list):
        return [shape(doc[0])] if doc else []
    return "number" if type(doc) in (int, float) else type(doc).__name__


def test_statistics(case):
    """stats=: the same samples are counted, the same times are told"""
    s, peer, t = pair(case)
    span = {"start": t + 300, "end": t + 900, "step": 60}
    differing = []
    for text in ("http_requests_total", "rate(http_requests_total[5m])",
                 "sum(http_requests_total)", "1", "http_requests_total[1m]",
                 "http_requests_total + http_requests_total",
                 "avg_over_time(http_requests_total[10m])"):
        for path, extra in ((QUERY, {"time": t + 900}), (RANGE, span)):
            if path == RANGE and "]" == text[-1]:
                continue
            request = (path, {"query": text, "stats": "all", **extra})
            (_, ours), (_, theirs) = (ask(u, *request)
                                      for u in (s.url, peer.url))
            a, b = ours["data"]["stats"], theirs["data"]["stats"]
            equal(shape(a["timings"]), shape(b["timings"]))
            need(set(b["samples"]) <= set(a["samples"]), f"{b['samples']}")
            key = "totalQueryableSamples"
            if a["samples"][key] != b["samples"][key]:
                differing.append(f"{request}: {a['samples']} {b['samples']}")
    need(not differing, "\n".join(differing))
    need("stats" not in ask(s.url, QUERY, {"query": "1"})[1]["data"], "stats")


def test_status(case):
    """status pages, targets, rules: the same keys with the same kinds"""
    s, peer, t = pair(case)
    for path in ("runtimeinfo", "buildinfo", "tsdb", "walreplay", "config"):
        ours, theirs = (ask(u, f"/api/v1/status/{path}")
                        for u in (s.url, peer.url))
        equal(ours[0], 200)
        a, b = shape(ours[1]), shape(theirs[1])
        equal(a, b, path)
    compare(s, peer, [("/api/v1/" + path, params) for path, params in (
        ("rules", {}), ("alerts", {}), ("alertmanagers", {}), ("targets", {}),
        ("targets", {"state": "active"}), ("targets", {"state": "dropped"}),
        ("targets", {"state": "x"}), ("scrape_pools", {}),
        ("rules", {"type": "x"}), ("rules", {"type": "alert"}),
        ("rules", {"type": "RECORD"}), ("rules", {"match[]": "{"}),
        ("rules", {"match[]": "{}"}), ("rules", {"match[]": ["a", "b"]}),
        ("rules", {"match[]": "a{", "type": "x"}), ("rules", {"limit": "x"}),
        ("rules", {"rule_name[]": ["a", "b"], "rule_group[]": "c",
                   "file[]": "d"}),
        ("rules", {"exclude_alerts": "true"}),
        ("rules", {"exclude_alerts": "yes"}),
        ("rules", {"exclude_alerts": "x", "group_limit": "x"}),
        ("rules", {"group_limit": "5"}), ("rules", {"group_limit": "0"}),
        ("rules", {"group_limit": "-1"}), ("rules", {"group_limit": "1.5"}),
        ("rules", {"group_limit": "99999999999999999999"}),
        ("rules", {"group_next_token": "a"}),
        ("rules", {"group_limit": "5", "group_next_token": "a"}),
        ("rules?exclude_alerts=%zz", {}), ("rules?a;b", {}),
        ("targets", {"state": "ACTIVE"}), ("targets", {"scrapePool": "x"}),
        ("targets", {"scrapePool": "x", "state": "dropped"}),
        ("targets/metadata", {"match_target": "{a="}),
        ("targets/metadata", {"limit": "x"}), ("metadata", {"limit": "x"}),
        ("notifications", {}), ("status/tsdb", {"limit": "x"}),
        ("status/tsdb", {"limit": "0"}), ("nothing", {}),
        ("status/nothing", {}))])


def test_top_lists(case):
    """status/tsdb: what there is most of"""
    s, peer, t = pair(case)
    for limit in (None, 1, 3, 10000):
        ours, theirs = (ask(u, "/api/v1/status/tsdb",
                            {"limit": limit} if limit else {})[1]["data"]
                        for u in (s.url, peer.url))
        for name in ("seriesCountByMetricName", "labelValueCountByLabelName",
                     "memoryInBytesByLabelName", "seriesCountByLabelValuePair"):
            a, b = ours[name], theirs[name]
            equal([x["value"] for x in a], [x["value"] for x in b],
                  f"{name} {limit}")
            equal(len({x["name"] for x in a}), len(a), name)
            if limit == 10000:
                equal(sorted((x["value"], x["name"]) for x in a),
                      sorted((x["value"], x["name"]) for x in b), name)
        equal(ours["headStats"]["numSeries"], theirs["headStats"]["numSeries"])
        equal(ours["headStats"]["numLabelPairs"],
              theirs["headStats"]["numLabelPairs"])


def promtool(*argv):
    out = subprocess.run([shutil.which("promtool"), "query", *argv],
                         capture_output=True, text=True, timeout=PATIENCE)
    equal(out.returncode, 0, out.stderr)
    return sorted(out.stdout.splitlines())


def test_promtool(case):
    """promtool query instant, range, series, labels"""
    s, peer, t = pair(case)
    span = [f"--start={t}", f"--end={t + 900}"]
    for argv in (["instant", f"--time={t + 900}"],
                 ["range", *span, "--step=60s"]):
        for text in ("http_requests_total", "rate(http_requests_total[5m])",
                     "1", "sum(nat)"):
            equal(promtool(*argv, s.url, text), promtool(*argv, peer.url, text),
                  f"{argv} {text}")
    argv = ["series", *span, "--match=http_requests_total"]
    equal(promtool(*argv, s.url), promtool(*argv, peer.url), "series")
    for name in ("job", "__name__"):
        argv = ["labels", *span]
        equal(promtool(*argv, s.url, name), promtool(*argv, peer.url, name),
              name)


LATER = {"offsetExpr", "rangeExpr", "stepExpr", "anchored", "smoothed",
         "fillValues"}


def older(doc):
    """Without the keys of a tree that versions after 3.5 have."""
    if isinstance(doc, dict):
        return {k: older(v) for k, v in doc.items() if k not in LATER}
    if isinstance(doc, list):
        return [older(v) for v in doc]
    return doc


def test_statistics(case):
    """stats=all: samples in all and at each step, as Prometheus counts them"""
    s, peer, t = pair(case, ",promql-per-step-stats")
    h = "http_requests_total"
    texts = [h, f"rate({h}[1m])", f"sum(rate({h}[5m]))", "nat", "rate(nat[1m])",
             f"{h} @ {t + 600}", f"rate({h}[2m] @ {t + 600})",
             f"sum({h}) + sum({h})", f"max_over_time({h}[5m:30s])",
             f"max_over_time(rate({h}[1m])[5m:30s])", f"{h} offset 5m",
             "time()", "1", "vector(1)", f"timestamp({h})", f"absent({h})",
             f"quantile_over_time(0.5, {h}[5m])", f"sum_over_time({h}[5m])",
             "count_over_time(nat[5m])", "sum_over_time(nat[3m])",
             "histogram_quantile(0.9, rate(nat[2m]))", f"{h} > 5 and {h}",
             f"topk(1, {h})", f"{h} or vector(1)", "gone", "histogram_count(nat)",
             f"deriv({h}[5m:1m] @ {t + 900})", f"scalar(sum({h}))",
             f"sum(sum_over_time({h}[5m:1m])) + sum({h} @ {t + 600})"]
    for text in texts:
        for path, params in ((QUERY, {"time": t + 700.5}),
                             (RANGE, {"start": t + 100, "end": t + 400,
                                      "step": 100})):
            for stats in ("all", "true"):
                docs = [ask(url, path, {**params, "query": text,
                                        "stats": stats})[1]["data"]["stats"]
                        for url in (s.url, peer.url)]
                for d in docs:
                    need(d["samples"].pop("peakSamples") >= 0, d)
                docs[0]["samples"].pop("samplesRead")
                equal(docs[0]["samples"], docs[1]["samples"],
                      f"{text} {path} {stats}")
                need(set(docs[0]["timings"]) == set(docs[1]["timings"]) and
                     all(v >= 0 for v in docs[0]["timings"].values()), docs)


LOG_CONFIG = "global: {query_log_file: queries.log}\n"


def log_lines(case):
    with open(case.path("queries.log")) as f:
        return [json.loads(line) for line in f]


def kinds(doc):
    """The keys of nested objects."""
    return {k: kinds(v) for k, v in doc.items()} if isinstance(doc, dict) \
        else None


def test_query_log(case):
    """query_log_file has Prometheus' lines, and is opened anew at a reload"""
    requests = [("query", {"query": "1+1", "time": 5.5}),
                ("query_range", {"query": "up", "start": 1, "end": 100,
                                 "step": 7.5}),
                ("query", {"query": "sum(", "time": 0}),
                ("query", {"query": "label_replace(vector(1),'a','','b','(')",
                           "time": 0}),
                ("query", {"query": '"<a>"', "time": 0})]
    logs = []
    for start in (case.sonde, lambda c: case.prometheus(
            c, binary=newest("prometheus"))):
        server = start(LOG_CONFIG)
        for path, params in requests:
            ask(server.url, f"/api/v1/{path}", params)
        lines = wait_for("the log", lambda: len(log_lines(case)) == 4 and
                         log_lines(case))
        logs.append(lines)
        os.rename(case.path("queries.log"), case.path("queries.old"))
        get(server.url + "/-/reload", method="POST")
        ask(server.url, "/api/v1/query", {"query": "7"})
        equal(len(log_lines(case)), 1, "after a reload")
        page = get(server.url + "/metrics")[1]
        for text in ("prometheus_engine_query_log_enabled 1\n",
                     'seconds{slice="inner_eval",quantile="0.99"} ',
                     'seconds_count{slice="inner_eval"} '):
            need(text in page, text)
        server.stop()
        os.remove(case.path("queries.log"))
    for ours, theirs in zip(*logs):
        for key in ("source", "spanID"):  # of Go's logger
            theirs.pop(key)
        ours["stats"]["samples"].pop("samplesRead")
        equal(kinds(ours), kinds(theirs))
        for key in ("level", "msg", "params", "httpRequest", "error"):
            equal(ours.get(key), theirs.get(key), key)


def test_query_log_that_can_not_be_opened(case):
    """a query log that can not be opened refuses the reload"""
    s = case.sonde(LOG_CONFIG)
    code, body = s.reload("global: {query_log_file: none/queries.log}\n")
    equal(code, 500)
    need("none/queries.log" in body, body)
    ask(s.url, "/api/v1/query", {"query": "7"})
    equal(len(log_lines(case)), 1, "the old one goes on")
    equal(s.reload("global: {}\n")[0], 200)
    ask(s.url, "/api/v1/query", {"query": "7"})
    equal(len(log_lines(case)), 1, "none")


def test_exemplars(case):
    """query_exemplars"""
    s, peer, t = pair(case)
    compare(s, peer, [
        ("/api/v1/query_exemplars", {"query": "http_requests_total",
                                     "start": t, "end": t + 900}),
        ("/api/v1/query_exemplars", {"query": "test", "start": t * 1000,
                                     "end": (t + 900) * 1000}),
        ("/api/v1/query_exemplars", {"query": "1"}),
        ("/api/v1/query_exemplars", {"query": ""}),
        ("/api/v1/query_exemplars", {"query": "sum("}),
        ("/api/v1/query_exemplars", {"query": "up", "start": "x"}),
        ("/api/v1/query_exemplars", {"query": "up", "start": 5, "end": 4}),
        ("/api/v1/query_exemplars", {"query": "up"}, "POST"),
    ])


def test_federate(case):
    """/federate gives what Prometheus gives, line by line"""
    s, peer, t = pair(case)
    peer_now = time.time()
    fresh = [({"__name__": "fed", "job": "j", "n": str(i)},
              [Sample(int(peer_now * 1000) - 20000, 1.5 * i)])
             for i in range(4)]
    fresh += [({"__name__": "fed.odd", "a.b": "c\"\n\\d"},
               [Sample(int(peer_now * 1000) - 20000, 1e9)]),
              ({"__name__": "fed_stale"},
               [Sample(int(peer_now * 1000) - 20000, 1.0),
                Sample(int(peer_now * 1000) - 10000, STALE)])]
    for url in (peer.url, s.url):
        write(url, fresh)
    for text in ("match[]=fed", "match[]={__name__=~%22fed.*%22}", "",
                 "match[]={}", "match[]={", "match[]=fed&match[]={n=%221%22}",
                 "match[]=fed;x", "match[]=fed{n=%22%22}"):
        for accept in (None, "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                       "application/openmetrics-text;version=1.0.0;"
                       "escaping=allow-utf-8,text/plain;version=1.0.0;"
                       "escaping=allow-utf-8;q=0.6"):
            head = {"Accept": accept} if accept else {}
            ours = get(f"{s.url}/federate?{text}", headers=head)
            theirs = get(f"{peer.url}/federate?{text}", headers=head)
            equal((ours[0], sorted(ours[1].splitlines())),
                  (theirs[0], sorted(theirs[1].splitlines())),
                  f"{text} {accept}")


run(globals())
