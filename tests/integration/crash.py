# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random moments under load: what a query has shown is there after
the restart."""
import random
import time

from harness import *

ROUNDS = 20
SERIES = 2000


def test_kill_loop(case):
    """twenty kills under scrape load lose nothing that was shown"""
    n = [0]

    def body():
        n[0] += 1
        return "".join(f'load{{i="{i}"}} {n[0] * 1000003 + i}\n'
                       for i in range(SERIES))
    targets = [case.target(body) for _ in range(3)]
    conf = config(*[job(f"j{i}", t.address, interval="100ms")
                    for i, t in enumerate(targets)])
    seen = {}
    rng = random.Random(20261121)
    for round_number in range(ROUNDS):
        s = case.sonde(conf)
        end = time.monotonic() + 0.3 + rng.random()
        while time.monotonic() < end:
            for labels, (ts, v) in s.query("load").items():
                seen.setdefault(labels, set()).add(v)
        s.kill()
    # One more start mends what the last kill tore; promtool is strict.
    case.sonde("scrape_configs: []\n").stop()
    dump = promtool_dump(case.copy(s.data, "copy"))
    missing = sum(1 for labels, values in seen.items()
                  for v in values
                  if float(v) not in {float(x) for _, x in dump[labels]})
    total = sum(len(v) for v in seen.values())
    need(total > ROUNDS * SERIES, f"only {total} samples were shown")
    equal(missing, 0, f"of {total} samples shown")
    # And by our own reader: the newest of each is what was shown last.
    s = case.sonde("scrape_configs: []\n")
    for labels in list(seen)[:50]:
        sel = "{" + ",".join(f'{k}="{v}"' for k, v in labels) + "}"
        last_ms, last = dump[labels][-1]
        ours = s.query(sel, at=last_ms / 1000)
        if last == "NaN":  # a marker: that scrape was late
            equal(ours, {}, sel)
        else:
            equal(float(ours[labels][1]), float(last), sel)


run(globals())
