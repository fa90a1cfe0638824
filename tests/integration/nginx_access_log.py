# SPDX-License-Identifier: Apache-2.0
"""Access logs of a real nginx under load while they are rotated, copied and
cut, and while the agent restarts: every line is counted, and none twice."""
from nginx_server import *

HTTP = """  log_format timed '$msec $status $request_time $upstream_response_time '
    '"$request" $body_bytes_sent $request_length "$http_user_agent"';
  upstream back { server unix:@DIR@/back.sock; }
  server { listen unix:@DIR@/back.sock; location / { return 200 "back\\n"; } }
"""
SERVER = """    access_log @DIR@/access.log timed;
    location /proxied/ { proxy_pass http://back/; }
    location /api/ { return 201 "made\\n"; }
"""
FORMAT = ("$msec $status $request_time $upstream_response_time \"$request\" "
          "$body_bytes_sent $request_length \"$http_user_agent\"")
COUNT = 'sum(nginx_http_response_count_total)'


def start(case):
    n, port = start_nginx(case, server=SERVER, http=HTTP)
    return n, port, os.path.join(n.home, "access.log")


def log_job(log, extra="", interval="300ms", **keys):
    options = (f"{{mode: log, access_log: ['{log}'], "
               f"log_format: '{FORMAT}'{extra}}}")
    return job("log", "localhost", plugin="nginx", interval=interval,
               options=options, **keys)


def counted(sonde):
    """What the last collection said; the sum over all series."""
    v = sonde.value(COUNT)
    return 0 if v is None else v


def lag(sonde):
    return sonde.value("max(nginx_access_log_lag_bytes)")


def wait_first(sonde):
    wait_for("a first look", lambda: sonde.value(
        "nginx_access_log_readable") == 1)


def looks(sonde):
    """The time of the last collection."""
    return sonde.value("max(timestamp(nginx_access_log_readable))") or 0


def wait_look(sonde):
    """Until a collection has begun after now."""
    for _ in range(2):
        was = looks(sonde)
        wait_for("another collection", lambda: looks(sonde) > was)


def settle(sonde, want, what):
    wait_for(f"{want} lines {what}", lambda: counted(sonde) >= want)
    wait_look(sonde) # one more, so that too many would show
    equal(counted(sonde), want, what)


def test_counts(case):
    """status, method, route, bytes and times of real lines; stub_status in
    the same job"""
    _, port, log = start(case)
    s = case.sonde(config(job(
        "both", f"127.0.0.1:{port}", plugin="nginx", interval="300ms",
        options=f"{{access_log: ['{log}'], log_format: '{FORMAT}', "
                "routes: ['/api/:id', '/proxied/*']}")))
    wait_first(s)
    for path, n in (("/api/7", 3), ("/api/8?x=y", 2), ("/proxied/a", 4),
                    ("/nowhere/to/be/found", 1)):
        for _ in range(n):
            get(f"http://127.0.0.1:{port}{path}")
    get(f"http://127.0.0.1:{port}/api/1", method="POST", data=b"12345")
    with socket.create_connection(("127.0.0.1", port), 5) as c:
        c.sendall(b"\x16\x03\x01\x02\x00junk\r\n\r\n")
        c.recv(65536)
    name = "nginx_http_response_count_total"
    wait_for("all lines", lambda: counted(s) and s.value(
        f'{name}{{status="400"}}') == 1)
    # nginx_up's own requests are there too, as "other".
    for labels, want in (
            ('method="GET",status="201",route="/api/:id"', 5),
            ('method="POST",status="201",route="/api/:id"', 1),
            ('method="GET",status="200",route="/proxied/*"', 4),
            ('method="other",status="400",route="other"', 1)):
        wait_for(labels, lambda: s.value(f"{name}{{{labels}}}") == want)
    equal(s.value("nginx_http_response_size_bytes"
                  '{method="GET",route="/api/:id"}'), 5 * 5.0)
    equal(s.value("nginx_http_response_time_seconds_hist_count"
                  '{route="/proxied/*"}'), 4.0)
    equal(s.value("nginx_http_upstream_time_seconds_hist_count"
                  '{route="/proxied/*"}'), 4.0)
    equal(s.query("nginx_http_upstream_time_seconds_hist_count"
                  '{route="/api/:id"}'), {})
    need(s.value('nginx_http_request_size_bytes{route="/proxied/*"}') > 100,
         "request sizes")
    equal(s.value("nginx_parse_errors_total"), 0.0)
    equal(s.value("nginx_up"), 1.0)
    equal(s.value('sonde_collector_success{collector="access_log"}'), 1.0)


def test_rotation_under_load(case):
    """renamed five times under load, with and without a pause before USR1"""
    n, port, log = start(case)
    s = case.sonde(config(log_job(log)))
    wait_first(s)
    load = Load(port, ("/a", "/proxied/x"))
    for i in range(5):
        have = load.done
        wait_for("some load", lambda: load.done > have + 200)
        os.rename(log, f"{log}.{i}")
        if i % 2:
            have = load.done
            wait_for("lines into the renamed file",
                     lambda: load.done > have + 100)
        n.reopen()
        wait_for("a new file", lambda: os.path.exists(log))
        wait_look(s)
    done = load.stop()
    settle(s, done, "through five rotations")
    equal(s.value("nginx_access_log_rotations_total"), 5.0)
    equal(s.value("nginx_parse_errors_total"), 0.0)
    print(f"# {done} lines through 5 rotations, all counted")


def test_copytruncate(case):
    """copied and cut between two bursts, twice, right after the last line"""
    _, port, log = start(case)
    s = case.sonde(config(log_job(log)))
    wait_first(s)
    done = 0
    for i in range(2):
        load = Load(port)
        wait_for("some load", lambda: load.done > 300)
        done += load.stop()
        wait_lines(log, None)
        shutil.copyfile(log, f"{log}.{i + 1}")
        os.truncate(log, 0)
        wait_look(s)
    for _ in range(7):
        get(f"http://127.0.0.1:{port}/")
    settle(s, done + 7, "around two cuts")
    equal(s.value("nginx_access_log_truncations_total"), 2.0)


def wait_lines(log, want):
    """Until nginx has written all: the size stays, or the lines are there."""
    last = [-1, 0]

    def quiet():
        size = os.stat(log).st_size
        last[1] = last[1] + 1 if size == last[0] else 0
        last[0] = size
        return last[1] > 5
    wait_for("nginx to have written", quiet)


def test_restarts(case):
    """the agent stops and starts under load, three rotations meanwhile
    included: the counters go on"""
    n, port, log = start(case)
    load = None
    for life in range(4):
        s = case.sonde(config(log_job(log, interval="1s")))
        if not load:
            wait_first(s)
            load = Load(port)
        have = load.done
        wait_for("some load", lambda: load.done > have + 200 and counted(s))
        if life == 3:
            break
        s.stop()
        for i in range(3 if life else 0):
            have = load.done
            wait_for("lines while it is down", lambda: load.done > have + 100)
            os.rename(log, f"{log}.{3 * life + i}")
            n.reopen()
            have = load.done
            wait_for("lines into the new file",
                     lambda: load.done > have + 100)
    done = load.stop()
    settle(s, done, "over four lives")
    equal(s.value("nginx_access_log_rotations_total"), 6.0)
    print(f"# {done} lines over 4 lives and 6 rotations, all counted once")


def test_killed(case):
    """killed under load at any moment, again and again: every line is counted
    once"""
    _, port, log = start(case)
    s = case.sonde(config(log_job(log, interval="100ms")))
    wait_first(s)
    load = Load(port)
    for life in range(6):
        have = load.done
        wait_for("some load", lambda: load.done > have + 40 + 37 * life)
        s.kill()
        s = case.sonde(config(log_job(log, interval="100ms")))
    wait_for("some load", lambda: counted(s) > 300)
    done = load.stop()
    settle(s, done, "over six kills")
    print(f"# {done} lines over 6 kills, all counted once")


def test_not_there(case):
    """a file that is not there: said, the rest goes on; it comes later"""
    _, port, log = start(case)
    missing = case.path("later.log")
    s = case.sonde(config(log_job(f"{log}', '{missing}")))
    wait_for("both", lambda: len(s.query("nginx_access_log_readable")) == 2)
    get(f"http://127.0.0.1:{port}/")
    wait_for("a line", lambda: counted(s) == 1)
    equal(s.value(f'nginx_access_log_readable{{file="{missing}"}}'), 0.0)
    need("later.log: No such file" in s.log(), "the reason")
    case.write("later.log", '1.5 200 0.001 - "GET / HTTP/1.1" 1 2 "-"\n')
    wait_for("two lines", lambda: counted(s) == 2)


def test_backlog(case):
    """a long file is read over several collections, and says what is left"""
    log = case.path("long.log")
    line = b'1.5 200 0.001 - "GET / HTTP/1.1" 1 2 "-"\n'
    with open(log, "wb") as f:
        f.write(line * 200000)
    s = case.sonde(config(log_job(log, ", from_beginning: true, "
                                       "read_limit: 1MB")))
    wait_for("a part", lambda: 0 < counted(s) < 200000 and lag(s) > 0)
    wait_for("all", lambda: counted(s) == 200000 and lag(s) == 0)


run(globals())
