# SPDX-License-Identifier: Apache-2.0
"""The celery plugin against real workers on a real Redis."""
from celery_base import *

SEND = """
for i in range(20): add.delay(i, i)
for i in range(3): quiet.delay()
fail.delay("value"); fail.delay("value"); fail.delay("key"); fail.delay("own")
again.delay(); again.delay()
reject.delay()
limited.delay()
import time, uuid
def until(what, id):
    for _ in range(100):
        if id in str(getattr(app.control.inspect(timeout=0.5), what)()):
            return
    raise SystemExit(f"{id} is not {what}")
r = sleep.delay(600)
until("active", r.id)
app.control.revoke(r.id, terminate=True)
early = str(uuid.uuid4())
app.control.revoke(early)
until("revoked", early)
add.apply_async((1, 1), task_id=early)
"""

# What becomes of what SEND sends: (event, task, further labels): number.
FATES = {
    ("sent", "app.add"): 21, ("received", "app.add"): 20,
    ("started", "app.add"): 20, ("succeeded", "app.add"): 20,
    # One of add, whose name may come too late: the worker can be faster than
    # the sender's own event; and one of sleep.
    ("revoked", None): 2,
    ("sent", "app.quiet"): 3, ("succeeded", "app.quiet"): 3,
    ("sent", "app.fail"): 4, ("started", "app.fail"): 4,
    ("failed", "app.fail", "ValueError"): 2,
    ("failed", "app.fail", "KeyError"): 1, ("failed", "app.fail", "Own"): 1,
    ("failed", "app.fail", ""): 0, ("succeeded", "app.fail"): 0,
    ("sent", "app.again"): 4, ("received", "app.again"): 4,
    ("started", "app.again"): 4, ("retried", "app.again"): 2,
    ("succeeded", "app.again"): 2,
    ("rejected", "app.reject"): 1, ("succeeded", "app.reject"): 0,
    ("failed", "app.limited"): 1, # how its exception is told varies
    ("started", "app.sleep"): 1, ("revoked", "app.sleep"): 1,
    ("succeeded", "app.sleep"): 0,
}


def check_fates(s, fates=FATES):
    for key, want in fates.items():
        labels = {"name": key[1]} if key[1] else {}
        if len(key) == 3:
            labels["exception"] = key[2]
        wait_total(s, want, f"celery_task_{key[0]}_total", **labels)


def test_fates(case):
    """tasks of every fate are counted as they were sent"""
    redis = Redis(case)
    app = App(case, redis.url(3))
    app.worker()
    s = start(case, redis.url(3))
    wait_for("the worker", lambda: s.value(
        'celery_worker_up{hostname="testhost"}') == 1)
    app.client(SEND)
    check_fates(s)
    equal(s.value('celery_task_runtime_count{name="app.add"}'), 20.0)
    equal(s.value('celery_task_runtime_bucket{name="app.add",le="10.0"}'), 20.0)
    wait_total(s, 20, "celery_task_queue_wait_time_count", name="app.add")
    wait_total(s, 2, "celery_active_process_count", queue_name="celery")
    wait_total(s, 1, "celery_active_worker_count", queue_name="celery")
    equal(total(s, "celery_events_dropped_total"), 0.0)
    equal(s.value("celery_events_unnamed_total"), 0.0)
    equal(s.value("celery_worker_pool_size"), 2.0)
    need(s.value("celery_worker_tasks_processed_total") > 20, "processed")
    print("# a time limit is told as", sorted(
        dict(k)["exception"] for k in s.query(
            'celery_task_failed_total{name="app.limited",exception!=""}')))


def page_families(page):
    """{family: (type, names of labels)}, as the reference table has them."""
    types, out = {}, {}
    for line in page.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            types[name] = kind
        elif line and not line.startswith("#"):
            name = re.match(r"[\w:]+", line).group()
            labels = set(re.findall(r'(\w+)="', line))
            for suffix in ("", "_bucket", "_sum", "_count"):
                family = name[:-len(suffix)] if suffix else name
                if name.endswith(suffix) and family in types:
                    break
            kind, seen = out.get(family, (types.get(family), set()))
            out[family] = (kind, seen | labels)
    return out


def test_families(case):
    """all of celery-exporter's families, with its types and labels"""
    redis = Redis(case)
    app = App(case, redis.url(3))
    app.worker()
    port = free_port()
    s = start(case, redis.url(3), options="created_series: true",
              expose=f"127.0.0.1:{port}")
    app.client("add.delay(1, 1); fail.delay('value')")
    wait_total(s, 1, "celery_task_succeeded_total", name="app.add")
    wait_total(s, 1, "celery_task_failed_total", name="app.fail")
    wait_total(s, 1, "celery_active_worker_count", queue_name="celery")
    page = get(f"http://127.0.0.1:{port}/metrics")[1]
    ours, missing = page_families(page), []
    table = os.path.join(SRC, "plugins/celery/testdata/exporter.tsv")
    with open(table) as f:
        rows = [line.rstrip("\n").split("\t") for line in f][1:]
    for family, kind, labels, series in rows:
        if series == "0":  # declared, not emitted on Redis
            need(family not in ours, family)
            continue
        want = (kind, set(labels.split(",")) if labels else set())
        if ours.get(family) != want:
            missing.append((family, want, ours.get(family)))
    equal(missing, [], "families that differ")
    print(f"# {len(rows)} families of the exporter compared")


def test_queues(case):
    """lengths of all priorities, unacknowledged messages, the oldest one"""
    redis = Redis(case)
    app = App(case, redis.url(2), PREFETCH="2")
    s = start(case, redis.url(2), options="queues: [idle, empty]")
    app.client("""
for p in (0, 0, 3, 4, 5, 6, 9, 9):
    add.apply_async((1, 1), queue="idle", priority=p)
""")
    wait_total(s, 8, "celery_queue_length", queue_name="idle")
    for step, n in (("0", 2), ("3", 3), ("6", 1), ("9", 2)):
        equal(s.value(f'celery_queue_priority_length{{queue_name="idle",'
                      f'priority="{step}"}}'), float(n), step)
    equal(s.value('celery_queue_length{queue_name="empty"}'), 0.0)
    wait_for("an age", lambda: (s.value(
        'celery_queue_oldest_message_age_seconds{queue_name="idle"}') or 0) > 1)
    equal(s.value('celery_queue_oldest_message_age_seconds'
                  '{queue_name="empty"}'), 0.0)
    app.worker("busy", "-Q", "celery")
    app.client("for i in range(10): late.delay(100)")
    client = redis.connect()
    client("SELECT", 2)
    wait_for("prefetching", lambda: client("HLEN", "unacked") >= 4)
    held = client("HLEN", "unacked")
    wait_total(s, held, "celery_unacked_messages")
    wait_total(s, 10 - held, "celery_queue_length", queue_name="celery")


def test_workers(case):
    """two workers of one host; a clean end; one that is killed"""
    redis = Redis(case)
    app = App(case, redis.url())
    app.worker("a", concurrency=1)
    killed = app.worker("b", concurrency=3)
    s = start(case, redis.url(), options="node_names: true, "
              "worker_timeout: 4s, purge_offline_worker_metrics: 10s")
    a, b = "a@testhost", "b@testhost"
    for name in (a, b):
        wait_total(s, 1, "celery_worker_up", hostname=name)
    wait_total(s, 2, "celery_active_worker_count", queue_name="celery")
    wait_total(s, 4, "celery_active_process_count", queue_name="celery")
    app.kill(killed)
    wait_for("worker b to be down", lambda: s.value(
        f'celery_worker_up{{hostname="{b}"}}') == 0)
    age = f'celery_worker_heartbeat_age_seconds{{hostname="{b}"}}'
    seen = s.value(age)
    need(seen >= 4, f"the age is {seen}")
    wait_for("its age to grow", lambda: (s.value(age) or 0) > seen + 1)
    equal(s.value(f'celery_worker_up{{hostname="{a}"}}'), 1.0)
    wait_total(s, 1, "celery_active_worker_count", queue_name="celery")
    wait_for("it to be forgotten", lambda: s.value(
        f'celery_worker_up{{hostname="{b}"}}') is None)
    case.processes[1].stop()
    wait_for("worker a to be offline", lambda: s.value(
        f'celery_worker_up{{hostname="{a}"}}') == 0)
    equal(s.value('celery_events_total{type="worker-offline"}'), 1.0)


def test_broker_restarts(case):
    """the broker is killed and comes back: celery_up, and counting goes on"""
    redis = Redis(case)
    app = App(case, redis.url(3))
    app.worker()
    s = start(case, redis.url(3))
    app.client("add.delay(1, 1)")
    wait_total(s, 1, "celery_task_succeeded_total", name="app.add")
    redis.process.kill()
    wait_for("celery_up 0", lambda: s.value("celery_up") == 0)
    equal(total(s, "celery_task_succeeded_total", name="app.add"), 1.0)
    equal(s.value('up{job="celery"}'), 1.0)
    redis.start()
    wait_for("celery_up 1", lambda: s.value("celery_up") == 1)
    equal(s.value("celery_subscriptions_total"), 2.0)
    need(s.value("celery_subscription_failures_total") >= 1, "failures")
    wait_for("the worker to be back", lambda: app.client(
        "print(app.control.ping(timeout=1))").strip() != "[]")
    app.client("add.delay(1, 1)")
    wait_total(s, 2, "celery_task_succeeded_total", name="app.add")


def test_other_serialisers(case):
    """what is not JSON is counted by its type, what is garbage as such"""
    redis = Redis(case)
    s = start(case, redis.url(1))
    client = redis.connect()
    pub = lambda key, text: client("PUBLISH", "/1.celeryev/" + key, text)
    for i in range(3):
        pub("task.multi", envelope(b"\x80\x02}q\x00.", "task.multi",
                                   content_type="application/x-python-serialize"))
    pub("task.sent", envelope(b"\x81\xa1", "task.sent",
                              content_type="application/x-msgpack"))
    for junk in ("", "{", "[]", "null", '{"body": 1}', "\xff\xfe",
                 envelope(b"{}", "x"), envelope(b"[1, {}, null]", "x"),
                 envelope({"type": "task-sent"}, "x"),
                 '{"body": "*", "properties": {"body_encoding": "base64"}}'):
        pub("task.sent", junk)
    pub("my.thing", envelope({"type": "my-thing", "hostname": "h"}, "my.thing"))
    wait_total(s, 1, "celery_events_total", type="other")
    equal(total(s, "celery_events_undecoded_total",
                content_type="application/x-python-serialize"), 3.0)
    equal(total(s, "celery_events_undecoded_total",
                content_type="application/x-msgpack"), 1.0)
    equal(total(s, "celery_events_dropped_total", reason="content_type"), 4.0)
    equal(total(s, "celery_events_dropped_total", reason="malformed"), 12.0)
    equal(s.value("celery_up"), 1.0)


if __name__ == "__main__":
    run(globals())
