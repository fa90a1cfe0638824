# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server of one's own for a test: Debian's, or a newer one that
is unpacked beside the system. It runs as the user postgres when the test is
root, because the server refuses root."""
import atexit
import pwd

import psycopg2

from harness import *
from pages import parse

DEBIAN = "/usr/lib/postgresql/15/bin"


def demote():
    """What a child does before it becomes a program of the server's."""
    if os.getuid() == 0:
        who = pwd.getpwnam("postgres")
        os.setgroups([])
        os.setgid(who.pw_gid)
        os.setuid(who.pw_uid)


def run_as_postgres(argv, **kw):
    out = subprocess.run(argv, preexec_fn=demote, capture_output=True,
                         text=True, timeout=PATIENCE * 2, cwd="/", **kw)
    need(out.returncode == 0, f"{argv}: {out.stdout[-500:]}{out.stderr[-500:]}")
    return out.stdout


def newer_server(case):
    """The programs of the newest PostgreSQL, made runnable; Skip if none.

    They look for their files beside themselves, so they get a tree of their
    own: wrappers that name the newer loader, and links to the rest."""
    root = os.path.join(os.path.dirname(newest_folder("postgresql-18")), "root")
    programs = os.path.join(root, "usr/lib/postgresql/18")
    if not os.path.exists(programs):
        raise Skip("PostgreSQL 18 of Debian sid is not there")
    libraries = [os.path.join(root, "usr/lib", d)
                 for d in os.listdir(os.path.join(root, "usr/lib"))
                 if d.endswith("-linux-gnu")]
    loader = [os.path.join(d, f) for d in libraries for f in os.listdir(d)
              if f.startswith("ld-linux")][0]
    tree = case.path("newer")
    there = os.path.join(tree, "usr/lib/postgresql/18")
    os.makedirs(os.path.join(there, "bin"))
    os.symlink(os.path.join(programs, "lib"), os.path.join(there, "lib"))
    os.symlink(os.path.join(root, "usr/share"), os.path.join(tree, "usr/share"))
    path = ":".join(libraries + ["/usr/lib/x86_64-linux-gnu"])
    for name in ("postgres", "initdb"):
        me = os.path.join(there, "bin", name)
        with open(me, "w") as f:
            f.write(f'#!/bin/sh\nexec {loader} --argv0 {me} --library-path '
                    f'{path} {programs}/bin/{name} "$@"\n')
        os.chmod(me, 0o755)
    return os.path.join(there, "bin")


templates = {}


def fresh_data(bin, encoding):
    """A data directory as initdb makes it; made once."""
    key = (bin, encoding)
    if key not in templates:
        case = Shared.get()
        os.chmod(case.dir, 0o755)
        home = case.path(f"template{len(templates)}")
        os.mkdir(home)
        if os.getuid() == 0:
            who = pwd.getpwnam("postgres")
            os.chown(home, who.pw_uid, who.pw_gid)
        data = os.path.join(home, "data")
        run_as_postgres([os.path.join(bin, "initdb"), "-D", data, "-N", "-A",
                         "trust", "-U", "postgres", "--locale=C", "-E",
                         encoding])
        templates[key] = data
    return templates[key]


class Server:
    """A running server; ends with its case."""

    def __init__(self, case, name="pg", bin=DEBIAN, copy_of=None, conf="",
                 encoding="UTF8", slot=None):
        need(os.path.exists(os.path.join(bin, "postgres")),
             "the Debian package postgresql is not installed")
        self.case, self.bin, self.name = case, bin, name
        self.port = free_port()
        os.chmod(case.dir, 0o755)
        self.dir = case.path(name)
        os.mkdir(self.dir)
        if os.getuid() == 0:
            who = pwd.getpwnam("postgres")
            os.chown(self.dir, who.pw_uid, who.pw_gid)
        self.data = os.path.join(self.dir, "data")
        if copy_of:
            run_as_postgres([os.path.join(DEBIAN, "pg_basebackup"), "-D",
                             self.data, "-h", copy_of.dir, "-p",
                             str(copy_of.port), "-U", "postgres", "-R", "-C",
                             "-S", slot, "-c", "fast"])
        else:
            run_as_postgres(["cp", "-a", fresh_data(bin, encoding), self.data])
        self.configure(f"""
port = {self.port}
listen_addresses = '127.0.0.1'
unix_socket_directories = '{self.dir}'
fsync = off
max_locks_per_transaction = 512
wal_level = logical
max_connections = 40
track_io_timing = on
shared_preload_libraries = 'pg_stat_statements'
autovacuum = off
{conf}
""")
        self.start()

    def configure(self, text):
        with open(os.path.join(self.data, "postgresql.conf"), "a") as f:
            f.write(text)

    def start(self):
        self.process = Process(
            self.case, [os.path.join(self.bin, "postgres"), "-D", self.data],
            self.name, preexec=demote, cwd="/")
        wait_for("the server", lambda: self.sql("SELECT 1"))

    def stop(self):
        self.process.kill(signal.SIGINT)  # fast shutdown

    def connect(self, database="postgres", user="postgres", **kw):
        try:
            c = psycopg2.connect(host=self.dir, port=self.port, user=user,
                                 dbname=database, connect_timeout=10, **kw)
        except psycopg2.OperationalError as e:
            raise OSError(str(e))
        c.autocommit = True
        return c

    def sql(self, *statements, database="postgres", user="postgres"):
        """Rows of the last statement."""
        c = self.connect(database, user)
        try:
            cursor = c.cursor()
            for s in statements:
                cursor.execute(s)
            return cursor.fetchall() if cursor.description else []
        finally:
            c.close()

    def reload(self):
        self.sql("SELECT pg_reload_conf()")

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def backends(self, name="sonde"):
        return self.sql("SELECT pid, state, query FROM pg_stat_activity "
                        f"WHERE application_name = '{name}'")


class Shared:
    """A case that lasts as long as the program, for servers that many tests
    use."""
    case = None

    @classmethod
    def get(cls):
        if cls.case is None:
            cls.case = Case("shared")
            atexit.register(cls.case.close, False)
        return cls.case


def scrape(address, *options, env=None):
    """{family: type}, {series: value} of one collection, and the log."""
    out = subprocess.run([SONDE, "scrape", "postgres", address, *options],
                         capture_output=True, text=True, timeout=PATIENCE,
                         env=dict(os.environ, **(env or {})))
    need(out.returncode == 0, f"scrape: {out.stderr[-2000:]}")
    types, series = parse(out.stdout)
    return types, series, out.stderr


ALL = ["buffercache_summary", "database_wraparound",
       "long_running_transactions", "postmaster", "process_idle",
       "stat_activity_autovacuum", "stat_checkpointer", "stat_statements",
       "stat_wal_receiver", "statio_user_indexes", "xlog_location"]
ALL_ON = [f"collector_{c}=true" for c in
          ALL + ["stat_statements_include_query", "stat_io", "stat_wal"]]
