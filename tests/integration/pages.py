# SPDX-License-Identifier: Apache-2.0
"""Pages in Prometheus' text format, as tests compare them."""
import re

from harness import need

LINE = re.compile(r'^([\w:]+(?:\{.*\})?) (\S+)(?: -?\d+)?$')


def page_text(page):
    """{family: type} and {series as it is written: value}."""
    types, series = {}, {}
    for line in page.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            types[name] = kind
        elif line and not line.startswith("#"):
            m = LINE.match(line)
            need(m, f"not a line of the text format: {line!r}")
            series[m.group(1)] = float(m.group(2))
    return types, series


def split_key(key):
    """(name, labels as a sorted tuple); an empty label is an absent one."""
    name, _, rest = key.partition("{")
    labels = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', rest)
    return name, tuple(sorted((k, v) for k, v in labels if v))


def parse(page):
    """{family: type} and {(name, labels): value}."""
    types, series = page_text(page)
    return types, {split_key(k): v for k, v in series.items()}
