# SPDX-License-Identifier: Apache-2.0
"""The celery plugin against real workers on a real RabbitMQ."""
from celery_base import *
from celery_redis import SEND, check_fates


def test_fates(case):
    """tasks of every fate are counted as they were sent"""
    rabbit = Rabbit(case)
    app = App(case, rabbit.url())
    app.worker()
    s = start(case, rabbit.url())
    wait_for("the worker", lambda: s.value(
        'celery_worker_up{hostname="testhost"}') == 1)
    app.client(SEND)
    check_fates(s)
    wait_total(s, 2, "celery_active_process_count", queue_name="celery")
    wait_total(s, 1, "celery_active_worker_count", queue_name="celery")
    wait_total(s, 1, "celery_active_consumer_count", queue_name="celery")
    equal(total(s, "celery_events_dropped_total"), 0.0)
    equal(s.value("celery_events_unnamed_total"), 0.0)


def test_queues_and_restart(case):
    """lengths, a queue that is not there, a broker that is killed"""
    rabbit = Rabbit(case)
    app = App(case, rabbit.url())
    app.client("for i in range(6): add.apply_async((1, 1), queue='idle')")
    s = start(case, rabbit.url(), options="queues: [aaa, idle, zzz]")
    app.client("add.apply_async((1, 1), queue='idle')")
    wait_total(s, 7, "celery_queue_length", queue_name="idle")
    for name in ("aaa", "zzz"):
        equal(s.value(f'celery_queue_length{{queue_name="{name}"}}'), 0.0)
    equal(s.value('celery_active_consumer_count{queue_name="idle"}'), 0.0)
    wait_total(s, 1, "celery_task_sent_total", name="app.add")
    worker = app.worker("w1", "-Q", "idle")
    wait_total(s, 7, "celery_task_succeeded_total", name="app.add")
    wait_total(s, 1, "celery_active_consumer_count", queue_name="idle")
    app.kill(worker)
    rabbit.kill()
    wait_for("celery_up 0", lambda: s.value("celery_up") == 0)
    equal(total(s, "celery_task_succeeded_total", name="app.add"), 7.0)
    rabbit.start()
    wait_for("celery_up 1", lambda: s.value("celery_up") == 1)
    equal(s.value("celery_subscriptions_total"), 2.0)
    app.worker("w2", "-Q", "idle")
    app.client("quiet.apply_async(queue='idle')")
    wait_total(s, 1, "celery_task_succeeded_total", name="app.quiet")


def test_tls_and_password(case):
    """amqps with a client's certificate; a wrong CA; a wrong password"""
    tls = certificates(case)
    rabbit = Rabbit(case, tls=tls)
    url = f"amqps://localhost:{rabbit.tls_port}"
    secret = case.write("secret", "guest\n")
    os.chmod(secret, 0o600)
    wrong = f"amqp://guest:wrong-secret@127.0.0.1:{rabbit.port}"
    s = case.sonde(config(
        celery_job(url, tls_config=tls_config(tls),
                   options=f"user: guest, password_file: {secret}"),
        job("untrusted", url, plugin="celery", interval="500ms",
            tls_config=tls_config(tls, ca=tls["client_cert"])),
        job("refused", "x", plugin="celery", interval="500ms",
            options=f'{{broker_url: "{wrong}"}}')))
    wait_for("celery_up", lambda: s.value('celery_up{job="celery"}') == 1)
    for name in ("untrusted", "refused"):
        wait_for(f"{name} to be down", lambda: s.value(
            f'celery_up{{job="{name}"}}') == 0)
    App(case, rabbit.url()).client("add.delay(1, 1)")
    wait_total(s, 1, "celery_task_sent_total", name="app.add")
    shown = s.log() + json.dumps(s.targets()) + \
        get(s.url + "/api/v1/status/config")[1]
    need("ACCESS_REFUSED" in s.log(), s.log())
    need("wrong-secret" not in shown, "the password is shown")


if __name__ == "__main__":
    run(globals())
