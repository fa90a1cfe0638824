# SPDX-License-Identifier: Apache-2.0
"""The API's administrative part, and limits of the store that a reload
changes; promtool and a real Prometheus look at what comes out."""
import time

from harness import *

ADMIN = "--web.enable-admin-api"


def admin(s, path, **params):
    data = urllib.parse.urlencode(params, doseq=True).encode()
    return get(f"{s.url}/api/v1/admin/tsdb/{path}", data,
               {"Content-Type": "application/x-www-form-urlencoded"}, "POST")


def scraped(case, *flags, text=None):
    t = case.target("keep 1\ndrop{a=\"x\"} 2\ndrop{a=\"y\"} 3\n")
    conf = config(job("app", t.address, interval="200ms"), rest=text or "")
    s = case.sonde(conf, *flags)
    wait_for("scrapes", lambda: t.hits >= 8)
    return s, t


def names(data):
    return {dict(k)["__name__"] for k in promtool_dump(data)}


def test_off(case):
    """without the flag: 500, as Prometheus answers"""
    s = case.sonde("global: {}\n")
    for path in ("snapshot", "delete_series", "clean_tombstones"):
        status, body = admin(s, path)
        equal(status, 500)
        equal(json.loads(body)["error"], "admin APIs disabled")


def test_snapshot(case):
    """a snapshot is a data directory that promtool and Prometheus take"""
    s, _ = scraped(case, ADMIN)
    status, body = admin(s, "snapshot")
    equal(status, 200, body)
    name = json.loads(body)["data"]["name"]
    need(re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{16}", name), name)
    path = os.path.join(s.data, "snapshots", name)
    copy = case.copy(path, "copy")
    os.mkdir(os.path.join(copy, "wal"))  # promtool asks for one
    need({"keep", "drop", "up"} <= names(copy), names(copy))
    p = case.prometheus(data=case.copy(path, "opened"))
    got = p.query("keep[1h]", time.time() + 1)
    need(got and len(got[0]["values"]) >= 7, got)


def test_delete_series(case):
    """deleted series are gone, now, for promtool, and after a restart"""
    s, t = scraped(case, ADMIN)
    before = time.time()
    t.close()
    case.cleanups.remove(t.close)
    s.wait_health("app", "down")
    equal(admin(s, "delete_series", **{"match[]": 'drop{a="x"}'})[0], 204)
    need(not any(dict(k).get("a") == "x"
                 for k in s.query("drop", time.time())), "gone at once")
    need(s.query('drop{a="y"}', before), "the other one is there")
    dump = promtool_dump(case.copy(s.data, "copy"))
    equal({dict(k).get("a") for k in dump if dict(k)["__name__"] == "drop"},
          {"y"}, "as promtool sees it")
    equal(admin(s, "clean_tombstones")[0], 204)
    s.kill()
    s = case.sonde("global: {}\n", ADMIN)
    equal({dict(k).get("a") for k in s.query("drop", before)}, {"y"},
          "after a restart")
    need(s.query("keep", before), "the others stay")


def test_retention_by_reload(case):
    """storage.tsdb of the configuration is shown and changed by a reload"""
    base = "global: {}\n"
    s = case.sonde(base)
    def kept():
        return s.api("status/runtimeinfo")["storageRetention"]
    equal(kept(), "15d")
    for text, want in (
            ("{time: 3d}", "3d"),
            ("{size: 2GB}", "2GiB"),
            ("{time: 3d, size: 2GB, percentage: 80}", "3d or 2GiB or 80%")):
        status, body = s.reload(base + f"storage: {{tsdb: {{retention: {text}, "
                                "out_of_order_time_window: 10m}}\n")
        equal(status, 200, body)
        equal(kept(), want)
    status, body = s.reload(base + "storage: {tsdb: {retention: "
                            "{percentage: 101}}}\n")
    equal(status, 500)
    equal(kept(), "3d or 2GiB or 80%")


def test_retention_flags(case):
    """the flags, and the file before them"""
    s = case.sonde("global: {}\n", "--storage.tsdb.retention.time=30d",
                   "--storage.tsdb.retention.size=10GB")
    equal(s.api("status/runtimeinfo")["storageRetention"], "30d or 10GiB")
    s.reload("storage: {tsdb: {retention: {time: 5d}}}\n")
    equal(s.api("status/runtimeinfo")["storageRetention"], "5d or 10GiB")


run(globals())
