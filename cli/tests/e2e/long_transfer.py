#!/usr/bin/env python3
"""long_transfer.py QUIRKS WYTHE DIR [MEBIBYTES [SECONDS]]: a large layer over a slow line, out and back.

A layer of MEBIBYTES (2048) that does not compress is pushed to `wythe-quirks` at a rate by which that takes SECONDS (45), with
tokens that live for five seconds, and pulled again by a machine that has nothing of it through twenty connections that break. What
went over the line is counted: nothing is sent twice that had arrived. Of the program the most memory is looked at that is
its own (RssAnon, looked at fifty times a second), and the most that the kernel counts with pages of files (peak RSS).

Fails where something is sent twice, an image has another digest, or own memory exceeds 120 MB. Needs twice the size of the layer, and as
much again for the registry, below DIR.
"""

import hashlib
import itertools
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import urllib.request

TTL = 5  # seconds that a token lives
BREAKS = 20
MOST_MEMORY = 120_000_000
# What may be on the line when a connection breaks: the buffers of the kernel at both ends.
ON_THE_LINE = 6 << 20
MIB = 1 << 20


def main():
    quirks, wythe, folder = (os.path.abspath(path) for path in sys.argv[1:4])
    size = (int(sys.argv[4]) if len(sys.argv) > 4 else 2048) * MIB
    seconds = float(sys.argv[5]) if len(sys.argv) > 5 else 45
    os.makedirs(folder, exist_ok=True)
    os.chdir(folder)
    environment = {"HOME": folder, "TMPDIR": folder, "DOCKER_CONFIG": f"{folder}/docker", "WYTHE_MIN_FREE_SPACE": "0", "PATH": os.environ["PATH"]}

    def own(store, *words):
        return Measured([wythe, "--store", store, "--progress=quiet", *words], environment)

    digest, total = image(size)
    own("full", "copy", "oci:layout:1", "app:1").wait()
    switches = ["--auth", "bearer", "--token-ttl", str(TTL), "--rate", str(int(size / seconds)), "--reset-after", f"{3 * MIB}:{BREAKS}"]
    server = subprocess.Popen(
        [quirks, "serve", "--listen", "127.0.0.1:0", "--storage", "127.0.0.2:0", "--directory", folder, *switches], stdout=subprocess.PIPE, text=True
    )
    try:
        host = server.stdout.readline().split()[1]
        credentials(host)
        pushed = own("full", "push", "app:1", f"{host}/team/app:1")
        assert pushed.wait() == digest, pushed.output
        sent = counts(host)
        shutil.rmtree("full")
        pulled = own("empty", "pull", f"{host}/team/app:1")
        assert pulled.wait() == digest, pulled.output
        fetched = counts(host)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
    for path in ["layout", "empty"]:
        shutil.rmtree(path, ignore_errors=True)

    tokens = sent["requests"]["token"], fetched["requests"]["token"] - sent["requests"]["token"]
    out = fetched["blob_bytes_out"] - sent.get("blob_bytes_out", 0)
    gets = fetched["requests"]["get-blob"]
    print(f"| {size // MIB} MiB, tokens of {TTL} s | seconds | tokens | sent twice | requests | own memory, MB | peak RSS, MB |\n|---|---|---|---|---|---|---|")
    print(row("push", pushed, tokens[0], sent["blob_bytes_in"] - total, sent["requests"]["patch"] if "patch" in sent["requests"] else sent["requests"]["put-blob"]))
    print(row(f"pull through {BREAKS} breaks", pulled, tokens[1], out - total, gets))
    problems = []
    if sent["blob_bytes_in"] != total:
        problems.append(f"{sent['blob_bytes_in']} bytes were sent of {total}")
    if not total <= out <= total + BREAKS * ON_THE_LINE:
        problems.append(f"{out} bytes were fetched of {total}")
    if gets <= BREAKS:
        problems.append(f"{gets} requests cannot have been broken {BREAKS} times")
    if pushed.seconds <= TTL:
        problems.append(f"the push took {pushed.seconds:.1f} s, no token can have ended")
    for one in [pushed, pulled]:
        if MOST_MEMORY < one.own:
            problems.append(f"{one.own / 1e6:.0f} MB of memory")
    if fetched["strays"]:
        problems.append("credentials went astray")
    if problems:
        sys.exit("FAILED: " + "; ".join(problems))


def row(name, one, tokens, twice, requests):
    return f"| {name} | {one.seconds:.1f} | {tokens} | {twice} bytes | {requests} | {one.own / 1e6:.0f} | {one.peak / 1e6:.0f} |"


class Measured:
    """A command and what it took."""

    def __init__(self, words, environment):
        self.own = self.peak = 0
        self.output = None
        self.words, self.began = words, time.monotonic()
        self.process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        while self.process.returncode is None:
            try:
                for line in open(f"/proc/{self.process.pid}/status"):
                    if line.startswith("RssAnon"):
                        self.own = max(self.own, int(line.split()[1]) * 1024)
            except (FileNotFoundError, ProcessLookupError):
                return
            time.sleep(0.02)

    def wait(self):
        self.output = self.process.stdout.read().strip()
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.seconds, self.peak = time.monotonic() - self.began, usage.ru_maxrss * 1024
        if self.process.returncode != 0:
            sys.exit(f"{self.words} failed")
        return self.output


def image(size):
    """Writes an image with one layer as `layout:1`; gives its digest, and the bytes of its blobs."""
    blobs = pathlib.Path("layout/blobs/sha256")
    blobs.mkdir(parents=True)
    info = tarfile.TarInfo("large")
    info.size = size
    noise, hashed = random.Random(1), hashlib.sha256()
    end = b"\0" * (1024 + -size % 512)
    with open(blobs / "layer", "wb") as out:
        pieces = (noise.randbytes(min(MIB, size - at)) for at in range(0, size, MIB))
        for piece in itertools.chain([info.tobuf(tarfile.USTAR_FORMAT)], pieces, [end]):
            out.write(piece)
            hashed.update(piece)
        length = out.tell()
    layer = hashed.hexdigest()
    (blobs / "layer").rename(blobs / layer)

    def put(document, kind):
        data = json.dumps(document).encode()
        name = hashlib.sha256(data).hexdigest()
        (blobs / name).write_bytes(data)
        return {"mediaType": f"application/vnd.oci.image.{kind}.v1+json", "digest": f"sha256:{name}", "size": len(data)}

    rootfs = {"type": "layers", "diff_ids": [f"sha256:{layer}"]}
    config = put({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}, "config")
    entry = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": f"sha256:{layer}", "size": length}
    manifest = put({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": [entry]}, "manifest")
    index = {"schemaVersion": 2, "manifests": [manifest | {"annotations": {"org.opencontainers.image.ref.name": "1"}}]}
    pathlib.Path("layout/index.json").write_text(json.dumps(index))
    pathlib.Path("layout/oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return manifest["digest"], length + config["size"]


def credentials(host):
    pathlib.Path("docker").mkdir(exist_ok=True)
    entry = {"username": "canary", "password": "quirks-canary-password"}
    pathlib.Path("docker/config.json").write_text(json.dumps({"auths": {host: entry}}))


def counts(host):
    return json.load(urllib.request.urlopen(f"http://{host}/-/counts"))


main()
