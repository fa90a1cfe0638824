# SPDX-License-Identifier: Apache-2.0
"""How the nginx plugin reaches servers (TCP, unix sockets, TLS both ways,
passwords), and what it says when they do not answer."""
from nginx_server import *

UP = 'nginx_up{job="%s"}'


def up(sonde, job_name="nginx"):
    return sonde.value(UP % job_name)


def why(sonde, part):
    wait_for(f"the reason {part!r}", lambda: part in sonde.log())


def test_down_and_back(case):
    """killed: nginx_up 0 and the others end; back: all is well again"""
    n, port = start_nginx(case)
    s = case.sonde(config(job("nginx", f"127.0.0.1:{port}", plugin="nginx",
                              interval="300ms")))
    wait_for("nginx_up 1", lambda: up(s) == 1)
    n.kill()
    n.end_workers()
    wait_for("nginx_up 0", lambda: up(s) == 0)
    need(not s.query("nginx_connections_active"), "not stale")
    equal(s.value("up"), 1.0, "the collection itself went well")
    equal(s.value('sonde_collector_success{collector="status"}'), 0.0)
    why(s, "a collector fails")
    site = SITE % {"listen": f"127.0.0.1:{port}", "server": ""}
    Nginx(case, site)
    wait_for("nginx_up 1", lambda: up(s) == 1)
    why(s, "a collector is well again")
    wait_for("series", lambda: s.query("nginx_connections_active"))


def test_hung(case):
    """stopped (SIGSTOP): the timeout is kept, and it goes on after that"""
    n, port = start_nginx(case)
    s = case.sonde(config(job("nginx", f"127.0.0.1:{port}", plugin="nginx",
                              interval="500ms", timeout="300ms")))
    wait_for("nginx_up 1", lambda: up(s) == 1)
    n.freeze()
    try:
        wait_for("nginx_up 0", lambda: up(s) == 0)
    finally:
        n.freeze(False)
    wait_for("nginx_up 1", lambda: up(s) == 1)


def test_wrong_pages(case):
    """a path that is not there, and one that is the site's own page"""
    _, port = start_nginx(case)
    jobs = [job(name, f"127.0.0.1:{port}", plugin="nginx", interval="500ms",
                **keys) for name, keys in (
        ("gone", {"options": "{path: /missing}"}),
        ("html", {"options": "{path: /page}"}),
        ("text", {"options": "{path: /}"}),
        ("json", {"options": "{mode: vts, path: /page}"}),
        ("plus", {"options": "{mode: plus, path: /page}"}),
        ("good", {"metrics_path": "/stub_status"}))]
    s = case.sonde(config(*jobs))
    wait_for("all", lambda: len(s.query("nginx_up")) == 5
             and s.query("nginxplus_up"))
    equal({k: v for k, v in ((dict(k)["job"], float(v[1])) for k, v in
                             s.query("nginx_up").items())},
          {"gone": 0, "html": 0, "text": 0, "json": 0, "good": 1})
    equal(s.value("nginxplus_up"), 0.0)
    for part in ("GET /missing: HTTP status 404",
                 "GET /page: expected the page of stub_status, got an HTML "
                 "page",
                 "got another text",
                 "GET /page: expected a JSON document, got an HTML page",
                 "GET /page/: expected a JSON document"):
        why(s, part)


def test_unix_socket(case):
    """a unix socket as the address, without any port"""
    sock = case.path("n.sock")
    Nginx(case, SITE % {"listen": f"unix:{sock}", "server": ""})
    s = case.sonde(config(job("nginx", f"unix:{sock}", plugin="nginx",
                              interval="300ms")))
    wait_for("nginx_up 1", lambda: up(s) == 1)


def tls_site(case, port, verify="on"):
    return ("  server { listen 127.0.0.1:%d ssl; server_name status.test;\n"
            "    ssl_certificate %s; ssl_certificate_key %s;\n"
            "    ssl_client_certificate %s; ssl_verify_client %s;\n"
            "    location = /stub_status { stub_status; } }\n" %
            (port, case.path("server.pem"), case.path("server.key"),
             case.path("ca.pem"), verify))


def test_tls(case):
    """TLS with a client's certificate, by a name; wrong name, no certificate,
    an authority that is not known"""
    certificates(case)
    port = free_port()
    Nginx(case, tls_site(case, port))
    good = (f"ca_file: {case.path('ca.pem')}, "
            f"cert_file: {case.path('client.pem')}, "
            f"key_file: {case.path('client.key')}")
    jobs = [job(name, f"127.0.0.1:{port}", plugin="nginx", interval="500ms",
                scheme="https", tls_config="{%s}" % tls)
            for name, tls in (
        ("good", good + ", server_name: status.test"),
        ("name", good + ", server_name: other.test"),
        ("bare", f"ca_file: {case.path('ca.pem')}, server_name: status.test"),
        ("stranger", "server_name: status.test"),
        ("blind", good.split(", ", 1)[1] + ", insecure_skip_verify: true"))]
    s = case.sonde(config(*jobs))
    wait_for("all", lambda: len(s.query("nginx_up")) == 5)
    equal({dict(k)["job"]: float(v[1]) for k, v in
           s.query("nginx_up").items()},
          {"good": 1, "name": 0, "bare": 0, "stranger": 0, "blind": 1})
    why(s, "other.test")
    why(s, "HTTP status 400") # No required SSL certificate was sent


def test_password(case):
    """basic auth from a file; a wrong one is said and not shown"""
    port = free_port()
    hashed = subprocess.run(["openssl", "passwd", "-apr1", "open-sesame"],
                            capture_output=True, text=True).stdout.strip()
    users = case.write("users", f"joe:{hashed}\n")
    right = case.write("right", "open-sesame\n")
    wrong = case.write("wrong", "hunter2-wrong\n")
    Nginx(case, "  server { listen 127.0.0.1:%d; location /stub_status {\n"
          "    auth_basic x; auth_basic_user_file %s; stub_status; } }\n" %
          (port, users))
    jobs = [job(name, f"127.0.0.1:{port}", plugin="nginx", interval="300ms",
                basic_auth=f"{{username: joe, password_file: {path}}}")
            for name, path in (("right", right), ("wrong", wrong))]
    s = case.sonde(config(*jobs))
    wait_for("both", lambda: len(s.query("nginx_up")) == 2)
    equal((up(s, "right"), up(s, "wrong")), (1.0, 0.0))
    why(s, "HTTP status 401")
    shown = s.log() + get(s.url + "/api/v1/targets")[1]
    need("hunter2" not in shown and "sesame" not in shown, "a password shows")
    # The file is read again: the next collections are well.
    case.write("wrong", "open-sesame\n")
    equal(s.reload()[0], 200)
    wait_for("nginx_up 1", lambda: up(s, "wrong") == 1)


def test_snippets(case):
    """conf.d/nginx*.yaml as shipped"""
    for name in ("nginx.yaml", "nginx-access-log.yaml"):
        path = os.path.join(SRC, "conf.d", name)
        out = subprocess.run([SONDE, "check", "config", path],
                             capture_output=True, text=True, timeout=PATIENCE)
        equal(out.returncode, 0, out.stdout + out.stderr)


run(globals())
