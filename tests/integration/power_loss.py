# SPDX-License-Identifier: Apache-2.0
"""Loss of power: what was not synced is gone, or there in part; what was
acknowledged under --storage.wal-sync=always is not lost. See faultio.py."""
import random
import threading
import time

from harness import config, equal, need, run, wait_for
import remote_body
from faultio import Layer
from remote_body import Sample

WINDOW = "storage:\n  tsdb:\n    out_of_order_time_window: 12h\n"
MINUTE = 60 * 1000
SERIES = 10


class Store:
    """The agent on a folder whose unsynced writes a cut of power takes."""

    def __init__(self, case, sync, step):
        self.case, self.sync, self.step = case, sync, step
        self.number = 0
        self.acknowledged = 0  # batches
        self.begin = int(time.time() * 1000) - 9 * 60 * MINUTE
        self.start(case.path("data-0"))

    def start(self, root):
        self.root = root
        self.layer = Layer(self.case, root, f"faultio-{self.number}",
                           survive=True)
        self.agent = self.case.sonde(
            config(rest=WINDOW), "--web.enable-remote-write-receiver",
            f"--storage.wal-sync={self.sync}", data=root,
            env=self.layer.env())

    def times(self, n):
        """Of a batch: in order, and late once there is room for it."""
        t = self.begin + n * self.step
        return (t,) if n < 20 else (t, t - 15 * self.step - 500)

    def send(self, n):
        series = [({"__name__": "p", "n": str(s)},
                   [Sample(t, n) for t in sorted(self.times(n))])
                  for s in range(SERIES)]
        status, text, _ = remote_body.post(self.agent.url,
                                           remote_body.body_v1(series))
        need(status // 100 == 2, text)

    def send_all(self, count):
        """Until COUNT are acknowledged, or the agent is gone."""
        try:
            while self.acknowledged < count:
                self.send(self.acknowledged)
                self.acknowledged += 1
        except (OSError, AssertionError):
            self.agent.popen.wait(60)  # it is being killed

    def cut_power(self, seed):
        self.agent.kill()
        self.number += 1
        to = self.case.path(f"data-{self.number}")
        self.layer.restore(to, seed)
        self.start(to)

    def check(self, count):
        """All of the first COUNT batches are there."""
        for n in range(count):
            for t in self.times(n):
                got = self.agent.query("p", at=t / 1000)
                equal(sorted(float(v) for _, v in got.values()),
                      [float(n)] * SERIES, f"batch {n} of {count} at {t}")


def cuts(case, rounds, each, step, seed):
    """Sends while the power is cut at random moments; nothing is lost."""
    chance = random.Random(seed)
    store = Store(case, "always", step)
    for round_number in range(rounds):
        goal = store.acknowledged + each
        sender = threading.Thread(target=store.send_all, args=(goal,))
        sender.start()
        stop = store.acknowledged + chance.randrange(each)
        while sender.is_alive() and store.acknowledged < stop:
            time.sleep(0.001)
        store.agent.kill()
        sender.join()
        store.cut_power(None if round_number % 2 else chance.random())
        store.check(store.acknowledged)
    need(store.acknowledged > rounds, "something was sent")


def test_always(case):
    """always: cuts of power lose nothing that was acknowledged"""
    cuts(case, 6, 60, 1000, 1)


def test_always_with_blocks(case):
    """always: nor while the head becomes blocks and the log is cut"""
    cuts(case, 6, 150, MINUTE, 2)


def synced(store):
    return [store.agent.metric(f"prometheus_tsdb_{log}_fsync_duration_"
                               "seconds_count")
            for log in ("wal", "out_of_order_wbl")]


def test_interval(case):
    """an interval: what was there before the last sync is not lost"""
    store = Store(case, "200ms", 1000)
    store.send_all(40)
    before = synced(store)
    # Both logs must have something to sync.
    kept = store.acknowledged

    def again():
        store.send_all(store.acknowledged + 1)
        return all(a >= b + 2 for a, b in zip(synced(store), before))
    wait_for("two syncs of each log", again)
    store.cut_power(None)
    store.check(kept)


def test_never(case):
    """never: it starts, whatever is left"""
    store = Store(case, "never", 1000)
    for seed in (None, 1, 2, 3):
        store.send_all(store.acknowledged + 30)
        store.cut_power(seed)
        store.acknowledged += 100  # what is lost was in order before these


run(globals())
