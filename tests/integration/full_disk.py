# SPDX-License-Identifier: Apache-2.0
"""A full disk: queries go on, samples are refused and taken again when there
is room, a start is no crash, and retention makes room. The disk is a small
tmpfs in a mount namespace of this program's own."""
from harness import *

FILL = os.path.join(BUILD, "tests", "bench", "fill_bench")
INSIDE = "SONDE_TEST_NAMESPACE"


def enter_namespace():
    """Starts this program again where it may mount."""
    if os.environ.get(INSIDE):
        return True
    if subprocess.run(["unshare", "-rm", "true"],
                      capture_output=True).returncode != 0:
        return False
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "-rm", sys.executable] + sys.argv)


def small_disk(case, mib, name="data"):
    need_namespace()
    path = case.path(name)
    os.makedirs(path)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs",
                    path], check=True)
    case.cleanups.append(lambda: subprocess.run(["umount", "-l", path]))
    return path


def need_namespace():
    if not CAN_MOUNT:
        raise Skip("no mount namespaces here")


def ballast(data):
    """Fills the disk; returns the file to remove."""
    path = os.path.join(data, "ballast")
    with open(path, "wb", buffering=0) as f:
        size = 1 << 20
        while size >= 1:
            try:
                f.write(b"x" * size)
            except OSError:
                size //= 2
    return path


def counting(case):
    n = [0]

    def body():
        n[0] += 1
        return f"counter_total {n[0]}\n"
    t = case.target(body)
    return t, config(job("app", t.address, interval="200ms"))


def refused(s):
    return s.metric("prometheus_tsdb_wal_writes_failed_total")


def test_full_and_free_again(case):
    """full: queries go on, samples are refused; free: they are taken again"""
    data = small_disk(case, 8)
    t, text = counting(case)
    s = case.sonde(text)
    wait_for("samples", lambda: (s.value("counter_total") or 0) > 3)
    at = time.time()
    path = ballast(data)
    wait_for("refused writes", lambda: (refused(s) or 0) > 3)
    served = len(t.served)
    need(s.value("counter_total", at) is not None, "queries go on")
    wait_for("more scrapes", lambda: len(t.served) > served + 5)
    os.unlink(path)
    served = len(t.served)
    wait_for("new samples", lambda: (s.value("counter_total") or 0) > served)
    need(len(s.log().splitlines()) < 60, "no flood of lines")


def test_start_when_full(case):
    """a start on a full disk serves what is there and waits for room"""
    data = small_disk(case, 8)
    t, text = counting(case)
    s = case.sonde(text)
    wait_for("samples", lambda: (s.value("counter_total") or 0) > 3)
    at = time.time()
    s.kill()
    path = ballast(data)
    s = case.sonde(text)
    need(s.value("counter_total", at) is not None, "queries work")
    wait_for("refused writes", lambda: (refused(s) or 0) > 1)
    served = len(t.served)
    os.unlink(path)
    wait_for("new samples", lambda: (s.value("counter_total") or 0) > served)


def test_retention_makes_room(case):
    """retention deletes blocks on a full disk, and that makes room"""
    data = small_disk(case, 24)
    out = subprocess.run([FILL, data, "2000", "9", "30"], capture_output=True,
                         text=True, timeout=PATIENCE)
    equal((out.returncode, out.stderr), (0, ""), "fill")
    names = [n for n in os.listdir(data) if len(n) == 26]
    need(names, "there are blocks")
    ballast(data)
    t, text = counting(case)
    s = case.sonde(text, "--storage.tsdb.retention.size=1MB")
    wait_for("blocks to go", lambda: not any(
        os.path.exists(os.path.join(data, n)) for n in names))
    wait_for("samples", lambda: (s.value("counter_total") or 0) > 3)


def test_compaction_without_room(case):
    """what was acknowledged is there after compacting into a full disk"""
    for mib in 1, 2:
        data = small_disk(case, mib, f"data{mib}")
        out = subprocess.run([FILL, data, "400", "900", "60"], text=True,
                             capture_output=True, timeout=PATIENCE,
                             env=dict(os.environ, FILL_TELL="1"))
        need("No space left" in out.stderr, out.stderr)
        rounds = len(out.stdout.splitlines())
        before = promtool_dump(case.copy(data, f"before{mib}"))
        subprocess.run(["mount", "-o", "remount,size=64m", data], check=True)
        out = subprocess.run([FILL, data, "400", "0", "60"], text=True,
                             capture_output=True, timeout=PATIENCE)
        equal((out.returncode, out.stderr), (0, ""), "with room")
        after = promtool_dump(case.copy(data, f"after{mib}"))
        need(all(len(v) >= rounds for v in before.values()), "acknowledged")
        equal(len(before), 400)
        equal(after, before)


CAN_MOUNT = enter_namespace()
run(globals())
