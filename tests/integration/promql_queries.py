# SPDX-License-Identifier: Apache-2.0
"""Random PromQL over the series that promql_diff.py writes."""
import re

SPAN_S = 3600  # that the series cover


class Generator:
    def __init__(self, rng, start):
        self.rng, self.start = rng, start

    def pick(self, *choices):
        return self.rng.choice(choices)

    def matchers(self):
        r = self.rng
        kinds = [lambda: f'job="{r.choice("ab")}"', lambda: 'job!="a"',
                 lambda: f'i=~"{r.choice(["0|1", "[0-2]", ".*", "1|2|3"])}"',
                 lambda: 'i!~"0|3"', lambda: 'missing=""', lambda: 'i=""']
        return ",".join(k() for k in r.sample(kinds, r.choice([0, 0, 1, 1, 2])))

    def name(self):
        return self.pick("c_total", "c_total", "g", "g", "g2", "one",
                         "h_bucket", "h_count", "nh", "nf")

    def shift(self):
        r = self.rng.random()
        if r < 0.8:
            return ""
        if r < 0.9:
            return " offset " + self.pick("1m", "37s", "-30s", "5m")
        at = self.start // 1000 + self.rng.randrange(0, SPAN_S)
        return self.pick(f" @ {at}", " @ start()", " @ end()",
                         f" @ {at} offset 1m")

    def selector(self, name=None):
        return f"{name or self.name()}{{{self.matchers()}}}"

    def instant(self):
        return self.selector() + self.shift()

    def window(self):
        return self.pick("30s", "1m", "2m", "5m", "10m", "17s", "90s")

    def ranged(self, depth):
        if depth > 0 and self.rng.random() < 0.2:
            return (f"({self.vector(depth - 1)})[{self.window()}:"
                    f"{self.pick('15s', '30s', '1m', '7s')}]{self.shift()}")
        return f"{self.selector()}[{self.window()}]{self.shift()}"

    def scalar(self, depth):
        r = self.rng.random()
        if r < 0.6 or depth <= 0:
            return self.pick("0", "1", "2", "0.5", "-1", "3.7", "NaN", "Inf",
                             "1e3", "100")
        if r < 0.75:
            return f"scalar({self.vector(depth - 1)})"
        if r < 0.85:
            return self.pick("time()", "pi()")
        return (f"({self.scalar(depth - 1)} "
                f"{self.pick('+', '-', '*', '/', '%', '^')} "
                f"{self.scalar(depth - 1)})")

    def over_range(self, depth):
        f = self.pick(
            "rate", "increase", "delta", "irate", "idelta", "rate", "rate",
            "sum_over_time", "avg_over_time", "min_over_time",
            "max_over_time", "count_over_time", "stddev_over_time",
            "stdvar_over_time", "last_over_time", "present_over_time",
            "changes", "resets", "deriv", "absent_over_time",
            "quantile_over_time", "predict_linear", "mad_over_time",
            "double_exponential_smoothing")
        if f == "quantile_over_time":
            return f"{f}({self.pick('0.5', '0.9', '0', '1', '1.5')}, " \
                   f"{self.ranged(depth)})"
        if f == "predict_linear":
            return f"{f}({self.ranged(depth)}, {self.pick('60', '3600')})"
        if f == "double_exponential_smoothing":
            return f"{f}({self.ranged(depth)}, 0.3, 0.6)"
        return f"{f}({self.ranged(depth)})"

    def grouping(self):
        return self.pick("", "", " by (job)", " by (i)", " by (job, i)",
                         " without (i)", " without (job)", " by ()",
                         " by (le)", " by (__name__)")

    def aggregation(self, depth):
        op = self.pick("sum", "sum", "avg", "min", "max", "count", "group",
                       "stddev", "stdvar", "topk", "bottomk", "quantile",
                       "count_values")
        of = self.vector(depth - 1)
        if op in ("topk", "bottomk"):
            of = f"{self.pick('1', '2', '3', '0')}, {of}"
        elif op == "quantile":
            of = f"{self.pick('0.5', '0.9', '0', '-1')}, {of}"
        elif op == "count_values":
            of = f'"v", {of}'
        return f"{op}{self.grouping()} ({of})"

    def binary(self, depth):
        op = self.pick("+", "-", "*", "/", "%", "^", "atan2", "==", "!=", "<",
                       ">", "<=", ">=", "and", "or", "unless")
        flag = " bool" if op in ("==", "!=", "<", ">", "<=", ">=") and \
            self.rng.random() < 0.4 else ""
        kind = self.rng.random()
        a, b = self.vector(depth - 1), self.vector(depth - 1)
        if op in ("and", "or", "unless"):
            m = self.pick("", " on (job)", " ignoring (i)", " on (job, i)",
                          " on ()")
            return f"({a}) {op}{m} ({b})"
        if kind < 0.25:
            return f"({a}) {op}{flag} {self.scalar(1)}"
        if kind < 0.4:
            return f"{self.scalar(1)} {op}{flag} ({a})"
        m = self.pick("", "", " on (job, i)", " ignoring (role)", " on (job)")
        if m == " on (job)":
            side = self.pick(" group_left", " group_left (role)",
                             " group_right")
            one = self.pick("one", "sum by (job) (g)", "max by (job) (c_total)")
            many = self.selector(self.pick("g", "c_total", "g2"))
            if "right" in side:
                return f"{one} {op}{flag}{m}{side} {many}"
            return f"{many} {op}{flag}{m}{side} {one}"
        return f"({a}) {op}{flag}{m} ({b})"

    def element(self, depth):
        f = self.pick("abs", "ceil", "floor", "exp", "ln", "log2", "log10",
                      "sqrt", "sgn", "round", "clamp", "clamp_min",
                      "clamp_max", "sin", "cos", "tan", "asin", "atan", "sinh",
                      "deg", "rad", "timestamp", "day_of_week", "hour",
                      "minute", "month", "year", "days_in_month",
                      "day_of_year", "absent", "vector", "sort", "sort_desc",
                      "label_replace", "label_join", "histogram_quantile",
                      "histogram_count", "histogram_sum", "histogram_avg",
                      "histogram_fraction", "histogram_stddev")
        of = self.vector(depth - 1)
        if f == "round":
            return f"round({of}{self.pick('', ', 5', ', 0.1')})"
        if f == "clamp":
            return f"clamp({of}, {self.pick('0', '-5')}, {self.pick('5', '50')})"
        if f in ("clamp_min", "clamp_max"):
            return f"{f}({of}, {self.pick('0', '10')})"
        if f == "vector":
            return f"vector({self.scalar(depth - 1)})"
        if f == "label_replace":
            return f'label_replace({of}, "x", "$1-y", "i", "(.*)")'
        if f == "label_join":
            return f'label_join({of}, "x", "-", "job", "i")'
        if f == "histogram_quantile":
            q = self.pick("0.5", "0.9", "0.99", "0", "1", "-1", "1.1")
            inner = self.pick(
                f"rate({self.selector('h_bucket')}[{self.window()}])",
                self.selector("h_bucket"), self.selector("nh"),
                f"sum by (le) (rate(h_bucket[5m]))",
                f"rate({self.selector('nh')}[{self.window()}])",
                f"sum({self.selector('nf')})", of)
            return f"histogram_quantile({q}, {inner})"
        if f == "histogram_fraction":
            return f"histogram_fraction(0, {self.pick('1', '0.7', '100')}, " \
                   f"{self.pick(self.selector('nh'), self.selector('nf'))})"
        if f.startswith("histogram_"):
            return f"{f}({self.pick(self.selector('nh'), self.selector('nf'), of)})"
        if re.match("day|hour|minute|month|year", f):
            return f"{f}({self.selector('c_total')})"  # no infinity
        return f"{f}({of})"

    def vector(self, depth):
        if depth <= 0:
            return self.instant()
        r = self.rng.random()
        if r < 0.12:
            return self.instant()
        if r < 0.37:
            return self.over_range(depth - 1)
        if r < 0.6:
            return self.aggregation(depth)
        if r < 0.78:
            return self.binary(depth)
        if r < 0.82:
            return "-" + self.selector()
        return self.element(depth)


# ---- spoiling -----------------------------------------------------------------

TOKEN = re.compile(r'"[^"]*"|[A-Za-z_:][A-Za-z0-9_:]*|[0-9.]+[a-z]*|'
                   r'[=!]~|[=!<>]=|\s+|.')
OTHERS = ["(", ")", "[", "]", "{", "}", ",", "+", "-", "^", "==", "=~", "=",
          "offset", "by", "without", "on", "ignoring", "group_left", "bool",
          "sum", "topk", "rate", "start", "and", "atan2", "@", "5m", "1e3",
          "0x1f", "1.5.2", "1mm", '"x"', "'y'", "`z`", "foo", "a:b", "inf",
          ":", "!", "$", "#", "0", "-1", "start()", "\u00e9", "\\", '"', "'"]


def spoil(rng, query):
    """The query with a few of its tokens gone, doubled, or others."""
    tokens = TOKEN.findall(query)
    for _ in range(rng.choice([1, 1, 2, 3])):
        at = rng.randrange(len(tokens))
        what = rng.randrange(5)
        if what == 0:
            del tokens[at:at + rng.choice([1, 1, 2, 5])]
        elif what == 1:
            tokens[at] = rng.choice(OTHERS)
        elif what == 2:
            tokens.insert(at, " " + rng.choice(OTHERS) + " ")
        elif what == 3:
            other = rng.randrange(len(tokens))
            tokens[at], tokens[other] = tokens[other], tokens[at]
        else:
            del tokens[at:]
        if not tokens:
            return rng.choice(OTHERS)
    return "".join(tokens)
