#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sonde tsdb against promtool tsdb: the same lines and numbers, on
directories that either of them or a real Prometheus wrote."""
import json
import os
import random
import re
import shutil
import subprocess
import time

import harness
from harness import equal, need

START = 1700000000  # not on the edge of a window
PROMTOOL = shutil.which("promtool")


def sonde(*args, code=0, stdin=None):
    out = subprocess.run([harness.SONDE, "tsdb", *args], capture_output=True,
                         text=True, timeout=harness.PATIENCE * 2, input=stdin)
    need(out.returncode == code,
         f"sonde tsdb {' '.join(args)}: exit {out.returncode}, want {code}\n"
         f"{out.stdout[-2000:]}\n{out.stderr[-2000:]}")
    return out.stdout, out.stderr


def promtool(*args, tool=None):
    tool = tool or PROMTOOL
    need(tool, "the Debian package prometheus (promtool) is not installed")
    out = subprocess.run([tool, "tsdb", *args], capture_output=True,
                         text=True, timeout=harness.PATIENCE * 2)
    need(out.returncode == 0, f"promtool tsdb {args}: {out.stderr[-2000:]}")
    return out.stdout


def lines(text):
    return sorted(text.splitlines())


def same_lines(got, want, what):
    """Sorted lines; what differs is what is printed."""
    got, want = lines(got), lines(want)
    if got != want:
        extra, missing = set(got) - set(want), set(want) - set(got)
        raise AssertionError(f"{what}: {len(got)} lines, not {len(want)}; "
                             f"extra {sorted(extra)[:5]}, "
                             f"missing {sorted(missing)[:5]}")


def blocks_of(data):
    return sorted(n for n in os.listdir(data)
                  if re.fullmatch("[0-9A-HJKMNP-TV-Z]{26}", n))


def openmetrics(hours=7, step=60, seed=1):
    """Families whose samples span several windows; each series in order."""
    rnd = random.Random(seed)
    out = []
    for m in range(3):
        out.append(f"# TYPE m{m} gauge")
        for s in range(15):
            labels = f'k="{s % 4}",path="/a\\"b\\\\{s}",zone="ü{s % 3}"'
            if s == 14:
                labels = 'k="0"'
            v = rnd.random()
            for t in range(START, START + hours * 3600, step):
                if rnd.random() < 0.1:
                    continue
                v = rnd.choice([v, v + 1, rnd.random() * 10 ** rnd.randint(-9, 9)])
                value = rnd.choice([repr(v)] * 20 + ["NaN", "+Inf", "-Inf"])
                out.append(f"m{m}{{{labels}}} {value} {t}.{rnd.choice(['0', '125'])}")
    out.append("# EOF\n")
    return "\n".join(out)


def imported(case, *flags, name="data", **kw):
    text = case.write("in.om", openmetrics(**kw))
    data = case.path(name)
    sonde("import", *flags, text, data)
    os.makedirs(os.path.join(data, "wal"), exist_ok=True)
    return data


def backfilled(case, name="promtool", **kw):
    text = case.write("in.om", openmetrics(**kw))
    data = case.path(name)
    promtool("create-blocks-from", "openmetrics", text, data)
    os.makedirs(os.path.join(data, "wal"), exist_ok=True)
    return data


def test_import_is_what_promtool_makes(case):
    theirs = backfilled(case)
    want = promtool("dump", theirs)
    for flags in ([], ["--memory=1MB"]):
        ours = imported(case, *flags, name="ours" + str(len(flags)))
        equal(len(blocks_of(ours)), len(blocks_of(theirs)), "blocks")
        same_lines(promtool("dump", ours), want, f"dump {flags}")
        sonde("check", ours)
        # the same times and numbers of samples; fewer, larger chunks
        def columns(data):
            return [[r.split()[i] for i in (1, 2, 3, 4, 6)]
                    for r in promtool("list", data).splitlines()[1:]]
        equal(columns(ours), columns(theirs), "promtool list")


def test_import_in_any_order(case):
    text = openmetrics(hours=5)
    rows = [r for r in text.splitlines() if not r.startswith("#")]
    random.Random(7).shuffle(rows)
    shuffled = "# TYPE m0 gauge\n" + "\n".join(rows) + "\n# EOF\n"
    data = case.path("shuffled")
    out, _ = sonde("import", "--memory=1MB", "-", data, stdin=shuffled)
    need(f"{len(rows)} samples, 0 of them twice" in out, out)
    sonde("check", data)
    case.write("in.om", text)
    straight = case.path("straight")
    sonde("import", "-q", case.path("in.om"), straight)
    same_lines(sonde("dump", data)[0], sonde("dump", straight)[0], "dump")


def test_import_refuses(case):
    data = case.path("data")
    for text, why in [("a 1\n# EOF\n", "no timestamp"),
                      ("a 1 1\n", "EOF"),
                      ("a{ 1 1\n# EOF\n", "line 1"),
                      ("a 1 1\na 2 x\n# EOF\n", "line 2")]:
        _, err = sonde("import", "-", data, stdin=text, code=1)
        need(why in err, f"{text!r}: {err}")
        equal(os.listdir(data), [], text)
    sonde("import", code=2)
    sonde("import", "--format=json", "-", code=2)


def test_import_text_and_labels(case):
    data = case.path("data")
    sonde("import", "--format=text", "--label=dc=x", "-", data,
          stdin='a{k="v"} 1 1700000000000\na{k="v"} 2 1700000001000\n'
                'a{k="v"} 3 1700000001000\na{ k = "v" } 4 1700000002000\n')
    equal(sonde("dump", data)[0],
          '{__name__="a", dc="x", k="v"} 1 1700000000000\n'
          '{__name__="a", dc="x", k="v"} 2 1700000001000\n'
          '{__name__="a", dc="x", k="v"} 4 1700000002000\n', "dump")


def test_list_and_analyze(case):
    data = imported(case)
    equal(sonde("list", data)[0], promtool("list", data), "list")
    equal(sonde("list", "-r", data)[0], promtool("list", "-r", data), "list -r")
    ulid = blocks_of(data)[1]

    def sections(text):
        """The lists, without what is told by bytes; ties in any order."""
        head, *rest = text.split("\n\n")
        numbers = dict(re.findall(r"^(.*): (.*)$", head, re.M))
        numbers["Total Series"] = numbers.pop("Series", None) or \
            numbers.pop("Total Series")
        return ({k: numbers[k] for k in
                 ("Block ID", "Duration", "Total Series", "Label names",
                  "Postings (unique label pairs)",
                  "Postings entries (total label pairs)")},
                [(s.splitlines()[0], sorted(s.splitlines()[1:]))
                 for s in rest])
    for args in ([], [ulid]):
        equal(sections(sonde("analyze", "--limit=1000", data, *args)[0]),
              sections(promtool("analyze", "--limit=1000", data, *args)),
              f"analyze {args}")
    _, err = sonde("analyze", data, "01M7XP3Y3HAACQ0EJKC0M1FJ0Z", code=1)
    need("no block" in err, err)


def test_dump_selects(case):
    data = imported(case)
    for args in (["--match={k='0'}"], ["--match=m1{path=~'.*b.1.'}"],
                 [f"--min-time={(START + 3600) * 1000}"],
                 [f"--min-time={(START + 3600) * 1000}",
                  f"--max-time={(START + 9000) * 1000}", "--match=m0"]):
        want = promtool("dump", *args, data)
        need(want, f"promtool dump {args} is empty")
        same_lines(sonde("dump", *args, data)[0], want, f"{args}")
    _, err = sonde("dump", "--match={", data, code=1)
    need("parse error" in err, err)


def test_export_comes_back(case):
    data = imported(case)
    out = case.path("export.om")
    sonde("export", "-o", out, data)
    again = case.path("again")
    sonde("import", "-q", out, again)
    same_lines(sonde("dump", data)[0], sonde("dump", again)[0], "dump")
    csv, _ = sonde("export", "--format=csv", "--match=m0", data)
    equal(csv.count("\n") - 1,
          sonde("dump", "--match=m0", data)[0].count("\n"), "rows")


def flip(path, at=-9):
    with open(path, "r+b") as f:
        f.seek(at, os.SEEK_END if at < 0 else os.SEEK_SET)
        byte = f.read(1)[0]
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([byte ^ 4]))


def test_check_and_repair(case):
    data = imported(case)
    names = blocks_of(data)
    flip(os.path.join(data, names[0], "chunks/000001"))
    flip(os.path.join(data, names[1], "index"), 30)
    os.remove(os.path.join(data, names[2], "meta.json"))
    out, _ = sonde("check", data, code=1)
    for name in names[:3]:
        need(name in out, out)
    need(names[3] not in out and "3 blocks damaged" in out, out)
    equal(blocks_of(data), names, "check moves nothing")
    sonde("check", "--repair", data, code=1)
    equal(blocks_of(data), names[3:], "blocks that are left")
    equal(blocks_of(os.path.join(data, "quarantine")), names[:3], "quarantine")
    sonde("check", data)


def scraped(case, binary, tool):
    """A directory of a real Prometheus: log, head chunks, blocks."""
    target = harness.Target(case, body=lambda: (
        f"# TYPE x counter\nx_total {time.time()}\n"
        f"y{{a=\"b\"}} {time.time() % 7}\n"))
    config = ("global: {scrape_interval: 100ms}\nscrape_configs:\n"
              "- job_name: t\n  static_configs:\n"
              f"  - targets: ['{target.address}']\n")
    p = harness.Prometheus(case, config, "--web.enable-admin-api",
                           "--storage.tsdb.min-block-duration=2s",
                           "--storage.tsdb.max-block-duration=20s",
                           binary=binary)
    harness.wait_for("blocks", lambda: len(blocks_of(p.data)) >= 2)
    harness.get(p.url + "/api/v1/admin/tsdb/delete_series?match[]=y", method="POST")
    time.sleep(1)
    p.stop()
    return p.data


def compare_scraped(case, binary, tool):
    data = scraped(case, binary, tool)
    names = set(os.listdir(data))
    sonde("check", data)
    mine, _ = sonde("dump", data)
    equal(set(os.listdir(data)), names, "dump changes nothing")
    same_lines(mine, promtool("dump", data, tool=tool), "dump")
    equal(sonde("list", data)[0].splitlines()[1:],
          promtool("list", data, tool=tool).splitlines()[1:], "list")


def test_directory_of_prometheus(case):
    compare_scraped(case, shutil.which("prometheus"), PROMTOOL)


def test_directory_of_newer_prometheus(case):
    compare_scraped(case, harness.newest("prometheus"),
                    harness.newest("promtool"))


def test_newer_promtool_reads_ours(case):
    tool = harness.newest("promtool")
    data = imported(case)
    equal(sonde("list", data)[0], promtool("list", data, tool=tool), "list")
    same_lines(sonde("dump", data)[0], promtool("dump", data, tool=tool), "dump")
    theirs = case.path("theirs")
    promtool("create-blocks-from", "openmetrics", case.path("in.om"), theirs,
             tool=tool)
    sonde("check", theirs)
    same_lines(sonde("dump", theirs)[0], sonde("dump", data)[0], "dump of theirs")


def test_snapshot_of_a_stopped_store(case):
    data = imported(case)
    out, _ = sonde("snapshot", data)
    need(os.path.isdir(out.strip()), out)
    same_lines(sonde("dump", out.strip())[0], sonde("dump", data)[0], "dump")
    to = case.path("elsewhere")
    sonde("snapshot", "-o", to, data)
    equal(blocks_of(to), blocks_of(data), "blocks")


def test_snapshot_of_a_running_one(case):
    target = harness.Target(case, body="x 1\n")
    agent = harness.Sonde(
        case, "scrape_configs:\n- job_name: t\n  scrape_interval: 100ms\n"
        f"  static_configs:\n  - targets: ['{target.address}']\n",
        "--web.enable-admin-api")
    harness.wait_for("a sample", lambda: agent.value("x"))
    _, err = sonde("snapshot", agent.data, code=1)
    need("--server" in err, err)
    _, err = sonde("check", "--repair", agent.data, code=1)
    need("another process" in err, err)
    out, _ = sonde("snapshot", f"--server={agent.url}")
    need(re.match(r"^\d{8}T\d{6}Z-[0-9a-f]+$", out.strip()), out)
    path = os.path.join(agent.data, "snapshots", out.strip())
    need('__name__="x"' in sonde("dump", path)[0], "the snapshot has x")


if __name__ == "__main__":
    harness.run(globals())
