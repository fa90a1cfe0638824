# SPDX-License-Identifier: Apache-2.0
"""The nginx plugin beside nginx-prometheus-exporter, Debian's and the newest,
on the same server under load: families, types, labels and values."""
from nginx_server import *

# The exporter's own process, not nginx.
OWN = re.compile(r"^(go_|process_|promhttp_)")
# Each exporter has a name of its own for its build.
BUILD = {"nginxexporter_build_info", "nginx_exporter_build_info"}


def exporter(case, binary, uri, *flags):
    web = free_port()
    dash = "-" if binary.startswith("/usr/bin") else "--"
    Process(case, [binary, f"{dash}nginx.scrape-uri={uri}",
                   f"{dash}web.listen-address=127.0.0.1:{web}", *flags],
            "exporter")
    url = f"http://127.0.0.1:{web}/metrics"
    wait_for("the exporter", lambda: page_text(get(url)[1])[1].get(
        "nginx_up") is not None)
    return url


def between(before, ours, after):
    """Counters that were read before and after ours hold ours."""
    return before <= ours <= after


def compare(case, nginx, binary, title):
    """One server, one exporter: everything that the exporter says."""
    _, port = start_nginx(case, nginx)
    url = exporter(case, binary, f"http://127.0.0.1:{port}/stub_status")
    load = Load(port)
    wait_for("some load", lambda: load.done > 200)
    before = page_text(get(url)[1])
    ours = scrape(f"127.0.0.1:{port}")
    after = page_text(get(url)[1])
    load.stop()
    families = differences = 0
    wrong = []
    for family, kind in before[0].items():
        if OWN.match(family) or family in BUILD:
            continue
        families += 1
        if ours[0].get(family) != kind:
            wrong.append(f"{family}: {kind} there, {ours[0].get(family)} here")
    for series, value in before[1].items():
        family = series.split("{")[0]
        if OWN.match(family) or family in BUILD:
            continue
        if series not in ours[1]:
            wrong.append(f"{series}: not here")
        elif before[0][family] == "counter":
            if not between(value, ours[1][series], after[1][series]):
                wrong.append(f"{series}: {value}, {ours[1][series]}, "
                             f"{after[1][series]}")
        elif abs(ours[1][series] - value) > 8: # gauges under load
            wrong.append(f"{series}: {value} there, {ours[1][series]} here")
    equal(wrong, [], title)
    equal(families, 8, f"families of {title}")
    print(f"# {title}: {families} families, {families} the same, "
          f"{len(wrong)} differences")


def test_debian(case):
    """Debian's nginx and Debian's exporter"""
    compare(case, installed("nginx"), installed("prometheus-nginx-exporter"),
            "nginx 1.22, exporter 0.11")


def test_newest_exporter(case):
    """Debian's nginx and the newest exporter"""
    compare(case, installed("nginx"),
            newest("prometheus-nginx-exporter"),
            "nginx 1.22, exporter 1.5")


def test_newest(case):
    """the newest nginx and the newest exporter"""
    compare(case, newest("nginx"),
            newest("prometheus-nginx-exporter"),
            "nginx of sid, exporter 1.5")


def test_sheet(case):
    """every family that was captured from the exporters is here"""
    path = os.path.join(SRC, "plugins/nginx/testdata/exporter-families.tsv")
    _, port = start_nginx(case)
    ours = scrape(f"127.0.0.1:{port}")
    with open(path) as f:
        rows = [line.rstrip("\n").split("\t") for line in f][1:]
    need(len(rows) >= 8, "the table is empty")
    for name, kind in rows:
        equal(ours[0].get(name), kind, name)


def test_down_as_exporter(case):
    """a server that is down: nginx_up 0 and nothing else, as the exporter"""
    n, port = start_nginx(case)
    url = exporter(case, installed("prometheus-nginx-exporter"),
                   f"http://127.0.0.1:{port}/stub_status")
    n.kill()
    n.end_workers()
    wait_for("nginx_up 0", lambda: page_text(get(url)[1])[1]["nginx_up"] == 0)
    theirs = {k for k in page_text(get(url)[1])[1] if k.startswith("nginx_")}
    ours = {k for k in scrape(f"127.0.0.1:{port}")[1]
            if k.startswith("nginx_") and "build_info" not in k}
    equal(ours, theirs)


def sidecar(case, *flags, env=None):
    web = free_port()
    p = Process(case, [SONDE, "exporter", "nginx",
                       f"--web.listen-address=127.0.0.1:{web}", *flags],
                "sidecar", env={**os.environ, **(env or {})})
    url = f"http://127.0.0.1:{web}/metrics"
    wait_for("the sidecar", lambda: get(url)[0] == 200)
    return p, url


def test_sidecar(case):
    """`sonde exporter nginx` with the exporter's flags and variables"""
    _, port = start_nginx(case)
    uri = f"http://127.0.0.1:{port}/stub_status"
    _, url = sidecar(case, f"--nginx.scrape-uri={uri}",
                     "--prometheus.const-label=site=a", "--nginx.timeout=3s")
    page = wait_for("nginx_up 1", lambda: (lambda p: p if p[1].get(
        'nginx_up{site="a"}') == 1 else None)(page_text(get(url)[1])))
    equal(page[0]["nginx_connections_accepted"], "counter")
    _, url = sidecar(case, env={"SCRAPE_URI": uri})
    wait_for("nginx_up 1", lambda: page_text(get(url)[1])[1].get(
        "nginx_up") == 1)
    _, url = sidecar(case, f"-nginx.scrape-uri={uri}") # as before 1.0
    wait_for("nginx_up 1", lambda: page_text(get(url)[1])[1].get(
        "nginx_up") == 1)


def test_sidecar_several(case):
    """several addresses: the label addr tells them apart, as the exporter's"""
    sock = case.path("s.sock")
    port = free_port()
    Nginx(case, SITE % {"listen": f"127.0.0.1:{port}", "server": ""} +
          SITE % {"listen": f"unix:{sock}", "server": ""})
    uris = [f"http://127.0.0.1:{port}/stub_status",
            f"unix:{sock}:/stub_status"]
    flags = [f"--nginx.scrape-uri={u}" for u in uris]
    _, url = sidecar(case, *flags)

    def both():
        page = page_text(get(url)[1])[1]
        up = {k: v for k, v in page.items() if k.startswith("nginx_up")}
        return up if len(up) == 2 and all(up.values()) else None
    equal(set(wait_for("both", both)),
          {f'nginx_up{{addr="{u}"}}' for u in uris})


def test_sidecar_refuses(case):
    """the PROXY protocol is refused and not ignored"""
    out = subprocess.run([SONDE, "exporter", "nginx",
                          "--nginx.proxy-protocol"], capture_output=True,
                         text=True, timeout=PATIENCE)
    need(out.returncode != 0, "it started")
    need("PROXY protocol is not supported" in out.stderr + out.stdout,
         out.stderr)


run(globals())
