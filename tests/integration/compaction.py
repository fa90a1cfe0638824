# SPDX-License-Identifier: Apache-2.0
"""Blocks that the store makes: the same samples in promtool of Debian 12 and
of Debian sid, the same blocks as a real Prometheus comes to, and nothing lost
by a kill at any moment. Sample times are the data's, so that days pass in
seconds."""
import random

from harness import *

FILL = os.path.join(BUILD, "tests", "bench", "fill_bench")
START = 1699999200000
HOUR = 3600000


def fill(data, series, hours, step, start=START, max_block=0):
    out = subprocess.run([FILL, data, str(series), str(hours), str(step),
                          str(start), str(max_block)], capture_output=True,
                         text=True, timeout=10 * PATIENCE)
    equal((out.returncode, out.stderr), (0, ""), "fill")
    return out.stdout


def values(i, rounds):
    """What fill_bench appends to its series number i."""
    seed, v = (i * 2654435761) & 0xFFFFFFFF, 0.0
    for _ in range(rounds):
        seed = (seed * 1664525 + 1013904223) & 0xFFFFFFFF
        r = seed >> 8
        if i % 4 == 0:
            v += r % 100
        elif i % 4 == 1:
            v += 15
        elif i % 4 == 2:
            v = int(v * 100 + r % 201 - 100) / 100
        elif r % 50 == 0:
            v = float(r % 10)
        yield v


def expect(dump, series, rounds, step, at_least=None):
    """Every sample is in a dump: `rounds` of them, or more if `at_least`."""
    got = {}
    for labels, samples in dump.items():
        got[int(dict(labels)["__name__"].split("_")[2])] = samples
    equal(len(got), series, "series")
    for i, samples in got.items():
        n = len(samples)
        need(n == rounds or at_least and n >= rounds,
             f"series {i}: {n} samples, {rounds} wanted")
        for k, v in enumerate(values(i, n)):
            t, text = samples[k]
            need(t == START + k * step * 1000 and float(text) == v,
                 f"series {i}, sample {k}: {t} {text}, wanted {v}")


def blocks(data):
    """(mint, maxt, level) in hours from the start, by time."""
    out = []
    for name in os.listdir(data):
        path = os.path.join(data, name, "meta.json")
        if len(name) == 26 and os.path.exists(path):
            with open(path) as f:
                m = json.load(f)
            out.append(((m["minTime"] - START) / HOUR,
                        (m["maxTime"] - START) / HOUR,
                        m["compaction"]["level"]))
    return sorted(out)


def test_days(case):
    """three days of samples: promtool reads every one"""
    data = case.path("data")
    fill(data, 40, 72, 60)
    need(len(blocks(data)) < 12, f"merged: {blocks(data)}")
    expect(promtool_dump(case.copy(data, "old")), 40, 72 * 60, 60)


def test_days_newer(case):
    """promtool of Debian sid reads every one"""
    data = case.path("data")
    fill(data, 12, 40, 60)
    expect(promtool_dump(data, newest("promtool")), 12, 40 * 60, 60)


def test_same_blocks(case):
    """a real Prometheus comes to the same blocks"""
    data = case.path("data")
    fill(data, 8, 47, 60, max_block=2)
    need(all(b[2] == 1 for b in blocks(data)), "only blocks of the head")
    theirs = case.copy(data, "theirs")
    fill(data, 8, 0, 60, max_block=36)
    ours = blocks(data)
    case.prometheus(data=theirs)
    wait_for(f"{ours}", lambda: blocks(theirs) == ours, patience=3 * PATIENCE)


def test_kill(case):
    """killed at any moment: what was acknowledged is there"""
    rnd = random.Random(7)
    most = 0
    for i in range(12):
        data = case.path(f"kill{i}")
        told = case.path("told")
        with open(told, "wb") as out:
            p = subprocess.Popen([FILL, data, "20", "2000", "60"], stdout=out,
                                 env=dict(os.environ, FILL_TELL="1"))
            time.sleep(rnd.uniform(0.05, 1.5))
            p.send_signal(signal.SIGKILL)
            p.wait()
        with open(told) as f:
            rounds = f.read().count("\n")
        if not rounds:
            continue
        most = max(most, rounds)
        expect(promtool_dump(case.copy(data, f"copy{i}")), 20, rounds, 60,
               at_least=True)
        fill(data, 20, 0, 60)
        expect(promtool_dump(data), 20, rounds, 60, at_least=True)
        shutil.rmtree(data)
    need(most > 180, f"some blocks were made: {most} rounds at most")


run(globals())
