#!/usr/bin/env python3
"""cache_mounts.py WYTHE DIR [FILES]: a cache mount by the shape of npm's, saved in one store and restored in others,
beside tar and untar of the same directory.

Half of the files are archives that do not compress, under the digests that npm names them by; half are entries of
its index, short and much alike. After all was saved once, one file of a hundred changes. What is counted is processor
time of the program and its children (user and system), which says more than a clock on a machine that others use,
and the time by the clock; each is the least of ROUNDS. To be run as a user with subordinate ids, or with one at least.
"""

import hashlib
import json
import os
import pathlib
import random
import resource
import shutil
import subprocess
import sys
import time

ROUNDS = 3
CHANGED = 100  # one of so many


def main():
    wythe, folder = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 50_000
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    os.environ["WYTHE_MIN_FREE_SPACE"] = "0"
    mount = begin(wythe, pathlib.Path("one"))
    names = furnish(mount, count)
    size = sum(os.lstat(name).st_size for name in names)
    print(f"{len(names)} files, {size / 1e6:.0f} MB")
    program(wythe, "first", ["--store", "one", "cache", "export", "npm", "-o", "first"], rounds=1)
    shutil.copytree("first", "base")
    # Another machine restores it, and a step there changes some files.
    program(wythe, "restore", ["--store", "two", "cache", "import", "first"], clean=["two"])
    mount = place(pathlib.Path("two"))
    names = [mount / name.relative_to(place(pathlib.Path("one"))) for name in names]
    change(names)
    notes = [path for path in (mount.parent / "0.seen", mount.parent / "0.state") if path.exists()]
    for note in notes:
        shutil.copy2(note, note.name[2:])

    def again():
        shutil.rmtree("again", ignore_errors=True)
        shutil.copytree("base", "again")
        for note in notes:
            shutil.copy2(note.name[2:], note)

    before = blobs("base")
    program(wythe, "save, 1 % changed", ["--store", "two", "cache", "export", "npm", "-o", "again"], prepare=again)
    sent = [path for path in blobs("again") if path not in before]
    print(f"  {sum(blobs('again')[path] for path in sent) / 1e6:.1f} MB in {len(sent)} blobs")
    program(wythe, "restore in an empty store", ["--store", "three", "cache", "import", "again"], clean=["three"])
    compare(mount, place(pathlib.Path("three")))
    step(wythe, "build with a step that mounts it", "four")

    def as_before():
        subprocess.run([wythe, "--store", "five", "cache", "import", "first"], check=True, stdout=subprocess.DEVNULL)

    step(wythe, "the same where it is as before", "five", as_before)
    compare(mount, place(pathlib.Path("five")))
    for flag, name in [([], "tar"), (["-I", "zstd -1 -T0"], "tar, zstd")]:
        program("tar", name, ["-C", str(mount), *flag, "-cf", "all.tar", "."], clean=["all.tar"])
        print(f"  {os.path.getsize('all.tar') / 1e6:.1f} MB")
        untar = ["-C", "untarred", *flag, "-xf", "all.tar"]

        def empty():
            shutil.rmtree("untarred", ignore_errors=True)
            os.mkdir("untarred")

        program("tar", f"un{name}", untar, prepare=empty)


def begin(wythe, store):
    """Has a step make a mount, and says where it is."""
    os.makedirs("context", exist_ok=True)
    pathlib.Path("context/empty.tar").write_bytes(b"\0" * 10240)
    busybox = shutil.which("busybox")
    shutil.copy(busybox, "context/busybox")
    pathlib.Path("context/Dockerfile").write_text(
        "FROM scratch\nCOPY busybox /bin/sh\nRUN --mount=type=cache,id=npm,target=/c true\n"
    )
    build = [wythe, "--store", str(store), "build", "-q", "-o", "type=cacheonly", "context"]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    return place(store)


def step(wythe, what, store, prepare=lambda: None):
    """How long a step is held up that finds its mount empty, or as it was before, and has it restored."""
    pathlib.Path("context/Dockerfile").write_text(
        "FROM scratch\nCOPY busybox /bin/sh\nRUN --mount=type=cache,id=npm,target=/c true && true\n"
    )
    command = ["build", "-q", "-o", "type=cacheonly", "--cache-from", "type=local,src=again", "context"]
    program(wythe, what, ["--store", store, *command], clean=[store], prepare=prepare)


def place(store):
    [found] = (store / "caches").iterdir()
    return found / "0"


def furnish(mount, count):
    """Files as `npm ci` leaves them: content by its digest, and an index by that of its key."""
    numbers, names = random.Random(1), []
    for number in range(count // 2):
        body = numbers.randbytes(min(2_000_000, int(numbers.lognormvariate(8.6, 1.1))))
        digest = hashlib.sha512(body).hexdigest()
        content = mount / "_cacache/content-v2/sha512" / digest[:2] / digest[2:4] / digest[4:]
        key = f"make-fetch-happen:request-cache:https://registry.npmjs.org/package-{number}/-/package-{number}-1.0.0.tgz"
        hashed = hashlib.sha256(key.encode()).hexdigest()
        index = mount / "_cacache/index-v5" / hashed[:2] / hashed[2:4] / hashed[4:]
        entry = {"key": key, "integrity": f"sha512-{digest}", "time": 1_700_000_000_000 + number, "size": len(body)}
        text = json.dumps(entry | {"metadata": {"url": key[33:], "resHeaders": {"cache-control": "public, immutable"}}})
        line = f"\n{hashlib.sha1(text.encode()).hexdigest()}\t{text}".encode()
        for path, what in [(content, body), (index, line)]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(what)
            names.append(path)
    return names


def change(names):
    numbers = random.Random(2)
    for name in numbers.sample(names, len(names) // CHANGED):
        name.write_bytes(numbers.randbytes(name.stat().st_size))


def blobs(layout):
    return {path.name: path.stat().st_size for path in pathlib.Path(layout, "blobs/sha256").iterdir()}


def compare(one, two):
    told = subprocess.run(["diff", "-r", "--no-dereference", str(one), str(two)], stdout=subprocess.PIPE)
    assert not told.stdout and told.returncode == 0, told.stdout[:1000]


def program(name, what, arguments, clean=(), prepare=lambda: None, rounds=ROUNDS):
    best = None
    for _ in range(rounds):
        for path in clean:
            subprocess.run(["chmod", "-R", "u+rwX", path], stderr=subprocess.DEVNULL)
            subprocess.run(["rm", "-rf", path], check=True)
        prepare()
        os.sync()
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run([name, *arguments], check=True, stdout=subprocess.DEVNULL)
        passed, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        best = (spent, passed) if best is None else (min(best[0], spent), min(best[1], passed))
    print(f"{what:34} {best[0]:6.2f} s of processors {best[1]:6.2f} s", flush=True)


if __name__ == "__main__":
    main()
