# SPDX-License-Identifier: Apache-2.0
"""Real nginx servers for the tests: Debian's and, where it can be unpacked
beside the system, the newest; the exporters of the same ages; certificates."""
import subprocess
import threading

from harness import *
from pages import page_text

CONF = """daemon off; pid %(dir)s/nginx.pid; error_log %(dir)s/error.log;
worker_processes 2;
events { worker_connections 512; }
http {
  client_body_temp_path %(dir)s/body; proxy_temp_path %(dir)s/proxy;
  fastcgi_temp_path %(dir)s/fcgi; uwsgi_temp_path %(dir)s/uwsgi;
  scgi_temp_path %(dir)s/scgi;
  access_log off;
%(http)s
}
"""
SITE = """  server {
    listen %(listen)s;
    location = /stub_status { stub_status; }
    location = /missing { return 404; }
    location = /page { default_type text/html;
      return 200 "<!DOCTYPE html><html>It works!</html>"; }
    location / { return 200 "hello\\n"; }
%(server)s
  }
"""


def installed(program):
    path = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
    need(path, f"{program} is not installed")
    return path


class Nginx(Process):
    """`sites`: text of server blocks; a folder of its own."""
    count = 0

    def __init__(self, case, http, binary=None):
        Nginx.count += 1
        self.home = case.path(f"nginx{Nginx.count}")
        os.makedirs(self.home, exist_ok=True)
        os.chmod(case.dir, 0o755)
        self.conf = os.path.join(self.home, "nginx.conf")
        with open(self.conf, "w") as f:
            # As root its workers would be another user that can not write.
            user = "user root;\n" if os.geteuid() == 0 else ""
            f.write(user + CONF % {"dir": self.home,
                                   "http": http.replace("@DIR@", self.home)})
        super().__init__(case, [binary or installed("nginx"), "-c", self.conf,
                                "-e", os.path.join(self.home, "error.log"),
                                "-p", self.home], "nginx")
        self.known = []
        # Its workers end with it, whatever happens to it.
        case.cleanups.append(self.end_workers)
        wait_for("nginx", self.is_ready)

    def is_ready(self):
        need(self.alive(), "nginx ended: " + self.log()[-500:])
        return os.path.exists(os.path.join(self.home, "nginx.pid")) and \
            self.workers()

    def workers(self):
        out = subprocess.run(["pgrep", "-P", str(self.pid)],
                             capture_output=True, text=True)
        self.known = [int(p) for p in out.stdout.split()]
        return self.known

    def end_workers(self):
        for pid in self.known:
            try:
                with open(f"/proc/{pid}/cmdline") as f:
                    if "nginx" not in f.read():
                        continue
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass

    def freeze(self, stop=True):
        for pid in [self.pid] + self.workers():
            os.kill(pid, signal.SIGSTOP if stop else signal.SIGCONT)

    def reopen(self):
        self.popen.send_signal(signal.SIGUSR1)


def start_nginx(case, binary=None, server="", http=""):
    """(nginx, port) with one site."""
    port = free_port()
    n = Nginx(case, http + SITE % {"listen": f"127.0.0.1:{port}",
                                   "server": server}, binary)
    return n, port


class Load:
    """Requests from some threads until stop(); counts those answered."""

    def __init__(self, port, paths=("/",), threads=2, pause=0.001):
        self.port, self.paths, self.pause = port, paths, pause
        self.done = 0
        self.lock = threading.Lock()
        self.end = threading.Event()
        self.threads = [threading.Thread(target=self.run, daemon=True)
                        for _ in range(threads)]
        for t in self.threads:
            t.start()

    def run(self):
        n = 0
        s = socket.create_connection(("127.0.0.1", self.port), 5)
        with s:
            f = s.makefile("rb")
            while not self.end.is_set():
                path = self.paths[n % len(self.paths)]
                n += 1
                s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                length = 0
                while True:
                    line = f.readline().strip()
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                    if not line:
                        break
                f.read(length)
                with self.lock:
                    self.done += 1
                # nginx closes a connection after a thousand requests.
                if n % 500 == 0:
                    f.close()
                    s.close()
                    s = socket.create_connection(("127.0.0.1", self.port), 5)
                    f = s.makefile("rb")
                time.sleep(self.pause)

    def stop(self):
        self.end.set()
        for t in self.threads:
            t.join(10)
        return self.done


def openssl(case, *args):
    out = subprocess.run(["openssl", *args], capture_output=True, text=True,
                         cwd=case.dir)
    need(out.returncode == 0, f"openssl {args}: {out.stderr[-500:]}")


def certificates(case):
    """ca.pem, server.pem/.key (name status.test), client.pem/.key."""
    openssl(case, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days",
            "2", "-subj", "/CN=test ca", "-keyout", "ca.key", "-out", "ca.pem")
    for name, subject in (("server", "status.test"), ("client", "sonde")):
        openssl(case, "req", "-newkey", "rsa:2048", "-nodes", "-subj",
                f"/CN={subject}", "-addext", f"subjectAltName=DNS:{subject}",
                "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl(case, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem",
                "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-copy_extensions", "copyall", "-out", f"{name}.pem")


def scrape(*args):
    """One collection by `sonde scrape nginx`."""
    out = subprocess.run([SONDE, "scrape", "nginx", *args],
                         capture_output=True, text=True, timeout=PATIENCE)
    need(out.returncode == 0, out.stderr)
    return page_text(out.stdout)
