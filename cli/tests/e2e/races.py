#!/usr/bin/env python3
"""Races that other builders have lost: something hostile changes what a build looks at while it does, and canaries
outside must stay as they are. And builds that are interrupted at any moment, of which nothing may be left.

Usage: races.py WYTHE BASE [ROUNDS [CANCELS]]
(as a user with subordinate ids; BASE is the layout of base.sh. The long form is 1000 rounds and 300 cancels.)
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

CANARY = "the canary outside"
# From being asked to the end, as is promised.
ORDERLY = 10

passed = failed = 0


def check(claim, problems):
    global passed, failed
    if problems:
        failed += 1
        print(f"FAIL  {claim}:", *problems[:5], sep="\n      ")
    else:
        passed += 1
        print(f"ok    {claim}", flush=True)


def facts(top):
    """All that is below a directory: names, kinds, owners, modes, times, sizes, contents."""
    found = {}
    for folder, folders, files in os.walk(top):
        for name in [".", *folders, *files]:
            path = os.path.join(folder, name)
            seen = os.lstat(path)
            content = open(path, "rb").read() if os.path.isfile(path) and not os.path.islink(path) else None
            found[path] = (seen.st_mode, seen.st_uid, seen.st_nlink, seen.st_mtime_ns, seen.st_size, content)
    return found


class Races:
    def __init__(self, wythe, base, top):
        self.wythe, self.base, self.top = wythe, base, top
        self.store = os.path.join(top, "store")
        self.outside = os.path.join(top, "outside")
        os.makedirs(os.path.join(self.outside, "sub/x"))
        with open(os.path.join(self.outside, "sub/file"), "w") as file:
            file.write(CANARY)
        self.n_contexts = 0

    def context(self, text):
        self.n_contexts += 1
        at = os.path.join(self.top, f"context-{self.n_contexts}")
        os.makedirs(at)
        with open(os.path.join(at, "Dockerfile"), "w") as file:
            file.write(text)
        return at

    def words(self, context, *flags):
        base = f"base=oci-layout://{self.base}"
        return [self.wythe, "--store", self.store, "build", "--progress=plain", "--build-context", base, *flags, context]

    def build(self, context, *flags):
        ran = subprocess.run(self.words(context, *flags), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        return ran.returncode, ran.stdout + ran.stderr

    def below_a_shared_cache(self, rounds):
        """A place below a cache that a neighbour swaps between a directory and a link that leads outside."""
        before, problems = facts(self.outside), []
        leads = [self.outside, f"../../../../../../../../..{self.outside}", "/proc/self/root", "/etc"]
        swap = "".join(
            f"ln -sfn {lead} /c/link; mv -T /c/sub /c/aside; mv -T /c/link /c/sub; rm /c/sub; mv -T /c/aside /c/sub; " for lead in leads
        )
        text = f"FROM base\nRUN --mount=type=cache,id=race,target=/c mkdir -p /c/sub; while [ ! -e /c/stop ]; do {swap} done 2> /dev/null; rm /c/stop\n"
        swapper = subprocess.Popen(self.words(self.context(text), "--no-cache"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        mounts = ["type=tmpfs,target=/c/sub/x", "type=bind,target=/c/sub/x", "type=secret,id=s,target=/c/sub/secret", "type=bind,source=Dockerfile,target=/c/sub/file"]
        victims = []
        for mount in mounts:
            victims.append(self.context(f"FROM base\nARG N\nRUN --mount=type=cache,id=race,target=/c --mount={mount} ls -R /c; cat /c/sub/file /c/sub/sub/file; true\n"))
        secret = os.path.join(self.top, "secret")
        with open(secret, "w") as file:
            file.write("a secret")
        reached = 0
        for number in range(rounds):
            victim = victims[number % len(victims)]
            code, said = self.build(victim, "--build-arg", f"N={number}", "--secret", f"id=s,src={secret}")
            reached += code == 0
            if CANARY in said:
                problems.append(f"round {number}: the canary was read\n{said}")
            if code not in (0, 1, 4):
                problems.append(f"round {number}: ended with {code}\n{said}")
            if facts(self.outside) != before:
                problems.append(f"round {number}: the canary was changed")
        stop = self.context("FROM base\nRUN --mount=type=cache,id=race,target=/c touch /c/stop\n")
        self.build(stop, "--no-cache")
        swapper.wait(timeout=60)
        check(f"{rounds} steps mount below what a neighbour swaps, and the canary is unchanged ({reached} of them ran)", problems)

    def swapped_context(self, rounds):
        """A context in which somebody swaps a directory and a link that leads outside."""
        before, problems, stop = facts(self.outside), [], threading.Event()
        text = "FROM base\nARG N\nCOPY src /copied\nRUN --mount=type=bind,source=src,target=/m,rw cat /m/* /copied/*; echo lost > /m/new; echo lost > /m/file\n"
        context = self.context(text)
        own, aside, link = (os.path.join(context, name) for name in ["src", "aside", "link"])
        os.makedirs(own)
        with open(os.path.join(own, "file"), "w") as file:
            file.write("of the context\n")

        def swap():
            while not stop.is_set():
                os.symlink(os.path.join(self.outside, "sub"), link)
                os.rename(own, aside)
                os.rename(link, own)
                os.unlink(own)
                os.rename(aside, own)

        swapping = threading.Thread(target=swap)
        swapping.start()
        for number in range(rounds):
            code, said = self.build(context, "--build-arg", f"N={number}")
            if CANARY in said:
                problems.append(f"round {number}: the canary was read\n{said}")
            if code not in (0, 1, 2, 4):
                problems.append(f"round {number}: ended with {code}\n{said}")
        stop.set()
        swapping.join()
        if facts(self.outside) != before:
            problems.append("the canary was changed")
        if os.listdir(own) != ["file"] or open(os.path.join(own, "file")).read() != "of the context\n":
            problems.append("what a step wrote is in the context")
        check(f"{rounds} builds of a context in which a directory is swapped for a link read and change nothing outside", problems)

    def left(self):
        """Processes and mounts below the store."""
        found = []
        for process in filter(str.isdigit, os.listdir("/proc")):
            if int(process) == os.getpid():
                continue
            for file in ["cmdline", "mountinfo"]:
                try:
                    with open(f"/proc/{process}/{file}", "rb") as opened:
                        if self.store.encode() in opened.read():
                            found.append(f"{process} {file}")
                except OSError:
                    pass
        return found

    def cancelled(self, cancels):
        """Builds that are interrupted at any moment, orderly or twice or for good."""
        text = "FROM base AS left\nARG N\nRUN (setsid sleep 1000 &); dd if=/dev/zero of=/left bs=1M count=8 2> /dev/null; sleep 0.1\n"
        # Copies up what is below, of which nothing is to be left half.
        text += "FROM base\nARG N\nCOPY src /src\nRUN --mount=type=cache,id=cancelled,target=/c chmod -R u+x /bin /src; trap 'exit 3' TERM; cp -r /src /c/; sleep 0.1\nCOPY --from=left /left /left\n"
        context, problems, slowest = self.context(text), [], 0
        os.makedirs(os.path.join(context, "src"))
        for number in range(100):
            with open(os.path.join(context, "src", str(number)), "wb") as file:
                file.write(random.randbytes(20000))
        start = time.monotonic()
        code, said = self.build(context, "-t", "kept", "--build-arg", "N=whole")
        whole = time.monotonic() - start
        check(f"an undisturbed build ends well after {whole:.2f} s", [] if code == 0 else [said])
        for number in range(cancels):
            sent = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL][number % 4]
            words = self.words(context, "--build-arg", f"N={number}")
            builder = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
            time.sleep(random.random() * whole)
            asked = time.monotonic()
            builder.send_signal(sent)
            if number % 8 == 1 and builder.poll() is None:
                time.sleep(0.05)
                builder.send_signal(sent)
            try:
                builder.wait(timeout=ORDERLY)
            except subprocess.TimeoutExpired:
                problems.append(f"round {number}: {sent.name} was not heeded within {ORDERLY} s")
                builder.kill()
                builder.wait()
            slowest = max(slowest, time.monotonic() - asked)
            deadline = time.monotonic() + 2
            while self.left() and time.monotonic() < deadline:
                time.sleep(0.02)
            if self.left():
                problems.append(f"round {number}: after {sent.name} there is still {self.left()[:3]}")
        code, said = self.build(context, "-t", "after", "--build-arg", "N=after")
        if code != 0:
            problems.append(f"the next build fails\n{said}")
        work = os.path.join(self.store, "work")
        remains = os.listdir(work) if os.path.isdir(work) else []
        if remains:
            problems.append(f"left in the store: {remains[:5]}")
        ran = subprocess.run([self.wythe, "--store", self.store, "verify"], capture_output=True, text=True)
        if ran.returncode != 0:
            problems.append(f"the store is not intact\n{ran.stdout}{ran.stderr}")
        check(f"{cancels} builds are interrupted, the slowest ends after {slowest:.2f} s, and nothing is left of them", problems)


def main():
    wythe, base = (os.path.abspath(word) for word in sys.argv[1:3])
    given = [int(word) for word in sys.argv[3:]]
    rounds, cancels = given + [40, 20][len(given) :]
    top = tempfile.mkdtemp(prefix="wythe-races.")
    try:
        races = Races(wythe, base, top)
        races.below_a_shared_cache(rounds)
        races.swapped_context(rounds)
        races.cancelled(cancels)
    finally:
        # Directories of layers belong to subordinate ids.
        removed = subprocess.run(["unshare", "--map-root-user", "--map-auto", "rm", "-rf", top], capture_output=True)
        if removed.returncode != 0:
            shutil.rmtree(top, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
