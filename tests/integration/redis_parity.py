# SPDX-License-Identifier: Apache-2.0
"""redis_exporter and the redis plugin on the same live servers, under load:
the same families, types, labels, series and values.

Each comparison scrapes the exporter, the plugin, and the exporter again.
A value on which both exporter's scrapes agree must be the plugin's too; a
counter that moved must lie between them. What differs must be in REASONS with
its reason, and the last test fails for reasons that nothing needed.
"""
from redis_servers import *

# What a scrape, ours or theirs, or the load moves by itself.
MOVING = re.compile(
    r"^redis_(commands_|latency_|connections_received|net_|cpu_|mem|"
    r"allocator_|total_(reads|writes|error)|slowlog_|last_slow|keyspace_|"
    r"uptime|stream_group_consumer_idle|errors_total|client_recent|"
    r"expire_cycle|eventloop|instantaneous|exporter_|io_threaded|"
    r"active_time|aof_|connected_client|evicted_|reply_buffer|"
    r"master_last_io|master_repl_offset|slave_repl_offset|"
    r"repl_backlog|connected_slave|sentinel_master_last_ok|"
    r"rdb_changes|acl_access|unexpected_error|commandlog_|"
    r"last_key_groups_scrape|expired_stale|"
    r"cluster_stats|cluster_messages)")

OLD, NEW, BOTH = ("1.45",), ("newest",), ("1.45", "newest")
# (versions, what: families, series or values, pattern, reason)
REASONS = [
    (BOTH, "family there", r"(process|go|promhttp)_.*",
     "the exporter's own process; the agent has its own self-metrics"),
    (BOTH, "series", r"redis_exporter_build_info\{.*",
     "commit, date and Go version of another program"),
    (OLD, "type", r"redis_expired_time_cap_reached_total",
     "1.45 calls the counter a gauge"),
    (BOTH, "family here", r"sonde_collector_.*",
     "success, duration and age of each part, of our own"),
    (BOTH, "value", r"redis_exporter_scrapes_total",
     "counts the collections of the program that says it"),
    (BOTH, "series", r'redis_key_size\{.*key="none"\}',
     "1.45, and 1.86 for single keys, give 0 for a key that is not there; "
     "1.88 nothing"),
    (OLD, "series", r"redis_instance_info\{.*",
     "1.45 has no master_replid"),
    (OLD, "series", r"redis_script_values\{.*",
     "1.45 takes one script and has no label for its file"),
    (BOTH, "family here", r"redis_plugin_key_walk_.*",
     "age and size of the walk over the keys, of our own"),
    (OLD, "family here",
     r"redis_(acl_access_denied_\w+|allocator_muzzy_bytes|async_loading|"
     r"client_\w+_limit_disconnections_total|cluster_connections|"
     r"commands_latencies_usec|config_client_output_\w+|"
     r"config_io_threads|config_repl_backlog_size|configured_hz|"
     r"current_eviction_exceeded_time_ms|evicted_(clients|scripts)_total|"
     r"eventloop_\w+|eviction_exceeded_time_ms_total|"
     r"expire_cycle_cpu_time_ms_total|expired_subkeys_total|hz|"
     r"instantaneous_eventloop_\w+|io_threads_active|key_memory_usage_bytes|"
     r"lazyfreed_objects|max_clients|"
     r"mem_(aof_buffer|cluster_links|overhead_db_hashtable_rehashing|"
     r"replication_backlog|total_replication_buffers)_bytes|"
     r"memory_used_(functions|scripts_eval|vm_\w+)(_bytes)?|"
     r"memory_used_vm_total|net_repl_\w+_bytes_total|"
     r"number_of_(functions|libraries)|pubsub_clients|pubsubshard_channels|"
     r"rdb_last_load_\w+_keys|rdb_saves_total|reply_buffer_\w+_total|"
     r"total_blocking_keys(_on_nokey)?|total_watched_keys|"
     r"watching_clients|active_time_main_thread_seconds_total|"
     r"active_time_io_thread_seconds_total|commandlog_\w+|"
     r"stream_(first_entry_id|last_entry_id|max_deleted_entry_id|"
     r"entries_added_total|group_entries_read|group_lag)|"
     r"script_result|connected_client_\w+|sentinel_master_config_epoch|"
     r"sentinel_master_setting_\w+|sentinel_master_last_ok_ping_reply_\w+)",
     "newer than 1.45"),
    (NEW, "family here",
     r"redis_(stream_entries_added_total|commandlog_\w+|"
     r"active_time_(main|io)_thread_seconds_total)",
     "newer than 1.86"),
    (OLD, "family there", r"redis_db\d+_distrib_\w+",
     "1.45 exports what it can not read as 0"),
    (NEW, "series",
     r'redis_(sentinel_)?config_key_value\{.*"(primaryauth|sentinel-pass)".*',
     "passwords that the exporter does not leave out"),
    (NEW, "series", r'redis_connected_client_\w+\{.*name="sonde".*',
     "each sees its own connection"),
]
USED = set()


def reason(version, what, name):
    for i, (versions, kind, pattern, _) in enumerate(REASONS):
        if version in versions and kind == what and \
                re.fullmatch(pattern, name):
            USED.add(i)
            return True
    return False


def exporter_path(version):
    if version == "1.45":
        path = shutil.which("prometheus-redis-exporter")
        need(path, "prometheus-redis-exporter is not installed")
        return path
    return newest("prometheus-redis-exporter")


class Exporter:
    def __init__(self, case, version, address, *flags):
        self.port = free_port()
        Process(case, [exporter_path(version), "-redis.addr",
                       f"redis://{address}", "-web.listen-address",
                       f"127.0.0.1:{self.port}", *flags],
                f"exporter-{version}")
        wait_for("the exporter", self.page)

    def page(self):
        return parse(get(f"http://127.0.0.1:{self.port}/metrics")[1])


def text_of(key):
    return key[0] + "{" + ",".join(f'{k}="{v}"' for k, v in key[1]) + "}"


def family_of(name, types):
    for suffix in ("", "_bucket", "_sum", "_count"):
        if name.endswith(suffix) and name[:len(name) - len(suffix)] in types:
            return name[:len(name) - len(suffix)]
    return name


def differences(version, first, ours, second):
    """Lines that say what differs without a reason."""
    types, series = second
    out = []
    for f, kind in types.items():
        if f not in ours[0]:
            if not reason(version, "family there", f):
                out.append(f"family {f} is missing")
        elif ours[0][f] != kind and not reason(version, "type", f):
            out.append(f"{f}: {kind} there, {ours[0][f]} here")
    for f in ours[0]:
        if f not in types and f not in first[0] and \
                not reason(version, "family here", f):
            out.append(f"family {f} is only here")
    for key in sorted(series.keys() | ours[1].keys()):
        f = family_of(key[0], types if key in series else ours[0])
        if f not in types or f not in ours[0]:
            continue
        if key in first[1] and key in series and key not in ours[1] or \
                key in ours[1] and key not in first[1] and key not in series:
            if not reason(version, "series", text_of(key)):
                out.append(f"series {key} is only " +
                           ("there" if key in series else "here"))
        elif key in series and key in first[1]:
            out += value_differs(version, types[f], f, key, first[1][key],
                                 ours[1][key], series[key])
    return out


def value_differs(version, kind, family, key, a, v, b):
    same = a == b or (a != a and b != b)
    if same and (v == a or (v != v and a != a)):
        return []
    if MOVING.match(family):
        # A counter that moved lies between; ours may be seen first.
        if kind == "counter" and not same and not a <= v <= b and \
                not reason(version, "value", family):
            return [f"{key}: {v}, there {a} and then {b}"]
        return []
    if not same and min(a, b) / 2 - 1 <= v <= max(a, b) * 2 + 1:
        return []
    if family == "redis_start_time_seconds" and abs(v - a) <= 2:
        return []
    if reason(version, "value", family):
        return []
    return [f"{key}: {v}, there {a} and then {b}"]


def compare(case, version, address, flags=(), options=()):
    e = Exporter(case, version, address, *flags)
    scrape(address, *options)
    e.page()  # now each knows the other's commands
    wrong = None
    for _ in range(3):  # a gauge can move and move back within a scrape
        wrong = differences(version, e.page(), scrape(address, *options),
                            e.page())
        if not wrong:
            return
    raise AssertionError("\n".join(wrong[:30]))


# ---- servers ----------------------------------------------------------------

KEYS = "db0=str,num,list,set,zset,hash,hll,stream,db3=user:1:*"
SINGLE = "db3=odd,db9=none"
LOGS = ("--latency-monitor-threshold", "1", "--slowlog-log-slower-than", "0")


def everything(case, version, name, *server_flags):
    s = Server(case, name, *LOGS, *server_flags).fill()
    Load(case, s)
    script = case.write("script.lua", "return {'a', '1', 'b', '2.5'}")
    pairs = {
        "check-keys": KEYS, "check-single-keys": SINGLE,
        "count-keys": "db3=user:*,db3=job:*,db0=*",
        "check-streams": "walk*", "check-single-streams": "stream",
        "check-key-groups": "^(user):,^([a-z]+):%d",
        "script": script,
    }
    switches = ["include-system-metrics", "include-config-metrics"]
    if version == "newest":
        switches += ["include-modules-metrics", "append-instance-role-label",
                     "include-rdb-file-size-metric", "ping-on-connect"]
        pairs["max-distinct-key-groups"] = "2"
    flags = [f"-{k}={v}" for k, v in pairs.items()]
    options = [f"{k.replace('-', '_')}={v}" for k, v in pairs.items()]
    flags += [f"-{k}" for k in switches]
    options += [f"{k.replace('-', '_')}=true" for k in switches]
    compare(case, version, s.address, flags, options)


def test_redis7_old(case):
    """Redis 7, everything, against Debian's exporter"""
    everything(case, "1.45", "redis7")


def test_redis7_new(case):
    """Redis 7, everything, against the newest exporter"""
    everything(case, "newest", "redis7")


def test_redis8_new(case):
    """Redis 8, everything, against the newest exporter"""
    everything(case, "newest", "redis8", "--appendonly", "yes")


def test_redis8_old(case):
    """Redis 8, everything, against Debian's exporter"""
    everything(case, "1.45", "redis8")


def test_valkey9_new(case):
    """Valkey 9, everything, against the newest exporter"""
    everything(case, "newest", "valkey9", "--io-threads", "2")


def test_clients_new(case):
    """CLIENT LIST of Redis 8 with ports, against the newest exporter"""
    s = Server(case, "redis8").fill()
    c = s.connect()
    c("CLIENT", "SETNAME", "a-client")
    c("SUBSCRIBE", "channel")
    compare(case, "newest", s.address,
            ["-export-client-list", "-export-client-port"],
            ["export_client_list=true", "export_client_port=true"])


def replicas(case, version):
    master = Server(case, "redis7", *LOGS).fill()
    replica = Server(case, "redis7", "--replicaof", "127.0.0.1",
                     str(master.port))
    wait_for("the link", lambda: b"master_link_status:up" in
             replica("INFO", "replication"))
    wait_for("the replica", lambda: b"state=online" in
             master("INFO", "replication"))
    Load(case, master)
    for s in (master, replica):
        compare(case, version, s.address,
                ["-skip-checkkeys-for-role-master", "-count-keys=db3=*"]
                if version == "newest" else [],
                ["skip_checkkeys_for_role_master=true", "count_keys=db3=*"]
                if version == "newest" else [])


def test_replica_old(case):
    """master and replica, against Debian's exporter"""
    replicas(case, "1.45")


def test_replica_new(case):
    """master and replica, against the newest exporter"""
    replicas(case, "newest")


def cluster(case, version):
    s = Server(case, "redis7", "--cluster-enabled", "yes")
    c = s.connect()
    c("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    wait_for("the cluster", lambda: b"cluster_state:ok" in
             c("CLUSTER", "INFO"))
    s.fill()
    Load(case, s)
    compare(case, version, s.address,
            ["-is-cluster", "-check-keys=str,num,h*", "-count-keys=*"],
            ["is_cluster=true", "check_keys=str,num,h*", "count_keys=*"])


def test_cluster_old(case):
    """a cluster of one node, against Debian's exporter"""
    cluster(case, "1.45")


def test_cluster_new(case):
    """a cluster of one node, against the newest exporter"""
    cluster(case, "newest")


def sentinel(case, version, *switches):
    master = Server(case)
    replica = Server(case, "redis7", "--replicaof", "127.0.0.1",
                     str(master.port))
    s = [Server(case, "redis7", "--sentinel", config=(
        f"sentinel monitor one 127.0.0.1 {master.port} 2\n"
        f"sentinel down-after-milliseconds one 60000\n"))
        for _ in range(2)]
    wait_for("the replica", lambda: b"slaves=1,sentinels=2" in
             s[0]("INFO", "sentinel"))
    wait_for("the quorum", lambda: str(s[0]("SENTINEL", "CKQUORUM", "one"))
             .startswith("+OK"))
    replica("PING")
    compare(case, version, s[0].address, [f"-{k}" for k in switches],
            [f"{k.replace('-', '_')}=true" for k in switches])


def test_sentinel_old(case):
    """a Sentinel, against Debian's exporter"""
    sentinel(case, "1.45")


def test_sentinel_new(case):
    """a Sentinel with peers and settings, against the newest exporter"""
    sentinel(case, "newest", "include-sentinel-peer-info",
             "include-config-metrics")


def acl(case, version):
    s = Server(case).fill()
    s.acl("few", "-@all", "+info", "+client|setname")
    compare(case, version, s.address,
            ["-redis.user", "few", "-redis.password", "secret-few"],
            ["user=few", "password=secret-few"])


def test_acl_old(case):
    """a user with few rights, against Debian's exporter"""
    acl(case, "1.45")


def test_acl_new(case):
    """a user with few rights, against the newest exporter"""
    acl(case, "newest")


def test_zz_reasons(case):
    """every reason for a difference was needed"""
    unused = [r[2:] for i, r in enumerate(REASONS) if i not in USED]
    if len(sys.argv) > 1:
        raise Skip("not all comparisons were run")
    equal(unused, [], "reasons that nothing needed")


run(globals())
