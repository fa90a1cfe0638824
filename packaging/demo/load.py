# SPDX-License-Identifier: Apache-2.0
"""A little load for the demo's FastAPI and Redis, until it is killed."""
import random
import socket
import sys
import time
import urllib.error
import urllib.request


def ask_app(port):
    url = f"http://127.0.0.1:{port}/items/{random.randrange(100)}"
    try:
        urllib.request.urlopen(url, timeout=2).read()
    except (urllib.error.URLError, OSError):
        pass


def ask_redis(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as s:
            key = random.randrange(1000)
            s.sendall(f"SET key:{key} {key} EX 600\r\nGET key:{key}\r\n".encode())
            s.recv(256)
    except OSError:
        pass


if __name__ == "__main__":
    while True:
        ask_app(int(sys.argv[1]))
        ask_redis(int(sys.argv[2]))
        time.sleep(0.1)
