# SPDX-License-Identifier: Apache-2.0
"""Who may in, on a server that runs: TLS, certificates, passwords, tokens,
headers; and that clients who are slow, many or too large keep nobody out."""
import base64
import http.client
import ssl
import subprocess
import warnings

from harness import *

warnings.filterwarnings("ignore", category=DeprecationWarning)
HEALTH_PATIENCE = 10  # a second is meant; the machine may be busy


# ---- certificates, passwords -------------------------------------------------

def openssl(*args):
    run = subprocess.run(["openssl", *args], capture_output=True, text=True,
                         timeout=PATIENCE)
    need(run.returncode == 0, f"openssl {args}: {run.stderr}")


def authority(case, name):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
            f"/CN={name}", "-keyout", case.path(f"{name}.key"), "-out",
            case.path(f"{name}.pem"))


def certificate(case, name, signer, sans="DNS:localhost,IP:127.0.0.1"):
    """NAME.pem and NAME.key, replaced at once if they are there."""
    key, pem = case.path(f"{name}.key"), case.path(f"{name}.pem")
    request = case.path(f"{name}.csr")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-subj", f"/CN={name}", "-addext",
            f"subjectAltName={sans}", "-keyout", key + ".new", "-out", request)
    openssl("x509", "-req", "-in", request, "-CA", case.path(f"{signer}.pem"),
            "-CAkey", case.path(f"{signer}.key"), "-days", "2",
            "-copy_extensions", "copyall", "-out", pem + ".new")
    os.rename(key + ".new", key)
    os.rename(pem + ".new", pem)


def bcrypt(password, cost="04"):
    """By the system's libcrypt, as htpasswd -B would."""
    run = subprocess.run(["perl", "-e", "print crypt($ARGV[0], $ARGV[1])",
                          password, f"$2b${cost}$abcdefghijklmnopqrstuu"],
                         capture_output=True, text=True, timeout=PATIENCE)
    need(run.stdout.startswith("$2b$") and len(run.stdout) == 60, run.stdout)
    return run.stdout


def basic(user, password):
    text = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


# ---- servers and clients -----------------------------------------------------

def guarded(case, text, *flags):
    """A server with this web config file, not waited for."""
    path = case.write("web.yml", text)
    return case.sonde("scrape_configs: []\n", f"--web.config.file={path}",
                      *flags, wait=False)


def client(case, ca="ca", own=None, lowest=None, highest=None):
    c = ssl.create_default_context(cafile=case.path(f"{ca}.pem"))
    if own:
        c.load_cert_chain(case.path(f"{own}.pem"), case.path(f"{own}.key"))
    if lowest:
        c.set_ciphers("ALL:@SECLEVEL=0")
        c.minimum_version, c.maximum_version = lowest, highest
    return c


def ask(s, context=None, path="/-/ready", headers=None):
    """(status, headers) of a request, or None if the connection failed."""
    c = (http.client.HTTPSConnection("127.0.0.1", s.port, timeout=PATIENCE,
                                     context=context)
         if context else
         http.client.HTTPConnection("127.0.0.1", s.port, timeout=PATIENCE))
    try:
        c.request("GET", path, headers=headers or {})
        r = c.getresponse()
        r.read()
        return r.status, r.headers
    except (OSError, http.client.HTTPException):
        return None
    finally:
        c.close()


def status(*args, **kw):
    answer = ask(*args, **kw)
    return answer[0] if answer else None


def ready(s, *args, **kw):
    wait_for("the server", lambda: status(s, *args, **kw) == 200 or
             need(s.alive(), s.log()))


def healthy(s, headers=None):
    got = get(s.url + "/-/healthy", headers=headers, timeout=HEALTH_PATIENCE)
    equal(got[0], 200, "health")


# ---- TLS ---------------------------------------------------------------------

FILES = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"


def test_tls_versions(case):
    """TLS 1.2 and 1.3 are spoken, older versions and plain HTTP are not"""
    authority(case, "ca")
    certificate(case, "server", "ca")
    s = guarded(case, FILES)
    ready(s, client(case))
    v = ssl.TLSVersion
    for version, want in [(v.TLSv1_3, 200), (v.TLSv1_2, 200),
                          (v.TLSv1_1, None), (v.TLSv1, None)]:
        equal(status(s, client(case, lowest=version, highest=version)), want,
              version.name)
    equal(status(s), None, "plain HTTP")
    case.write("web.yml", FILES + "  min_version: TLS13\n")
    equal(status(s, client(case, lowest=v.TLSv1_2, highest=v.TLSv1_2)), None,
          "1.2 after min_version: TLS13")
    equal(status(s, client(case)), 200)


def serial(s, context):
    with socket.create_connection(("127.0.0.1", s.port), PATIENCE) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as t:
            return t.getpeercert()["serialNumber"]


def test_certificate_rotation(case):
    """a new certificate is served without a restart, old connections stay"""
    authority(case, "ca")
    certificate(case, "server", "ca")
    s = guarded(case, FILES)
    context = client(case)
    ready(s, context)
    first = serial(s, context)
    equal(serial(s, context), first)
    kept = http.client.HTTPSConnection("127.0.0.1", s.port, timeout=PATIENCE,
                                       context=context)
    kept.request("GET", "/-/healthy")
    equal(kept.getresponse().read(), b"Prometheus Server is Healthy.\n")
    certificate(case, "server", "ca")
    need(serial(s, context) != first, "the old certificate is still served")
    equal(status(s, context), 200)
    kept.request("GET", "/-/healthy")
    equal(kept.getresponse().status, 200, "a connection from before")
    kept.close()
    # A key that does not fit: nobody gets in until it is repaired.
    os.rename(case.path("server.key"), case.path("right.key"))
    case.write("server.key", open(case.path("ca.key")).read())
    equal(status(s, context), 500)
    os.rename(case.path("right.key"), case.path("server.key"))
    equal(status(s, context), 200)


def test_client_certificates(case):
    """every client_auth_type, changed while the server runs"""
    authority(case, "ca")
    authority(case, "other")
    certificate(case, "server", "ca")
    certificate(case, "known", "ca", "DNS:known")
    certificate(case, "stranger", "other", "DNS:stranger")
    s = guarded(case, FILES)
    ready(s, client(case))
    ca = "  client_ca_file: ca.pem\n"
    for kind, more, none, known, stranger in [
            ("NoClientCert", "", 200, 200, 200),
            ("RequestClientCert", "", 200, 200, 200),
            ("RequireAnyClientCert", "", None, 200, 200),
            ("RequireClientCert", "", None, 200, 200),
            ("VerifyClientCertIfGiven", ca, 200, 200, None),
            ("RequireAndVerifyClientCert", ca, None, 200, None),
            ("RequireAndVerifyClientCert",
             ca + "  client_allowed_sans: [other, known]\n", None, 200, None),
            ("RequireAndVerifyClientCert",
             ca + "  client_allowed_sans: [other]\n", None, None, None)]:
        case.write("web.yml", FILES + f"  client_auth_type: {kind}\n" + more)
        equal([status(s, client(case, own=own))
               for own in (None, "known", "stranger")],
              [none, known, stranger], kind + more)


# ---- passwords, tokens, headers ----------------------------------------------

def test_passwords(case):
    """basic authentication covers every path and follows the file"""
    s = guarded(case, f"basic_auth_users:\n  alice: {bcrypt('secret')}\n")
    ready(s, headers=basic("alice", "secret"))
    for path in ["/-/healthy", "/-/ready", "/metrics", "/api/v1/query?query=1",
                 "/federate", "/nowhere"]:
        code, headers = ask(s, path=path)
        equal((code, headers["WWW-Authenticate"]), (401, "Basic"), path)
    for _ in range(3):
        for user, password, want in [("alice", "secret", 200),
                                     ("alice", "Secret", 401),
                                     ("alice", "", 401),
                                     ("bob", "secret", 401)]:
            equal(status(s, headers=basic(user, password)), want,
                  f"{user}:{password}")
    case.write("web.yml", f"basic_auth_users:\n  alice: {bcrypt('new')}\n")
    equal(status(s, headers=basic("alice", "secret")), 401, "the old one")
    equal(status(s, headers=basic("alice", "new")), 200, "the new one")
    case.write("web.yml", "basic_auth_users: [")
    equal(status(s, headers=basic("alice", "new")), 500, "a broken file")
    need("secret" not in s.log() and "$2b$" not in s.log(), s.log())
    case.write("web.yml", f"basic_auth_users:\n  alice: {bcrypt('new')}\n")
    page = get(s.url + "/metrics", headers=basic("alice", "new"))[1]
    for line in ['reason="unauthorized"} 16', 'reason="web_config_broken"} 1']:
        need(f"sonde_web_requests_refused_total{{{line}\n" in page, line)


def test_guessing_keeps_nobody_out(case):
    """who is known is let in at once while wrong passwords are hashed"""
    s = guarded(case, f"basic_auth_users:\n  alice: {bcrypt('secret', '11')}\n")
    ready(s, headers=basic("alice", "secret"))
    guesses = []
    for i in range(40):
        c = socket.create_connection(("127.0.0.1", s.port), PATIENCE)
        head = basic("alice", f"guess{i}")["Authorization"]
        c.sendall(f"GET /-/healthy HTTP/1.1\r\nHost: x\r\n"
                  f"Authorization: {head}\r\n\r\n".encode())
        guesses.append(c)
    for _ in range(5):
        healthy(s, basic("alice", "secret"))
    for c in guesses:
        c.settimeout(PATIENCE)
        need(c.recv(100).startswith(b"HTTP/1.1 401"), "a guess is refused")
        c.close()


def test_tokens(case):
    """bearer tokens from files, two at once, exchanged while it runs"""
    old, new = "0123456789abcdef.old", "0123456789abcdef~new=="
    case.write("token", f"# of the dashboards\n{old}\n")
    s = guarded(case, "bearer_token_files:\n  grafana: token\n")
    ready(s, headers=bearer(old))
    equal(ask(s)[1].get_all("WWW-Authenticate"), ["Bearer"])
    for text in [bearer(new), bearer(old[:-1]), bearer(""), bearer(old + "x"),
                 basic("grafana", old), {"Authorization": old}]:
        equal(status(s, headers=text), 401, text)
    equal(status(s, headers={"Authorization": f"bearer {old}"}), 200)
    case.write("token", f"{old}\n\n{new}\n")
    equal([status(s, headers=bearer(t)) for t in (old, new)], [200, 200])
    case.write("token", f"{new}\n")
    equal([status(s, headers=bearer(t)) for t in (old, new)], [401, 200])
    # Nothing is believed while a file can not be used.
    for broken in ["", "short\n", "# nothing\n", "a b c d e f g h i j\n"]:
        case.write("token", broken)
        equal(status(s, headers=bearer(new)), 500, repr(broken))
    need(new not in s.log() and "short" not in s.log(), s.log())
    case.write("token", f"{new}\n")
    case.write("web.yml", "bearer_token_files:\n  grafana: token\n"
               f"basic_auth_users:\n  alice: {bcrypt('secret')}\n")
    equal(status(s, headers=bearer(new)), 200)
    equal(status(s, headers=basic("alice", "secret")), 200)
    code, headers = ask(s)
    equal((code, headers.get_all("WWW-Authenticate")),
          (401, ["Basic", "Bearer"]))


def test_headers(case):
    """security headers on every answer, also on those that refuse"""
    names = {"X-Frame-Options": "deny", "X-Content-Type-Options": "nosniff",
             "Strict-Transport-Security": "max-age=3600",
             "Content-Security-Policy": "frame-ancestors 'none'",
             "X-XSS-Protection": "0"}
    text = (f"basic_auth_users:\n  alice: {bcrypt('secret')}\n"
            "http_server_config:\n  headers:\n" +
            "".join(f'    {k}: "{v}"\n' for k, v in names.items()))
    s = guarded(case, text)
    known = basic("alice", "secret")
    ready(s, headers=known)
    for path, headers, code in [("/", known, 200), ("/", None, 401),
                                ("/metrics", known, 200),
                                ("/api/v1/query?query=1", known, 200),
                                ("/api/v1/query", known, 400),
                                ("/nowhere", known, 404)]:
        answer = ask(s, path=path, headers=headers)
        equal(answer[0], code, path)
        for name, value in names.items():
            equal(answer[1].get_all(name), [value], f"{path}: {name}")
    case.write("web.yml", text.replace("max-age=3600", "max-age=7"))
    equal(ask(s)[1]["Strict-Transport-Security"], "max-age=7")


def test_loopback_alone(case):
    """nobody outside is listened to unless that was asked for"""
    path = case.write("sonde.yml", "scrape_configs: []\n")
    p = Process(case, [SONDE, f"--config.file={path}",
                       f"--storage.tsdb.path={case.path('data')}"], "sonde")
    # The default port may be taken; then that is what it says.
    wait_for("it to listen, or not", lambda: "127.0.0.1:9090" in p.log())
    for word in ["0.0.0.0", "[::]", "address=:9090"]:
        need(word not in p.log(), p.log())
    p.stop()


# ---- slow, many, too large ---------------------------------------------------

def connect(s):
    c = socket.create_connection(("127.0.0.1", s.port), PATIENCE)
    c.setblocking(False)
    return c


def drip(clients, data):
    """Sends a little on each that is still there; how many are."""
    n = 0
    for c in clients:
        try:
            c.send(data)
            n += 1
        except OSError:
            pass
    return n


def test_slow_clients(case):
    """slow headers, slow bodies, slow readers and idle ones, all at once"""
    s = case.sonde("scrape_configs: []\n", "--web.read-timeout=3s",
                   "--web.max-connections=400")
    heads = [connect(s) for _ in range(150)]
    bodies = [connect(s) for _ in range(100)]
    drip(heads, b"GET /api/v1/labels HTTP/1.1\r\nHost: x\r\nX-A: ")
    drip(bodies, b"POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Type: "
                 b"application/x-www-form-urlencoded\r\n"
                 b"Content-Length: 100000\r\n\r\nquery=1")
    text = urllib.parse.urlencode({  # 6 MB for each
        "query": " or ".join(
            f"label_replace(vector(time()), 'i', '{i}', '', '')"
            for i in range(30)), "start": 0, "end": 10000, "step": 1})
    readers = []
    for _ in range(20):
        c = socket.socket()
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.connect(("127.0.0.1", s.port))
        c.sendall(f"GET /api/v1/query_range?{text} HTTP/1.1\r\nHost: x\r\n\r\n"
                  .encode())
        readers.append(c)
    for c in readers:
        need(c.recv(20).startswith(b"HTTP/1.1 200"), "an answer's beginning")
    idle = [connect(s) for _ in range(1000)]
    for _ in range(5):
        drip(heads, b"a")
        drip(bodies, b"a")
        healthy(s)
        equal(s.api("query", query="1", time="4")["result"], [4, "1"])
    def all_gone():
        healthy(s)
        return drip(heads, b"a") + drip(bodies, b"a") == 0
    wait_for("the slow ones to be shut", all_gone)
    need(s.metric("sonde_web_connections_shut_total") >= 250, "counted")
    need(s.metric("sonde_web_connections") <= 400, "bounded")
    for c in heads + bodies + readers + idle:
        c.close()
    healthy(s)
    equal(s.stop(), 0)


def first_line(s, request):
    """The answer's first line to bytes that may be more than are read."""
    with socket.create_connection(("127.0.0.1", s.port), PATIENCE) as c:
        try:
            c.sendall(request)
        except OSError:
            pass  # it answered and closed while we were writing
        try:
            return c.recv(4096).split(b"\r\n")[0]
        except ConnectionError:
            return b""


def test_too_large(case):
    """headers, URLs and bodies that are too large are refused, and counted"""
    s = case.sonde("scrape_configs: []\n", "--web.enable-remote-write-receiver")
    host = b" HTTP/1.1\r\nHost: x\r\n"
    equal(first_line(s, b"GET /-/healthy" + host + b"X-A: " + b"a" * 200000 +
                     b"\r\n\r\n").split(b" ")[1:2], [b"431"], "headers")
    equal(first_line(s, b"GET /-/healthy" + host + b"X-A: b\r\n" * 20000 +
                     b"\r\n").split(b" ")[1:2], [b"431"], "many headers")
    equal(first_line(s, b"GET /api/v1/query?query=" + b"1" * 200000 + host +
                     b"\r\n").split(b" ")[1:2], [b"414"], "URL")
    form = (b"POST /api/v1/query" + host +
            b"Content-Type: application/x-www-form-urlencoded\r\n")
    before = s.metric('sonde_web_requests_refused_total'
                      '{reason="body_too_large"}')
    equal(first_line(s, form + b"Content-Length: 99999999999\r\n\r\nquery=1")
          .split(b" ")[1:2], [b"413"], "announced body")
    piece = b"%x\r\n" % 65536 + b"a" * 65536 + b"\r\n"
    equal(first_line(s, form + b"Transfer-Encoding: chunked\r\n\r\n" +
                     piece * 200 + b"0\r\n\r\n").split(b" ")[1:2], [b"413"],
          "body in chunks")
    equal(s.metric('sonde_web_requests_refused_total'
                   '{reason="body_too_large"}'), before + 2)
    healthy(s)
    equal(s.stop(), 0)


run(globals())
