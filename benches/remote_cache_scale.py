#!/usr/bin/env python3
"""A day of a large repository, as the servers of its cache see it.

    cargo build --release --package wythe
    ./benches/remote_cache_scale.py                       # 1,000 jobs of 200 branches with each engine: half an hour
    ./benches/remote_cache_scale.py --jobs 100 registry gha

Every job is a build by the real program with an empty store, against the servers that the end-to-end cases use: a
docker-registry, and doubles of S3, GitHub's service and a web server. Jobs come as in an office: seven of ten within
eight hours, each of a branch of its own kind of popularity (main has every fifth). A build has ten steps; of a hundred
jobs 55 have changed nothing, 35 two steps, 9 six, and one all ten. A branch reads what main wrote, and its own.

With --check the means of a job are held to what they may be, for which forty jobs are enough.

Counted are requests and bytes on the way, objects and bytes that lie there in the end, and the fullest minute of the
simulated day. Layers are of 2 kB, so that bytes are those of records and protocols: real layers come on top, each sent
once.
"""
import argparse
import base64
import collections
import concurrent.futures
import contextlib
import http.server
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HERE = os.path.dirname(os.path.abspath(__file__))
# Where it is copied to the doubles, they are beside it.
CASES = HERE if os.path.exists(os.path.join(HERE, "s3_service.py")) else os.path.join(ROOT, "cli/tests/e2e")
STEPS, LAYER = 10, 2048
CHANGES = [(55, 0), (35, 2), (9, 6), (1, STEPS)]


class Proxy(threading.Thread):
    """Hands bytes on to a port, and counts them."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.to, self.up, self.down, self.lock = port, 0, 0, threading.Lock()
        self.server = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.server.getsockname()[1]
        self.start()

    def run(self):
        while True:
            near, _ = self.server.accept()
            far = socket.create_connection(("127.0.0.1", self.to))
            for source, sink, way in ((near, far, "up"), (far, near, "down")):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self.pump, args=(source, sink, way), daemon=True).start()

    def pump(self, source, sink, way):
        try:
            while data := source.recv(1 << 16):
                with self.lock:
                    setattr(self, way, getattr(self, way) + len(data))
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for one in (source, sink):
                one.close()


class Engine:
    """A server, what was asked of it so far, and the flags of a job of a branch."""

    environment = {}

    def __init__(self, directory):
        self.dir, self.children, self.seen = directory, [], 0
        self.proxy = Proxy(self.serve())

    def script(self, name):
        port = os.path.join(self.dir, "port")
        self.children.append(subprocess.Popen([sys.executable, os.path.join(CASES, name), port]))
        while not (os.path.exists(port) and open(port).read()):
            time.sleep(0.05)
        return int(open(port).read())

    def stop(self):
        for child in self.children:
            child.kill()
            child.wait()

    def new(self):
        """The requests since this was asked last."""
        lines = self.log()
        new, self.seen = lines[self.seen:], len(lines)
        return new

    def lines(self, path):
        with contextlib.suppress(FileNotFoundError), open(path, errors="replace") as log:
            return log.read().splitlines()
        return []


class RegistryEngine(Engine):
    def serve(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        config, self.data = os.path.join(self.dir, "registry.yml"), os.path.join(self.dir, "data")
        with open(config, "w") as out:
            out.write(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {self.data}}}}}\n"
                      f"http: {{addr: '127.0.0.1:{port}'}}\n")
        log = open(os.path.join(self.dir, "log"), "wb")
        self.children.append(subprocess.Popen(["docker-registry", "serve", config], stdout=log, stderr=log))
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                return port
            time.sleep(0.05)

    def flags(self, branch):
        name = f"type=registry,ref=127.0.0.1:{self.proxy.port}/app/cache:"
        return ["--cache-from", name + "main", "--cache-from", name + branch, "--cache-to", f"{name}{branch},mode=max"]

    def log(self):
        return [line.split('"')[1] for line in self.lines(os.path.join(self.dir, "log")) if '" ' in line and "/v2/" in line]

    def is_write(self, line):
        return line.startswith("PUT") and "/manifests/" in line

    def kept(self):
        """What lies there, and what of it tags and manifests that they name keep from the garbage collection."""
        repository = f"{self.data}/docker/registry/v2/repositories/app/cache"
        tags = len(os.listdir(f"{repository}/_manifests/tags"))
        manifests = len(os.listdir(f"{repository}/_manifests/revisions/sha256"))
        blobs = f"{self.data}/docker/registry/v2/blobs/sha256"
        sizes = [os.path.getsize(f"{folder}/data") for folder, _, files in os.walk(blobs) if "data" in files]
        return len(sizes), sum(sizes), f"{tags} tags, {manifests} manifests before collection"


class S3Engine(Engine):
    environment = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "eu-west-1",
                   "AWS_BUCKET": "bucket", "AWS_EC2_METADATA_DISABLED": "true"}

    def serve(self):
        return self.script("s3_service.py")

    def flags(self, branch):
        place = f"type=s3,use_path_style=true,endpoint_url=http://127.0.0.1:{self.proxy.port},prefix=app/,name="
        return ["--cache-from", place + "main", "--cache-from", place + branch, "--cache-to", f"{place}{branch},mode=max"]

    def log(self):
        return self.lines(os.path.join(self.dir, "port.log"))

    def is_write(self, line):
        return line.startswith("PUT")

    def kept(self):
        return len({line for line in self.log() if line.startswith("PUT")}), None, ""


class GhaEngine(Engine):
    def serve(self):
        self.inner = self.script("gha_service.py")
        return self.inner

    def flags(self, branch):
        def part(value):
            return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
        scopes = [{"Scope": "refs/heads/" + branch, "Permission": 3}, {"Scope": "refs/heads/main", "Permission": 1}]
        token = f"{part({})}.{part({'ac': json.dumps(scopes)})}.x"
        place = f"type=gha,version=2,url_v2=http://127.0.0.1:{self.proxy.port}/,token={token}"
        return ["--cache-from", place, "--cache-to", place + ",mode=max"]

    def log(self):
        return urllib.request.urlopen(f"http://127.0.0.1:{self.inner}/log").read().decode().splitlines()

    def is_write(self, line):
        return "CreateCacheEntry" in line

    def kept(self):
        sent = [int(line.rsplit(" ", 1)[1]) for line in self.log() if line.startswith("PUT /storage")]
        return sum(self.is_write(line) for line in self.log()), sum(sent), "evicted by the service after a week, or beyond 10 GB"


class HttpEngine(Engine):
    def serve(self):
        self.requests, self.files = [], {}
        engine = self

        class Server(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                engine.requests.append(f"{self.command} {self.path}")
                there = engine.files.get(self.path)
                if self.command == "PUT":
                    engine.files[self.path] = body
                self.send_response(201 if self.command == "PUT" else 404 if there is None else 200)
                answer = b"" if self.command == "PUT" or there is None else there
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer)

            do_GET = do_HEAD = do_PUT = any

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.server_port

    def flags(self, _branch):
        place = f"type=http,url=http://127.0.0.1:{self.proxy.port}"
        return ["--cache-from", place, "--cache-to", place + ",mode=max"]

    def log(self):
        return self.requests

    def is_write(self, line):
        return line.startswith("PUT")

    def kept(self):
        return len(self.files), sum(map(len, self.files.values())), ""


ENGINES = {"registry": RegistryEngine, "s3": S3Engine, "gha": GhaEngine, "http": HttpEngine}


# How many requests a job may make on average: one that finds everything, and another.
MOST = {"registry": (3, 16), "s3": (2, 24), "gha": (5, 22), "http": (2, 10)}


def day(jobs, branches, seed=12):
    """The jobs of a day in their order: minute, branch, and how many steps have changed."""
    rng = random.Random(seed)
    names = ["main"] + [f"branch-{number}" for number in range(1, branches)]
    weights = [0] + [1 / (number + 5) for number in range(1, branches)]
    weights[0] = sum(weights) / 4
    made = []
    for _ in range(jobs):
        minute = rng.uniform(540, 1020) if rng.random() < 0.7 else rng.uniform(0, 1440)
        changed = rng.choices([count for _, count in CHANGES], [share for share, _ in CHANGES])[0]
        made.append((minute, rng.choices(names, weights)[0], changed))
    return sorted(made)


def run(name, args):
    """The rows of a day: minute, kind of job, requests, writes, bytes each way."""
    folder = tempfile.mkdtemp(prefix=f"remote-cache-{name}-")
    engine, rng, rows, states = None, random.Random(5), [], {}
    try:
        engine = ENGINES[name](folder)
        context, store = os.path.join(folder, "context"), os.path.join(folder, "store")
        os.makedirs(context)
        with open(os.path.join(context, "Dockerfile"), "w") as out:
            out.write("FROM scratch\n" + "".join(f"COPY f{step} /\n" for step in range(STEPS)))
        first = [rng.randbytes(LAYER) for _ in range(STEPS)]
        for minute, branch, changed in day(args.jobs, args.branches):
            state = list(states.get(branch) or states.get("main") or first)
            for step in range(STEPS - changed, STEPS):
                state[step] = rng.randbytes(LAYER)
            states[branch] = state
            for step, content in enumerate(state):
                with open(os.path.join(context, f"f{step}"), "wb") as out:
                    out.write(content)
            shutil.rmtree(store, ignore_errors=True)
            up, down = engine.proxy.up, engine.proxy.down
            build = subprocess.run([args.wythe, "--store", store, "--progress", "plain", "build", "-o", "type=cacheonly",
                                    *engine.flags(branch), context], env={**os.environ, **engine.environment},
                                   capture_output=True, text=True)
            if build.returncode or "not written" in build.stderr or "WARN" in build.stderr:
                sys.exit(f"{name}: {build.stderr}")
            asked = engine.new()
            ran = build.stderr.count(" DONE ")
            rows.append((minute, ran, len(asked), sum(map(engine.is_write, asked)), engine.proxy.up - up, engine.proxy.down - down))
        objects, held, more = engine.kept()
        return name, rows, objects, held, more
    finally:
        if engine:
            engine.stop()
        shutil.rmtree(folder, ignore_errors=True)


def told(name, rows, objects, held, more):
    def mean(values):
        values = list(values)
        return sum(values) / len(values) if values else 0
    cached, made = [row for row in rows if not row[1]], [row for row in rows if row[1]]
    minutes = collections.Counter()
    writes = collections.Counter()
    for minute, _, requests, written, _, _ in rows:
        minutes[int(minute)] += requests
        writes[int(minute)] += written
    held = "" if held is None else f"{held / 1e6:.1f} MB"
    print(f"| {name} | {mean(row[2] for row in cached):.1f} | {mean(row[2] for row in made):.1f} | "
          f"{sum(row[2] for row in rows)} | {max(minutes.values())} | {sum(row[3] for row in rows)} | {max(writes.values())} | "
          f"{mean(row[5] for row in cached) / 1e3:.0f} kB | {mean(row[4] for row in made) / 1e3:.0f} kB | {objects} | {held} | {more} |",
          flush=True)


def check(name, rows):
    """Ends the program where jobs ask for more than they may."""
    for kind, most in enumerate(MOST[name]):
        asked = [row[2] for row in rows if bool(row[1]) == bool(kind)]
        if asked and most < sum(asked) / len(asked):
            sys.exit(f"{name}: {sum(asked) / len(asked):.1f} requests of a job, at most {most} are right")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="*", default=list(ENGINES))
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--branches", type=int, default=200)
    parser.add_argument("--check", action="store_true")
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
    parser.add_argument("--wythe", default=os.path.join(target, "release/wythe"))
    args = parser.parse_args()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        days = list(pool.map(lambda name: run(name, args), args.engines))
    print("| engine | requests, cached job | requests, other | a day | fullest minute | writes a day | fullest minute | "
          "down, cached | up, other | objects | bytes | |")
    print("|---|" + "---|" * 11)
    for one in days:
        told(*one)
        if args.check:
            check(*one[:2])


if __name__ == "__main__":
    main()
