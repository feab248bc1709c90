#!/usr/bin/env python3
"""power_cut.py WYTHE USER DIR ext4|xfs CUTS [--control|--no-collector]: cuts the power of a file system on which three
builders and now and then a collector work, and looks at what a store promises after the next start.

A cut is the ioctl by which ext4 and XFS stop at once, without writing anything more, their journal
included (EXT4_IOC_SHUTDOWN, XFS_IOC_GOINGDOWN, no log flush), on a loop device of our own. What was not synced is
lost as it is by a power cut; that a disk may lie about its cache, or reorder, is what the simulator of the
store is for. Acknowledged is what ended with status 0, and was seen to, before the cut began: a sync
that is under way meanwhile may be answered either way. The boot id changes with each cut, as it does with
each start of a machine.

After each cut, on the same device mounted again:
  - each name is what was acknowledged last, or what was being made of it, and nothing else;
  - the images that were acknowledged since the cut before are exported, and every blob is read by a
    program of its own: their digest is that of an undisturbed build;
  - `wythe verify --live` finds nothing, and a build gives the image of an undisturbed store.
One time in four the power goes again while the first commands after it run.

With --no-collector nothing is removed but names. With --control the same is done to files in the shape
"unpack, then mark as done, and sync the mark": it must be found wanting, else this program does not see
what it is there to see, and fails.

Needs root for mkfs, mount and losetup; the program itself runs as USER.
"""
import fcntl
import hashlib
import os
import pwd
import random
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import store_images
from store_images import Wrong

GOING_DOWN, NO_LOG_FLUSH = 0x8004587D, 2
BOOT_ID = "/proc/sys/kernel/random/boot_id"
WRITERS = 3
# The least that mkfs.xfs accepts is 300 MiB. Sparse: what is written is a tenth of it.
IMAGE_BYTES = 400 << 20
# After so many cuts a new file system: what stays from cut to cut must not hide what is lost in one.
CUTS_OF_ONE = 25
# A command that takes this many seconds hangs; a slow one takes two.
PATIENCE = 60


def root(*words):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)}: {done.stdout}")
    return done.stdout.strip()


class Disk:
    """A file system on a loop device of our own, in a mount namespace of our own."""

    def __init__(self, place, kind, user):
        self.kind, self.user, self.number = kind, user, 0
        self.mount_point, self.place = place / "disk", place
        self.mount_point.mkdir()
        self.device = self.image = None

    def make(self):
        """A new file system, in a file that no device has had."""
        self.drop()
        self.number += 1
        self.image = self.place / f"image-{self.number}"
        with open(self.image, "wb") as image:
            image.truncate(IMAGE_BYTES)
        quiet = {"ext4": ["-q", "-F"], "xfs": ["-q", "-f"]}[self.kind]
        root(f"mkfs.{self.kind}", *quiet, str(self.image))
        self.device = root("losetup", "--find", "--show", str(self.image))
        self.mount()
        os.chown(self.mount_point, self.user.pw_uid, self.user.pw_gid)
        # Whose it is must not be lost with a cut before anything was synced.
        directory = os.open(self.mount_point, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)

    def mount(self):
        root("mount", "-t", self.kind, self.device, str(self.mount_point))

    def cut(self):
        """Stops the file system. Nothing that is not on the device now gets there."""
        directory = os.open(self.mount_point, os.O_RDONLY)
        try:
            fcntl.ioctl(directory, GOING_DOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(directory)

    def unmount(self):
        """Waits for the last user: what is mounted a second time beside the first is no next start."""
        end = time.monotonic() + 20
        while subprocess.run(["umount", self.mount_point], stderr=subprocess.DEVNULL).returncode != 0:
            if time.monotonic() > end:
                sys.exit(f"{self.mount_point} stays busy: {root('fuser', '-vm', str(self.mount_point))}")
            time.sleep(0.02)
        name = os.path.basename(self.device)
        while os.path.exists(f"/sys/fs/{self.kind}/{name}"):
            if time.monotonic() > end:
                sys.exit(f"{self.device} stays mounted somewhere")
            time.sleep(0.02)

    def drop(self):
        if self.device:
            subprocess.run(["umount", self.mount_point], stderr=subprocess.DEVNULL)
            root("losetup", "--detach", self.device)
            self.image.unlink()
            self.device = None


class Actors:
    """What runs while the power goes. An acknowledgement counts until the cut begins, and not a moment longer."""

    def __init__(self):
        self.lock, self.running, self.is_off = threading.Lock(), set(), False

    def run(self, words, **how):
        """The status of a command, with its output; None where the power went first."""
        with self.lock:
            if self.is_off:
                return None, ""
            child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, start_new_session=True, **how)
            self.running.add(child)
        said, _ = child.communicate()
        with self.lock:
            self.running.discard(child)
            return (None if self.is_off else child.returncode), said.decode(errors="replace")

    def go(self, functions, disk, seconds):
        """Lets them work for some time, then cuts the power and kills whoever is left."""
        self.is_off = False
        threads = [threading.Thread(target=function, args=(self,)) for function in functions]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        with self.lock:
            self.is_off = True
            disk.cut()
            for child in self.running:
                child.kill()
        for thread in threads:
            thread.join()
        disk.unmount()


class Builders:
    """The store of wythe: names, of which each has a state that was acknowledged and one that is being made."""

    KINDS, VERSIONS = ("copy", "steps", "stages"), 3

    def __init__(self, wythe, user, place, disk):
        self.wythe, self.user, self.place, self.disk = wythe, user, place, disk
        self.environment = {"HOME": str(place), "PATH": os.environ["PATH"], "TMPDIR": str(place)}
        self.has_collector = "--no-collector" not in sys.argv
        self.expected, self.wrongs, self.acknowledged = {}, [], 0
        self.make_context()
        for kind in self.KINDS:
            for version in range(self.VERSIONS):
                self.expected[kind, version] = self.alone(kind, version)
        self.by_digest = {digest: archive for digest, archive in self.expected.values()}
        self.begin()

    def make_context(self):
        context = self.place / "context"
        (context / "rootfs/bin").mkdir(parents=True)
        shutil.copy("/bin/busybox", context / "rootfs/bin/busybox")
        for applet in ("sh", "cat", "seq", "sha256sum"):
            (context / "rootfs/bin" / applet).symlink_to("busybox")
        for version in range(self.VERSIONS):
            (context / "src" / str(version)).mkdir(parents=True)
            for i in range(20):
                (context / "src" / str(version) / str(i)).write_text(f"{version} {i}\n" * (1 + 900 * (i % 4)))
        texts = {
            "copy": "FROM scratch\nCOPY rootfs /\nARG V\nCOPY src/$V /src\n",
            "steps": "FROM scratch\nCOPY rootfs /\nARG V\nRUN seq $V 9000 > /numbers\nRUN sha256sum /numbers > /sums\n",
            "stages": "FROM scratch AS base\nCOPY rootfs /\nFROM base AS left\nARG V\nRUN seq $V 5000 > /left\n"
                      "FROM base\nARG V\nCOPY src/$V /src\nCOPY --from=left /left /left\n",
        }
        for kind, text in texts.items():
            (context / f"{kind}.Dockerfile").write_text(text)

    def words(self, store, *words):
        return [str(self.wythe), "--store", str(store), "--progress", "plain", *words]

    def build(self, kind, version, name):
        context = self.place / "context"
        return ["build", "-t", name, "-o", "type=image,rewrite-timestamp=true", "--build-arg", f"V={version}",
                "--build-arg", "SOURCE_DATE_EPOCH=1700000000", "-f", str(context / f"{kind}.Dockerfile"), str(context)]

    def how(self):
        return dict(env=self.environment, cwd=self.place, user=self.user.pw_uid, group=self.user.pw_gid, extra_groups=[])

    def must(self, store, *words):
        try:
            done = subprocess.run(self.words(store, *words), stdin=subprocess.DEVNULL, capture_output=True,
                                  timeout=PATIENCE, text=True, errors="replace", **self.how())
        except subprocess.TimeoutExpired:
            raise Wrong(f"`wythe {' '.join(words)}` hangs") from None
        if done.returncode != 0:
            raise Wrong(f"`wythe {' '.join(words)}` ends with {done.returncode}:\n{done.stderr[-3000:]}{done.stdout[-3000:]}")
        return done.stdout

    def names(self, store):
        return store_images.names(self.must, store)

    def saved(self, store, name):
        return store_images.saved(self.must, store, name, self.place / "saved.tar")

    def alone(self, kind, version):
        """What an undisturbed store makes of a recipe: the digest in the store, and that of the archive."""
        store = self.place / "undisturbed"
        self.must(store, *self.build(kind, version, "alone:1"))
        return self.names(store)["alone:1"], self.saved(store, "alone:1")

    def begin(self):
        """An empty disk: nothing was acknowledged."""
        self.store = self.disk.mount_point / "store"
        self.held, self.pending, self.fresh = {}, {}, set()

    def writers(self):
        return [lambda actors, n=n: self.write(actors, n) for n in range(WRITERS)] + [self.collect]

    def write(self, actors, n):
        """Builds, gives further names and takes names away."""
        own = [f"w{n}:{i}" for i in range(4)]
        while True:
            name, kind, version = random.choice(own), random.choice(self.KINDS), random.randrange(self.VERSIONS)
            digest, words = self.expected[kind, version][0], self.build(kind, version, name)
            others = [other for other in own if other != name and other in self.held]
            if others and random.random() < 0.2:
                digest, words = self.held[others[0]], ["tag", others[0], name]
            elif name in self.held and random.random() < 0.15:
                digest, words = None, ["rmi", name]
            self.pending[name] = digest
            status, said = actors.run(self.words(self.store, *words), **self.how())
            if status is None:
                return
            if status != 0:
                self.wrongs.append(f"`wythe {' '.join(words)}` ends with {status}:\n{said[-3000:]}")
                return
            self.acknowledged += 1
            self.pending.pop(name)
            self.fresh.add(name)
            if digest is None:
                self.held.pop(name)
            else:
                self.held[name] = digest

    def collect(self, actors):
        """Removes what nobody needs, in a third of the cycles."""
        if not self.has_collector or random.random() < 0.66:
            return
        status, said = actors.run(self.words(self.store, "prune", *random.choice([[], ["--all"]])), **self.how())
        if status not in (None, 0):
            self.wrongs.append(f"`wythe prune` ends with {status}:\n{said[-3000:]}")

    def first_commands(self):
        """Several at once open the store after a cut."""
        builds = {"next:1": ("steps", 0), "next:2": ("copy", 1)}
        commands = [["images"], ["verify"], ["prune", "--all"] if self.has_collector else ["du"]]
        commands += [self.build(*recipe, name) for name, recipe in builds.items()]
        self.pending |= {name: self.expected[recipe][0] for name, recipe in builds.items()}

        def one(command):
            return lambda actors: actors.run(self.words(self.store, *command), **self.how())
        return [one(command) for command in random.sample(commands, 3)]

    def check(self):
        """What must hold after a cut. Whichever command comes first has the recovery to do."""
        if not self.store.exists():
            if self.held:
                raise Wrong("the store is gone")
            return
        if random.random() < 0.5:
            self.must(self.store, "verify", "--live")
        found = self.names(self.store)
        for name in {*self.held, *self.pending, *found}:
            allowed = {self.held.get(name), self.pending.get(name, self.held.get(name))}
            if found.get(name) not in allowed:
                raise Wrong(f"{name} is {found.get(name)}, not {' or '.join(map(str, allowed))}")
        for name, digest in found.items():
            if (name in self.fresh or name in self.pending or random.random() < 0.1) and \
                    self.saved(self.store, name) != self.by_digest[digest]:
                raise Wrong(f"the archive of {name} has another digest")
        self.must(self.store, "verify", "--live")
        self.held, self.pending, self.fresh = found, {}, set()
        kind, version = random.choice(self.KINDS), random.randrange(self.VERSIONS)
        self.must(self.store, *self.build(kind, version, "after:1"))
        self.held["after:1"] = self.expected[kind, version][0]
        if self.names(self.store)["after:1"] != self.held["after:1"]:
            raise Wrong(f"a build of {kind} {version} after the cut gives another image")


class Unpackers:
    """The shape to be found wanting: files are unpacked, then a mark says so, and only the mark is synced."""

    def __init__(self, _wythe, user, _place, disk):
        self.user, self.disk, self.wrongs, self.acknowledged = user, disk, [], 0
        self.begin()

    def begin(self):
        self.marked, self.number = set(), 0

    def writers(self):
        return [lambda actors, n=n: self.write(actors, n) for n in range(WRITERS)]

    def first_commands(self):
        return [lambda actors: actors.run(["ls", "-R", str(self.disk.mount_point)])]

    def write(self, actors, n):
        script = ("set -e; mkdir $1.tmp; for i in $(seq 40); do seq $i $((i + 900)) > $1.tmp/$i; done; mv $1.tmp $1; "
                  "echo done > $1.mark.tmp; sync $1.mark.tmp; mv $1.mark.tmp $1.mark; sync .")
        while True:
            with actors.lock:
                self.number += 1
                name = f"layer-{n}-{self.number}"
            status, _ = actors.run(["sh", "-c", script, "sh", name], cwd=self.disk.mount_point, user=self.user.pw_uid)
            if status is None:
                return
            self.acknowledged += 1
            self.marked.add(name)

    def check(self):
        whole = {str(i): hashlib.sha256("".join(f"{k}\n" for k in range(i, i + 901)).encode()).digest() for i in range(1, 41)}
        for name in self.marked:
            layer = self.disk.mount_point / name
            found = {path.name: hashlib.sha256(path.read_bytes()).digest() for path in layer.glob("*")}
            wrong = [i for i in whole if found.get(i) != whole[i]]
            if wrong or not (self.disk.mount_point / f"{name}.mark").exists():
                raise Wrong(f"{name} is marked as done, and {len(wrong)} of 40 files are not what they were")


def new_boot(place):
    (place / "boot_id").write_text(f"{uuid.uuid4()}\n")


def enter_namespace():
    """Nobody else sees, or keeps, what is mounted here."""
    if os.environ.get("WYTHE_POWER_CUT") != "inside":
        os.environ["WYTHE_POWER_CUT"] = "inside"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])


def change_boot_ids(place):
    """From here on the boot id of the machine is what `new_boot` says."""
    new_boot(place)
    # One that nothing is mounted over: without it the kernel lets no step have a /proc of its own.
    (place / "proc").mkdir()
    root("mount", "-t", "proc", "proc", str(place / "proc"))
    root("mount", "--bind", str(place / "boot_id"), BOOT_ID)


def main():
    wythe, user, place = Path(sys.argv[1]).resolve(), pwd.getpwnam(sys.argv[2]), Path(sys.argv[3]).resolve()
    kind, cuts, is_control = sys.argv[4], int(sys.argv[5]), "--control" in sys.argv
    place = place / f"power-cut-{kind}{'-control' if is_control else ''}"
    enter_namespace()
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    os.chown(place, user.pw_uid, user.pw_gid)
    change_boot_ids(place)
    disk, actors, start = Disk(place, kind, user), Actors(), time.monotonic()
    shape = (Unpackers if is_control else Builders)(wythe, user, place, disk)
    wrongs, twice = [], 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        for number in range(cuts):
            if number % CUTS_OF_ONE == 0:
                disk.make()
                shape.begin()
            actors.go(shape.writers(), disk, random.uniform(0.02, 0.6))
            new_boot(place)
            disk.mount()
            if random.random() < 0.25:
                twice += 1
                actors.go(shape.first_commands(), disk, random.uniform(0, 0.15))
                new_boot(place)
                disk.mount()
            found = []
            try:
                shape.check()
            except Wrong as wrong:
                found = [f"after it: {wrong}"]
            found, shape.wrongs = [*shape.wrongs, *found], []
            if found:
                # What follows would find the same again: a new disk.
                print(f"      cut {number}: " + "\n".join(found).replace("\n", "\n      "), flush=True)
                wrongs.append(found)
                disk.make()
                shape.begin()
    finally:
        disk.drop()
    seconds = time.monotonic() - start
    said = f"{kind}: {cuts} power cuts, {twice} of them twice, {shape.acknowledged} acknowledgements, {seconds:.0f} s"
    if is_control:
        print(f"{'ok   ' if wrongs else 'FAIL '} what is unpacked and marked as done does not survive; {said}, {len(wrongs)} with loss")
        print("1 passed, 0 failed" if wrongs else "0 passed, 1 failed")
        return 0 if wrongs else 1
    print(f"{'FAIL ' if wrongs else 'ok   '} what is acknowledged survives; {said}, {len(wrongs)} with loss or failure")
    print(f"{cuts - len(wrongs)} passed, {len(wrongs)} failed")
    return 1 if wrongs else 0


if __name__ == "__main__":
    sys.exit(main())
