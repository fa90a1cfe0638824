# SPDX-License-Identifier: Apache-2.0
"""Random queries, whole and spoiled, formatted by the agent and by a real
Prometheus (the newest): texts, and errors with their places, are the same but
for what later versions expect elsewhere.

SONDE_TEST_QUERIES (how many), SONDE_TEST_SEED, and SONDE_TEST_VERBOSE (all
differences) change a run.
"""
import json
import os
import random
import re

from harness import *
from promql_queries import *

QUERIES = int(os.environ.get("SONDE_TEST_QUERIES", "2000"))
SEED = int(os.environ.get("SONDE_TEST_SEED", "20261121"))
VERBOSE = "SONDE_TEST_VERBOSE" in os.environ
FEATURE = "--enable-feature=promql-experimental-functions"

# Rules of versions after 3.5 that explain a difference: (why, test).
KNOWN = [
    ("other words for what a duration may be",
     lambda q, ours, theirs: "expected number or duration" in theirs),
    ("start() and others are functions",
     lambda q, ours, theirs: re.search(
         r"\b(start|end|step|range|min_of|max_of)\s*\(", q)),
    ("3.5 takes any letter in brackets for the colon",
     lambda q, ours, theirs: "expected ':'" in ours or
     re.search(r"\[[^\]]*[0-9][a-z]* *[a-zA-Z_]", q)),
    ("3.5 has no name for @", lambda q, ours, theirs: "<Item " in theirs),
    ("3.5 panics", lambda q, ours, theirs: "unexpected error" in theirs),
    ("3.5 quotes labels as it does metrics",
     lambda q, ours, theirs: ours.replace('"', "") ==
     theirs.replace('"', "")),
]


def formatted(url, query):
    """The text, or the error."""
    status, text = get(f"{url}/api/v1/format_query?"
                       + urllib.parse.urlencode({"query": query}))
    doc = json.loads(text)
    return doc["data"] if status == 200 else f"{status} {doc['error']}"


def compare(case, make):
    rng = random.Random(SEED)
    peer = case.prometheus("global: {}\n", FEATURE,
                           binary=newest("prometheus"))
    s = case.sonde("scrape_configs: []\n", FEATURE)
    g = Generator(rng, 1700000000000)
    differing = []
    explained = 0
    for _ in range(QUERIES // 2):
        query = make(rng, g.vector(rng.choice([1, 2, 3, 4])))
        ours, theirs = formatted(s.url, query), formatted(peer.url, query)
        need(s.alive(), f"sonde ended at {query}")
        if ours == theirs:
            continue
        if any(test(query, ours, theirs) for _, test in KNOWN):
            explained += 1
            continue
        differing.append((query, ours, theirs))
        if VERBOSE:
            print(f"# {query!r}\n#    {ours}\n#    {theirs}", flush=True)
    print(f"# {QUERIES // 2} queries, {len(differing)} differ, "
          f"{explained} explained")
    need(not differing, "\n".join(
        f"{q!r}\n  {o}\n  {t}" for q, o, t in differing[:10]))


def test_format(case):
    """queries are printed as a real Prometheus prints them"""
    compare(case, lambda rng, query: query)


def test_errors(case):
    """and refused with its words, at its places"""
    compare(case, spoil)


run(globals())
