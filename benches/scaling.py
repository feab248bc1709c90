#!/usr/bin/env python3
"""How builds grow: contexts, steps, stages, the size of a layer, processors.

    cargo build --release --package wythe
    ./benches/scaling.py                          # all, which takes long and some 20 GB of disk
    ./benches/scaling.py --sizes 1000,10000 context
    ./benches/scaling.py steps stages layer processors

Every line is one build: wall and processor seconds, per unit of what grows; the peak of anonymous memory; and how
much of the time more than one thread of the builder was at work (looked at every 2 ms, so nothing for short builds). What
is linear has the same figure per unit in every line of its kind. A statically linked busybox is the base image.
Everything is made in a directory of its own, which is removed in the end.
"""
import argparse
import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SAMPLE = 0.002


class Sampler(threading.Thread):
    """Looks at the threads of a process until it ends."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.looks, self.several, self.anon = pid, 0, 0, 0

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                self.look()
                time.sleep(SAMPLE)

    def look(self):
        tasks, running = f"/proc/{self.pid}/task", 0
        for task in os.listdir(tasks):
            with contextlib.suppress(OSError):
                with open(f"{tasks}/{task}/stat") as stat:
                    running += stat.read().rsplit(")", 1)[1].split()[0] == "R"
        self.looks += running > 0
        self.several += running > 1
        with open(f"/proc/{self.pid}/status") as status:
            lines = [line for line in status if line.startswith("RssAnon")]
        self.anon = max([self.anon] + [int(line.split()[1]) * 1024 for line in lines])


class Bench:
    def __init__(self, wythe, busybox, directory):
        self.wythe, self.dir = wythe, directory
        self.nonce = random.randrange(10**9)
        base = self.path("base")
        os.makedirs(base)
        shutil.copy(busybox, os.path.join(base, "busybox"))
        write(base, "Dockerfile", 'FROM scratch\nCOPY busybox /bin/\nRUN ["/bin/busybox", "--install", "-s", "/bin"]\n')
        self.build(base, "base")

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def build(self, context, tag, processors=None, options=()):
        """Builds; returns wall and processor seconds, peak anonymous bytes, the share of several threads."""
        command = [self.wythe, "--store", self.path("store"), "--progress", "quiet", "build", "-t", tag, *options, context]
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=lambda: confine(processors))
        sampler = Sampler(process.pid)
        sampler.start()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        sampler.join()
        if process.returncode:
            sys.exit(f"{' '.join(command)}: exit code {process.returncode}")
        share = sampler.several / sampler.looks if sampler.looks >= 10 else None
        return wall, used.ru_utime + used.ru_stime, sampler.anon, share

    def row(self, what, units, unit, measured):
        wall, cpu, anon, share = measured
        share = "" if share is None else f"{share:4.0%}"
        print(f"| {what} | {wall:.3f} | {cpu:.3f} | {wall / units * 1e6:.1f} | {cpu / units * 1e6:.1f} | {unit} "
              f"| {anon / 2**20:.1f} | {share} |", flush=True)

    def fresh(self):
        self.nonce += 1
        return self.nonce

    def dockerfile(self, name, text):
        context = self.path(name)
        os.makedirs(context, exist_ok=True)
        write(context, "Dockerfile", text)
        return context

    def context(self, sizes):
        for n in sizes:
            context = self.dockerfile(f"context-{n}", "FROM base\nCOPY . /app\n")
            fill(context, n)
            time.sleep(2)  # what is as young as a scan has to be looked at again
            self.row(f"context of {n:,} files, first", n, "file", self.build(context, "c"))
            self.build(context, "c")
            self.row(f"context of {n:,} files, again", n, "file", self.build(context, "c"))
            write(context, "d0/f0", f"changed {self.fresh()}\n")
            self.row(f"context of {n:,} files, one changed", n, "file", self.build(context, "c"))
            shutil.rmtree(context)

    def steps(self, sizes):
        for n in sizes:
            lines = "".join(f"RUN touch /f{at}\n" for at in range(n))
            context = self.dockerfile(f"steps-{n}", f"FROM base\nENV NONCE={self.fresh()}\n{lines}")
            self.row(f"{n} steps, cold", n, "step", self.build(context, "s"))
            self.row(f"{n} steps, nothing changed", n, "step", self.build(context, "s"))

    def stages(self, sizes):
        for n in sizes:
            stage = "FROM base AS s{0}\nENV NONCE={1}\nRUN echo {0} > /out{0}\n"
            nonce = self.fresh()
            lines = [stage.format(at, nonce) for at in range(n)]
            lines += ["FROM base\n"] + [f"COPY --from=s{at} /out{at} /\n" for at in range(n)]
            context = self.dockerfile(f"stages-{n}", "".join(lines))
            self.row(f"{n} stages, cold", n, "stage", self.build(context, "t"))
            self.row(f"{n} stages, nothing changed", n, "stage", self.build(context, "t"))

    def layer(self, sizes):
        for mebibytes in sizes:
            context = self.dockerfile(f"layer-{mebibytes}", "FROM base\nCOPY big /\n")
            grow(os.path.join(context, "big"), mebibytes)
            self.row(f"a file of {mebibytes:,} MiB", mebibytes, "MiB", self.build(context, "l"))
            self.row(f"a file of {mebibytes:,} MiB, again", mebibytes, "MiB", self.build(context, "l"))
            shutil.rmtree(context)

    def processors(self, sizes):
        for processors in range(1, os.cpu_count() + 1):
            for n in sizes:
                lines = f"FROM base\nENV NONCE={self.fresh()}\nCOPY . /app\nRUN true\n"
                context = self.dockerfile(f"p{processors}-{n}", lines)
                fill(context, n, seed=processors)
                what = f"{n:,} files, processors: {processors}"
                self.row(what, n, "file", self.build(context, "p", processors))
                shutil.rmtree(context)


def confine(processors):
    if processors:
        os.sched_setaffinity(0, range(processors))


def write(directory, name, text):
    path = os.path.join(directory, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


def fill(directory, n, seed=0):
    """Files of some 2 kB, 50 in a directory, no two alike."""
    text = random.Random(seed).choices("etaoin shrdlu\n", k=4096)
    text = "".join(text)
    for at in range(n):
        write(directory, f"d{at // 50}/f{at}", f"{seed} {at}\n{text[at % 1000:at % 1000 + 2000]}")


def grow(path, mebibytes):
    """Bytes of which half can be compressed away, and no block comes twice."""
    noise = random.Random(0).randbytes(1 << 19)
    with open(path, "wb") as file:
        for at in range(mebibytes):
            turn = at * 4099 % len(noise)
            file.write(at.to_bytes(8, "little") * (1 << 16) + noise[turn:] + noise[:turn])


SIZES = {
    "context": [10_000, 100_000, 1_000_000],
    "steps": [30, 120, 480, 900],  # a root takes 998 layers at most
    "stages": [10, 100],
    "layer": [1024, 8192],
    "processors": [20_000],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(SIZES))
    parser.add_argument("--sizes", help="what grows, separated by commas; of each kind that is named")
    parser.add_argument("--wythe", default=os.path.join(ROOT, "target/release/wythe"))
    parser.add_argument("--busybox", default="/bin/busybox", help="a statically linked one")
    parser.add_argument("--dir", help="where to work [default: the directory for temporary files]")
    args = parser.parse_args()
    kinds = args.kinds or list(SIZES)
    if unknown := set(kinds) - set(SIZES):
        parser.error(f"no such kind: {', '.join(sorted(unknown))}")
    directory = tempfile.mkdtemp(prefix="scaling-", dir=args.dir)
    try:
        bench = Bench(args.wythe, args.busybox, directory)
        print("| what | wall s | processor s | wall µs | processor µs | for each | MiB | several threads |")
        print("|---|---|---|---|---|---|---|---|", flush=True)
        for kind in kinds:
            sizes = [int(size) for size in args.sizes.split(",")] if args.sizes else SIZES[kind]
            getattr(bench, kind)(sizes)
    finally:
        # Files of steps may belong to other ids, which only the program itself can take away.
        subprocess.run([args.wythe, "--store", os.path.join(directory, "store"), "prune", "--all"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
