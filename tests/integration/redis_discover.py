# SPDX-License-Identifier: Apache-2.0
"""/discover-cluster-nodes: the nodes of a cluster for Prometheus' service
discovery, beside redis_exporter on the same cluster."""
import json

from redis_servers import *

PAGE = "/discover-cluster-nodes"


class Exporter:
    """An exporter on a free port; `argv` is what it is started with."""

    def __init__(self, case, argv, name):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = Process(case, [
            *argv, "--web.listen-address", f"127.0.0.1:{self.port}"], name)
        wait_for(name, lambda: get(self.url + "/health")[0])

    def discover(self):
        return get(self.url + PAGE)

    def targets(self):
        """Sorted: the exporter asks any of the nodes."""
        with urllib.request.urlopen(self.url + PAGE, timeout=PATIENCE) as r:
            equal(r.headers["Content-Type"], "application/json")
            groups = json.load(r)
        equal([sorted(g) for g in groups], [["labels", "targets"]])
        equal(groups[0]["labels"], {})
        return sorted(groups[0]["targets"])


def ours(case, *flags):
    return Exporter(case, [SONDE, "exporter", "redis", *flags], "ours")


def theirs(case, *flags):
    return Exporter(case, [newest("prometheus-redis-exporter"), *flags],
                    "theirs")


def of(nodes, scheme="redis"):
    return sorted(f"{scheme}://{n.address}" for n in nodes)


def test_nodes(case):
    """host names, nodes that are down: as redis_exporter"""
    nodes, _ = cluster(case, "--cluster-node-timeout", "1000")
    flags = [f"--redis.addr=redis://{nodes[0].address}", "--is-cluster"]
    plain = [start(case, *flags) for start in (ours, theirs)]
    named = [start(case, *flags, "--cluster-discover-hostnames")
             for start in (ours, theirs)]
    nodes[1]("CONFIG", "SET", "cluster-announce-hostname", "two.example")
    wait_for("the name", lambda: b",two.example " in
             nodes[0]("CLUSTER", "NODES"))
    nodes[2].process.kill()
    wait_for("the failure", lambda: b" master,fail " in
             nodes[0]("CLUSTER", "NODES"))
    for e in plain:
        equal(e.targets(), of(nodes))
    for e in named:
        equal(e.targets(), sorted(
            of([nodes[0], nodes[2]]) +
            [f"redis://two.example:{nodes[1].port}"]))


def test_refusals(case):
    """no cluster wanted, none there, nobody there: as redis_exporter"""
    alone = Server(case)
    dead = f"127.0.0.1:{free_port()}"
    cases = ((400, alone.address, []), (500, alone.address, ["--is-cluster"]),
             (500, dead, ["--is-cluster"]))
    for status, address, flags in cases:
        for start in (ours, theirs):
            e = start(case, f"--redis.addr=redis://{address}", *flags)
            got, body = e.discover()
            print(f"# {start.__name__}: {body.strip()}")
            equal(got, status, body)
            need(status == 500 or body.startswith(
                "The discovery endpoint is only available on a redis "
                "cluster"), body)


def test_rights(case):
    """a user that may ask for nodes and nothing else, and one that may not"""
    node = Server(case, "redis7", "--cluster-enabled", "yes",
                  "--cluster-announce-ip", "127.0.0.1")
    node.acl("may", "-@all", "+cluster|nodes")
    node.acl("not", "-@all", "+info")
    for user, status in (("may", 200), ("not", 500)):
        e = ours(case, f"--redis.addr=redis://{node.address}",
                 "--is-cluster", f"--redis.user={user}",
                 f"--redis.password=secret-{user}")
        got, body = e.discover()
        equal(got, status, body)
        need("secret" not in body, body)
        need(status == 200 or "cluster|nodes" in body, body)


def test_tls(case):
    """rediss:// in, rediss:// out, with the ports of TLS"""
    ca = certificate(case, "ca")
    crt, key = certificate(case, "server", ca)
    port = free_port()
    node = Server(case, "redis7", "--cluster-enabled", "yes", "--tls-port",
                  str(port), "--tls-cert-file", crt, "--tls-key-file", key,
                  "--tls-ca-cert-file", ca[0], "--tls-auth-clients", "no",
                  "--cluster-announce-ip", "127.0.0.1",
                  "--tls-cluster", "yes")
    node("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    flags = [f"--redis.addr=rediss://127.0.0.1:{port}", "--is-cluster",
             f"--tls-ca-cert-file={ca[0]}"]
    for start in (ours, theirs):
        equal(start(case, *flags).targets(), [f"rediss://127.0.0.1:{port}"])


def test_job(case):
    """the page of a job: several ways in, one of which is closed"""
    nodes = [Server(case, "redis7", "--cluster-enabled", "yes",
                    "--cluster-announce-ip", "127.0.0.1") for _ in range(2)]
    nodes[0]("CLUSTER", "MEET", "127.0.0.1", nodes[1].port)
    for n in nodes:
        wait_for("the cluster", lambda: b"cluster_known_nodes:2" in
                 n("CLUSTER", "INFO"))
    dead = f"127.0.0.1:{free_port()}"
    port = free_port()
    targets = [nodes[0].address, dead, nodes[1].address]
    s = case.sonde(config(job(
        "redis", *targets, plugin="redis", expose=f"127.0.0.1:{port}",
        options="{is_cluster: true}")))
    wait_for("redis_up", lambda: s.value("sum(redis_up)") == 2.0)
    status, body = get(f"http://127.0.0.1:{port}{PAGE}")
    equal(status, 200, body)
    equal(sorted(json.loads(body)[0]["targets"]), of(nodes))
    need("a target names no others" in s.log(), "the log")
    equal(s.value("sum(redis_up)"), 2.0)


def test_prometheus(case):
    """Prometheus finds the nodes and scrapes each through /scrape"""
    nodes, _ = cluster(case)
    e = ours(case, f"--redis.addr=redis://{nodes[0].address}", "--is-cluster",
             "--allow=127.0.0.0/8")
    p = case.prometheus(f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: nodes
    metrics_path: /scrape
    http_sd_configs:
      - {{url: "{e.url}{PAGE}", refresh_interval: 1s}}
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__param_target], target_label: instance}}
      - {{target_label: __address__, replacement: "127.0.0.1:{e.port}"}}
""")
    wait_for("all nodes", lambda: sorted(
        r["metric"]["instance"] for r in p.query("redis_up == 1",
                                                 time.time())) == of(nodes))


run(globals())
