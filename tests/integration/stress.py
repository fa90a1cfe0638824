# SPDX-License-Identifier: Apache-2.0
"""Everything at once: many fast targets, some of which die and come back,
configurations that alternate, target files that change, queries, a flapping
remote-write endpoint. What did not change must not notice any of it."""
import asyncio
import itertools
import os
import random
import socket
import threading
import time

from harness import *

RELOADS_S = 12
FD_RELOADS = 20
STEADY, FLIP, COMES, FILED = 20, 20, 10, 10
INTERVAL = "200ms"


class Peer:
    """A server of an answer for whoever asks, in the loop of all of them."""

    def __init__(self, peers, answer):
        self.peers = peers
        self.answer = answer
        self.connections = 0
        self.open = set()
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.server = None
        self.start()

    async def _serve(self, reader, writer):
        self.connections += 1
        self.open.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = re.search(rb"(?i)content-length: *(\d+)", head)
                if size:
                    await reader.readexactly(int(size.group(1)))
                status, body = self.answer()
                writer.write(b"HTTP/1.1 %d x\r\nContent-Type: text/plain\r\n"
                             b"Content-Length: %d\r\n\r\n" %
                             (status, len(body)) + body)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open.discard(writer)
            writer.close()

    async def _start(self):
        self.server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, reuse_address=True)

    async def _stop(self):
        self.server.close()
        for writer in list(self.open):
            writer.transport.abort()

    def start(self):
        self.peers.run(self._start())

    def stop(self):
        self.peers.run(self._stop())


class Peers:
    def __init__(self, case):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever,
                                       daemon=True)
        self.thread.start()
        case.cleanups.append(self.close)

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(
            coroutine, self.loop).result(PATIENCE)

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(PATIENCE)


class Counted(Peer):
    """A target whose counter says how many bodies it has served."""

    def __init__(self, peers):
        self.served = 0
        super().__init__(peers, self.body)

    def body(self):
        self.served += 1
        n = self.served
        lines = [f"# TYPE served_total counter\nserved_total {n}\n"]
        lines += [f'noise{{i="{i}"}} {n % 7}\n' for i in range(n % 5, 10)]
        return 200, "".join(lines).encode()


class Deaf:
    """Takes connections and says nothing: who speaks to it waits."""

    def __init__(self, case):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        case.cleanups.append(self.socket.close)


class House:
    """The targets and the two configurations of a case."""

    def __init__(self, case):
        peers = Peers(case)
        made = [Counted(peers) for _ in range(STEADY + FLIP + COMES + FILED)]
        self.case = case
        self.steady = made[:STEADY]
        self.flip = made[STEADY:STEADY + FLIP]
        self.comes = made[STEADY + FLIP:STEADY + FLIP + COMES]
        self.filed = made[-FILED:]
        self.deaf = [Deaf(case) for _ in range(2)]
        self.receiver_status = itertools.cycle([204, 204, 500, 204, 429, 400])
        self.receiver = Peer(peers, lambda: (next(self.receiver_status), b""))
        self.edit_files(len(self.filed))

    def edit_files(self, n):
        """The first half stays, of the others there are n."""
        half = len(self.filed) // 2
        listed = [t.address for t in self.filed[:half + n]]
        self.case.write("targets/a.json", json.dumps(
            [{"targets": listed, "labels": {"site": "lab"}}]))

    def text(self, second):
        def many(targets):
            return [t.address for t in targets]
        jobs = [job("steady", *many(self.steady), interval=INTERVAL),
                job("flip", *many(self.flip), interval=INTERVAL,
                    honor_labels="true" if second else "false"),
                "  - job_name: filed\n"
                f"    scrape_interval: {INTERVAL}\n"
                f"    scrape_timeout: {INTERVAL}\n"
                "    file_sd_configs:\n"
                f"      - files: [{self.case.path('targets')}/*.json]\n",
                job("deaf", *many(self.deaf), interval="500ms",
                    timeout="300ms" if second else "400ms", plugin="redis")]
        if not second:
            jobs.append(job("comes", *many(self.comes), interval=INTERVAL))
        return config(*jobs, rest=(
            "remote_write:\n"
            f"  - url: http://{self.receiver.address}/write\n"
            "    queue_config: {batch_send_deadline: 200ms, min_backoff: 5ms, "
            f"max_backoff: {'50ms' if second else '100ms'}}}\n"))


class Background:
    """Calls a step again and again until it is told to stop; what the step
    raises fails the case, unless it may fail."""

    def __init__(self, case, step, pause=0.0, may_fail=False):
        self.ending = threading.Event()
        self.error = None
        self.rounds = 0

        def run():
            try:
                while not self.ending.wait(pause):
                    step(self.rounds)
                    self.rounds += 1
            except Exception as e:
                self.error = None if may_fail else e
        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        case.cleanups.append(self.ending.set)

    def stop(self):
        self.ending.set()
        self.thread.join(PATIENCE)
        need(not self.thread.is_alive(), "a request did not end")
        if self.error:
            raise self.error


def ask(s):
    paths = ["query?query=up", "query?query=served_total",
             "series?match[]=noise", "targets", "metadata", "labels",
             "targets?state=any", "status/tsdb", "status/runtimeinfo",
             "status/config", "label/instance/values"]

    def step(n):
        status, body = get(f"{s.url}/api/v1/{paths[n % len(paths)]}")
        need(status == 200, f"{paths[n % len(paths)]}: {status} {body[:300]}")
        get(s.url + "/metrics")
    return step


def disturb(house):
    """Kills and revives targets and the receiver, and edits files."""
    def step(n):
        victim = house.flip[n % len(house.flip)]
        victim.stop()
        if n % 4 == 0:
            house.receiver.stop()
        house.edit_files(n % (FILED // 2 + 1))
        time.sleep(0.25)
        victim.start()
        if n % 4 == 0:
            house.receiver.start()
    return step


def fds(s):
    return len(os.listdir(f"/proc/{s.pid}/fd"))


def reload(s, house, n):
    status, body = s.reload(house.text(n % 2 == 1))
    need(status == 200, f"reload: {status} {body}")


def settle(s, house):
    """A known state: the first configuration, all targets seen."""
    reload(s, house, 0)
    house.edit_files(0)
    want = STEADY + FLIP + COMES + FILED // 2
    wait_for("all targets to be up", lambda: sum(
        t["health"] == "up" for t in s.targets()) == want)


def of(dump, name, target, job_name):
    for labels, samples in dump.items():
        d = dict(labels)
        if (d["__name__"] == name and d["instance"] == target.address and
                d["job"] == job_name):
            return samples
    return []


def judge(dump, target, job_name, stops=0):
    """Each body that was served is in the store, unless the scrape failed."""
    who = f"{job_name} {target.address}"
    up = of(dump, "up", target, job_name)
    samples = of(dump, "served_total", target, job_name)
    failed = {t for t, v in up if v == "0"}
    values = [int(float(v)) for _, v in samples if v != "NaN"]

    need(up and values, f"{who}: nothing stored")
    need(all(v != "NaN" for _, v in up), f"{who}: up got a stale marker")
    need(values == sorted(set(values)), f"{who}: not rising: {values}")
    stale = {t for t, v in samples if v == "NaN"}
    need(stale <= failed, f"{who}: stale without a failed scrape at "
         f"{sorted(stale - failed)}")
    lost = target.served - len(values)
    # One more may have been on its way when the agent stopped.
    need(lost <= len(failed) + 1,
         f"{who}: served {target.served}, stored {len(values)}, "
         f"failed scrapes {len(failed)}")
    need(target.connections <= 1 + len(failed),
         f"{who}: {target.connections} connections, {len(failed)} failed")
    times = [t for t, _ in up]
    return max(b - a for a, b in zip(times, times[1:]))


def test_stress(case):
    """reloads, deaths, edits and queries leave unchanged jobs alone"""
    house = House(case)
    s = case.sonde(house.text(False), "--storage.remote.flush-deadline=2s")
    settle(s, house)
    asking = [Background(case, ask(s)) for _ in range(2)]
    trouble = Background(case, disturb(house), 0.05)
    end = time.monotonic() + RELOADS_S
    reloads = 0
    while time.monotonic() < end:
        reloads += 1
        reload(s, house, reloads)
        time.sleep(random.random() * 0.1)
    for b in [trouble, *asking]:
        b.stop()
    settle(s, house)
    print(f"# {reloads} reloads, {sum(b.rounds for b in asking)} queries, "
          f"{trouble.rounds} deaths, "
          f"{sum(t.served for t in house.steady)} steady scrapes", flush=True)

    before = fds(s)
    for n in range(FD_RELOADS):
        reload(s, house, n + 1)
    settle(s, house)
    # Connections come and go; a leak is one for each reload.
    wait_for(f"not many more descriptors than {before}",
             lambda: fds(s) < before + FD_RELOADS // 2)
    print(f"# {before} descriptors, {fds(s)} after {FD_RELOADS} reloads",
          flush=True)
    wait_for("the deaf targets to have timed out", lambda: [
        v for _, v in s.query("redis_up").values()] == ["0", "0"])

    asking = [Background(case, ask(s), may_fail=True) for _ in range(2)]
    wait_for("questions", lambda: all(b.rounds > 5 for b in asking))
    equal(s.stop(), 0, "exit code: " + s.log()[-2000:])
    for b in asking:
        b.stop()
    dump = promtool_dump(s.data)
    gaps = [judge(dump, t, "steady") for t in house.steady]
    gaps += [judge(dump, t, "filed") for t in house.filed[:FILED // 2]]
    print(f"# longest gap of an unchanged target {max(gaps)} ms", flush=True)


def stored(s, job_name):
    """{name: [(ms, value)]} of a job's one target."""
    return {dict(k)["__name__"]: v for k, v in promtool_dump(s.data).items()
            if dict(k)["job"] == job_name}


def test_stop_while_fetching(case):
    """a scrape that a stop cuts short is no failed scrape"""
    slow = threading.Event()
    asked = threading.Event()

    def body():
        if slow.is_set():
            asked.set()
            time.sleep(5)
        return "a 1\n"
    t = case.target(body)
    s = case.sonde(config(job("app", t.address, interval="10s"),
                          job("fast", t.address, interval=INTERVAL,
                              timeout=INTERVAL)))
    s.wait_health("fast", "up")
    slow.set()
    need(asked.wait(PATIENCE), "no scrape")
    equal(s.stop(), 0, "exit code")
    for name in ("app", "fast"):
        for _, v in stored(s, name).get("up", []):
            equal(v, "1", f"up of {name}")
        need(all(v == "1" for _, v in stored(s, name).get("a", [])),
             f"{name}: {stored(s, name)}")


def test_stop_while_collecting(case):
    """a stop does not wait for a plugin's deadline, nor fall over it"""
    deaf = Deaf(case)
    s = case.sonde(config(
        job("deaf", deaf.address, interval="8s", plugin="redis"),
        job("self", "127.0.0.1:1", interval=INTERVAL)))
    deaf.socket.settimeout(PATIENCE)
    connection, _ = deaf.socket.accept()
    equal(s.stop(), 0, "exit code: " + s.log()[-2000:])
    connection.close()
    need("does not come back" in s.log(), "the stop waited for the plugin")
    need("up" not in stored(s, "deaf"), "no verdict about the plugin's target")


if __name__ == "__main__":
    run(globals())
