# SPDX-License-Identifier: Apache-2.0
"""Redis and Valkey servers, Debian's and newer ones, for the redis tests."""
import os
import shutil
import socket
import subprocess
import threading

from harness import *
from pages import parse


def program(name):
    """Path of redis7, redis8 or valkey9's server."""
    if name == "redis7":
        path = shutil.which("redis-server")
        need(path, "the Debian package redis-server is not installed")
        return path
    if name == "redis8":
        return newest("redis-server", "redis-server,redis-tools")
    return newest("valkey-server", "valkey-server,valkey-tools")


def start_redis(case, *flags, port=None):
    """Debian's server, by its name in the PATH; a process with a `port`."""
    need(shutil.which("redis-server"), "redis-server is not installed")
    port = port or free_port()
    p = Process(case, ["redis-server", "--port", str(port), "--bind",
                       "127.0.0.1", "--save", "", "--dir", case.dir, *flags],
                "redis")
    p.port = port
    wait_for("Redis", lambda: socket.create_connection(
        ("127.0.0.1", port), 1).close() is None)
    return p


class Connection:
    """Just enough RESP: commands as lists of words."""

    def __init__(self, port, password=None):
        self.s = socket.create_connection(("127.0.0.1", port), 30)
        self.f = self.s.makefile("rb")
        if password:
            self("AUTH", password)

    def __call__(self, *words):
        return self.pipeline([words])[0]

    def pipeline(self, commands):
        self.s.sendall(b"".join(self.encode(c) for c in commands))
        return [self.reply() for _ in commands]

    @staticmethod
    def encode(words):
        out = [b"*%d\r\n" % len(words)]
        for w in words:
            w = w if isinstance(w, bytes) else str(w).encode()
            out.append(b"$%d\r\n%s\r\n" % (len(w), w))
        return b"".join(out)

    def reply(self):
        line = self.f.readline()
        need(line.endswith(b"\r\n"), "the server hung up")
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            n = int(rest)
            return None if n < 0 else self.f.read(n + 2)[:-2]
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        return int(rest) if kind == b":" else kind.decode() + rest.decode()

    def close(self):
        self.s.close()


class Server:
    """A server on a free port of loopback, ended with the case."""

    def __init__(self, case, name="redis7", *flags, password=None, config=None):
        self.case, self.password = case, password
        self.port = free_port()
        folder = os.path.join(case.dir, f"server-{self.port}")
        os.mkdir(folder)
        argv = [program(name)]
        if config is not None:
            path = os.path.join(folder, "server.conf")
            with open(path, "w") as f:
                f.write(config)
            argv.append(path)
        argv += ["--port", str(self.port), "--bind", "127.0.0.1", "--save",
                 "", "--dir", folder, "--enable-debug-command", "yes", *flags]
        self.folder = folder
        self.process = Process(case, argv, name)
        wait_for(name, lambda: self.connect())
        info = self("INFO", "server").decode()
        need(f"process_id:{self.process.pid}\r" in info or
             name != "redis7", "another server has the port")

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def connect(self):
        c = Connection(self.port, self.password)
        need(c("PING") == "+PONG", "no PONG")
        return c

    def __call__(self, *words):
        c = self.connect()
        try:
            return c(*words)
        finally:
            c.close()

    def fill(self):
        """All types of keys, some databases, a stream with a group, a
        command that fails, one that is slow."""
        c = self.connect()
        for line in ("SET str hello", "SET num 42.5", "RPUSH list a b c",
                     "SADD set a b", "ZADD zset 1 a", "HSET hash a 1 b 2",
                     "PFADD hll a b c", "SETEX ttl 1000 x",
                     "XADD stream 1000-1 a b", "XADD stream 2000-1 a b",
                     "XGROUP CREATE stream g 0",
                     "XREADGROUP GROUP g c1 COUNT 1 STREAMS stream >",
                     "XADD walked 5000-1 a b", "XGROUP CREATE walked h 0",
                     "LPUSH str x", "SLOWLOG LEN", "DEBUG SLEEP 0.02",
                     "GET str", "GET none", "NOSUCH command"):
            c(*line.split(" "))
        if c("SELECT", "3") == "+OK":
            for i in range(30):
                c("SET", f"user:{i % 7}:{i}", "x" * (i + 1))
                c("SET", f"job:{i}", i)
            c("SET", "odd", "x")
            c("SELECT", "5")
            c("SET", "q:1", "x")
        c.close()
        return self

    def acl(self, user, *rules):
        equal(self("ACL", "SETUSER", user, "on", ">secret-" + user, *rules),
              "+OK", "ACL SETUSER")


def cluster(case, *flags):
    """A cluster of three masters, and the slots of each."""
    nodes = [Server(case, "redis7", "--cluster-enabled", "yes", *flags)
             for _ in range(3)]
    bounds = [(0, 5460), (5461, 10922), (10923, 16383)]
    for n, (low, high) in zip(nodes, bounds):
        equal(n("CLUSTER", "ADDSLOTSRANGE", low, high), "+OK")
    for n in nodes[1:]:
        n("CLUSTER", "MEET", "127.0.0.1", nodes[0].port)
    for n in nodes:
        wait_for("the cluster", lambda: b"cluster_state:ok" in
                 n("CLUSTER", "INFO") and b"cluster_known_nodes:3" in
                 n("CLUSTER", "INFO"))
    return nodes, bounds


def certificate(case, name, ca=None, host="localhost"):
    """(certificate, key) signed by `ca` or by itself."""
    key, crt = case.path(name + ".key"), case.path(name + ".crt")
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out",
            crt, "-days", "2", "-subj", f"/CN={name}", "-addext",
            f"subjectAltName=DNS:{host},IP:127.0.0.1"]
    if ca:
        argv += ["-CA", ca[0], "-CAkey", ca[1], "-addext",
                 "basicConstraints=critical,CA:FALSE"]
    out = subprocess.run(argv, capture_output=True, text=True)
    equal(out.returncode, 0, out.stderr)
    return crt, key


class Load:
    """A client that is at work as long as the case."""

    def __init__(self, case, server):
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.work, args=(server,),
                                       daemon=True)
        self.thread.start()
        case.cleanups.append(self.close)

    def work(self, server):
        try:
            c = server.connect()
            while not self.over.wait(0.002):
                c("SET", "str", "hello")
                c("GET", "str")
                c("GET", "none")
                c("HSET", "hash", "a", "1")
        except (OSError, AssertionError):
            pass

    def close(self):
        self.over.set()
        self.thread.join(PATIENCE)


def scrape(address, *options, timeout="10s"):
    """(types, series) of one collection by the plugin."""
    out = subprocess.run([SONDE, "scrape", "redis", address,
                          f"--timeout={timeout}", *options],
                         capture_output=True, text=True, timeout=PATIENCE)
    equal(out.returncode, 0, out.stderr)
    return parse(out.stdout)
