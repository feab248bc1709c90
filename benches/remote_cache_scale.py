#!/usr/bin/env python3
"""Days of a large repository, as the servers of its cache see them.

    cargo build --release --package wythe
    ./benches/remote_cache_scale.py                       # 1,000 jobs of 200 branches with each engine: half an hour
    ./benches/remote_cache_scale.py --jobs 100 registry gha
    ./benches/remote_cache_scale.py --days 8 --jobs 30 --branches 8       # growth, and what rules of retention leave of it
    ./benches/remote_cache_scale.py --buildgrid VENV reapi local          # VENV has PyPI's buildgrid

Every job is a build by the real program with an empty store, against the servers that the end-to-end cases use: a
docker-registry, doubles of S3, GitHub's service and a web server, BuildGrid, or none for a directory. Jobs come as in an office: seven of ten within
eight hours, each of a branch of its own kind of popularity (main has every fifth). A build has ten steps; of a hundred
jobs 55 have changed nothing, 35 two steps, 9 six, and one all ten. A branch reads what main wrote, and its own.

With --days a branch lives five days, and every day another fifth of them makes place for new ones, which begin like main.
A row for each day says what the jobs of that day have asked for, what lies there, and what of it would be left by a rule
that removes what nobody has met for --keep days: a tag that was not written, and what no other names; an object that was
neither written nor read; an entry of GitHub's that was not used.

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
# Days from a branch's first job to its last.
LIFE = 5
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

    def next_day(self):
        """A night goes by."""

    def met(self, lines):
        """The names of what these requests have written or read."""
        return {line.split()[1] for line in lines if len(line.split()) > 1}

    def left(self, met):
        """How much of what lies there is left where only what was met is: objects and bytes."""
        sizes = [size for name, size in self.sizes().items() if name in met]
        return len(sizes), sum(sizes)

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

    def met(self, lines):
        return {line.split()[1].rsplit("/", 1)[1] for line in lines if self.is_write(line)}

    def left(self, met):
        tags = f"{self.data}/docker/registry/v2/repositories/app/cache/_manifests/tags"
        wanted, found = [open(f"{tags}/{tag}/current/link").read() for tag in os.listdir(tags) if tag in met], {}
        while wanted:
            digest = wanted.pop()
            path = f"{self.data}/docker/registry/v2/blobs/sha256/{digest[7:9]}/{digest[7:]}/data"
            if digest in found or not os.path.exists(path):
                continue
            found[digest] = os.path.getsize(path)
            with contextlib.suppress(ValueError, AttributeError), open(path, "rb") as file:
                named = json.loads(file.read())
                wanted += [one["digest"] for kind in ("manifests", "layers") for one in named.get(kind, [])]
                wanted += [named["config"]["digest"]] if "config" in named else []
        return len(found), sum(found.values())


class S3Engine(Engine):
    environment = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "eu-west-1",
                   "AWS_BUCKET": "bucket", "AWS_EC2_METADATA_DISABLED": "true"}

    def serve(self):
        self.inner = self.script("s3_service.py")
        return self.inner

    def flags(self, branch):
        place = f"type=s3,use_path_style=true,endpoint_url=http://127.0.0.1:{self.proxy.port},prefix=app/,name="
        return ["--cache-from", place + "main", "--cache-from", place + branch, "--cache-to", f"{place}{branch},mode=max"]

    def log(self):
        return self.lines(os.path.join(self.dir, "port.log"))

    def is_write(self, line):
        return line.startswith("PUT")

    def sizes(self):
        made = {line.split()[1] for line in self.log() if line.startswith("PUT")}
        return {name: self.size(name) for name in made}

    def size(self, name):
        key = {"Authorization": "Credential=AKIDEXAMPLE/"}
        asked = urllib.request.Request(f"http://127.0.0.1:{self.inner}{name}", method="HEAD", headers=key)
        with urllib.request.urlopen(asked) as answer:
            return int(answer.headers["Content-Length"])

    def kept(self):
        sizes = self.sizes()
        return len(sizes), sum(sizes.values()), ""


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

    def sizes(self):
        sizes = collections.Counter()
        for line in self.log():
            if line.startswith("PUT /storage"):
                sizes[line.split()[1]] += int(line.rsplit(" ", 1)[1])
        return sizes

    def kept(self):
        sent = self.sizes().values()
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

    def sizes(self):
        return {name: len(content) for name, content in self.files.items()}

    def kept(self):
        return len(self.files), sum(self.sizes().values()), ""


BUILDGRID = """
server:
  - !channel
    address: 127.0.0.1:{port}
    insecure-mode: true
instances:
  - name: team
    storages:
      - !disk-storage &store
        path: {data}
    caches:
      - !lru-action-cache &actions
        storage: *store
        max-cached-refs: 65536
        cache-failed-actions: true
        allow-updates: true
    services:
      - !cas
        storage: *store
      - !bytestream
        storage: *store
      - !action-cache
        cache: *actions
thread-pool-size: 20
"""


def weight(directory):
    """How many files lie below a directory, and of how many bytes."""
    files = [os.path.join(folder, name) for folder, _, names in os.walk(directory) for name in names]
    return len(files), sum(map(os.path.getsize, files))


class ReapiEngine(Engine):
    """BuildGrid, behind a proxy that notes each call."""

    venv = None

    def serve(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        config, self.data, mode = (os.path.join(self.dir, name) for name in ("server.yml", "data", "mode"))
        with open(config, "w") as out:
            out.write(BUILDGRID.format(port=port, data=self.data))
        with open(mode, "w") as out:
            out.write("sound")
        log = open(os.path.join(self.dir, "log"), "wb")
        self.children.append(subprocess.Popen([f"{self.venv}/bin/bgd", "server", "start", config], stdout=log, stderr=log))
        told = os.path.join(self.dir, "port")
        self.children.append(subprocess.Popen([f"{self.venv}/bin/python", os.path.join(CASES, "faulty_grpc.py"), told, str(port), mode]))
        while not os.path.exists(told):
            time.sleep(0.05)
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                return int(open(told).read())
            time.sleep(0.05)

    def flags(self, branch):
        place = f"type=reapi,url=grpc://127.0.0.1:{self.proxy.port}/team"
        return ["--cache-from", place, "--cache-to", place + ",mode=max"]

    def log(self):
        return self.lines(os.path.join(self.dir, "port.log"))

    def is_write(self, line):
        return line in ("BatchUpdateBlobs", "Write", "UpdateActionResult")

    def left(self, _met):
        """The server keeps what was used last, as much as it has room for."""
        return None

    def kept(self):
        objects, held = weight(self.data)
        return objects, held, f"{self.log().count('UpdateActionResult')} records were written"


class LocalEngine(Engine):
    """A directory, which nobody is asked for."""

    def serve(self):
        # Nothing connects: the port is that of nobody.
        return 9

    def flags(self, _branch):
        directory = os.path.join(self.dir, "cache")
        return ["--cache-from", f"type=local,src={directory}", "--cache-to", f"type=local,dest={directory},mode=max"]

    def log(self):
        return []

    def is_write(self, _line):
        return False

    def next_day(self):
        """What it does not need goes when it is a day old."""
        for folder, _, names in os.walk(os.path.join(self.dir, "cache")):
            for path in (os.path.join(folder, name) for name in names):
                os.utime(path, (time.time(), os.path.getmtime(path) - 86400))

    def left(self, _met):
        """It is bounded by itself: the newest 2000 records stay."""
        return None

    def kept(self):
        return (*weight(os.path.join(self.dir, "cache")), "")


ENGINES = {"registry": RegistryEngine, "s3": S3Engine, "gha": GhaEngine, "http": HttpEngine, "reapi": ReapiEngine, "local": LocalEngine}


# How many requests a job may make on average: one that finds everything, and another.
MOST = {"registry": (3, 16), "s3": (2, 8), "gha": (5, 22), "http": (2, 10)}


def day(jobs, branches, number):
    """The jobs of a day in their order: minute, branch, and how many steps have changed."""
    rng = random.Random(12 + number)
    names = ["main"] + [f"branch-{place}-{(number + place) // LIFE}" for place in range(1, branches)]
    weights = [0] + [1 / (place + 5) for place in range(1, branches)]
    weights[0] = sum(weights) / 4
    made = []
    for _ in range(jobs):
        minute = rng.uniform(540, 1020) if rng.random() < 0.7 else rng.uniform(0, 1440)
        changed = rng.choices([count for _, count in CHANGES], [share for share, _ in CHANGES])[0]
        made.append((minute, rng.choices(names, weights)[0], changed))
    return sorted(made)


class Repository:
    """The sources of all branches, of which a job has one."""

    def __init__(self, context):
        self.context, self.rng, self.states = context, random.Random(5), {}
        self.first = [self.rng.randbytes(LAYER) for _ in range(STEPS)]
        os.makedirs(context)
        with open(os.path.join(context, "Dockerfile"), "w") as out:
            out.write("FROM scratch\n" + "".join(f"COPY f{step} /\n" for step in range(STEPS)))

    def check_out(self, branch, changed):
        """The context of a branch whose last steps have changed."""
        state = list(self.states.get(branch) or self.states.get("main") or self.first)
        for step in range(STEPS - changed, STEPS):
            state[step] = self.rng.randbytes(LAYER)
        self.states[branch] = state
        for step, content in enumerate(state):
            with open(os.path.join(self.context, f"f{step}"), "wb") as out:
                out.write(content)


def build(engine, branch, context, args):
    """How many steps a job with an empty store has run."""
    store = os.path.join(engine.dir, "store")
    shutil.rmtree(store, ignore_errors=True)
    made = subprocess.run([args.wythe, "--store", store, "--progress", "plain", "build", "-o", "type=cacheonly",
                           *engine.flags(branch), context], env={**os.environ, **engine.environment},
                          capture_output=True, text=True)
    if made.returncode or "not written" in made.stderr or "WARN" in made.stderr:
        sys.exit(f"{type(engine).__name__}: {made.stderr}")
    return made.stderr.count(" DONE ")


def run(name, args):
    """For each day its rows (minute, kind of job, requests, writes, bytes each way), what is kept, and what rules leave."""
    folder = tempfile.mkdtemp(prefix=f"remote-cache-{name}-")
    engine, days, met = None, [], []
    try:
        engine = ENGINES[name](folder)
        repository = Repository(os.path.join(folder, "context"))
        for number in range(args.days):
            rows, names = [], set()
            for minute, branch, changed in day(args.jobs, args.branches, number):
                repository.check_out(branch, changed)
                up, down = engine.proxy.up, engine.proxy.down
                ran, asked = build(engine, branch, repository.context, args), engine.new()
                names |= engine.met(asked)
                rows.append((minute, ran, len(asked), sum(map(engine.is_write, asked)), engine.proxy.up - up, engine.proxy.down - down))
            met.append(names)
            kept, left = engine.kept(), engine.left(set().union(*met[-args.keep:]))
            # What was asked to see that is no job's.
            engine.new()
            engine.next_day()
            days.append((rows, kept, left))
        return name, days
    finally:
        if engine:
            engine.stop()
        shutil.rmtree(folder, ignore_errors=True)


def told_days(name, days):
    """A row for each day: what was asked, what lies there, and what rules of retention leave."""
    for number, (rows, (objects, held, _), left) in enumerate(days):
        ruled = "" if left is None else f"{left[0]} | {left[1] / 1e6:.2f} MB"
        print(f"| {name} | {number + 1} | {sum(row[2] for row in rows)} | {sum(row[3] for row in rows)} | {sum(not row[1] for row in rows)} | "
              f"{sum(row[5] for row in rows if not row[1]) / max(1, sum(not row[1] for row in rows)) / 1e3:.0f} kB | "
              f"{objects} | {held / 1e6:.2f} MB | {ruled or ' | '} |", flush=True)


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
    held = f"{held / 1e6:.1f} MB"
    print(f"| {name} | {mean(row[2] for row in cached):.1f} | {mean(row[2] for row in made):.1f} | "
          f"{sum(row[2] for row in rows)} | {max(minutes.values())} | {sum(row[3] for row in rows)} | {max(writes.values())} | "
          f"{mean(row[5] for row in cached) / 1e3:.0f} kB | {mean(row[4] for row in made) / 1e3:.0f} kB | {objects} | {held} | {more} |",
          flush=True)


def check(name, rows):
    """Ends the program where jobs ask for more than they may."""
    for kind, most in enumerate(MOST.get(name, ())):
        asked = [row[2] for row in rows if bool(row[1]) == bool(kind)]
        if asked and most < sum(asked) / len(asked):
            sys.exit(f"{name}: {sum(asked) / len(asked):.1f} requests of a job, at most {most} are right")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="*", default=[name for name in ENGINES if name != "reapi"])
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--branches", type=int, default=200)
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--keep", type=int, default=7)
    parser.add_argument("--buildgrid", metavar="VENV")
    parser.add_argument("--check", action="store_true")
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
    parser.add_argument("--wythe", default=os.path.join(target, "release/wythe"))
    args = parser.parse_args()
    ReapiEngine.venv = args.buildgrid
    if "reapi" in args.engines and not args.buildgrid:
        parser.error("reapi needs --buildgrid: python3 -m venv VENV; VENV/bin/pip install buildgrid==0.4.4")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        engines = list(pool.map(lambda name: run(name, args), args.engines))
    if args.days > 1:
        print(f"| engine | day | requests | writes | cached jobs | down, cached | objects | bytes | met within {args.keep} days | bytes |")
        print("|---|" + "---|" * 9)
        for name, days in engines:
            told_days(name, days)
        return
    print("| engine | requests, cached job | requests, other | a day | fullest minute | writes a day | fullest minute | "
          "down, cached | up, other | objects | bytes | |")
    print("|---|" + "---|" * 11)
    for name, [(rows, kept, _)] in engines:
        told(name, rows, *kept)
        if args.check:
            check(name, rows)


if __name__ == "__main__":
    main()
