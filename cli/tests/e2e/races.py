#!/usr/bin/env python3
"""Races that other builders have lost: something hostile changes what a build looks at while it does, and canaries
outside must stay as they are. And builds that are interrupted at any moment, of which nothing may be left.

Usage: races.py WYTHE BASE [ROUNDS [CANCELS [ISOLATION]]]
(userns, which is the default, and single-id as a user with subordinate ids, chroot as root; BASE is the layout of base.sh.
The long form is 1000 rounds and 300 cancels.)
"""

import ctypes
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from canaries import facts
from incidents import DOCKERS

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


class Exchanged:
    """A directory that changes places with a link, at once and for as long as this lasts. Then it is back."""

    def __init__(self, path, lead):
        self.path, self.other = path, os.path.join(os.path.dirname(path), "other")
        os.symlink(lead, self.other)
        self.n_times = multiprocessing.Value("Q", 0)
        self.is_over = multiprocessing.Event()
        self.process = multiprocessing.Process(target=self.exchange)

    def exchange(self):
        libc = ctypes.CDLL(None, use_errno=True)
        own, other, here = self.path.encode(), self.other.encode(), -100  # AT_FDCWD
        while not self.is_over.is_set():
            # RENAME_EXCHANGE: there is no moment at which nothing is there.
            for _ in range(100):
                self.n_times.value += libc.renameat2(here, own, here, other, 2) == 0

    def times(self):
        return self.n_times.value

    def __enter__(self):
        self.process.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.process.join()
        link = self.path if os.path.islink(self.path) else self.other
        os.unlink(link)
        if link == self.path:
            os.rename(self.other, self.path)


class Races:
    def __init__(self, wythe, base, isolation, top):
        self.wythe, self.base, self.isolation, self.top = wythe, base, isolation, top
        self.store = os.path.join(top, "store")
        self.outside = os.path.join(top, "outside")
        for name in ["x", "empty"]:
            os.makedirs(os.path.join(self.outside, "sub", name))
        # What is empty would go with the places of a step.
        for name in ["secret", "nothing"]:
            open(os.path.join(self.outside, "sub", name), "w").close()
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
        # Root of the machine is to have what root of a container has.
        few = ["setpriv", "--bounding-set", "-all," + ",".join(f"+{name}" for name in DOCKERS.split())]
        own = [self.wythe, "--store", self.store, "build", "--progress=plain", f"--isolation={self.isolation}"]
        return [*(few if self.isolation == "chroot" else []), *own, "--build-context", base, *flags, context]

    def build(self, context, *flags):
        ran = subprocess.run(self.words(context, *flags), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        return ran.returncode, ran.stdout + ran.stderr

    def below_a_shared_cache(self, rounds):
        """A place below a cache that is exchanged, thousands of times a second, for a link that leads outside."""
        # The same paths are in the image, so that a mount behind a link has a place there: no state refuses it.
        leads = [os.path.join(self.outside, "sub"), f"../../../../../../../../..{self.outside}/sub", "/etc", "/proc/self/root/etc"]
        places = " ".join([*(f"{lead}/x" for lead in leads[:1]), "/etc/x"])
        files = " ".join(f"{lead}/{name}" for lead in [leads[0], "/etc"] for name in ["secret", "file"])
        image = self.context(f"FROM base\nRUN mkdir -p {places} && touch {files}\n")
        code, said = self.build(image, "-o", f"type=oci,dest={self.top}/image,tar=false")
        check("an image has the places that links lead to", [] if code == 0 else [said])
        target = "--mount=type=cache,id=race,target=/c"
        made = "RUN " + target + " mkdir -p /c/sub/x && touch /c/sub/secret /c/sub/file && echo here > /c/mark && chmod -R 777 /c\n"
        code, said = self.build(self.context(f"FROM base\n{made}"), "--no-cache")
        check("a cache has the same", [] if code == 0 else [said])
        cache = self.directory_with("mark")
        mounts = ["type=tmpfs,target=/c/sub/x", "type=bind,target=/c/sub/x", "type=secret,id=s,target=/c/sub/secret", "type=bind,source=Dockerfile,target=/c/sub/file"]
        # Places that are made for the step and go with it, in the directory or behind the link.
        mounts += ["type=tmpfs,target=/c/sub/empty", "type=secret,id=s,target=/c/sub/nothing"]
        step = "cut -d ' ' -f 5 /proc/self/mountinfo | sed 's/^/mounted /'; ls -R /c; cat /c/sub/* /c/sub/sub/*; true"
        victims = [self.context(f"FROM base\nARG N\nRUN {target} --mount={mount} {step}\n") for mount in mounts]
        secret = os.path.join(self.top, "secret")
        with open(secret, "w") as file:
            file.write("a secret")
        # Without namespaces there are no mounts to tell where they are.
        ways = ["ran"] if self.isolation == "chroot" else ["in the directory", "behind the link"]
        before, problems, ended = facts(self.outside), [], {way: 0 for way in [*ways, "refused"]}
        swaps = 0
        for number in range(rounds):
            victim, lead = victims[number % len(victims)], leads[number // len(victims) % len(leads)]
            base = ["--build-context", f"base=oci-layout://{self.top}/image"]
            with Exchanged(os.path.join(cache, "sub"), lead) as exchanged:
                code, said = self.build(victim, "--build-arg", f"N={number}", "--secret", f"id=s,src={secret}", *base)
            swaps += exchanged.times()
            places = [line.split()[-1] for line in said.splitlines() if " mounted /" in line]
            is_inside = any(place.startswith(("/c/sub/", "/c/other/")) for place in places)
            ended["refused" if code else ways[0] if is_inside else ways[-1]] += 1
            if CANARY in said:
                problems.append(f"round {number}: the canary was read\n{said}")
            if code not in (0, 1, 4):
                problems.append(f"round {number}: ended with {code}\n{said}")
            if facts(self.outside) != before:
                problems.append(f"round {number}: the canary was changed")
        if not swaps:
            problems.append("nothing was exchanged")
        told = ", ".join(f"{number} {how}" for how, number in ended.items())
        check(f"{rounds} steps mount below what is exchanged {swaps} times meanwhile, and the canary is unchanged ({told})", problems)

    def swapped_context(self, rounds):
        """A context in which a directory is exchanged for a link that leads outside."""
        before, problems, swaps = facts(self.outside), [], 0
        text = "FROM base\nARG N\nCOPY src /copied\nRUN --mount=type=bind,source=src,target=/m,rw cat /m/* /copied/*; echo lost > /m/new; echo lost > /m/file\n"
        context = self.context(text)
        own = os.path.join(context, "src")
        os.makedirs(own)
        with open(os.path.join(own, "file"), "w") as file:
            file.write("of the context\n")
        ended = {"copied": 0, "refused": 0}
        for number in range(rounds):
            with Exchanged(own, os.path.join(self.outside, "sub")) as exchanged:
                code, said = self.build(context, "--build-arg", f"N={number}")
            swaps += exchanged.times()
            ended["refused" if code else "copied"] += 1
            if CANARY in said:
                problems.append(f"round {number}: the canary was read\n{said}")
            if code not in (0, 1, 2, 4):
                problems.append(f"round {number}: ended with {code}\n{said}")
        if facts(self.outside) != before:
            problems.append("the canary was changed")
        if os.listdir(own) != ["file"] or open(os.path.join(own, "file")).read() != "of the context\n":
            problems.append("what a step wrote is in the context")
        if not swaps:
            problems.append("nothing was exchanged")
        told = ", ".join(f"{number} {how}" for how, number in ended.items())
        check(f"{rounds} builds of a context in which a directory is exchanged for a link {swaps} times read and change nothing outside ({told})", problems)

    def directory_with(self, name):
        """Where in the store the cache is that has a file of a name."""
        found = [folder for folder, _, files in os.walk(self.store) if name in files]
        return found[0]

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
    given = [int(word) for word in sys.argv[3:5]]
    rounds, cancels = given + [40, 20][len(given) :]
    isolation = (sys.argv[5:] or ["userns"])[0]
    top = tempfile.mkdtemp(prefix="wythe-races.")
    try:
        races = Races(wythe, base, isolation, top)
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
