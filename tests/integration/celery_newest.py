# SPDX-License-Identifier: Apache-2.0
"""The celery plugin with Celery and Redis of Debian sid."""
from celery_base import *
from celery_redis import SEND, check_fates

PACKAGES = ("python3-celery", "python3-kombu", "python3-billiard",
            "python3-vine", "python3-amqp", "python3-redis", "python3-tzlocal",
            "redis-server,redis-tools")


def probe(packages):
    return subprocess.run(
        [PYTHON, "-c", "import celery, kombu, billiard, vine, amqp, redis, "
         "tzlocal\nprint(celery.__version__)"], capture_output=True, text=True,
        env=dict(os.environ, PYTHONPATH=packages))


def unpacked():
    """(programs, Python packages, Celery's version)"""
    run_dir = newest_folder(PACKAGES[0])
    root = os.path.join(os.path.dirname(run_dir), "root")
    packages = os.path.join(root, "usr/lib/python3/dist-packages")
    if not all(os.path.exists(os.path.join(packages, p.split("-")[1]))
               for p in PACKAGES[:-1]) or \
            not os.path.exists(os.path.join(run_dir, "redis-server")):
        for package in PACKAGES[1:]:
            newest_folder(package)
    out = probe(packages)
    if out.returncode != 0:
        raise Skip("Celery of Debian sid does not run with this Python: " +
                   out.stderr.strip()[-200:])
    return run_dir, packages, out.stdout.strip()


def test_fates(case):
    """tasks of every fate with the newest Celery on the newest Redis"""
    run_dir, packages, version = unpacked()
    os.environ["PATH"] = run_dir + os.pathsep + os.environ["PATH"]
    redis = Redis(case)
    app = App(case, redis.url(3), PYTHONPATH=packages)
    app.worker()
    s = start(case, redis.url(3))
    wait_for("the worker", lambda: s.value(
        'celery_worker_up{hostname="testhost"}') == 1)
    app.client(SEND)
    check_fates(s)
    wait_total(s, 2, "celery_active_process_count", queue_name="celery")
    equal(total(s, "celery_events_dropped_total"), 0.0)
    wait_total(s, 1, "celery_worker_info", sw_ver=version)
    server = redis.connect()("INFO", "server").decode()
    print(f"# Celery {version}, Redis",
          re.search(r"redis_version:(\S+)", server).group(1))


if __name__ == "__main__":
    run(globals())
