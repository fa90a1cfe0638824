# SPDX-License-Identifier: Apache-2.0
"""The redis plugin when things go wrong: servers that die, hang, refuse,
speak TLS or no RESP at all, lack rights, or have a million keys."""
import socketserver
import ssl

from redis_servers import *


def agent(case, *jobs):
    return case.sonde(config(*jobs))


def redis_job(address, name="redis", options="", **keys):
    keys.setdefault("interval", "300ms")
    keys.setdefault("timeout", keys["interval"])
    if options:
        keys["options"] = "{" + options + "}"
    return job(name, address, plugin="redis", **keys)


def up(s, name="redis"):
    return s.value(f'redis_up{{job="{name}"}}')


def wait_up(s, value, name="redis"):
    wait_for(f"redis_up {value}", lambda: up(s, name) == value)


def reason(s, name="redis"):
    found = list(s.query(f'redis_exporter_last_scrape_error{{job="{name}"}}'
                         ' == 1'))
    return dict(found[0])["err"] if found else ""


def wait_reason(s, part, name="redis"):
    wait_for(f"the reason {part}", lambda: part in reason(s, name))


def part(s, collector, name="redis"):
    return s.value(f'sonde_collector_success{{job="{name}",'
                   f'collector="{collector}"}}')


def test_killed(case):
    """killed in the middle of a scrape, and there again"""
    r = Server(case)
    s = agent(case, redis_job(r.address, timeout="300ms"))
    wait_up(s, 1.0)
    c = r.connect()
    c.s.sendall(b"*3\r\n$5\r\nDEBUG\r\n$5\r\nSLEEP\r\n$2\r\n30\r\n")
    wait_up(s, 0.0)  # a scrape waits for the server that sleeps
    r.process.kill()
    wait_reason(s, "connect")
    need(not s.query("redis_connected_clients"), "old values are there")
    Process(case, [program("redis7"), "--port", str(r.port), "--bind",
                   "127.0.0.1", "--save", "", "--dir", r.folder], "again")
    wait_up(s, 1.0)
    wait_for("values", lambda: s.query("redis_connected_clients"))


def test_stopped(case):
    """a server that hangs is down by the deadline, and up when it goes on"""
    r = Server(case)
    s = agent(case, redis_job(r.address))
    wait_up(s, 1.0)
    os.kill(r.process.pid, signal.SIGSTOP)
    wait_up(s, 0.0)
    wait_reason(s, "deadline exceeded")
    os.kill(r.process.pid, signal.SIGCONT)
    wait_up(s, 1.0)


def test_kept(case):
    """one connection for many scrapes, over TCP and over a unix socket"""
    path = case.path("redis.sock")
    r = Server(case, "redis7", "--unixsocket", path)
    s = agent(case, redis_job(r.address),
              redis_job(f"unix://{path}", "local", "count_keys: '*'"))
    for name in ("redis", "local"):
        wait_up(s, 1.0, name)
    before = r("INFO", "stats")
    connections = int(re.search(rb"total_connections_received:(\d+)",
                                before).group(1))
    for name in ("redis", "local"):
        first = s.value(f'redis_exporter_scrapes_total{{job="{name}"}}')
        wait_for("scrapes", lambda: s.value(
            f'redis_exporter_scrapes_total{{job="{name}"}}') >= first + 5)
    after = r("INFO", "stats")
    equal(int(re.search(rb"total_connections_received:(\d+)",
                        after).group(1)), connections + 1,
          "connections (this one's own is the one more)")


def test_passwords(case):
    """a wrong password, one that changes in its file, a map of passwords"""
    r = Server(case, "redis7", "--requirepass", "right-1", password="right-1")
    path = case.write("password", "wrong-1\n")
    mapped = case.write("map.json", json.dumps(
        {f"redis://127.0.0.1:{r.port}": "right-1", "redis://other": "x-1"}))
    s = agent(case, redis_job(r.address, options=f"password_file: {path}"),
              redis_job(r.address, "map", f"password_file: {mapped}"))
    wait_up(s, 1.0, "map")
    wait_reason(s, "wrong user or password")
    case.write("password", "right-1\n")
    wait_up(s, 1.0)
    # Both change, and all who are logged in are thrown out.
    c = r.connect()
    c("CONFIG", "SET", "requirepass", "right-2")
    c("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    wait_reason(s, "wrong user or password")
    case.write("password", "right-2\n")
    wait_up(s, 1.0)
    need(not re.search("right-|wrong-1|x-1", s.log()), "a password in the log")


def test_rights(case):
    """missing rights: a reason for each part, and back when granted"""
    r = Server(case)
    r.acl("few", "-@all", "+info", "+client|setname")
    s = agent(case, redis_job(
        r.address, options="user: few, password: secret-few",
        slow_interval="1s"))
    wait_up(s, 1.0)
    for name in ("config", "latency", "slowlog"):
        wait_for(name, lambda: part(s, name) == 0.0)
    equal(part(s, "info"), 1.0, "info")
    need("NOPERM" in s.log() and "config|get" in s.log(), "no reason")
    equal(r("ACL", "SETUSER", "few", "+config|get", "+latency|latest",
            "+latency|histogram", "+slowlog|len", "+slowlog|get"), "+OK")
    for name in ("config", "latency", "slowlog"):
        wait_for(name, lambda: part(s, name) == 1.0)
    wait_for("config", lambda: s.query("redis_config_maxclients"))


def test_tls(case):
    """TLS with and without what it takes"""
    ca, other = certificate(case, "ca"), certificate(case, "other")
    server, client = (certificate(case, n, ca) for n in ("server", "client"))
    port = free_port()
    r = Server(case, "redis7", "--tls-port", str(port), "--tls-cert-file",
               server[0], "--tls-key-file", server[1], "--tls-ca-cert-file",
               ca[0])
    address = f"rediss://127.0.0.1:{port}"
    mine = f"ca_file: {ca[0]}, cert_file: {client[0]}, key_file: {client[1]}"
    jobs = {
        "good": (address, "{" + mine + "}"),
        "valkeys": (f"valkeys://127.0.0.1:{port}", "{" + mine + "}"),
        "named": (address, "{" + mine + ", server_name: localhost}"),
        "misnamed": (address, "{" + mine + ", server_name: elsewhere}"),
        "unknown": (address, "{" + mine.replace(ca[0], other[0]) + "}"),
        "anonymous": (address, f"{{ca_file: {ca[0]}}}"),
        "plain": (f"127.0.0.1:{port}", "{" + mine + "}"),
        "reverse": (f"rediss://{r.address}", "{" + mine + "}"),
    }
    s = agent(case, *[redis_job(a, n, tls_config=t, interval="1s")
                      for n, (a, t) in jobs.items()])
    for n in jobs:
        good = n in ("good", "valkeys", "named")
        wait_up(s, 1.0 if good else 0.0, n)
        need(good or reason(s, n), f"{n} has no reason")
        if not good:
            print(f"# {n}: {reason(s, n)}")
    need("certificate" in reason(s, "unknown"), reason(s, "unknown"))


def test_garbage(case):
    """what is no Redis, and one that hangs up in the middle"""
    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            try:
                self.request.recv(65536)
                self.request.sendall(self.server.answer)
            except OSError:
                pass

    answers = {
        "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
        "random": bytes(range(256)) * 64,
        "cut": b"+OK\r\n$5000\r\nredis_version:7",
        "huge": b"+OK\r\n$9000000000000000000\r\n",
        "deep": b"*1\r\n" * 5000,
        "wide": b"+OK\r\n*1000000000\r\n",
        "silent": b"",
    }
    jobs = []
    for name, answer in answers.items():
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.answer = answer
        threading.Thread(target=server.serve_forever, daemon=True).start()
        case.cleanups.append(server.server_close)
        case.cleanups.append(server.shutdown)
        jobs.append(redis_job(
            f"127.0.0.1:{server.server_address[1]}", name))
    s = agent(case, *jobs)
    for name in answers:
        wait_up(s, 0.0, name)
        need(reason(s, name), f"{name} has no reason")
        print(f"# {name}: {reason(s, name)}")
    need(s.alive(), "sonde ended")


def test_million(case):
    """a million keys are walked in pieces, scrapes go on meanwhile"""
    r = Server(case)
    c = r.connect()
    equal(c("DEBUG", "POPULATE", 1000000, "user", 8), "+OK", "populate")
    equal(c("DEBUG", "POPULATE", 50000, "job", 8), "+OK", "populate")
    c("CONFIG", "SET", "slowlog-log-slower-than", 100000)
    c("SLOWLOG", "RESET")
    s = agent(case, redis_job(
        r.address, interval="1s", slow_interval="1s",
        options="check_key_groups: '^(%a+):', count_keys: 'job:*,user:*9',"
                " walk_keys: 100000"))
    wait_up(s, 1.0)
    wait_for("the walk", lambda: s.value(
        'redis_keys_count{key="job:*"}') == 50000.0, 3 * PATIENCE)
    equal(s.value('redis_keys_count{key="user:*9"}'), 100000.0)
    equal(s.value('redis_key_group_count{key_group="user"}'), 1000000.0)
    need(s.value('redis_key_group_memory_usage_bytes{key_group="user"}') >
         1e7, "memory")
    need(s.value("redis_exporter_scrapes_total") >= 5,
         "the walk was not in pieces")
    equal(s.value("min_over_time(redis_up[1m])"), 1.0, "a scrape failed")
    # Nothing held the server for a tenth of a second, as a script would.
    equal(c("SLOWLOG", "LEN"), 0, "slow commands")


def test_cluster(case):
    """keys on all nodes of a cluster"""
    nodes, bounds = cluster(case)
    conns = [n.connect() for n in nodes]
    for i in range(300):
        slot = conns[0]("CLUSTER", "KEYSLOT", f"key:{i}")
        owner = next(k for k, (low, high) in enumerate(bounds)
                     if low <= slot <= high)
        equal(conns[owner]("SET", f"key:{i}", i), "+OK")
    s = agent(case, redis_job(
        nodes[0].address, slow_interval="1s", timeout="300ms",
        options="is_cluster: true, count_keys: 'key:*', check_keys: "
                "'key:1,key:2,key:3,key:29*', check_key_groups: '^(key):'"))
    wait_up(s, 1.0)
    wait_for("the count", lambda: s.value("redis_keys_count") == 300.0)
    equal(s.value('redis_key_group_count{key_group="key"}'), 300.0)
    for i in (1, 2, 3, 29, 290, 295, 299):
        equal(s.value(f'redis_key_value{{key="key:{i}"}}'), float(i))
    # A node dies: its keys are missing, with a reason; the rest stands.
    nodes[2].process.kill()
    wait_for("the part", lambda: part(s, "keys") == 0.0)
    equal(up(s), 1.0)
    wait_for("the log", lambda: f"node 127.0.0.1:{nodes[2].port}" in s.log())


run(globals())
