#!/usr/bin/env python3
"""An image into the engines of this machine: how long it takes, and how many bytes it moves.

    load.py WYTHE [-m MIB] [-r REPEATS] [--into docker,containerd,podman]

What is measured for each engine: `first` (it has nothing of it), `one` (the last of five layers changed) and `cached` (nothing
changed), each from the call of the build to the image in the engine.

    wythe      docker: `buildx build --load` through the plugin; containerd, podman: build, then `wythe copy NAME PLACE:`
    archive    the same build, then `wythe save | docker load`, `ctr images import -` or `podman load`: what builders that are no
               part of an engine do
    buildx     docker alone: `docker buildx build --load` with the builder that docker uses

An image of MIB is made of files that do not compress. Bytes are those that wythe says the engine took, and the size of the archive.
Results are one JSON object a line. As root, or as a user that may speak to the engines; run it where nothing else runs.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

DOCKERFILE = "FROM scratch\n" + "".join(f"COPY part{n} /part{n}\n" for n in range(5))
PLACES = {"docker": "docker-daemon", "containerd": "containerd", "podman": "containers-storage"}
LOADS = {
    "docker": ["docker", "load", "-q"],
    "containerd": ["ctr", "images", "import", "--local", "-"],
    "podman": ["podman", "load", "-q"],
}
REMOVALS = {
    "docker": "docker rmi -f {} ; docker image prune -f",
    "containerd": "ctr images rm --sync docker.io/{}",
    "podman": "podman rmi -f {} ; podman image prune -f",
}


def shell(words, **how):
    done = subprocess.run(words, capture_output=True, **how)
    if done.returncode:
        raise SystemExit(f"{words}\n{done.stderr.decode(errors='replace')[-4000:]}")
    return done


class Bench:
    def __init__(self, arguments, place):
        self.wythe, self.place, self.context = arguments.wythe, place, place / "context"
        self.context.mkdir()
        (self.context / "Dockerfile").write_text(DOCKERFILE)
        self.size = arguments.mib << 20
        os.environ["WYTHE_STORE"] = str(place / "store")
        os.environ["DOCKER_CONFIG"] = str(place / "docker")

    def fill(self, numbers):
        for number in numbers:
            (self.context / f"part{number}").write_bytes(os.urandom(self.size // 5))

    def load(self, arm, engine, name):
        started = time.monotonic()
        if arm == "buildx":
            shell(["docker", "buildx", "build", "--load", "-q", "-t", name, str(self.context)])
            moved = None
        elif arm == "wythe" and engine == "docker":
            done = shell([self.wythe, "buildx", "build", "--load", "--progress=plain", "-t", name, str(self.context)])
            moved = self.told(done.stderr.decode())
        else:
            shell([self.wythe, "build", "-q", "-t", name, str(self.context)])
            if arm == "wythe":
                done = shell([self.wythe, "--progress=plain", "copy", name, f"{PLACES[engine]}:"])
                moved = self.told(done.stderr.decode())
            else:
                saved = subprocess.Popen([self.wythe, "save", name], stdout=subprocess.PIPE)
                shell(LOADS[engine], stdin=saved.stdout)
                moved = self.size
        return time.monotonic() - started, moved

    @staticmethod
    def told(text):
        found = re.search(r"took (\S+) that it lacked", text)
        return found.group(1) if found else "0B"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wythe")
    parser.add_argument("-m", "--mib", type=int, default=500)
    parser.add_argument("-r", "--repeats", type=int, default=3)
    parser.add_argument("--into", default="docker,containerd,podman")
    arguments = parser.parse_args()
    for engine in arguments.into.split(","):
        if not shutil.which(LOADS[engine][0]):
            raise SystemExit(f"{LOADS[engine][0]} is not here")
        for repeat in range(arguments.repeats):
            for arm in ["wythe", "archive"] + (["buildx"] if engine == "docker" else []):
                with tempfile.TemporaryDirectory(prefix="load-bench-") as folder:
                    bench, name = Bench(arguments, pathlib.Path(folder)), f"bench/{arm}:{os.getpid()}-{repeat}"
                    for what, changed in [("first", range(5)), ("one", [4]), ("cached", [])]:
                        bench.fill(changed)
                        seconds, moved = bench.load(arm, engine, name)
                        print(json.dumps({"engine": engine, "arm": arm, "what": what, "seconds": round(seconds, 2), "moved": moved}), flush=True)
                    subprocess.run(REMOVALS[engine].format(name), shell=True, capture_output=True, check=False)


main()
