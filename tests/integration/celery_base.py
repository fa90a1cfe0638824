# SPDX-License-Identifier: Apache-2.0
"""What the tests of the celery plugin share: brokers, an application with
tasks of every fate, workers, and a publisher of events as kombu writes
them."""
import base64
import uuid

from harness import *
from redis_servers import Connection, start_redis

PYTHON = os.environ.get("SONDE_CELERY_PYTHON", sys.executable)

APP = '''
import os, time
from celery import Celery
from celery.exceptions import Reject, Ignore

app = Celery("app", broker=os.environ["BROKER"])
app.conf.update(
    task_send_sent_event=os.environ.get("NO_SENT") is None,
    worker_send_task_events=True,
    broker_connection_retry_on_startup=True,
    broker_transport_options=eval(os.environ.get("TRANSPORT", "{}")),
    worker_prefetch_multiplier=int(os.environ.get("PREFETCH", "4")),
    broker_use_ssl=eval(os.environ.get("USE_SSL", "None")),
)

class Own(Exception):
    pass

@app.task(name="app.add")
def add(x, y):
    return x + y

@app.task(name="app.quiet", ignore_result=True)
def quiet():
    pass

@app.task(name="app.fail")
def fail(kind):
    raise {"value": ValueError, "key": KeyError, "own": Own}[kind]("no \\ud800 good")

@app.task(name="app.again", bind=True, max_retries=1, default_retry_delay=0)
def again(self):
    if self.request.retries == 0:
        raise self.retry(exc=KeyError("k"), countdown=0)

@app.task(name="app.reject", acks_late=True)
def reject():
    raise Reject("no", requeue=False)

@app.task(name="app.sleep")
def sleep(seconds):
    time.sleep(seconds)

@app.task(name="app.late", acks_late=True)
def late(seconds):
    time.sleep(seconds)

@app.task(name="app.limited", time_limit=1)
def limited():
    time.sleep(30)
'''


def have_celery():
    out = subprocess.run([PYTHON, "-c", "import celery, redis, amqp"],
                         capture_output=True, text=True)
    need(out.returncode == 0,
         "python3-celery, python3-redis or python3-amqp is not installed: " +
         out.stderr[-300:])


class Redis:
    """A redis-server, and as much of a client as the tests need."""

    def __init__(self, case, *flags, port=None):
        self.case, self.flags = case, flags
        self.port = port or free_port()
        self.start()

    def start(self):
        self.process = start_redis(self.case, *self.flags, port=self.port)
        return self

    def connect(self):
        return RedisClient(self.port)

    def url(self, db=0):
        return f"redis://127.0.0.1:{self.port}/{db}"


class RedisClient(Connection):
    """One whose errors fail the test."""

    def reply(self):
        r = super().reply()
        need(not isinstance(r, str) or not r.startswith("-"), r)
        return r


class Group(Process):
    """A child with children of its own: the whole group is killed, also when
    its leader is gone already. First of all that the case ends."""

    def __init__(self, case, *args, **kw):
        super().__init__(case, *args, preexec=os.setpgrp, **kw)
        case.processes.remove(self)
        case.processes.insert(0, self)

    def kill(self, sig=signal.SIGKILL):
        try:
            os.killpg(self.pid, sig)
        except ProcessLookupError:
            pass
        return self.popen.wait(PATIENCE)


class Rabbit:
    """A rabbitmq-server of its own: ports, node name, home, epmd."""

    def __init__(self, case, tls=None):
        binary = "/usr/lib/rabbitmq/bin/rabbitmq-server"
        need(os.path.exists(binary), "rabbitmq-server is not installed")
        self.case, self.binary = case, binary
        self.port, self.tls_port = free_port(), free_port()
        home = case.path("rabbit")
        os.makedirs(home, exist_ok=True)
        lines = [f"listeners.tcp.1 = 127.0.0.1:{self.port}",
                 "loopback_users.guest = true", "log.console = true",
                 "log.file = false"]
        if tls:
            lines += [f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}",
                      f"ssl_options.cacertfile = {tls['ca']}",
                      f"ssl_options.certfile = {tls['cert']}",
                      f"ssl_options.keyfile = {tls['key']}",
                      "ssl_options.verify = verify_peer",
                      "ssl_options.fail_if_no_peer_cert = true"]
        conf = case.write("rabbit/rabbitmq.conf", "\n".join(lines) + "\n")
        node = f"sonde{self.port}@localhost"
        self.env = dict(
            os.environ, HOME=home, RABBITMQ_NODENAME=node,
            RABBITMQ_NODE_IP_ADDRESS="127.0.0.1",
            RABBITMQ_DIST_PORT=str(free_port()),
            RABBITMQ_MNESIA_BASE=os.path.join(home, "mnesia"),
            RABBITMQ_LOG_BASE=os.path.join(home, "log"),
            RABBITMQ_CONFIG_FILE=conf,
            RABBITMQ_CONF_ENV_FILE=os.path.join(home, "none"),
            RABBITMQ_ENABLED_PLUGINS_FILE=os.path.join(home, "plugins"),
            ERL_EPMD_PORT=str(free_port()), ERL_EPMD_ADDRESS="127.0.0.1",
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}",
            ERL_MAX_PORTS="1024")
        case.write("rabbit/.erlang.cookie", "SONDETESTSONLY")
        os.chmod(os.path.join(home, ".erlang.cookie"), 0o400)
        # Ours, so that it ends with the case; the server would start one that
        # stays. It ends after the server, which would start it anew.
        epmd = shutil.which("epmd")
        need(epmd, "epmd (erlang-base) is not installed")
        self.epmd = Process(case, [epmd, "-address", "127.0.0.1", "-port",
                                   self.env["ERL_EPMD_PORT"]], "epmd",
                            env=self.env)
        self.start()

    def start(self):
        self.process = Group(self.case, [self.binary], "rabbitmq",
                             env=self.env)
        wait_for("RabbitMQ", self.is_ready, 120)
        return self

    def is_ready(self):
        if not self.process.alive():
            raise AssertionError("RabbitMQ ended: " + self.process.log()[-2000:])
        if "Server startup complete" not in self.process.log():
            return False
        with socket.create_connection(("127.0.0.1", self.port), 2) as s:
            s.sendall(b"AMQP\0\0\x09\x01")
            return s.recv(1) == b"\x01"

    def kill(self):
        self.process.kill()

    def url(self):
        return f"amqp://127.0.0.1:{self.port}//"

    def ctl(self, *args):
        out = subprocess.run(["/usr/lib/rabbitmq/bin/rabbitmqctl", *args],
                             env=self.env, capture_output=True, text=True,
                             timeout=PATIENCE)
        need(out.returncode == 0, out.stderr + out.stdout)
        return out.stdout


class App:
    """The application at a broker: workers, and a client that sends."""

    def __init__(self, case, broker, transport=None, ssl=None, **env):
        have_celery()
        self.case = case
        case.write("app.py", APP)
        self.env = dict(os.environ, BROKER=broker, HOME=case.dir, **env)
        if transport:
            self.env["TRANSPORT"] = repr(transport)
        if ssl:
            self.env["USE_SSL"] = repr(ssl)

    def worker(self, name="w1", *flags, wait=True, pool="prefork",
               concurrency=2):
        p = Process(self.case, [
            PYTHON, "-m", "celery", "-A", "app", "worker", "-n",
            f"{name}@testhost", "-P", pool, "-c", str(concurrency), "-l",
            "info", "--without-mingle", *flags], f"worker-{name}",
            env=self.env, cwd=self.case.dir, preexec=os.setpgrp)
        self.case.cleanups.append(lambda: self.kill(p))
        if wait:
            wait_for(f"worker {name}", lambda: self.is_ready(p))
        return p

    @staticmethod
    def is_ready(p):
        need(p.alive(), "the worker ended:\n" + p.log()[-3000:])
        return " ready." in p.log()

    @staticmethod
    def kill(p):
        """The worker and its pool, at once."""
        try:
            os.killpg(p.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        p.popen.wait(PATIENCE)

    def client(self, code):
        out = subprocess.run(
            [PYTHON, "-c", "import sys; sys.path.insert(0, '.')\n"
             "from app import *\n" + code], env=self.env, cwd=self.case.dir,
            capture_output=True, text=True, timeout=PATIENCE * 2)
        need(out.returncode == 0, out.stderr[-3000:])
        return out.stdout


def celery_job(target, interval="500ms", options="", **keys):
    """A job whose options are given as 'a: b, c: d'."""
    keys["options"] = ("{inspect_interval: 2s, inspect_timeout: 500ms, retry_interval: 1s" +
                       (", " + options if options else "") + "}")
    return job("celery", target, plugin="celery", interval=interval,
               timeout="500ms" if interval == "500ms" else interval, **keys)


def start(case, target, *flags, options="", **keys):
    """An agent that hears the events of a broker."""
    s = case.sonde(config(celery_job(target, options=options, **keys)), *flags)
    wait_for("celery_up", lambda: s.value("celery_up") == 1)
    return s


def total(s, family, **labels):
    """The sum over the series of a family with these labels."""
    match = ",".join(f'{k}="{v}"' for k, v in labels.items())
    return sum(float(v) for _, v in s.query(f"{family}{{{match}}}").values())


def wait_total(s, want, family, patience=PATIENCE, **labels):
    def reached():
        return total(s, family, **labels) >= want
    try:
        wait_for(f"{family}{labels} = {want}", reached, patience)
    except AssertionError:
        pass  # said better by the next
    equal(total(s, family, **labels), want, f"{family}{labels}")


# ---- events, as kombu and celery write them ----

def envelope(body, key, host="w1@testhost", content_type="application/json"):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return json.dumps({
        "body": base64.b64encode(raw).decode(), "content-encoding": "utf-8",
        "content-type": content_type, "headers": {"hostname": host},
        "properties": {"delivery_mode": 1, "delivery_info": {
            "exchange": "celeryev", "routing_key": key}, "priority": 0,
            "body_encoding": "base64", "delivery_tag": str(uuid.uuid4())}})


class Publisher:
    """Tasks as events, five each, at a rate: task-sent alone, what a worker
    says in arrays of up to 24."""

    def __init__(self, redis, db=3):
        self.redis, self.db = redis, db
        self.clock = 0
        self.sent = {"task-sent": 0, "task-received": 0, "task-started": 0,
                     "task-succeeded": 0, "task-failed": 0, "task-progress": 0}
        self.published = self.receivers = 0
        self.runtime = 0.0

    def event(self, kind, host, **fields):
        self.clock += 1
        self.sent[kind] += 1
        return {"hostname": host, "utcoffset": 0, "pid": 1, "clock": self.clock,
                **fields, "timestamp": time.time(), "type": kind}

    def task(self, i):
        """(task-sent, the worker's four)"""
        id, client, worker = str(uuid.uuid4()), "gen1@client", "w1@testhost"
        name = f"app.load{i % 5}"
        sent = self.event("task-sent", client, uuid=id, name=name, args="(1,)",
                          kwargs="{}", root_id=id, parent_id=None, retries=0,
                          eta=None, expires=None, queue=f"q{i % 3}",
                          exchange="", routing_key="celery")
        rest = [
            self.event("task-received", worker, uuid=id, name=name,
                       args="(1,)", kwargs="{}", root_id=id, parent_id=None,
                       retries=0, eta=None, expires=None),
            self.event("task-started", worker, uuid=id),
            self.event("task-progress", worker, uuid=id, percent=50)]
        if i % 10 == 9:
            rest.append(self.event(
                "task-failed", worker, uuid=id, exception="ValueError('x')",
                traceback="Traceback ...\n" * 10))
        else:
            self.runtime += 0.01
            rest.append(self.event("task-succeeded", worker, uuid=id,
                                   result="1", runtime=0.01))
        return sent, rest

    def publish(self, tasks):
        channel = f"/{self.db}.celeryev/"
        commands, batch = [], []
        for sent, rest in tasks:
            commands.append(("PUBLISH", channel + "task.sent",
                             envelope(sent, "task.sent")))
            batch += rest
        for i in range(0, len(batch), 24):
            commands.append(("PUBLISH", channel + "task.multi",
                             envelope(batch[i:i + 24], "task.multi")))
        replies = self.redis.pipeline(commands)
        self.published += len(commands)
        self.receivers += sum(replies)

    def run(self, seconds, rate, slice_seconds=0.05):
        """Sends `rate` tasks a second; returns what it took."""
        begin = time.monotonic()
        done, total = 0, int(seconds * rate)
        while done < total:
            due = min(total, int((time.monotonic() - begin) * rate) + 1)
            if due > done:
                self.publish([self.task(i) for i in range(done, due)])
                done = due
            else:
                time.sleep(slice_seconds / 10)
        return time.monotonic() - begin


# ---- certificates ----

def certificates(case):
    """A CA, a server's certificate for 127.0.0.1 and a client's."""
    need(shutil.which("openssl"), "openssl is not installed")
    d = case.path("tls")
    os.makedirs(d)

    def openssl(*args):
        out = subprocess.run(["openssl", *args], cwd=d, capture_output=True,
                             text=True)
        need(out.returncode == 0, out.stderr)

    ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *ec, "-days", "2", "-subj", "/CN=test-ca",
            "-keyout", "ca.key", "-out", "ca.pem")
    with open(os.path.join(d, "san"), "w") as f:
        f.write("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    for name in ("server", "client"):
        openssl("req", *ec, "-subj", f"/CN={name}", "-keyout", f"{name}.key",
                "-out", f"{name}.csr")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem",
                "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", "san", "-out", f"{name}.pem")
    path = lambda n: os.path.join(d, n)
    return {"ca": path("ca.pem"), "cert": path("server.pem"),
            "key": path("server.key"), "client_cert": path("client.pem"),
            "client_key": path("client.key")}


def tls_config(tls, ca=None):
    return (f"{{ca_file: {ca or tls['ca']}, cert_file: {tls['client_cert']}, "
            f"key_file: {tls['client_key']}}}")
