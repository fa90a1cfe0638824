# SPDX-License-Identifier: Apache-2.0
"""The plugin commands, and a plugin that is built out of the tree against the
installed headers."""
import os
import subprocess

from harness import *

EXAMPLE = os.path.join(SRC, "plugins/example")


def sonde(*args):
    out = subprocess.run([SONDE, *args], capture_output=True, text=True,
                         timeout=PATIENCE)
    return out.returncode, out.stdout, out.stderr


def install(case):
    """make install into the case's folder; the headers' folder."""
    root = case.path("root")
    out = subprocess.run(["make", "-C", BUILD, "-s", "install-sondeincludeHEADERS",
                          f"DESTDIR={root}"], capture_output=True, text=True)
    need(out.returncode == 0, out.stderr[-2000:])
    for folder, _, files in os.walk(root):
        if "plugin.h" in files:
            return os.path.dirname(folder)
    raise AssertionError("plugin.h was not installed")


def compile_plugin(case, headers, source, name, *flags):
    folder = case.path("plugins-" + name)
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, name + ".so")
    out = subprocess.run(["gcc", "-std=gnu17", "-O2", "-fPIC", "-shared",
                          "-Wall", "-Wextra", "-Werror", "-Wl,-z,defs",
                          "-fvisibility=hidden", f"-I{headers}", *flags,
                          source, "-o", path], capture_output=True, text=True)
    need(out.returncode == 0, out.stderr)
    os.chmod(folder, 0o755)
    return folder, path


def test_commands(case):
    """plugins list, show and sample; the sample works"""
    code, out, _ = sonde("plugins", "list")
    equal(code, 0)
    for name in ("prometheus", "fastapi", "redis"):
        need(name in out, out)
    code, out, _ = sonde("plugins", "show", "redis")
    equal(code, 0)
    for word in ("password_file", "redis_up", "redis_memory_used_bytes"):
        need(word in out, word)
    for name in ("prometheus", "fastapi", "redis"):
        code, out, _ = sonde("plugins", "sample", name)
        equal(code, 0)
        path = case.write(name + ".yml", out)
        code, out, err = sonde("check", "config", path)
        equal(code, 0, out + err)
    code, _, err = sonde("plugins", "show", "rediss")
    equal(code, 1)
    need("redis" in err, err)
    equal(sonde("plugins", "frob")[0], 2)
    equal(sonde("plugs")[0], 2)


def test_scrape_command(case):
    """sonde scrape prints one collection, or says what failed"""
    t = case.target("a{x=\"y\"} 1\n")
    code, out, err = sonde("scrape", "prometheus", t.address)
    equal((code, out), (0, "a{x=\"y\"} 1\n"))
    need("ms" in err, err)
    code, out, err = sonde("scrape", "prometheus",
                           f"127.0.0.1:{free_port()}")
    equal(code, 1)
    need("refused" in err, err)
    equal(sonde("scrape", "prometheus")[0], 2)
    code, _, err = sonde("scrape", "redis", "127.0.0.1:1", "no_such=1")
    equal(code, 1)
    need("no_such" in err, err)


def test_out_of_tree(case):
    """the example builds against the installed SDK and runs"""
    headers = install(case)
    folder, _ = compile_plugin(case, headers,
                               os.path.join(EXAMPLE, "example.c"), "example")
    code, out, err = sonde("plugins", "list", f"--plugin.path={folder}")
    equal(code, 0, err)
    need("example" in out, out)
    code, out, err = sonde("scrape", "example", "localhost",
                           f"--plugin.path={folder}")
    equal(code, 0, err)
    need("# TYPE" in out, out)
    s = case.sonde(config(job("ex", "localhost", plugin="example",
                              interval="500ms")), f"--plugin.path={folder}")
    s.wait_health("ex", "up")


def test_refusals(case):
    """wrong ABI, writable by others, a second of the name: refused, and how
    to mend it is said"""
    headers = install(case)
    source = os.path.join(EXAMPLE, "example.c")
    with open(os.path.join(headers, "sonde/plugin.h")) as f:
        text = f.read()
    other = case.path("other/sonde")
    shutil.copytree(os.path.join(headers, "sonde"), other)
    with open(os.path.join(other, "plugin.h"), "w") as f:
        f.write(re.sub(r"#define SONDE_ABI_MAJOR +1u",
                       "#define SONDE_ABI_MAJOR 9u", text))
    folder, path = compile_plugin(case, case.path("other"), source, "abi")
    code, out, err = sonde("scrape", "example", "x", f"--plugin.path={folder}")
    equal(code, 1)
    for want in (path, "9", "1", "rebuild"):
        need(want in err, err)
    folder, path = compile_plugin(case, headers, source, "mode")
    os.chmod(path, 0o666)
    code, out, err = sonde("scrape", "example", "x", f"--plugin.path={folder}")
    equal(code, 1)
    need(path in err and "chmod" in err, err)
    os.chmod(path, 0o644)
    os.chmod(folder, 0o777)
    code, out, err = sonde("scrape", "example", "x", f"--plugin.path={folder}")
    equal(code, 1)
    need("chmod" in err, err)
    os.chmod(folder, 0o755)
    again, second = compile_plugin(case, headers, source, "again")
    code, out, err = sonde("plugins", "list", f"--plugin.path={folder}",
                           f"--plugin.path={again}")
    need(path in out + err and second in out + err, out + err)
    conf = case.write("c.yml", config(job("a", "x", plugin="example")))
    os.chmod(path, 0o666)
    code, out, err = sonde("check", "config", f"--plugin.path={folder}", conf)
    equal(code, 2, out)
    need("chmod" in out, out)


run(globals())
