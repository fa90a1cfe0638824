# SPDX-License-Identifier: Apache-2.0
"""What the agent does for plugins: parts and their schedule, steps of a plan
that collect, reloads, state, options from the environment, unix sockets."""
import glob
import http.server
import socketserver

from harness import *


def steps(case):
    """The folder of the test plugin, as a flag."""
    folder = case.path("steps")
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, 0o755)
    for so in ("tests/plugins/.libs/steps.so",
               "plugins/prometheus/.libs/prometheus.so"):
        copy = os.path.join(folder, os.path.basename(so))
        shutil.copy(os.path.join(BUILD, so), copy)
        os.chmod(copy, 0o644)
    return f"--plugin.path={folder}"


def asks(case, *names):
    """The folder by which the plugin is steered, holding these files."""
    folder = case.path("asked")
    os.makedirs(folder, exist_ok=True)
    for old in os.listdir(folder):
        os.unlink(os.path.join(folder, old))
    for name in names:
        open(os.path.join(folder, name), "w").close()
    return folder


def steps_job(case, address="nowhere:1", options="", **keys):
    folder = asks(case)
    return job("s", address, plugin="steps", interval="500ms",
               options=f"{{folder: {folder}, {options}}}", **keys)


def wait_value(s, query, good):
    return wait_for(f"{query}", lambda: (
        lambda v: v is not None and good(v))(s.value(query)))


def test_plan_of_one_collect(case):
    """a plan that only collects, its parts, and what open was given"""
    s = case.sonde(config(steps_job(case, slow_interval="1h",
                                    tls_config="{ca_file: /some/ca.pem}")),
                   steps(case), env={**os.environ, "STEPS_WORD": "hello"})
    wait_value(s, "steps_collected", lambda v: v >= 3)
    equal(s.value("steps_slow"), 1.0, "the slow part worked once")
    equal(s.value('steps_ms{of="interval"}'), 500.0)
    equal(s.value('steps_ms{of="slow"}'), 3600000.0)
    need(s.query('steps_info{word="hello",ca_file="/some/ca.pem"}'),
         s.query("steps_info"))
    for part in ("quick", "slow"):
        equal(s.value(f'sonde_collector_success{{collector="{part}"}}'), 1.0)
        need(s.query("sonde_collector_duration_seconds"
                     f'{{collector="{part}"}}'), part)
        need(s.value("sonde_collector_last_success_timestamp_seconds"
                     f'{{collector="{part}"}}') > 1.6e9, part)
    need(s.metric('sonde_plugin_collect_cpu_seconds_total{plugin="steps"}')
         > 0, "the cost is counted")


def test_between_fetches(case):
    """fetch, collect, fetch: the samples of all three are one scrape"""
    t = case.target("before_metric 5\n")
    s = case.sonde(config(steps_job(case, t.address, "fetch: true")),
                   steps(case))
    s.wait_health("s", "up")
    equal(s.value("before_metric"), 5.0)
    equal(s.value("steps_fetched"), float(len("before_metric 5\n")))
    need(s.value("steps_collected") >= 1, "collected")
    need(s.value("sonde_collector_success{collector='quick'}") == 1, "parts")
    t.close()
    s.wait_health("s", "down")
    need(not s.query("steps_collected"), "stale")


def test_step_that_fails(case):
    """a step that fails makes the target down, or is the plugin's to judge"""
    s = case.sonde(config(steps_job(case)), steps(case))
    s.wait_health("s", "up")
    asks(case, "fail_step")
    t = s.wait_health("s", "down")
    need("asked to fail the step" in t["lastError"], t["lastError"])
    asks(case)
    s.wait_health("s", "up")
    equal(s.reload(config(steps_job(case, options="judge: true")))[0], 200)
    s.wait_health("s", "up")
    asks(case, "fail_step")
    wait_value(s, "steps_judged", lambda v: v == 1)
    equal(s.target("s")["health"], "up")


def test_part_that_fails(case):
    """a part fails alone; its last values stay; said once in the log"""
    s = case.sonde(config(steps_job(case, slow_interval="1s")), steps(case))
    wait_value(s, "steps_slow", lambda v: v >= 2)
    asks(case, "fail_part")
    wait_value(s, "sonde_collector_success{collector='slow'}",
               lambda v: v == 0)
    equal(s.target("s")["health"], "up")
    equal(s.value("sonde_collector_success{collector='quick'}"), 1.0)
    need(s.value("steps_slow") >= 2, "last values are stored meanwhile")
    wait_for("last values to go", lambda: not s.query("steps_slow"))
    equal(s.log().count("a collector fails"), 1)
    need("asked to fail the part" in s.log(), s.log()[-2000:])
    asks(case)
    wait_value(s, "sonde_collector_success{collector='slow'}",
               lambda v: v == 1)
    equal(s.log().count("a collector is well again"), 1)


def test_hanging_step(case):
    """a step that hangs: up 0 meanwhile, well again after"""
    s = case.sonde(config(steps_job(case)), steps(case))
    s.wait_health("s", "up")
    asks(case, "hang")
    t = s.wait_health("s", "down")
    need("has not come back" in t["lastError"], t["lastError"])
    asks(case)
    s.wait_health("s", "up")


def test_reload(case):
    """instances that stay are told of a reload, once"""
    text = config(steps_job(case))
    s = case.sonde(text, steps(case))
    s.wait_health("s", "up")
    equal(s.value("steps_reloads"), 0.0)
    collected = s.value("steps_collected")
    equal(s.reload(text)[0], 200)
    wait_value(s, "steps_reloads", lambda v: v == 1)
    wait_value(s, "steps_collected", lambda v: v > collected + 2)
    equal(s.value("steps_reloads"), 1.0)


def test_state(case):
    """state is there again after a restart, and after kill -9"""
    text = config(steps_job(case))
    s = case.sonde(text, steps(case))
    wait_value(s, "steps_state", lambda v: v >= 2)
    s.kill()
    files = glob.glob(os.path.join(s.data, "state/steps/*.count"))
    equal(len(files), 1, files)
    equal(os.stat(files[0]).st_mode & 0o777, 0o600)
    with open(files[0]) as f:
        before = int(f.read())
    s = case.sonde(text, steps(case), name="again")
    wait_value(s, "steps_state", lambda v: v > before)
    need(s.value("steps_collected") < s.value("steps_state"), "a new process")
    s.stop()


def test_show(case):
    """plugins show lists collectors; scrape has no state to keep"""
    flag = steps(case)
    out = subprocess.run([SONDE, "plugins", "show", "steps", flag],
                         capture_output=True, text=True).stdout
    need("Collectors\n  quick\n      What is quick\n"
         "  slow  at the slow_interval\n" in out, out)
    out = subprocess.run([SONDE, "scrape", "steps", "nowhere:1", flag],
                         capture_output=True, text=True)
    equal(out.returncode, 0, out.stderr)
    need("steps_state 0" in out.stdout, out.stdout)
    need('sonde_collector_success{collector="slow"} 1' in out.stdout,
         out.stdout)


class UnixTarget:
    """An HTTP server on a unix socket."""

    def __init__(self, case, path):
        outer = self
        self.hosts, self.paths = set(), set()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.hosts.add(self.headers["Host"])
                outer.paths.add(self.path)
                body = b"local_metric 7\n"
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass

            def get_request(self):
                request, _ = super().get_request()
                return request, ("local", 0)

        self.server = Server(path, Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        case.cleanups.append(self.close)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def test_unix_socket(case):
    """a target on a unix socket; two of them do not share a connection"""
    a, b = case.path("a.sock"), case.path("b.sock")
    one, two = UnixTarget(case, a), UnixTarget(case, b)
    s = case.sonde(config(
        job("p", f"unix:{a}", interval="500ms", metrics_path="/x",
            params="{q: [z]}"),
        job("s", f"unix:{b}", interval="500ms", plugin="steps",
            options="{fetch: true}"),
        job("gone", f"unix:{a}.no", interval="500ms")), steps(case))
    s.wait_health("p", "up")
    s.wait_health("s", "up")
    equal(one.paths, {"/x?q=z"})
    equal(two.paths, {"/before", "/after"})
    equal(one.hosts | two.hosts, {"localhost"})
    equal(s.value(f'local_metric{{job="p"}}'), 7.0)
    equal(s.target("p")["scrapeUrl"], f"http://unix:{a}:/x?q=z")
    equal(s.target("p")["labels"]["instance"], f"unix:{a}")
    t = s.wait_health("gone", "down")
    need(f"over unix:{a}.no: no such file" in t["lastError"], t["lastError"])


run(globals())
