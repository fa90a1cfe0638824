# SPDX-License-Identifier: Apache-2.0
"""sonde in celery-exporter's place: its flags, its variables, its page."""
from celery_base import *
from celery_redis import page_families
from pages import page_text

PLUGINS = os.path.join(BUILD, "plugins/celery/.libs")


def sidecar(case, *flags, **env):
    port = free_port()
    p = Process(case, [SONDE, "exporter", "celery", f"--plugin.path={PLUGINS}",
                       "--host=127.0.0.1", f"--port={port}", *flags],
                "sidecar", env=dict(os.environ, **env))
    url = f"http://127.0.0.1:{port}"

    def answers():
        need(p.alive(), "the sidecar ended:\n" + p.log()[-2000:])
        return get(url + "/metrics")[0] == 200
    wait_for("the page", answers)
    return p, url


def series(url):
    """{name and labels: value} of the page."""
    return page_text(get(url + "/metrics")[1])[1]


def has(url, family, want, /, **labels):
    """Whether there is a series with these labels, and that value."""
    for key, value in series(url).items():
        if re.match(r"[\w:]+", key).group() == family and value == want and \
                labels.items() <= dict(re.findall(r'(\w+)="([^"]*)"', key)).items():
            return True
    return False


def test_page(case):
    """all families under the exporter's names; its labels; /health"""
    redis = Redis(case, "--requirepass", "x-secret")
    url = f"redis://:x-secret@127.0.0.1:{redis.port}/3"
    app = App(case, url)
    app.worker()
    p, page = sidecar(case, CE_BROKER_URL=url)
    wait_for("health", lambda: get(page + "/health")[0] == 200)
    app.client("add.delay(1, 1); fail.delay('value')")
    wait_for("the tasks", lambda: has(
        page, "celery_task_succeeded_total", 1, name="app.add") and has(
        page, "celery_task_failed_total", 1, exception="ValueError"))
    wait_for("the inspection", lambda: has(
        page, "celery_active_process_count", 2, queue_name="celery"))
    text = get(page + "/metrics")[1]
    ours = page_families(text)
    table = os.path.join(SRC, "plugins/celery/testdata/exporter.tsv")
    with open(table) as f:
        rows = [line.rstrip("\n").split("\t") for line in f][1:]
    wrong = [(family, kind, labels, ours.get(family))
             for family, kind, labels, n in rows if n != "0" and
             ours.get(family) != (kind, set(labels.split(",")))]
    equal(wrong, [], "families that differ")
    need("x-secret" not in text + p.log(), "the password is shown")
    took = []
    for _ in range(20):
        begin = time.monotonic()
        need(get(page + "/metrics")[0] == 200, "page")
        took.append((time.monotonic() - begin) * 1000)
    print(f"# {len(rows)} families compared; a fresh page takes "
          f"{sorted(took)[10]:.1f} ms")
    redis.process.kill()
    wait_for("bad health", lambda: get(page + "/health")[0] != 200)


def test_flags(case):
    """prefix, static labels, buckets, queues, timeouts, transport options"""
    redis = Redis(case)
    app = App(case, redis.url(0), transport={"global_keyprefix": "pre:"})
    app.worker()
    p, page = sidecar(
        case, "--broker-url", redis.url(0), "-Q", "one,two", "--buckets",
        "0.5,1,10", "--metric-prefix=my_", "--static-label", "env=test",
        "--static-label=team=a", "--broker-transport-option",
        "global_keyprefix=pre:", "--broker-transport-option",
        "visibility_timeout=18000", "--retry-interval=5",
        "--worker-timeout=7", "--purge-offline-worker-metrics", "0",
        "--generic-hostname-task-sent-metric", "--accept-content=json,pickle",
        "--log-level", "DEBUG", "--default-queue-name=fallback")
    app.client("add.delay(1, 1)")
    wait_for("the task", lambda: has(
        page, "my_task_succeeded_total", 1, name="app.add", env="test",
        team="a"))
    need(has(page, "my_task_sent_total", 1, hostname="generic"), "generic")
    for q in ("one", "two"):
        need(has(page, "my_queue_length", 0, queue_name=q), q)
    bounds = set(float(b) for b in re.findall(
        r'my_task_runtime_bucket.*le="([^"]*)"', get(page + "/metrics")[1]))
    equal(bounds, {0.5, 1.0, 10.0, float("inf")}, "buckets")


def test_mistakes(case):
    """flags that are wrong end it with a reason, and no password in it"""
    for flags, want in (
            ((), "--broker-url"),
            (("--broker-url=memory://x-secret",), "broker_url"),
            (("--broker-url=redis://:x-secret@h:port",), "broker_url"),
            (("--broker-url=redis://h", "--worker-timeout=soon"),
             "--worker-timeout"),
            (("--broker-url=redis://h", "--broker-transport-option=x"),
             "--broker-transport-option"),
            (("--broker-url=redis://h", "--buckets=2,1"), "buckets")):
        out = subprocess.run(
            [SONDE, "exporter", "celery", f"--plugin.path={PLUGINS}",
             f"--port={free_port()}", *flags], capture_output=True, text=True,
            timeout=PATIENCE)
        said = out.stdout + out.stderr
        need(out.returncode != 0 and want in said, f"{flags}: {said}")
        need("x-secret" not in said, said)


if __name__ == "__main__":
    run(globals())
