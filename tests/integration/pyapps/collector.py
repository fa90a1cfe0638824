# SPDX-License-Identifier: Apache-2.0
"""Prints what the library itself makes of a folder of files, as JSON:
{series as a sorted list of labels, the name among them: value}."""
import json
import sys

from prometheus_client import CollectorRegistry, multiprocess

registry = CollectorRegistry()
multiprocess.MultiProcessCollector(registry, sys.argv[1])
print(json.dumps([[sorted({**s.labels, "__name__": s.name}.items()), s.value]
                  for m in registry.collect() for s in m.samples]))
