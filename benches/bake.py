#!/usr/bin/env python3
"""A bake file of many targets with shared stages, by wythe and by buildx, in one run.

    bake.py WYTHE [-n TARGETS] [-r REPEATS] [--files FILES] [--arms wythe,buildx]

The same file is built by both, one after the other and in turn: `cold` (nothing known, every step new), `noop` (once
more) and `one` (an argument of one target changed). Base is a busybox of this machine, so that no registry is asked. buildx is
the plugin that docker finds, with the builder that it uses; WYTHE is a program. Results are one JSON object a line:
arm, what, seconds. Wants a directory with room for a few hundred megabytes in TMPDIR. Run it where nothing else runs.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

FILE = """
variable "NONCE" {{ default = "0" }}
variable "ONE" {{ default = "0" }}
group "default" {{ targets = ["t"] }}
target "t" {{
  name     = "t${{n}}"
  matrix   = {{ n = range(0, {targets}) }}
  context  = "context"
  network  = "none"
  args     = {{ NONCE = NONCE, N = n, ONE = n == 0 ? ONE : "0" }}
  output   = ["type=cacheonly"]
}}
"""
DOCKERFILE = """
FROM scratch AS base
COPY busybox /bin/busybox
COPY busybox /bin/sh
FROM base AS shared
ARG NONCE
RUN busybox sleep 1; echo $NONCE > /nonce
FROM base AS tree
COPY tree /tree
FROM shared
COPY --from=tree /tree /tree
ARG N
ARG ONE
RUN echo $N $ONE > /n
"""


def prepare(place, arguments):
    context = place / "context"
    (context / "tree").mkdir(parents=True)
    shutil.copy("/bin/busybox", context / "busybox")
    for number in range(arguments.files):
        folder = context / "tree" / str(number // 100)
        folder.mkdir(exist_ok=True)
        (folder / str(number)).write_text(str(number) * 20)
    (context / "Dockerfile").write_text(DOCKERFILE)
    (place / "docker-bake.hcl").write_text(FILE.format(targets=arguments.targets))


def run(words, place, **variables):
    started = time.monotonic()
    done = subprocess.run(words, cwd=place, env={**os.environ, **variables}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\n{done.stderr[-4000:]}")
    return time.monotonic() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wythe")
    parser.add_argument("-n", "--targets", type=int, default=300)
    parser.add_argument("-r", "--repeats", type=int, default=3)
    parser.add_argument("--files", type=int, default=2000, help="files of the context that all share")
    parser.add_argument("--arms", default="wythe,buildx")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bake-bench-") as folder:
        place = pathlib.Path(folder)
        prepare(place, arguments)
        words = {
            "wythe": [arguments.wythe, "--store", str(place / "store"), "bake"],
            "buildx": ["docker", "buildx", "bake"],
        }
        for repeat in range(arguments.repeats):
            for arm in arguments.arms.split(","):
                nonce = f"{os.getpid()}-{repeat}"
                for what, variables in [("cold", {}), ("noop", {}), ("one", {"ONE": nonce})]:
                    seconds = run(words[arm], place, NONCE=nonce, **variables)
                    print(json.dumps({"arm": arm, "what": what, "targets": arguments.targets, "seconds": round(seconds, 2)}), flush=True)
        subprocess.run(["chmod", "-R", "u+rwX", folder], check=False)


main()
