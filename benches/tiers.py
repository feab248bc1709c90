#!/usr/bin/env python3
"""What a step costs in each way of keeping it apart, beside other programs and beside kaniko's way, in one run.

    sudo ./benches/tiers.py WYTHE USER [--steps N] [--rounds N] [--base LAYOUT] [--debian TAR]

USER has subordinate ids, and is whom the ways without privileges run as. The tables are in Markdown:

- an empty step (`sh -c :`): the median and the 90th percentile of its time in the builder, from the event that it
  started to the one that it finished; of other programs the time of one whole command on the same root;
- 30 steps that do next to nothing (as w4 of the measuring program), and a build that makes 4,000 files, reads all of them
  and changes one (as w6, without a network): seconds of wall time, the best of the rounds.

- with a tar archive of Debian (`mmdebstrap --variant=minbase bookworm TAR`), packages, accounts and sudo on it, as the end-to-end
  tests have them: seconds of processor time of the builder and its steps, and of wall time, packages from a proxy that has them.

Kaniko's way is imitated with less than it does: the commands run in a chroot, after each of them all files are read and
hashed by a program in C, and what has changed is packed. Nothing else runs meanwhile, or the numbers mean little.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# Beside this file, or with it in one directory.
sys.path[:0] = [os.path.join(HERE, "../cli/tests/e2e")]
import caching_proxy  # noqa: E402
from places import DEBIAN, layout_of  # noqa: E402

SMALL = [f"echo {number} > /f{number}" for number in range(30)]
LARGE = [
    "for d in $(seq 20); do mkdir -p /usr/lib/p$d; for f in $(seq 200); do head -c 8192 /dev/urandom > /usr/lib/p$d/$f; done; done",
    "cat /usr/lib/p*/* | sha256sum > /sum",
    "echo changed > /usr/lib/p1/1",
    "cat /usr/lib/p1/1 /sum > /end",
]


def run(words, **options):
    return subprocess.run(words, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)


class Bench:
    def __init__(self, wythe, user, base, top):
        self.user, self.top = user, top
        self.wythe = os.path.join(top, "wythe")
        shutil.copy(wythe, self.wythe)
        self.base = base or os.path.join(top, "base")
        if not base:
            run([os.path.join(HERE, "../cli/tests/e2e/base.sh"), self.base])
        self.root = os.path.join(top, "root")
        os.makedirs(self.root)
        with open(os.path.join(self.base, "index.json")) as file:
            manifest = self.blob(json.load(file)["manifests"][0]["digest"])
        for layer in json.loads(open(manifest).read())["layers"]:
            run(["tar", "-C", self.root, "-xf", self.blob(layer["digest"])])
        for name in ["proc", "dev", "sys", "tmp"]:
            os.makedirs(os.path.join(self.root, name), exist_ok=True)
        run(["chmod", "-R", "a+rX", top])
        self.n_stores = 0

    def blob(self, digest):
        return os.path.join(self.base, "blobs", *digest.split(":"))

    def as_user(self, words, at):
        return ["runuser", "-u", self.user, "--", "env", f"HOME={at}", f"TMPDIR={at}", f"XDG_RUNTIME_DIR={at}", *words]

    def place(self, is_users):
        """A new directory, of the user or of root."""
        self.n_stores += 1
        at = os.path.join(self.top, str(self.n_stores))
        os.makedirs(at)
        if is_users:
            shutil.chown(at, self.user)
        return at

    def build(self, steps, flags, is_users, before=()):
        """Builds, and returns how long it took and how long each step did, in seconds."""
        at = self.place(is_users)
        with open(os.path.join(self.top, "Dockerfile"), "w") as file:
            file.write("FROM base\n" + "".join(f"RUN {step}\n" for step in steps))
        words = [self.wythe, "--store", f"{at}/store", "build", "--progress=json", *flags, "--build-context"]
        words += [f"base=oci-layout://{self.base}", "-f", os.path.join(self.top, "Dockerfile"), "-o", "type=cacheonly", at]
        words = self.as_user(words, at) if is_users else words
        start = time.monotonic()
        ran = subprocess.run([*before, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        took = time.monotonic() - start
        if ran.returncode != 0:
            raise RuntimeError(f"{' '.join(flags)}: {ran.stderr[-2000:]}")
        events = [json.loads(line) for line in ran.stderr.splitlines() if line.startswith("{")]
        elapsed = [event["elapsed"] for event in events if event["event"] == "finished"]
        # Directories of layers belong to subordinate ids.
        shutil.rmtree(at, ignore_errors=True)
        return took, elapsed[-len(steps):]

    def debian(self, flags, is_users, proxy):
        """Installs packages on Debian; returns seconds of processor time, of the builder and all it started, and of wall time."""
        at = self.place(is_users)
        with open(os.path.join(at, "Dockerfile"), "w") as file:
            file.write(f"FROM base\n{DEBIAN}\n")
        words = [self.wythe, "--store", f"{at}/store", "build", *flags, "--build-arg", f"http_proxy={proxy}"]
        words += ["--build-context", f"base=oci-layout://{self.top}/debian", "-o", "type=cacheonly", at]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        run(self.as_user(words, at) if is_users else words)
        took, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        shutil.rmtree(at, ignore_errors=True)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, took

    def tiers(self):
        """The ways of this program: a name, flags, whether the user does it, and what comes before."""
        mounts = "for n in $(seq 300); do mkdir -p /run/m$n; mount --bind /run/m$n /run/m$n; done; exec \"$@\""
        return [
            ("wythe, namespaces", [], True, []),
            ("wythe, namespaces, 300 more mounts", [], True, ["unshare", "-m", "sh", "-c", f"mount -t tmpfs tmpfs /run; {mounts}", "sh"]),
            ("wythe, namespaces, no network", ["--network=none"], True, []),
            ("wythe, namespaces, a list of hosts", ["--network=allow:deb.debian.org"], True, []),
            ("wythe, namespaces, on copies", ["--snapshotter=native"], True, []),
            ("wythe, one id", ["--isolation=single-id"], True, []),
            ("wythe, as root", [], False, []),
            ("wythe, chroot", ["--isolation=chroot"], False, []),
        ]

    def peers(self, n_steps):
        """Other programs: a name, and words that run an empty step once."""
        found = []
        if shutil.which("crun") or shutil.which("runc"):
            bundle = os.path.join(self.top, "bundle")
            os.makedirs(bundle)
            run([shutil.which("crun") or shutil.which("runc"), "spec"], cwd=bundle)
            with open(os.path.join(bundle, "config.json")) as file:
                config = json.load(file)
            config["root"] = {"path": self.root, "readonly": False}
            config["process"].update(terminal=False, args=["/bin/sh", "-c", ":"])
            with open(os.path.join(bundle, "config.json"), "w") as file:
                json.dump(config, file)
            # Some machines have a mixture of control groups that crun refuses.
            for program in filter(shutil.which, ["crun", "runc"]):
                found.append((f"{program}, as root", lambda n, program=program: [program, "run", "--bundle", bundle, f"tiers-{program}-{os.getpid()}-{n}"]))
        if shutil.which("bwrap"):
            words = ["bwrap", "--bind", self.root, "/", "--proc", "/proc", "--dev", "/dev", "--unshare-pid", "--unshare-ipc"]
            words += ["--unshare-uts", "--unshare-cgroup-try", "/bin/sh", "-c", ":"]
            found.append(("bwrap, as root", lambda n, words=words: words))
        if shutil.which("buildah"):
            name = f"tiers-{os.getpid()}"
            storage = ["--root", os.path.join(self.top, "buildah"), "--runroot", os.path.join(self.top, "buildah-run")]
            run(["buildah", *storage, "from", "--name", name, f"oci:{self.base}"])
            runtime = [[], ["--runtime", "runc"]] if shutil.which("runc") else [[]]
            for own in runtime:
                words = ["buildah", *storage, "run", "--network=host", *own, name, "--", "/bin/sh", "-c", ":"]
                found.append((" ".join(["buildah run", *own[1:], "as root"]), lambda n, words=words: words))
        found.append(("a chroot and nothing more", lambda n: ["chroot", self.root, "/bin/sh", "-c", ":"]))
        return found

    def timed(self, words, n_steps):
        times = []
        for number in range(n_steps):
            one = words(number)
            start = time.monotonic()
            run(one)
            times.append(time.monotonic() - start)
        return times

    def kanikos(self, steps):
        """The commands in a chroot, with all files read after each; returns seconds of wall time."""
        root = os.path.join(self.top, "kaniko")
        shutil.rmtree(root, ignore_errors=True)
        run(["cp", "-a", self.root, root])
        os.makedirs(os.path.join(root, "dev"), exist_ok=True)
        for name, major, minor in [("null", 1, 3), ("urandom", 1, 9)]:
            if not os.path.exists(os.path.join(root, "dev", name)):
                run(["mknod", os.path.join(root, "dev", name), "c", str(major), str(minor)])
        start = time.monotonic()
        known = self.snapshot(root, {})
        for number, step in enumerate(steps):
            run(["chroot", root, "/bin/sh", "-c", step])
            now = self.snapshot(root, known)
            changed = [path for path, digest in now.items() if known.get(path) != digest]
            listed = "\n".join(os.path.relpath(path, root) for path in changed)
            layer = os.path.join(self.top, "layer.tar.gz")
            subprocess.run(["tar", "-C", root, "-czf", layer, "-T", "-"], input=listed, text=True, check=True)
            known = now
        return time.monotonic() - start

    def snapshot(self, root, known):
        """All files by name, with a hash of what they hold."""
        listed = f"find {root} -xdev -type f -print0 | xargs -0 -P {os.cpu_count()} -n 500 md5sum"
        lines = run(["sh", "-c", listed]).stdout.splitlines()
        return {path: digest for digest, _, path in (line.partition("  ") for line in lines)}


def milliseconds(times):
    ordered = sorted(times)
    median, late = statistics.median(ordered), ordered[min(len(ordered) - 1, len(ordered) * 9 // 10)]
    return f"{median * 1000:.2f} | {late * 1000:.2f} | {ordered[0] * 1000:.2f}"


def table(title, head, rows):
    print(f"\n{title}\n\n{head}\n|{'---|' * (head.count('|') - 1)}")
    for row in rows:
        print(row, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wythe")
    parser.add_argument("user")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--base")
    parser.add_argument("--debian")
    asked = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("as root, please: a chroot and the other programs take that")
    top = tempfile.mkdtemp(prefix="wythe-tiers.", dir="/var/tmp")
    os.chmod(top, 0o755)
    try:
        measure(Bench(asked.wythe, asked.user, asked.base, top), asked)
    finally:
        shutil.rmtree(top, ignore_errors=True)


def measure(bench, asked):
    rows, works = [], []
    for name, flags, is_users, before in bench.tiers():
        try:
            times = []
            for _ in range(asked.rounds):
                # Another text for each, so that none is found.
                times += bench.build([f": {number}" for number in range(asked.steps)], flags, is_users, before)[1]
            rows.append(f"| {name} | {milliseconds(times)} |")
            works.append((name, flags, is_users, before))
        except RuntimeError as refused:
            print(f"left out: {name}: {str(refused).splitlines()[-1][:200]}", file=sys.stderr)
    for name, words in bench.peers(asked.steps):
        try:
            rows.append(f"| {name} | {milliseconds(bench.timed(words, asked.steps * asked.rounds))} |")
        except subprocess.CalledProcessError as refused:
            print(f"left out: {name}: {refused.stderr.strip()[-200:]}", file=sys.stderr)
    table("An empty step, milliseconds", "| | median | 90 % | least |", rows)
    rows = []
    for name, flags, is_users, before in works:
        best = [min(bench.build(steps, flags, is_users, before)[0] for _ in range(asked.rounds)) for steps in (SMALL, LARGE)]
        rows.append(f"| {name} | {best[0]:.2f} | {best[1]:.2f} |")
    best = [min(bench.kanikos(steps) for _ in range(asked.rounds)) for steps in (SMALL, LARGE)]
    rows.append(f"| kaniko's way: a chroot, and all files read after each step | {best[0]:.2f} | {best[1]:.2f} |")
    table("Whole builds, seconds", "| | 30 steps | 4,000 files |", rows)
    if asked.debian:
        debian(bench, asked)


def debian(bench, asked):
    """The ways that differ in what is asked of the kernel, in turns."""
    layout_of(asked.debian, os.path.join(bench.top, "debian"))
    run(["chmod", "-R", "a+rX", bench.top])
    ways = [way for way in bench.tiers() if way[0] in ("wythe, namespaces", "wythe, one id", "wythe, chroot")]
    found = {name: [] for name, *_ in ways}
    with caching_proxy.serving() as proxy:
        # Once to have the packages.
        bench.debian(*ways[0][1:3], proxy)
        for _ in range(asked.rounds):
            for name, flags, is_users, _ in ways:
                found[name].append(bench.debian(flags, is_users, proxy))
    rows = [f"| {name} | {min(cpu for cpu, _ in times):.1f} | {min(took for _, took in times):.1f} |" for name, times in found.items()]
    table("Packages on Debian, seconds", "| | processors | wall |", rows)


if __name__ == "__main__":
    main()
