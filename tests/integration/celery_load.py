# SPDX-License-Identifier: Apache-2.0
"""No event is lost while connected: 2,000 tasks a second, five events each,
counted exactly; and what real workers do, counted exactly.

A few seconds in the suite; SONDE_CELERY_LOAD_SECONDS=30 (make celery-load)
for longer."""
from celery_base import *

SECONDS = float(os.environ.get("SONDE_CELERY_LOAD_SECONDS", "4"))
RATE = int(os.environ.get("SONDE_CELERY_LOAD_RATE", "2000"))


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_published_events(case):
    """envelopes as kombu writes them, at a rate, by a publisher"""
    redis = Redis(case)
    s = start(case, redis.url(3))
    p = Publisher(redis.connect())
    cpu = cpu_seconds(s.pid)
    took = p.run(SECONDS, RATE)
    tasks = int(SECONDS * RATE)
    equal(p.receivers, p.published, "messages without a subscriber")
    for kind in ("sent", "received", "started", "succeeded", "failed"):
        wait_total(s, p.sent[f"task-{kind}"], f"celery_task_{kind}_total")
    for kind, n in p.sent.items():
        equal(total(s, "celery_events_total", type=kind if kind !=
                    "task-progress" else "other"), float(n), kind)
    cpu = cpu_seconds(s.pid) - cpu
    equal(total(s, "celery_task_failed_total", exception="ValueError"),
          float(p.sent["task-failed"]))
    equal(total(s, "celery_task_runtime_count"),
          float(p.sent["task-succeeded"]))
    equal(round(total(s, "celery_task_runtime_sum"), 3), round(p.runtime, 3))
    equal(total(s, "celery_task_queue_wait_time_count"),
          float(p.sent["task-started"]))
    equal(total(s, "celery_events_dropped_total"), 0.0)
    equal(s.value("celery_events_unnamed_total"), 0.0)
    equal(s.value("celery_subscriptions_total"), 1.0)
    print(f"# {tasks} tasks, {sum(p.sent.values())} events in {took:.1f} s "
          f"({tasks / took:.0f} tasks/s), all counted; agent's CPU "
          f"{cpu / took * 100:.0f} % of a core")


def test_real_workers(case):
    """what two real workers execute as fast as they can"""
    redis = Redis(case)
    app = App(case, redis.url(3), PREFETCH="50")
    for name in ("w1", "w2"):
        app.worker(name, concurrency=2)
    s = start(case, redis.url(3))
    n = 500 * max(1, int(SECONDS / 4))
    begin = time.monotonic()
    app.client(f"for i in range({n}): add.delay(i, i)\n"
               f"for i in range({n // 10}): fail.delay('value')")
    wait_total(s, n, "celery_task_succeeded_total", name="app.add")
    wait_total(s, n // 10, "celery_task_failed_total", name="app.fail",
               exception="ValueError")
    for kind in ("sent", "received", "started"):
        equal(total(s, f"celery_task_{kind}_total"), float(n + n // 10), kind)
    equal(total(s, "celery_events_dropped_total"), 0.0)
    print(f"# {n + n // 10} tasks by real workers in "
          f"{time.monotonic() - begin:.1f} s, all counted")


if __name__ == "__main__":
    run(globals())
