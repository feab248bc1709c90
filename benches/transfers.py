#!/usr/bin/env python3
"""pull.py WYTHE DIR [ROUNDS]: an image of 400 MB pulled from a registry and unpacked, beside skopeo with umoci.

Four layers of 100 MB: files of which half do not compress, gzip as docker makes it. Once from docker-registry on this machine,
and once through nginx that gives each connection 25 MB a second, as storage services far away do. Everybody begins with nothing and
ends with a directory of the image's files; who comes first changes with the round. Counted are the time by the clock and the
processor time of the program and its children (user and system), the least of all rounds, and the most memory that
one of its processes took. To be run as a user with subordinate ids; needs docker-registry, skopeo and umoci, and nginx for the
second part.
"""

import gzip
import hashlib
import io
import json
import multiprocessing
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tarfile
import time

LAYERS, FILES, SIZE = 4, 100, 1 << 20  # of each layer so many files of so many bytes
RATE = "25m"  # of each connection of the far registry, in bytes


def main():
    wythe, folder = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    os.environ["WYTHE_MIN_FREE_SPACE"] = "0"
    layout = pathlib.Path("image")
    # By a process of its own: what this one holds would count as memory of those that it starts.
    maker = multiprocessing.Process(target=image, args=(layout,))
    maker.start()
    maker.join()
    near = registry()
    run(["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{layout}:1", f"docker://{near}/app:1"])
    places = {"near": near}
    if nginx := shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"):
        places["far"] = slow(nginx, near)
    else:
        print("far: left out, nginx is not installed")
    for place, host in places.items():
        peers = {"wythe": ours(wythe, host), "skopeo, umoci": theirs(host)}
        results = {name: [] for name in peers}
        for number in range(rounds):
            order = list(peers) if number % 2 == 0 else list(peers)[::-1]
            for name in order:
                for path in ["store", "out", "layout", "bundle"]:
                    subprocess.run(["chmod", "-R", "u+rwX", path], stderr=subprocess.DEVNULL)
                    shutil.rmtree(path, ignore_errors=True)
                results[name].append(measured(peers[name]))
                compare(name)
        for name, all_of in results.items():
            wall, cpu, memory = min(r[0] for r in all_of), min(r[1] for r in all_of), max(r[2] for r in all_of)
            print(f"{place:5} {name:14} {wall:6.2f} s  {cpu:6.2f} s of processor  {memory / 1e6:5.0f} MB", flush=True)


def image(layout):
    """An OCI layout, made from numbers alone."""
    blobs = layout / "blobs/sha256"
    blobs.mkdir(parents=True, exist_ok=True)

    def put(data, media_type):
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": f"application/vnd.oci.image.{media_type}", "digest": f"sha256:{digest}", "size": len(data)}

    layers, diff_ids = [], []
    for layer in range(LAYERS):
        plain, random_bytes = io.BytesIO(), random.Random(layer).randbytes
        with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for number in range(FILES):
                info = tarfile.TarInfo(f"layer{layer}/file{number}")
                info.size, info.mode = SIZE, 0o644
                half = SIZE // 2
                tar.addfile(info, io.BytesIO(random_bytes(half) + (random_bytes(1 << 10) * (half >> 10))))
        diff_ids.append("sha256:" + hashlib.sha256(plain.getvalue()).hexdigest())
        layers.append(put(gzip.compress(plain.getvalue(), 6, mtime=0), "layer.v1.tar+gzip"))
    config = {"architecture": os.uname().machine.replace("x86_64", "amd64").replace("aarch64", "arm64"), "os": "linux"}
    config |= {"config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    config = put(json.dumps(config).encode(), "config.v1+json")
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"}
    root = put(json.dumps(manifest | {"config": config, "layers": layers}).encode(), "manifest.v1+json")
    root["annotations"] = {"org.opencontainers.image.ref.name": "1"}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [root]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    print(f"{LAYERS} layers, {sum(layer['size'] for layer in layers) / 1e6:.0f} MB of {LAYERS * FILES * SIZE / 1e6:.0f}")


def registry():
    port = free()
    pathlib.Path("registry.yml").write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {os.getcwd()}/registry}}}}\nhttp: {{addr: 127.0.0.1:{port}}}\n"
    )
    return serve(["docker-registry", "serve", "registry.yml"], port)


def slow(nginx, behind):
    """A registry that gives each connection no more than so much."""
    port, here = free(), os.getcwd()
    os.makedirs("web", exist_ok=True)
    folders = " ".join(f"{kind}_temp_path web/{kind};" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
    pathlib.Path("nginx.conf").write_text(
        f"daemon off; pid {here}/web/pid; error_log {here}/web/error.log; events {{}}\n"
        f"http {{ access_log off; {folders} server {{ listen 127.0.0.1:{port}; location / {{\n"
        f"  proxy_pass http://{behind}; proxy_set_header Host $http_host; limit_rate {RATE}; proxy_max_temp_file_size 0; }} }} }}\n"
    )
    return serve([nginx, "-p", here, "-c", f"{here}/nginx.conf"], port)


def free():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


servers = []


def serve(command, port):
    servers.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    for _ in range(100):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return f"127.0.0.1:{port}"
        time.sleep(0.1)
    sys.exit(f"{command[0]} does not answer")


def ours(wythe, host):
    pathlib.Path("context").mkdir(exist_ok=True)
    pathlib.Path("context/Dockerfile").write_text(f"FROM {host}/app:1\n")
    return [[wythe, "--store", "store", "build", "-q", "--no-cache", "-o", "type=local,dest=out", "context"]]


def theirs(host):
    return [
        ["skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{host}/app:1", "oci:layout:1"],
        ["umoci", "unpack", "--rootless", "--image", "layout:1", "bundle"],
    ]


def measured(commands):
    """Time by the clock, processor time and the most memory of some commands."""
    began, cpu, memory = time.monotonic(), 0.0, 0
    for command in commands:
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        if status != 0:
            sys.exit(f"{command} failed")
        cpu, memory = cpu + usage.ru_utime + usage.ru_stime, max(memory, usage.ru_maxrss * 1024)
    return time.monotonic() - began, cpu, memory


def compare(name):
    found = pathlib.Path("out" if name == "wythe" else "bundle/rootfs")
    size = sum(path.lstat().st_size for path in found.glob("layer*/file*"))
    if size != LAYERS * FILES * SIZE:
        sys.exit(f"{name}: {size} bytes in {found}")


def run(command):
    subprocess.run(command, check=True)


try:
    main()
finally:
    for server in servers:
        server.kill()
