#!/usr/bin/env python3
"""A build is stopped while the first process of its step is somebody other than who started it: a set-user-ID program, a
set-group-ID program, `su`. The kernel forgets then who is to be told of the end of the builder, and lets not everybody send
it signals. Whatever it does about a signal, it ends within what is promised, and nothing is left of it.

Usage: stopped.py WYTHE BASE [ISOLATION]
(userns, which is the default, and single-id as a user with subordinate ids, chroot as root; BASE is the layout of base.sh)
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from incidents import DOCKERS

# From being asked to the end, as is promised, and from being asked twice.
ORDERLY, TWICE = 10, 2
# How long what is left may take to go after a builder that was killed.
AFTERWARDS = 2
# How long a step may take to begin on a machine that is busy.
PATIENCE = 60
INTERRUPTED = 130

# A number of this run: it is how the processes of a step are found.
SECONDS = str(900000 + os.getpid())
IMAGE = """FROM base
RUN for user in 0:0 4242:0 0:77; do mkdir -p /sudo/$user && cp /bin/busybox /sudo/$user && chown $user /sudo/$user/busybox; done \\
  && chmod 4755 /sudo/0:0/busybox /sudo/4242:0/busybox && chmod 2755 /sudo/0:77/busybox && sed -i s/^root:x:/root::/ /etc/passwd
"""
# What a step does about a signal: the words of a command, and how many processes it starts with the number in their words.
ASLEEP = (["sleep", SECONDS], 1)
DEAF = (["sh", "-c", f"trap '' HUP INT TERM; setsid sleep {SECONDS} & while :; do sleep {SECONDS}; done"], 3)
ENDS = (["sh", "-c", f"trap 'exit 3' TERM; setsid sleep {SECONDS} & sleep {SECONDS} & wait"], 3)
GOES_ON = (["sh", "-c", f"trap : TERM; sleep {SECONDS} & while :; do wait; done"], 2)
# In a chroot programs gain privileges where a step speaks of sudo. The program that is set-user-ID becomes who called it again,
# and that of another user keeps a way back. `su` becomes root, who has no password, or from root a user.
BECOMES = ["su", "-s", "/bin/sh"]
FIRST = [
    ("a set-user-ID program", "app", ["/sudo/0:0/busybox"], ASLEEP),
    ("a set-user-ID program that is told and ends", "app", ["/sudo/0:0/busybox"], ENDS),
    ("a set-user-ID program that is told and goes on", "app", ["/sudo/0:0/busybox"], GOES_ON),
    ("a program of another user", "app", ["/sudo/4242:0/busybox"], ASLEEP),
    ("a program of another user that is deaf", "app", ["/sudo/4242:0/busybox"], DEAF),
    ("a program of another group that is deaf", "app", ["/sudo/0:77/busybox"], DEAF),
    ("a user's su to root that is deaf", "app", ["/sudo/0:0/busybox", *BECOMES, "root"], DEAF),
    ("a user's su to root that is told and ends", "app", ["/sudo/0:0/busybox", *BECOMES, "root"], ENDS),
    ("root's su to a user that is deaf", "root", ["/bin/busybox", *BECOMES, "app"], DEAF),
    ("root's su to a user that is told and ends", "root", ["/bin/busybox", *BECOMES, "app"], ENDS),
]
SIGNALS = [
    ("SIGINT", [signal.SIGINT]),
    ("SIGTERM", [signal.SIGTERM]),
    ("SIGINT twice", [signal.SIGINT, signal.SIGINT]),
    ("SIGTERM twice", [signal.SIGTERM, signal.SIGTERM]),
    ("SIGKILL", [signal.SIGKILL]),
]


def sleepers():
    """The processes of a step: all whose words have the number."""
    found = []
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/cmdline", "rb") as file:
                found += [process] if SECONDS.encode() in file.read() else []
        except OSError:
            pass
    return found


def until(condition, seconds):
    """Whether a condition has held once before a time: a process that becomes another program has no words for a moment."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True


class Stopped:
    def __init__(self, wythe, base, isolation, top):
        self.wythe, self.base, self.isolation, self.top = wythe, base, isolation, top
        self.store, self.context = os.path.join(top, "store"), os.path.join(top, "context")
        os.makedirs(self.context)
        self.passed = self.failed = self.n_builds = 0

    def words(self, text, capabilities):
        file = os.path.join(self.context, "Dockerfile")
        with open(file, "w") as opened:
            opened.write(text)
        # Root of the machine is to have what root of a container has.
        few = ["setpriv", "--bounding-set", "-all," + ",".join(f"+{name}" for name in capabilities.split())]
        own = [self.wythe, "--store", self.store, "build", "--progress=plain", f"--isolation={self.isolation}"]
        own += ["--build-context", f"base=oci-layout://{self.base}", "-o", "type=cacheonly", self.context]
        return [*(few if self.isolation == "chroot" else []), *own]

    def whole(self, capabilities):
        """Builds all but the step that sleeps, which is found the next time."""
        ran = subprocess.run(self.words(IMAGE, capabilities), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        return [] if ran.returncode == 0 else [f"ended with {ran.returncode}\n{ran.stdout}{ran.stderr}"]

    def once(self, user, program, does, sent, capabilities):
        """Stops one build; returns what is wrong, and how long it took."""
        self.n_builds += 1
        words, n_processes = does
        # `su` starts the shell by itself.
        argv = program + (words[1:] if BECOMES[0] in program else words)
        text = f"{IMAGE}USER {user}\nENV N={self.n_builds}\nRUN {json.dumps(argv)}\n"
        log = os.path.join(self.top, "log")
        with open(log, "w") as opened:
            words = self.words(text, capabilities)
            builder = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=opened, stderr=opened, start_new_session=True)
        began = until(lambda: len(sleepers()) == n_processes or builder.poll() is not None, PATIENCE)
        problems = [] if began and builder.poll() is None else [f"the step did not begin: {sleepers()}"]
        asked = time.monotonic()
        for number, one in enumerate(sent):
            if number:
                time.sleep(0.05)
            builder.send_signal(one)
        promised = TWICE if len(sent) > 1 else ORDERLY
        if not until(lambda: builder.poll() is not None, promised):
            problems.append(f"the builder has not ended after {promised} s")
            builder.kill()
        code = builder.wait()
        took = time.monotonic() - asked
        expected = -signal.SIGKILL if sent[0] == signal.SIGKILL else INTERRUPTED
        if code != expected:
            problems.append(f"it ended with {code}, not {expected}")
        if not until(lambda: not sleepers(), 0 if expected == INTERRUPTED and len(sent) == 1 else AFTERWARDS):
            problems.append(f"there is still {sleepers()}")
            for process in sleepers():
                os.kill(int(process), signal.SIGKILL)
        if problems:
            with open(log) as opened:
                problems.append(opened.read()[-1500:])
        return problems, took

    def check(self, claim, problems):
        self.passed, self.failed = self.passed + (not problems), self.failed + bool(problems)
        print("FAIL " if problems else "ok   ", "\n      ".join([claim, *problems[:3]]), flush=True)

    def each(self, capabilities, where):
        self.check(f"an image has programs of other users{where}", self.whole(capabilities))
        for name, user, program, does in FIRST:
            problems, slowest = [], 0
            for how, sent in SIGNALS:
                found, took = self.once(user, program, does, sent, capabilities)
                problems += [f"{how}: {problem}" for problem in found]
                slowest = max(slowest, took)
            self.check(f"{name} comes first{where}, the build is stopped, and nothing is left after {slowest:.2f} s", problems)
        self.check(f"the store is as it was{where}", self.remains())

    def remains(self):
        work = os.path.join(self.store, "work")
        # The next build takes away what one that was killed has left.
        problems = self.whole(DOCKERS)
        left = os.listdir(work) if os.path.isdir(work) else []
        problems += [f"left in the store: {left[:5]}"] if left else []
        ran = subprocess.run([self.wythe, "--store", self.store, "verify"], capture_output=True, text=True)
        return problems + ([] if ran.returncode == 0 else [ran.stdout + ran.stderr])


def main():
    wythe, base = (os.path.abspath(word) for word in sys.argv[1:3])
    isolation = (sys.argv[3:] or ["userns"])[0]
    top = tempfile.mkdtemp(prefix="wythe-stopped.")
    try:
        stopped = Stopped(wythe, base, isolation, top)
        stopped.each(DOCKERS, "")
        if isolation == "chroot":
            # What kaniko's users leave their containers: there root may send signals to nobody else.
            stopped.each(" ".join(name for name in DOCKERS.split() if name != "kill"), ", without CAP_KILL")
    finally:
        # Directories of layers belong to subordinate ids.
        removed = subprocess.run(["unshare", "--map-root-user", "--map-auto", "rm", "-rf", top], capture_output=True)
        if removed.returncode != 0:
            shutil.rmtree(top, ignore_errors=True)
    print(f"{stopped.passed} passed, {stopped.failed} failed")
    return stopped.failed != 0


if __name__ == "__main__":
    sys.exit(main())
