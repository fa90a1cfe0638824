# SPDX-License-Identifier: Apache-2.0
"""Calls that fail, one after the other: what was acknowledged is there after
the next start, what was not is said, and later samples are not swallowed.
See faultio.py."""
import os
import time

from harness import PATIENCE, config, equal, need, run, wait_for
import remote_body
from faultio import Layer
from remote_body import Sample

WINDOW = "storage:\n  tsdb:\n    out_of_order_time_window: 12h\n"
RECEIVER = "--web.enable-remote-write-receiver"
MINUTE = 60 * 1000
SERIES = 5


class Load:
    """Batches of samples, in order and late, and which were acknowledged."""

    def __init__(self, step):
        self.step = step
        self.begin = int(time.time() * 1000) - 8 * 60 * MINUTE
        self.next = 0
        self.acknowledged = []

    def times(self, n):
        t = self.begin + n * self.step
        return (t,) if n < 3 else (t, t - 2 * self.step - 500)

    def send(self, agent):
        """Whether the next batch was taken."""
        n, self.next = self.next, self.next + 1
        status, text, _ = remote_body.post(agent.url, remote_body.body_v1([
            ({"__name__": "f", "n": str(s)},
             [Sample(t, n) for t in sorted(self.times(n))])
            for s in range(SERIES)]))
        if status // 100 == 2:
            self.acknowledged.append(n)
            return True
        need(status // 100 == 5, f"can be sent again: {status} {text}")
        return False

    def check(self, agent, what):
        for n in self.acknowledged:
            for t in self.times(n):
                got = agent.query("f", at=t / 1000)
                equal(sorted(float(v) for _, v in got.values()),
                      [float(n)] * SERIES, f"{what}: batch {n} at {t}")


def agent_on(case, layer, **kw):
    return case.sonde(config(rest=WINDOW), RECEIVER,
                      "--storage.wal-sync=always", data=layer.root,
                      env=layer.env(), **kw)


def ingest(case, kind, error, n, name):
    """The N-th call of a kind fails while samples come; then a kill, or for
    syncs a loss of power."""
    layer = Layer(case, case.path(name), name + "-layer",
                  survive=kind == "sync")
    agent = agent_on(case, layer)
    load = Load(1000)
    for _ in range(4):
        need(load.send(agent), "without faults all is taken")
    layer.plan(f"{kind} {n} {error}")
    refused = sum(not load.send(agent) for _ in range(6))
    failed = [call for call in layer.calls() if call[2]]
    layer.plan()
    need(refused <= 1, f"{kind} {n}: one call failed, {refused} were refused")
    need(failed, f"{kind} {n}: no call failed")
    for _ in range(3):
        need(load.send(agent), f"{kind} {n} {error}: goes on")
    load.check(agent, f"{kind} {n} {error}, running")
    agent.kill()
    if kind == "sync":
        layer.restore(case.path(name + "-restored"))
        layer = Layer(case, case.path(name + "-restored"), name + "-again")
    agent = agent_on(case, layer)
    load.check(agent, f"{kind} {n} {error}, restarted")
    equal(agent.metric("sonde_storage_corruptions_total"), 0.0,
          f"{kind} {n} {error}: nothing is damaged")
    agent.stop()


def test_writes(case):
    """a write of a log fails, or is short"""
    for error in "EIO", "ENOSPC", "short":
        for n in range(1, 7):
            ingest(case, "write", error, n, f"write-{error}-{n}")


def test_syncs(case):
    """a sync of a log fails, and the power is cut later"""
    for n in range(1, 7):
        ingest(case, "sync", "EIO", n, f"sync-{n}")


def start_fails(case, root, load, n, error):
    """Whether the N-th call of a start was reached. Data are not lost."""
    layer = Layer(case, root, f"start-{error}-{n}")
    layer.plan(f"any {n} {error}")
    agent = agent_on(case, layer, wait=False)

    def ready_or_gone():
        try:
            return not agent.alive() or agent.wait_ready() is agent
        except AssertionError:
            return not agent.alive()
    wait_for("the start", ready_or_gone)
    if not agent.alive():
        equal(agent.popen.returncode, 1, f"start, call {n}: {agent.log()}")
        need("level=error" in agent.log() or "sonde:" in agent.log(),
             f"says why: {agent.log()}")
    else:
        load.check(agent, f"start, call {n}")
    reached = any(call[2] for call in layer.calls())
    agent.kill()
    layer.plan()
    agent = agent_on(case, layer)
    load.check(agent, f"behind a start whose call {n} failed")
    need(load.send(agent), f"goes on behind call {n}")
    agent.kill()
    return reached


def test_start(case):
    """each call of a start fails once"""
    layer = Layer(case, case.path("data"))
    agent = agent_on(case, layer)
    load = Load(1000)
    for _ in range(10):
        need(load.send(agent), "taken")
    agent.kill()
    n = 1
    while start_fails(case, layer.root, load, n, "EIO"):
        n += 1
        need(n < 200, "a start has an end")
    need(n > 3, f"a start has calls, not {n}")


def blocks(layer):
    return [name for name in os.listdir(layer.root)
            if len(name) == 26 and name.isupper()]


def compaction_fails(case, n, error):
    """The N-th call that makes a block fails. False: there are not so many."""
    layer = Layer(case, case.path(f"block-{n}"), f"block-{n}-layer")
    agent = agent_on(case, layer)
    load = Load(MINUTE)
    layer.plan(f"any {n} {error} 1 tmp-for-creation")
    for _ in range(190):
        need(load.send(agent), "taken")

    def done():
        return blocks(layer) or [c for c in layer.calls() if c[2]]
    wait_for("a block, or its failure", done, PATIENCE * 3)
    failed = [c for c in layer.calls() if c[2]]
    load.acknowledged = load.acknowledged[::7] + load.acknowledged[-3:]
    load.check(agent, f"block, call {n} {failed}")
    agent.kill()
    layer.plan()
    half_made = [x for x in os.listdir(layer.root) if ".tmp" in x]
    agent = agent_on(case, layer)
    load.check(agent, f"restarted behind call {n} {failed}")
    equal([x for x in os.listdir(layer.root) if x in half_made], [],
          "nothing half-made is left")
    agent.kill()
    return bool(failed)


def test_compaction(case):
    """calls that make a block fail"""
    n, reached = 1, 0
    while n < 60 and compaction_fails(case, n, "ENOSPC" if n % 2 else "EIO"):
        n, reached = n + 3, reached + 1
    need(reached > 2, f"a block takes calls, not {n}")


run(globals())
