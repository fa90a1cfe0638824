# SPDX-License-Identifier: Apache-2.0
"""The agent over a file layer that fails on demand (tests/tools/faultio.c)."""
import os
import random
import subprocess

from harness import BUILD, SONDE, Skip

PAGE = 4096


def sanitizer():
    """The library that must come first, if the agent was built with one."""
    out = subprocess.run(["ldd", SONDE], capture_output=True, text=True).stdout
    return [line.split()[2] for line in out.splitlines()
            if "libasan" in line or "libtsan" in line]


class Layer:
    """Over one data folder, which need not be there yet."""

    def __init__(self, case, root, name="faultio", survive=False):
        self.library = os.path.join(os.path.abspath(BUILD),
                                    "tests/tools/.libs/libfaultio.so")
        if not os.path.exists(self.library):
            raise Skip("tests/tools/libfaultio is not built")
        self.root = root
        self.plan_path = case.path(name + ".plan")
        self.log_path = case.path(name + ".log")
        self.shadow = case.path(name + ".shadow")
        self.survive = survive
        os.makedirs(self.shadow, exist_ok=True)
        self.plan("")

    def env(self):
        env = dict(os.environ, FAULTIO_ROOT=self.root,
                   FAULTIO_PLAN=self.plan_path, FAULTIO_LOG=self.log_path,
                   LD_PRELOAD=":".join(sanitizer() + [self.library]))
        if self.survive:
            env["FAULTIO_SHADOW"] = self.shadow
        return env

    def plan(self, *lines):
        """What fails from now on; counting begins anew."""
        with open(self.plan_path + ".new", "w") as f:
            f.write("\n".join(lines) + "\n")
        os.rename(self.plan_path + ".new", self.plan_path)

    def calls(self):
        """[(kind, path, whether it failed)] since the log was forgotten."""
        try:
            with open(self.log_path) as f:
                lines = f.read().splitlines()
        except FileNotFoundError:
            return []
        return [(kind.lstrip("!"), path, kind.startswith("!"))
                for kind, path in (line.split(" ", 1) for line in lines)]

    def forget_calls(self):
        if os.path.exists(self.log_path):
            os.truncate(self.log_path, 0)

    # ---- loss of power -------------------------------------------------------

    def restore(self, to, seed=None):
        """Writes what survived to the folder TO. With a seed, pages that were
        not synced are there or not as chance has it."""
        chance = random.Random(seed) if seed is not None else None
        live = {}
        if chance:
            for folder, _, names in os.walk(self.root):
                for name in names:
                    path = os.path.join(folder, name)
                    live[str(os.stat(path).st_ino)] = path
        os.makedirs(to)
        root = os.path.join(self.shadow, "root")
        if os.path.exists(root):
            with open(root) as f:
                self._folder(f.read().strip(), to, live, chance)

    def _folder(self, key, to, live, chance):
        names = os.path.join(self.shadow, key)
        if not os.path.exists(names):
            return
        with open(names) as f:
            rows = [line.rstrip("\n").split(" ", 2) for line in f]
        for kind, child, name in rows:
            path = os.path.join(to, name)
            if kind == "d":
                os.mkdir(path)
                self._folder(child, path, live, chance)
            else:
                with open(path, "wb") as f:
                    f.write(self._content(child, live, chance))

    def _content(self, key, live, chance):
        try:
            with open(os.path.join(self.shadow, key), "rb") as f:
                synced = f.read()
        except FileNotFoundError:
            synced = b""
        path = live.get(key.split("-")[0])
        if not path:
            return synced
        with open(path, "rb") as f:
            now = f.read()
        size = chance.randrange(min(len(synced), len(now)),
                                max(len(synced), len(now)) + 1)
        out = bytearray(size)
        for at in range(0, size, PAGE):
            source = now if chance.random() < 0.5 else synced
            piece = source[at:min(at + PAGE, size)]
            out[at:at + len(piece)] = piece
        return bytes(out)
