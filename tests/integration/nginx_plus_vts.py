# SPDX-License-Identifier: Apache-2.0
"""The API of NGINX Plus and the JSON of vts, which Debian has no server for:
played from recorded documents."""
from nginx_server import *

with open(os.path.join(SRC, "plugins/nginx/testdata/plus.json")) as f:
    PLUS = json.load(f)
with open(os.path.join(SRC, "plugins/nginx/testdata/vts.json")) as f:
    VTS = json.load(f)


class Documents:
    """Serves {path: document}; counts what was asked for."""

    def __init__(self, case, base, documents):
        self.base, self.documents = base, documents
        self.asked = []
        self.gone = None # where it hangs up and listens no more
        self.target = case.target(handle=self.handle)
        self.address = self.target.address

    def handle(self, h):
        path = h.path[len(self.base):] if h.path.startswith(self.base) else "?"
        self.asked.append(path)
        if path == self.gone:
            self.target.server.socket.close()
            h.connection.shutdown(socket.SHUT_RDWR)
            return
        there = path in self.documents
        body = json.dumps(self.documents[path] if there else {
            "error": {"status": 404, "text": "path not found",
                      "code": "PathNotFound"}}).encode()
        # In one piece: two would wait for each other's acknowledgement.
        h.wfile.write(b"HTTP/1.1 %s\r\nContent-Type: application/json\r\n"
                      b"Content-Length: %d\r\n\r\n%s" %
                      (b"200 OK" if there else b"404 Not Found", len(body),
                       body))


def declared(prefix):
    out = subprocess.run([SONDE, "plugins", "show", "nginx"],
                         capture_output=True, text=True, timeout=PATIENCE)
    equal(out.returncode, 0, out.stderr)
    return set(re.findall(rf"\b{prefix}\w+", out.stdout))


def test_plus(case):
    """every family of NGINX Plus, over as many rounds as it takes"""
    d = Documents(case, "/api/", dict(PLUS))
    types, series = scrape(d.address, "mode=plus")
    equal(series["nginxplus_up"], 1)
    equal(sorted(declared("nginxplus_") - set(types)), [], "not there")
    equal(sorted(set(types) - declared("nginxplus_") - {
        "nginx_exporter_build_info", "nginx_series_dropped"} - {
            t for t in types if t.startswith("sonde_")}), [], "too many")
    equal(len([t for t in types if t.startswith("nginxplus_")]), 133)
    equal(len(d.asked), 19)
    total = sum(z["responses"]["codes"].get("200", 0)
                for z in PLUS["9/http/server_zones"].values())
    got = sum(v for k, v in series.items() if k.startswith(
        "nginxplus_server_zone_responses_codes{") and 'code="200"' in k)
    equal(got, total)
    print(f"# nginxplus: {len(types)} families, {len(series)} series")


def test_plus_lives(case):
    """scraped by the agent: what there is is learned once; what goes and
    comes back is noticed; a failure leaves nothing but nginxplus_up 0"""
    d = Documents(case, "/nginx/api/", dict(PLUS))
    s = case.sonde(config(job("plus", d.address, plugin="nginx",
                              interval="1s", metrics_path="/nginx/api",
                              options="{mode: plus}")))
    wait_for("nginxplus_up", lambda: s.value("nginxplus_up") == 1)
    wait_for("some collections", lambda: d.asked.count("9/connections") > 3)
    equal(d.asked.count("9/"), 1, "learned once")
    equal(len(d.target.connections), 1, "one connection")
    zone = d.documents.pop("9/stream/zone_sync")
    wait_for("zone_sync to end", lambda: not s.query(
        "nginxplus_stream_zone_sync_status_nodes_online"))
    equal(s.value("nginxplus_up"), 1.0)
    wait_for("a second look", lambda: d.asked.count("9/") > 1)
    d.documents["9/stream/zone_sync"] = zone
    wait_for("zone_sync", lambda: s.query(
        "nginxplus_stream_zone_sync_status_nodes_online"))
    doc = d.documents.pop("9/connections")
    wait_for("nginxplus_up 0", lambda: s.value("nginxplus_up") == 0)
    need(not s.query('{__name__=~"nginxplus_.+",__name__!="nginxplus_up"}'),
         "the rest is stale")
    d.documents["9/connections"] = doc
    wait_for("nginxplus_up 1", lambda: s.value("nginxplus_up") == 1)
    d.documents["9/license"] = []
    wait_for("a warning", lambda: "9/license: expected an object" in s.log())
    equal(s.value("nginxplus_up"), 1.0)


def test_plus_closes_midway(case):
    """a server that goes away in the middle of a collection"""
    d = Documents(case, "/api/", dict(PLUS))
    s = case.sonde(config(job("plus", d.address, plugin="nginx",
                              interval="1s", options="{mode: plus}")))
    wait_for("nginxplus_up", lambda: s.value("nginxplus_up") == 1)
    d.gone = "9/http/caches"
    wait_for("nginxplus_up 0", lambda: s.value("nginxplus_up") == 0)
    need(not s.query("nginxplus_connections_active"), "half a collection")


def test_vts(case):
    """vts under its own names, and under those of stub_status"""
    d = Documents(case, "/status/format/", {"json": VTS})
    types, series = scrape(d.address, "mode=vts")
    equal(series["nginx_up"], 1)
    equal(sorted(declared("nginx_vts_") - set(types)), [], "not there")
    need(not [k for k in series if 'host="*"' in k], "the sum of all zones")
    equal(series["nginx_http_requests_total"], VTS["connections"]["requests"])
    equal(types["nginx_vts_server_request_duration_seconds"], "histogram")
    print(f"# vts: {len(types)} families, {len(series)} series")


run(globals())
