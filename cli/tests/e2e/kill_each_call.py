#!/usr/bin/env python3
"""kill_each_call.py WYTHE USER DIR [EVERY]: kills wythe with SIGKILL at each system call that changes a
file, for builds, a tag, the removal of a name and collections; then looks at what the next commands find.

Every thread and process of the program is counted in one order (a filter of the kernel stops it at each
such call, before the call is done), so that no instant between two changes is left out; what steps do
themselves is not counted. With EVERY, only every so many-th call, in another phase for each command.
After each kill:
  - the names that were acknowledged give the same image, every blob of it read by a program of its own;
  - the name that was being made is absent, old or new;
  - nothing is damaged, and a new build gives the image of an undisturbed store;
  - nothing temporary outlives that build, and a collection of everything leaves nothing.

Needs root, to trace a program that starts newuidmap; the program itself runs as USER.
"""
import ctypes
import errno
import os
import pwd
import shutil
import signal
import stat
import struct
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import store_images
from store_images import Wrong

# Calls that change a file system or make a change last. Of those in OF_FILES only the ones count whose
# first argument is a regular file or a directory: a pipe is none.
NUMBERS = {
    "x86_64": dict(
        write=1, pwrite64=18, writev=20, pwritev=296, pwritev2=328, ftruncate=77, fsync=74, fdatasync=75, syncfs=306,
        sync_file_range=277, copy_file_range=326, sendfile=40, fallocate=285, fchmod=91, fchown=93, fsetxattr=190,
        open=2, creat=85, openat=257, openat2=437, rename=82, renameat=264, renameat2=316, unlink=87, unlinkat=263,
        link=86, linkat=265, symlink=88, symlinkat=266, mkdir=83, mkdirat=258, rmdir=84, mknod=133, mknodat=259,
        chmod=90, fchmodat=268, fchmodat2=452, chown=92, lchown=94, fchownat=260, utimensat=280, setxattr=188,
        lsetxattr=189, removexattr=197, lremovexattr=198, fremovexattr=199, truncate=76, msync=26, ioctl=16),
    "aarch64": dict(
        write=64, pwrite64=68, writev=66, pwritev=70, pwritev2=287, ftruncate=46, fsync=82, fdatasync=83, syncfs=267,
        sync_file_range=84, copy_file_range=285, sendfile=71, fallocate=47, fchmod=52, fchown=55, fsetxattr=7,
        openat=56, openat2=437, renameat=38, renameat2=276, unlinkat=35, linkat=37, symlinkat=36, mkdirat=34,
        mknodat=33, fchmodat=53, fchmodat2=452, fchownat=54, utimensat=88, setxattr=5, lsetxattr=6, removexattr=14,
        lremovexattr=15, fremovexattr=16, truncate=45, msync=227, ioctl=29),
}[os.uname().machine]
NAMES = {number: name for name, number in NUMBERS.items()}
OF_FILES = {"write", "pwrite64", "writev", "pwritev", "pwritev2", "sendfile", "ioctl"}
FICLONE, FICLONERANGE = 0x40049409, 0x4020940D
O_CREAT, O_TMPFILE = 0o100, 0o20000000

PTRACE_PEEKDATA, PTRACE_CONT, PTRACE_LISTEN = 2, 7, 0x4208
PTRACE_SEIZE, PTRACE_GET_SYSCALL_INFO = 0x4206, 0x420E
EVENT_SECCOMP, EVENT_STOP = 7, 128
# Forks, clones, execs and calls of the filter stop; whoever is traced dies with this program.
OPTIONS = 2 | 4 | 8 | 0x10 | 0x80 | 0x100000
WALL = 0x40000000

# A traced command that takes this many seconds hangs; a slow one takes two.
PATIENCE = 120

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, pid, address=0, data=0):
    """The kernel's answer, or None where the process is gone."""
    ctypes.set_errno(0)
    result = libc.ptrace(request, pid, address, data)
    if ctypes.get_errno() == errno.ESRCH:
        return None
    if result == -1 and ctypes.get_errno():
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x}")
    return result


def install_filter():
    """From here on the calls of NUMBERS stop for whoever traces us."""
    trace, allow = 0x7FF00000, 0x7FFF0000
    numbers = sorted(NUMBERS.values())
    program = [(0x20, 0, 0, 0)]
    program += [(0x15, len(numbers) - i, 0, number) for i, number in enumerate(numbers)]
    program += [(0x06, 0, 0, allow), (0x06, 0, 0, trace)]
    code = b"".join(struct.pack("HBBI", *line) for line in program)
    buffer = ctypes.create_string_buffer(code)
    head = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program), ctypes.addressof(buffer)))
    if libc.prctl(22, 2, ctypes.byref(head), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def become(user):
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


class Traced:
    """One run of a command under the tracer, killed at its N-th change."""

    def __init__(self, words, environment, user, log):
        self.program = os.stat(words[0])
        self.calls, self.hangs = [], False
        ready_out, ready_in = os.pipe()
        self.main = os.fork()
        if self.main == 0:
            try:
                os.close(ready_in)
                os.read(ready_out, 1)
                os.setsid()
                for number in (1, 2):
                    os.dup2(log.fileno(), number)
                os.chdir(user.pw_dir if os.path.isdir(user.pw_dir) else "/")
                install_filter()
                become(user)
                os.execve(words[0], words, environment)
            except BaseException as error:
                os.write(2, f"{error}\n".encode())
            os._exit(99)
        os.close(ready_out)
        ptrace(PTRACE_SEIZE, self.main, 0, OPTIONS)
        os.write(ready_in, b"x")
        os.close(ready_in)

    def run(self, kill_at):
        """The exit status, or None where it was killed. Every process has ended then."""
        self.alive = {self.main}
        signal.signal(signal.SIGALRM, lambda *_: self.kill_all() or setattr(self, "hangs", True))
        signal.alarm(PATIENCE)
        try:
            return self.follow(kill_at)
        finally:
            signal.alarm(0)

    def kill_all(self):
        for one in [self.main, *self.alive]:
            try:
                os.kill(one, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def follow(self, kill_at):
        status, was_killed = None, False
        while True:
            try:
                pid, how = os.waitpid(-1, WALL)
            except ChildProcessError:
                return None if was_killed else status
            if os.WIFEXITED(how) or os.WIFSIGNALED(how):
                self.alive.discard(pid)
                if pid == self.main:
                    status = os.waitstatus_to_exitcode(how)
                continue
            self.alive.add(pid)
            event, number = how >> 16, os.WSTOPSIG(how)
            if event == EVENT_SECCOMP and not was_killed and self.is_counted(pid):
                if len(self.calls) == kill_at:
                    was_killed = True
                    self.kill_all()
                    continue
            if event == EVENT_STOP and number in (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
                ptrace(PTRACE_LISTEN, pid)
            else:
                ptrace(PTRACE_CONT, pid, 0, 0 if event else number)

    def is_counted(self, pid):
        """Whether the call that a process stands before is a change that our program makes."""
        answer = ctypes.create_string_buffer(96)
        if not ptrace(PTRACE_GET_SYSCALL_INFO, pid, 96, ctypes.addressof(answer)):
            return False
        number, *arguments = struct.unpack_from("7Q", answer, 24)
        name = NAMES[number]
        try:
            exe = os.stat(f"/proc/{pid}/exe")
            if (exe.st_dev, exe.st_ino) != (self.program.st_dev, self.program.st_ino):
                return False
            if name == "ioctl" and arguments[1] not in (FICLONE, FICLONERANGE):
                return False
            if name in OF_FILES and not stat.S_ISREG(os.stat(f"/proc/{pid}/fd/{arguments[0]}").st_mode):
                return False
        except (FileNotFoundError, ProcessLookupError):
            return False
        flags = {"open": 1, "openat": 2}.get(name)
        if flags is not None and not arguments[flags] & (O_CREAT | O_TMPFILE & ~0o200000):
            return False
        if name == "openat2":
            with open(f"/proc/{pid}/mem", "rb", 0) as memory:
                memory.seek(arguments[2])
                if not struct.unpack("Q", memory.read(8))[0] & (O_CREAT | O_TMPFILE & ~0o200000):
                    return False
        self.calls.append(name)
        return True


class Bench:
    """A place with a context, a store that is put back before each kill, and what is expected of it."""

    def __init__(self, wythe, user, place):
        self.wythe, self.user, self.place = wythe, pwd.getpwnam(user), place
        self.environment = {"HOME": str(place), "PATH": os.environ["PATH"], "TMPDIR": str(place)}

    def words(self, store, *words):
        return [str(self.wythe), "--store", str(store), "--progress", "plain", *words]

    def command(self, store, *words):
        done = subprocess.run(
            self.words(store, *words), env=self.environment, cwd=self.place, preexec_fn=lambda: become(self.user),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
        return done.returncode, done.stdout.decode(errors="replace")

    def must(self, store, *words):
        status, said = self.command(store, *words)
        if status != 0:
            raise Wrong(f"`wythe {' '.join(words)}` ends with {status}:\n{said}")
        return said

    def build(self, name, version):
        return ["build", "-t", name, "-o", "type=image,rewrite-timestamp=true", "--iidfile", "{}/iid",
                "--build-arg", f"V={version}", "--build-arg", "SOURCE_DATE_EPOCH=1700000000", str(self.place / "context")]

    def built(self, store, name, version):
        """The id of the image that a build gives."""
        scratch = store.parent
        self.must(store, *[word.format(scratch) for word in self.build(name, version)])
        return (scratch / "iid").read_text()

    def saved(self, store, name):
        return store_images.saved(self.must, store, name, store.parent / "saved.tar")

    def names(self, store):
        return store_images.names(self.must, store)


def make_context(bench):
    context = bench.place / "context"
    (context / "rootfs/bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", context / "rootfs/bin/busybox")
    for applet in ("sh", "cat", "seq", "sha256sum", "mkdir", "ln"):
        (context / "rootfs/bin" / applet).symlink_to("busybox")
    (context / "src").mkdir()
    for i in range(12):
        (context / "src" / str(i)).write_text("".join(f"{i} {line}\n" for line in range(4000)))
    (context / "Dockerfile").write_text(
        "FROM scratch AS base\nCOPY rootfs /\n"
        "FROM base AS left\nARG V\nRUN --mount=type=cache,target=/c seq $V 9000 > /c/n && cat /c/n > /left\n"
        "FROM base\nARG V\nCOPY src /src\nRUN mkdir /d && ln /src/1 /d/one && cat /src/* > /d/all && echo $V > /d/v\n"
        "COPY --from=left /left /left\nRUN sha256sum /left /d/all > /sums\n")


def look(bench, store, expected):
    """What must hold after a kill."""
    names = bench.names(store)
    for name in ("first:1", "kept:1"):
        if names.get(name) != expected["first"]:
            raise Wrong(f"{name} is {names.get(name)}, not {expected['first']}")
    for name, digest in names.items():
        if digest not in (expected["first"], expected["second"]):
            raise Wrong(f"{name} is {digest}, which nobody made")
    bench.must(store, "verify", "--live")
    if bench.saved(store, "first:1") != expected["archives"][0]:
        raise Wrong("the archive of first:1 has another digest")
    iid = bench.built(store, "next:1", 2)
    if iid != expected["iid"]:
        raise Wrong(f"a new build gives {iid}, not {expected['iid']}")
    if bench.saved(store, "next:1") != expected["archives"][1]:
        raise Wrong("the archive of a new build has another digest")
    left = [path for folder in ("work", "trash", "leases") for path in (store / folder).glob("*")]
    if left:
        raise Wrong(f"outlives the next build: {' '.join(str(path.relative_to(store)) for path in left[:5])}")
    bench.must(store, "rmi", *bench.names(store))
    bench.must(store, "prune", "--all")
    kept = [path for folder in ("packs", "blobs/sha256", "live", "quarantine", "trash", "work", "leases")
            for path in (store / folder).glob("*")]
    if kept:
        raise Wrong(f"no collection takes away {' '.join(str(path.relative_to(store)) for path in kept[:5])}")


def one(bench, snapshot, words, kill_at, expected):
    """Puts the store back, kills the command at a change, and looks. The call, what was wrong, and how many there are."""
    scratch = bench.place / f"at-{os.getpid()}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    os.chown(scratch, bench.user.pw_uid, bench.user.pw_gid)
    store = scratch / "store"
    if snapshot is not None:
        subprocess.run(["cp", "-a", snapshot, store], check=True)
    words = [word.format(scratch) for word in words]
    with open(scratch / "log", "w+") as log:
        traced = Traced(bench.words(store, *words), bench.environment, bench.user, log)
        status = traced.run(kill_at)
        log.seek(0)
        said = log.read()
    call = traced.calls[-1] if traced.calls else "?"
    if traced.hangs:
        return call, f"it hangs:\n{said}", len(traced.calls), False
    if status is not None:
        wrong = None if status == 0 else f"it ends with {status}, unkilled:\n{said}"
        return call, wrong, len(traced.calls), False
    try:
        if snapshot is not None:
            look(bench, store, expected)
        else:
            fresh(bench, store, expected)
    except Wrong as wrong:
        return call, str(wrong), len(traced.calls), True
    return call, None, len(traced.calls), True


def fresh(bench, store, expected):
    """What must hold where the very first command was killed."""
    for name, version in (("first:1", 1), ("kept:1", 1)):
        bench.built(store, name, version)
    look(bench, store, expected)


def main():
    wythe, user, place = Path(sys.argv[1]).resolve(), sys.argv[2], Path(sys.argv[3]).resolve()
    every = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    place = place / "kill-each-call"
    place.mkdir(parents=True)
    bench = Bench(wythe, user, place)
    os.chown(place, bench.user.pw_uid, bench.user.pw_gid)
    make_context(bench)
    stores = {}
    for name in ("one", "two", "all"):
        directory = place / name
        directory.mkdir()
        os.chown(directory, bench.user.pw_uid, bench.user.pw_gid)
        stores[name] = directory / "store"

    # One store with an image of two names; one with a second image; one whose second image lost its name.
    for store in stores.values():
        bench.built(store, "first:1", 1)
        bench.must(store, "tag", "first:1", "kept:1")
    for name in ("two", "all"):
        iid = bench.built(stores[name], "second:1", 2)
    names = bench.names(stores["two"])
    expected = {"first": names["first:1"], "second": names["second:1"], "iid": iid}
    expected["archives"] = [bench.saved(stores["two"], name) for name in ("first:1", "second:1")]
    bench.must(stores["all"], "rmi", "second:1")

    commands = [
        ("first build", None, bench.build("first:1", 1)),
        ("second build", stores["one"], bench.build("second:1", 2)),
        ("known build", stores["two"], bench.build("second:1", 2)),
        ("tag", stores["two"], ["tag", "second:1", "third:1"]),
        ("tag that moves", stores["two"], ["tag", "first:1", "second:1"]),
        ("rmi", stores["two"], ["rmi", "second:1"]),
        ("prune", stores["all"], ["prune"]),
        ("prune --all", stores["all"], ["prune", "--all"]),
    ]
    passed = failed = 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for phase, (title, snapshot, words) in enumerate(commands):
            start = time.monotonic()
            _, wrong, total, _ = pool.submit(one, bench, snapshot, words, 1 << 30, expected).result()
            if wrong:
                print(f"FAIL  {title}: {wrong}", flush=True)
                failed += 1
                continue
            points = range(1 + phase % every, total + 1, every)
            runs = [(at, pool.submit(one, bench, snapshot, words, at, expected)) for at in points]
            reached, wrongs, calls = 0, [], {}
            for at, run in runs:
                call, wrong, _, was_killed = run.result()
                reached += was_killed
                if was_killed:
                    calls[call] = calls.get(call, 0) + 1
                if wrong:
                    wrongs.append(f"at {at}, {call}: {wrong}")
            what = ", ".join(f"{call} {n}" for call, n in sorted(calls.items(), key=lambda item: -item[1]))
            line = f"{title}: {reached} kills in {total} calls, {time.monotonic() - start:.0f} s ({what})"
            print(f"{'FAIL ' if wrongs or not reached else 'ok   '} {line}", flush=True)
            for wrong in wrongs[:10]:
                print("      " + wrong.replace("\n", "\n      "), flush=True)
            if len(wrongs) > 10:
                print(f"      and {len(wrongs) - 10} more: at {' '.join(w.split(',')[0][3:] for w in wrongs[10:])}")
            passed += reached - len(wrongs)
            failed += len(wrongs) or not reached
    print(f"{passed} passed, {failed} failed")
    shutil.rmtree(place, ignore_errors=True)
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
