# SPDX-License-Identifier: Apache-2.0
"""Bodies of remote-write requests, 1.0 and 2.0, made by hand so that tests can
also make wrong ones: protobuf fields one by one, snappy of literals only.

A series is (labels, samples), labels a dict or a list of pairs (kept as they
are), samples a list of Sample, Histogram or Exemplar.
"""
import struct
import urllib.error
import urllib.request

V1_TYPE = "application/x-protobuf"
V2_TYPE = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
STALE = struct.unpack(">d", bytes.fromhex("7ff0000000000002"))[0]


# ---- protobuf ----------------------------------------------------------------

def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def zigzag(n):
    return (n << 1) ^ (n >> 63)


def field_varint(number, n):
    return varint(number << 3) + varint(n)


def field_double(number, v):
    return varint(number << 3 | 1) + struct.pack("<d", v)


def field_bytes(number, data):
    if isinstance(data, str):
        data = data.encode()
    return varint(number << 3 | 2) + varint(len(data)) + data


def snappy(data):
    """The block format with literals only."""
    out = [varint(len(data))]
    for i in range(0, len(data), 65536):
        piece = data[i:i + 65536]
        out.append(bytes([61 << 2]) + struct.pack("<H", len(piece) - 1))
        out.append(piece)
    return b"".join(out)


# ---- what a series has -------------------------------------------------------

class Sample:
    def __init__(self, t, v, start=0):
        self.t, self.v, self.start = t, v, start

    def encode(self, version):
        out = field_double(1, self.v) + field_varint(2, self.t)
        if version == 2 and self.start:
            out += field_varint(3, self.start)
        return 2, out


class Exemplar:
    def __init__(self, t, v, **labels):
        self.t, self.v, self.labels = t, v, labels

    def encode(self, version, symbols=None):
        out = b""
        if version == 1:
            for k, v in self.labels.items():
                out += field_bytes(1, field_bytes(1, k) + field_bytes(2, v))
            return 3, out + field_double(2, self.v) + field_varint(3, self.t)
        refs = b"".join(varint(symbols(x)) for kv in self.labels.items()
                        for x in kv)
        return 4, (field_bytes(1, refs) + field_double(2, self.v) +
                   field_varint(3, self.t))


class Histogram:
    """Spans are (offset, length); integer buckets are given as differences,
    float ones absolute."""

    def __init__(self, t, count, total, *, schema=0, zero_threshold=2.0**-128,
                 zero=0, positive=((), ()), negative=((), ()), hint=0,
                 is_float=False, custom=()):
        self.__dict__.update(locals())
        del self.__dict__["self"]

    def encode(self, version):
        out = field_double(2, self.count) if self.is_float else \
            field_varint(1, self.count)
        out += field_double(3, self.total)
        out += field_varint(4, zigzag(self.schema))
        out += field_double(5, self.zero_threshold)
        out += field_double(7, self.zero) if self.is_float else \
            field_varint(6, self.zero)
        for (spans, buckets), at in ((self.negative, 8), (self.positive, 11)):
            for offset, length in spans:
                out += field_bytes(at, field_varint(1, zigzag(offset)) +
                                   field_varint(2, length))
            if buckets and self.is_float:
                out += field_bytes(at + 2, b"".join(
                    struct.pack("<d", b) for b in buckets))
            elif buckets:
                out += field_bytes(at + 1, b"".join(
                    varint(zigzag(b)) for b in buckets))
        out += field_varint(14, self.hint) + field_varint(15, self.t)
        if self.custom:
            out += field_bytes(16, b"".join(
                struct.pack("<d", b) for b in self.custom))
        return (4 if version == 1 else 3), out


# ---- requests ----------------------------------------------------------------

def pairs(labels):
    return sorted(labels.items()) if isinstance(labels, dict) else labels


def body_v1(series, metadata=()):
    """Metadata: (family, type number, help, unit)."""
    out = []
    for labels, samples in series:
        one = b"".join(field_bytes(1, field_bytes(1, k) + field_bytes(2, v))
                       for k, v in pairs(labels))
        one += b"".join(field_bytes(*s.encode(1)) for s in samples)
        out.append(field_bytes(1, one))
    for family, kind, text, unit in metadata:
        out.append(field_bytes(3, field_varint(1, kind) +
                               field_bytes(2, family) + field_bytes(4, text) +
                               field_bytes(5, unit)))
    return b"".join(out)


def body_v2(series, metadata=None):
    """Metadata: (type number, help, unit) by index of the series."""
    numbers = {"": 0}

    def symbol(text):
        return numbers.setdefault(text, len(numbers))
    rows = []
    for i, (labels, samples) in enumerate(series):
        one = field_bytes(1, b"".join(varint(symbol(x))
                                      for kv in pairs(labels) for x in kv))
        for s in samples:
            one += field_bytes(*(s.encode(2, symbol)
                                 if isinstance(s, Exemplar) else s.encode(2)))
        if metadata and i in metadata:
            kind, text, unit = metadata[i]
            one += field_bytes(5, field_varint(1, kind) +
                               field_varint(3, symbol(text)) +
                               field_varint(4, symbol(unit)))
        rows.append(field_bytes(5, one))
    return b"".join(field_bytes(4, s) for s in numbers) + b"".join(rows)


def post(url, body, version=1, headers=None, compress=True, timeout=60):
    """(status, text, headers) of a write to URL/api/v1/write."""
    head = {"Content-Encoding": "snappy", "User-Agent": "test",
            "Content-Type": V2_TYPE if version == 2 else V1_TYPE,
            "X-Prometheus-Remote-Write-Version":
                "2.0.0" if version == 2 else "0.1.0"}
    head.update(headers or {})
    request = urllib.request.Request(
        url + "/api/v1/write", data=snappy(body) if compress else body,
        headers=head, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=timeout) as r:
            return r.status, r.read().decode(), r.headers
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode(), e.headers


def write(url, series, version=1, **kw):
    """Writes what must be taken."""
    body = body_v2(series) if version == 2 else body_v1(series)
    status, text, headers = post(url, body, version, **kw)
    if status // 100 != 2:
        raise AssertionError(f"write to {url}: {status} {text}")
    return headers
