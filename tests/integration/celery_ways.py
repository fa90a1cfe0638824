# SPDX-License-Identifier: Apache-2.0
"""Ways to a Redis: passwords, unix sockets, prefixes, TLS, sentinels."""
from celery_base import *


def test_password(case):
    """a password in a file, changed under way; it is never shown"""
    redis = Redis(case, "--requirepass", "first-secret")
    secret = case.write("secret", "first-secret\n")
    os.chmod(secret, 0o600)
    s = start(case, f"127.0.0.1:{redis.port}",
              options=f"password_file: {secret}")
    client = redis.connect()
    client("AUTH", "first-secret")
    client("CONFIG", "SET", "requirepass", "second-secret")
    client("CLIENT", "KILL", "TYPE", "pubsub")
    wait_for("celery_up 0", lambda: s.value("celery_up") == 0)
    case.write("secret", "second-secret\n")
    wait_for("celery_up 1", lambda: s.value("celery_up") == 1)
    # In a URL: refused, and neither the log nor the pages have it.
    wrong = "redis://:wrong-secret@127.0.0.1:%d/0" % redis.port
    other = case.sonde(config(job(
        "celery", "broker", plugin="celery", interval="500ms",
        options=f'{{broker_url: "{wrong}"}}')), data="other", name="other")
    wait_for("celery_up 0", lambda: other.value("celery_up") == 0)
    shown = other.log() + s.log() + json.dumps(other.targets()) + \
        get(other.url + "/api/v1/status/config")[1]
    need("AUTH is refused" in other.log(), other.log())
    for word in ("first-secret", "second-secret", "wrong-secret"):
        need(word not in shown, f"{word} is shown")


def test_prefixes_and_socket(case):
    """a unix socket, global_keyprefix, a fanout prefix with glob characters"""
    path = case.path("r.sock")
    redis = Redis(case, "--unixsocket", path)
    transport = {"global_keyprefix": "pre:", "fanout_prefix": "/x?."}
    app = App(case, redis.url(5), transport=transport)
    app.worker("w1", "-Q", "celery,more")
    s = start(case, "broker", options=f'broker_url: "redis+socket://{path}?'
              'virtual_host=5", global_keyprefix: "pre:", '
              'fanout_prefix: "/x?."')
    # The other application of that server is none of ours.
    redis.connect()("PUBLISH", "/x1.celeryev/task.sent",
                    envelope({"type": "my-thing", "hostname": "h"}, "x"))
    app.client("add.delay(1, 1); add.apply_async((1, 1), queue='more')\n"
               "add.apply_async((1, 1), queue='idle')")
    wait_total(s, 2, "celery_task_succeeded_total", name="app.add")
    wait_total(s, 1, "celery_queue_length", queue_name="idle")
    wait_total(s, 1, "celery_active_worker_count", queue_name="more")
    equal(total(s, "celery_events_total", type="other"), 0.0)
    # Nothing of ours is left in the broker after an inspection.
    client = redis.connect()
    client("SELECT", 5)
    wait_for("the binding to be gone", lambda: not client(
        "SMEMBERS", "pre:_kombu.binding.reply.celery.pidbox"))
    equal([k for k in client("KEYS", "*reply.celery.pidbox")], [])


def test_tls(case):
    """rediss with a client's certificate; a CA that is not the server's"""
    tls = certificates(case)
    port = free_port()
    redis = Redis(case, "--tls-port", str(port), "--tls-cert-file",
                  tls["cert"], "--tls-key-file", tls["key"],
                  "--tls-ca-cert-file", tls["ca"])
    url = f"rediss://127.0.0.1:{port}/3"
    s = case.sonde(config(
        celery_job(url, tls_config=tls_config(tls)),
        job("untrusted", url, plugin="celery", interval="500ms",
            tls_config=tls_config(tls, ca=tls["client_cert"])),
        job("unasked", url + f"?ssl_cert_reqs=none&ssl_certfile="
            f"{tls['client_cert']}&ssl_keyfile={tls['client_key']}",
            plugin="celery", interval="500ms")))
    for name, up in (("celery", 1), ("untrusted", 0), ("unasked", 1)):
        wait_for(f"celery_up of {name}", lambda: s.value(
            f'celery_up{{job="{name}"}}') == up)
    App(case, redis.url(3)).client("add.delay(1, 1)")
    for name in ("celery", "unasked"):
        wait_total(s, 1, "celery_task_sent_total", name="app.add", job=name)


def test_privileges(case):
    """the ACL of the documentation is enough, and a smaller one for less"""
    redis = Redis(case)
    client = redis.connect()
    with open(os.path.join(SRC, "docs/plugins/celery.md")) as f:
        rule = re.search(r"ACL SETUSER sonde on >PASSWORD (.*)", f.read())
    client("ACL", "SETUSER", "sonde", "on", ">x-secret",
           *rule.group(1).split())
    client("ACL", "SETUSER", "less", "on", ">x-secret",
           *rule.group(1).split(), "-sadd", "-srem", "-rpop", "-del",
           "-publish", "-lindex", "-smembers", "-client")
    app = App(case, redis.url(3))
    app.worker()
    secret = case.write("secret", "x-secret\n")
    os.chmod(secret, 0o600)
    s = case.sonde(config(*(
        job(user, redis.url(3), plugin="celery", interval="500ms",
            options=f"{{user: {user}, password_file: {secret}, "
            f"inspect_interval: 1s, inspect_timeout: 300ms, queues: [idle]}}")
        for user in ("sonde", "less"))))
    for user in ("sonde", "less"):
        wait_for("celery_up", lambda: s.value(
            f'celery_up{{job="{user}"}}') == 1)
    app.client("add.delay(1, 1); add.apply_async((1, 1), queue='idle')")
    for user in ("sonde", "less"):
        wait_total(s, 1, "celery_task_succeeded_total", job=user)
        wait_total(s, 1, "celery_queue_length", job=user, queue_name="idle")
    wait_total(s, 1, "celery_active_worker_count", job="sonde",
               queue_name="celery")
    wait_for("an age", lambda: (s.value(
        'celery_queue_oldest_message_age_seconds{job="sonde",'
        'queue_name="idle"}') or 0) > 0)
    log = client("ACL", "LOG")
    refused = [e for e in log if b"sonde" in e[e.index(b"username") + 1]]
    equal(refused, [], "what the documented user was refused")
    need("can not be inspected" in s.log(), "the lesser user's log")
    equal(s.value('sonde_collector_success{job="less",collector="workers"}'),
          0.0)


def test_snippet(case):
    """conf.d/celery.yaml as shipped"""
    out = subprocess.run(
        [SONDE, "check", "config", os.path.join(SRC, "conf.d/celery.yaml"),
         f"--plugin.path={os.path.join(BUILD, 'plugins/celery/.libs')}"],
        capture_output=True, text=True, timeout=PATIENCE)
    equal(out.returncode, 0, out.stdout + out.stderr)


def test_sentinel(case):
    """a master found by a sentinel, the first of which is gone"""
    redis = Redis(case)
    port = free_port()
    conf = case.write("sentinel.conf", f"port {port}\nbind 127.0.0.1\n"
                      f"sentinel monitor main 127.0.0.1 {redis.port} 1\n")
    Process(case, ["redis-server", conf, "--sentinel"], "sentinel")
    s = start(case, f"sentinel://127.0.0.1:1/3;sentinel://127.0.0.1:{port}",
              options="master_name: main")
    App(case, redis.url(3)).client("add.delay(1, 1)")
    wait_total(s, 1, "celery_task_sent_total", name="app.add")


if __name__ == "__main__":
    run(globals())
