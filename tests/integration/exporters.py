# SPDX-License-Identifier: Apache-2.0
"""The exporter plugins against the real things, and against the exporters
they replace."""
import subprocess
import time

from harness import *
from pages import page_text
from redis_servers import start_redis


def redis(port, *commands):
    with socket.create_connection(("127.0.0.1", port), 5) as s:
        for c in commands:
            s.sendall((c + "\r\n").encode())
            s.recv(65536)


def test_redis_is_scraped(case):
    """a real Redis: up, INFO families, keyspace; down and up again"""
    port = start_redis(case).port
    redis(port, "SELECT 3", "SET a 1")
    redis(port, "GET a", "GET b")
    s = case.sonde(config(job("redis", f"127.0.0.1:{port}", plugin="redis",
                              interval="500ms")))
    s.wait_health("redis", "up")
    wait_for("samples", lambda: s.query("redis_up"))
    equal(s.value("redis_up"), 1.0)
    for name in ("redis_connected_clients", "redis_memory_used_bytes",
                 "redis_commands_processed_total", "redis_uptime_in_seconds",
                 'redis_db_keys{db="db0"}', 'redis_commands_total{cmd="get"}',
                 "redis_instance_info", "redis_exporter_last_scrape_error"):
        need(s.query(name), name)
    case.processes[0].kill()
    wait_for("redis_up 0", lambda: s.value("redis_up") == 0.0)
    need(not s.query("redis_connected_clients"), "stale")


def test_redis_password(case):
    """a password comes from a file and is in no message"""
    port = start_redis(case, "--requirepass", "hunter2-right").port
    good = case.write("good", "hunter2-right\n")
    bad = case.write("bad", "hunter2-wrong\n")
    s = case.sonde(config(
        job("good", f"127.0.0.1:{port}", plugin="redis", interval="500ms",
            options=f"{{password_file: {good}}}"),
        job("bad", f"127.0.0.1:{port}", plugin="redis", interval="500ms",
            options=f"{{password_file: {bad}}}")))
    wait_for("redis_up", lambda: s.value('redis_up{job="good"}') == 1.0)
    wait_for("redis_up 0", lambda: s.value('redis_up{job="bad"}') == 0.0)
    need("hunter2" not in s.log() + get(s.url + "/api/v1/targets")[1] +
         json.dumps([dict(k) for k in s.query(
             "redis_exporter_last_scrape_error")]), "the password shows")


# What differs from one moment to the next, or names the exporter itself.
NOT_COMPARED = re.compile(
    r"^redis_(exporter_build_info|exporter_scrape|target_scrape|"
    r"latency|slowlog|last_slow|config_|connected_clients_details|"
    r"commands_latencies|last_key_groups|up$|start_time)")


def test_redis_parity(case):
    """names, types and labels are those of Debian's redis exporter"""
    exporter = shutil.which("prometheus-redis-exporter")
    need(exporter, "prometheus-redis-exporter is not installed")
    port = start_redis(case).port
    redis(port, "SET a 1", "GET a", "BAD")
    web = free_port()
    Process(case, [exporter, "-redis.addr", f"redis://127.0.0.1:{port}",
                   "-web.listen-address", f"127.0.0.1:{web}"], "exporter")
    url = f"http://127.0.0.1:{web}/metrics"
    theirs = wait_for("the exporter", lambda: page_text(get(url)[1]))
    out = subprocess.run([SONDE, "scrape", "redis", f"127.0.0.1:{port}"],
                         capture_output=True, text=True, timeout=PATIENCE)
    equal(out.returncode, 0, out.stderr)
    ours = page_text(out.stdout)
    wrong = []
    for family, kind in theirs[0].items():
        if not family.startswith("redis_") or NOT_COMPARED.match(family):
            continue
        if family == "redis_expired_time_cap_reached_total":
            kind = "counter"  # newer exporters put that right
        if ours[0].get(family) != kind:
            wrong.append(f"{family}: {kind} there, "
                         f"{ours[0].get(family)} here")
    equal(wrong, [], "families")
    strip = re.compile(r'(run_id|redis_build_id|master_replid)="[^"]*",?')
    # An empty label is an absent one.
    names = {strip.sub("", k).split("{")[0] + "{" + ",".join(sorted(
        re.findall(r'(\w+)="', strip.sub("", k)))) for k in ours[1]}
    for key in theirs[1]:
        name = key.split("{")[0]
        if not name.startswith("redis_") or NOT_COMPARED.match(name):
            continue
        want = name + "{" + ",".join(sorted(
            re.findall(r'(\w+)="[^"]', strip.sub("", key))))
        need(want in names or name == "redis_instance_info",
             f"labels of {key}")


def test_fastapi(case):
    """a real FastAPI app: its metrics, its health; down and unhealthy"""
    port = free_port()
    Process(case, ["/usr/bin/python3", os.path.join(SRC, "packaging/demo/app.py"),
                   str(port)], "app")
    wait_for("the app", lambda: get(f"http://127.0.0.1:{port}/health")[0]
             == 200)
    for i in range(5):
        get(f"http://127.0.0.1:{port}/items/{i}")
    s = case.sonde(config(
        job("fastapi", f"127.0.0.1:{port}", plugin="fastapi",
            interval="1s"),
        job("elsewhere", f"127.0.0.1:{port}", plugin="fastapi",
            interval="1s", options="{health_path: /no/such}")))
    s.wait_health("fastapi", "up")
    wait_for("samples", lambda: s.query('fastapi_up{job="fastapi"}'))
    equal(s.value('fastapi_up{job="fastapi"}'), 1.0)
    equal(s.value('http_requests_total{job="fastapi",status="200"}'), 5.0)
    need(s.query("http_request_duration_seconds_bucket"), "histogram")
    wait_for("the other", lambda: s.query('fastapi_up{job="elsewhere"}'))
    equal(s.value('fastapi_up{job="elsewhere"}'), 0.0)
    case.processes[0].kill()
    s.wait_health("fastapi", "down")


run(globals())
