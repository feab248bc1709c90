#!/usr/bin/env python3
"""A registry as cache of machines with empty stores: this wythe beside BuildKit.

    cargo build --release --package wythe
    sudo ./benches/remote_cache.py                       # w2, w3, w5 and w6, two rounds: an hour
    sudo ./benches/remote_cache.py -w w2 -n 1 -p wythe

Needs root and the measuring program beside this project (../shared/bench), whose root file system, contexts and base
images are used. BuildKit is that of dockerd with the containerd image store, which alone exports caches without an image
of BuildKit's from elsewhere. Both talk to a docker-registry of their own through a proxy that counts bytes.

Every build begins with an empty store and pushes its image. In turn, for each workload and builder:

    cold      an empty registry, no cache
    export    an empty registry, --cache-to mode=max
    cached    the same once more, with --cache-from and --cache-to
    changed   the same with one file changed (w5: one of eight stages)

What exporting adds is `export` less `cold`. Requests are those of the registry's log.
"""
import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BENCH = os.path.realpath(os.environ.get("BENCH_DIR", os.path.join(ROOT, "..", "shared", "bench")))
PORT, INNER = 5599, 5598
REGISTRY = f"127.0.0.1:{PORT}"
CASES = ["cold", "export", "cached", "changed"]
REQUEST = re.compile(r'"(GET|HEAD|PUT|POST|PATCH|DELETE) (/v2/\S*) HTTP')


def enter(args):
    """The same program in the root file system of the peers."""
    binary = os.path.join(os.environ.get("CARGO_TARGET_DIR", ROOT + "/target"), "release/wythe")
    binary = os.path.realpath(os.environ.get("BENCH_WYTHE", binary))
    environment = {**os.environ, "BENCH_WYTHE": binary, "BENCH_FS": os.environ.get("BENCH_FS", "none")}
    me = "/host" + os.path.abspath(__file__)
    command = [BENCH + "/setup.sh", "enter", "python3", me, "--inside", *args]
    os.execve(command[0], command, environment)


class Proxy(threading.Thread):
    """Hands bytes on, and counts them: `up` to the registry, `down` from it."""

    def __init__(self):
        super().__init__(daemon=True)
        self.up = self.down = 0
        self.lock = threading.Lock()
        self.server = socket.create_server(("127.0.0.1", PORT), backlog=128)

    def run(self):
        while True:
            near, _ = self.server.accept()
            try:
                far = socket.create_connection(("127.0.0.1", INNER))
            except OSError:
                near.close()
                continue
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.pump, args=(near, far, "up"), daemon=True).start()
            threading.Thread(target=self.pump, args=(far, near, "down"), daemon=True).start()

    def pump(self, source, sink, way):
        buffer = bytearray(1 << 18)
        try:
            while count := source.recv_into(buffer):
                with self.lock:
                    setattr(self, way, getattr(self, way) + count)
                sink.sendall(memoryview(buffer)[:count])
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for one in (source, sink):
                one.close()


class Registry:
    """A docker-registry that begins with the base images alone."""

    def __init__(self, work):
        self.work, self.proc, self.log = work, None, os.path.join(work, "cache-registry.log")

    def reset(self):
        if self.proc:
            self.proc.terminate()
            self.proc.wait()
        data = os.path.join(self.work, "cache-registry")
        shutil.rmtree(data, ignore_errors=True)
        subprocess.check_call(["cp", "-al", os.path.join(self.work, "registry-base"), data])
        config = os.path.join(self.work, "cache-registry.yml")
        with open(config, "w") as out:
            out.write(f"version: 0.1\nlog: {{level: error}}\nstorage: {{cache: {{blobdescriptor: inmemory}}, "
                      f"filesystem: {{rootdirectory: {data}}}}}\nhttp: {{addr: '127.0.0.1:{INNER}'}}\n")
        self.proc = subprocess.Popen(["docker-registry", "serve", config], stdout=open(self.log, "wb"),
                                     stderr=subprocess.STDOUT)
        for _ in range(200):
            try:
                return socket.create_connection(("127.0.0.1", INNER), 0.2).close()
            except OSError:
                time.sleep(0.05)
        sys.exit("the registry did not start")

    def requests(self):
        with open(self.log) as log:
            return [found.groups() for line in log if (found := REQUEST.search(line))]


PEERS = {
    "wythe": ["wythe", "wythe --store {store}/s build --push -t {ref} {cache} {ctx}"],
    "buildkit": ["docker-cs", "docker -H unix://{run}/s buildx build --progress plain --network host --push -t {ref} {cache} {ctx}"],
}


class Run:
    def __init__(self, bench, results):
        self.bench, self.results = bench, results
        self.work = os.environ["BENCH_WORK"]
        self.proxy, self.registry = Proxy(), Registry(self.work)
        self.proxy.start()
        specs = bench.load_peers()
        self.peers = {name: bench.Peer(spec, specs[spec], self.work) for name, (spec, _) in PEERS.items()}
        for name, peer in self.peers.items():
            peer.name = "cache-" + name
            peer.store = os.path.join(os.environ["BENCH_STORE"], peer.name)
            peer.run_dir = os.path.join("/run/bench", peer.name)
            peer.group = bench.Group(peer.name)
            peer.spec = {**peer.spec, "ops": {"run": PEERS[name][1]}}
        self.sequence = int(time.time()) % 10**6 * 100

    def gen(self, what, workload, *more):
        context = os.path.join(self.work, "ctx-cache", workload)
        if what == "make" and os.path.exists(os.path.join(context, "Dockerfile")):
            return context
        subprocess.check_call([sys.executable, "/bench/src/gen.py", what, workload, context, *map(str, more)])
        return context

    def nonce(self, workload):
        self.sequence += 1
        self.gen("nonce", workload, self.sequence)

    def touch(self, workload, context):
        self.sequence += 1
        if workload == "w6":
            return self.gen("touch", workload, self.sequence)
        file = os.path.join(context, "Dockerfile" if workload == "w5" else "src/index.js")
        with open(file) as text:
            lines = text.read()
        if workload == "w5":
            changed = re.sub(r"( 0 > /out && )(: [0-9]+ && )?", rf"\g<1>: {self.sequence} && ", lines, count=1)
            assert changed != lines
        else:
            changed = f"console.log({self.sequence})\n"
        with open(file, "w") as out:
            out.write(changed)

    def case(self, name, workload, case, context):
        peer = self.peers[name]
        if case in ("cold", "export"):
            self.registry.reset()
        peer.reset()
        os.sync()
        tag = f"{REGISTRY}/bench/{workload}"
        cache = {"cold": "", "export": "--cache-to type=registry,ref={0},mode=max"}.get(
            case, "--cache-from type=registry,ref={0} --cache-to type=registry,ref={0},mode=max").format(f"{tag}:cache")
        asked, up, down = len(self.registry.requests()), self.proxy.up, self.proxy.down
        found = peer.op("run", ctx=context, ref=f"{tag}:{case}", cache=cache)
        if found["rc"] != 0:
            sys.exit(f"{name} {workload} {case} failed, see {peer.log_dir}/{peer.name}.run.last")
        shutil.copy(f"{peer.log_dir}/{peer.name}.run.last", f"{peer.log_dir}/{peer.name}.{workload}.{case}")
        time.sleep(0.5)
        requests = self.registry.requests()[asked:]
        row = dict(peer=name, workload=workload, case=case, wall=found["wall"], cpu=found["user"] + found["sys"],
                   foreign=found["foreign"], requests=len(requests), up=self.proxy.up - up, down=self.proxy.down - down,
                   when=time.time(), asked=[f"{method} {target}" for method, target in requests])
        with open(self.results, "a") as out:
            out.write(json.dumps(row) + "\n")
        print(f"{workload} {case:8} {name:9} wall {row['wall']:7.2f}  cpu {row['cpu']:7.2f}  requests {row['requests']:4}"
              f"  up {row['up'] / 1e6:8.2f} MB  down {row['down'] / 1e6:8.2f} MB  foreign {row['foreign']:.2f}", flush=True)

    def round(self, workload, names):
        context = self.gen("make", workload)
        for name in names:
            for case in CASES:
                if case in ("cold", "export"):
                    self.nonce(workload)
                if case == "changed":
                    self.touch(workload, context)
                self.case(name, workload, case, context)
            self.peers[name].clean()


def table(rows):
    """Medians, side by side, and the three things that have to hold."""
    def middle(workload, case, peer, key):
        found = [row[key] for row in rows if (row["workload"], row["case"], row["peer"]) == (workload, case, peer)]
        return statistics.median(found) if found else float("nan")
    workloads = sorted({row["workload"] for row in rows})
    print("\n| | case | wall s | BuildKit | CPU s | BuildKit | requests | BuildKit | MB up | BuildKit | MB down | BuildKit |")
    print("|---|---|" + "---|" * 10)
    for workload in workloads:
        for case in CASES:
            cells = []
            for key, unit, form in (("wall", 1, ".2f"), ("cpu", 1, ".2f"), ("requests", 1, ".0f"), ("up", 1e6, ".2f"),
                                    ("down", 1e6, ".2f")):
                cells += [format(middle(workload, case, peer, key) / unit, form) for peer in PEERS]
            print(f"| {workload} | {case} | " + " | ".join(cells) + " |")
    print("\n| | cached, times faster | export adds s | BuildKit | in CPU s | BuildKit | requests of a cached build, of BuildKit's |")
    print("|---|---|---|---|---|---|---|")
    for workload in workloads:
        def added(peer, key):
            return middle(workload, "export", peer, key) - middle(workload, "cold", peer, key)
        faster = middle(workload, "cached", "buildkit", "wall") / middle(workload, "cached", "wythe", "wall")
        share = middle(workload, "cached", "wythe", "requests") / middle(workload, "cached", "buildkit", "requests")
        print(f"| {workload} | {faster:.1f} | {added('wythe', 'wall'):.2f} | {added('buildkit', 'wall'):.2f} | "
              f"{added('wythe', 'cpu'):.2f} | {added('buildkit', 'cpu'):.2f} | {share:.2f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-w", "--workloads", default="w2,w3,w5,w6")
    parser.add_argument("-p", "--peers", default=",".join(PEERS))
    parser.add_argument("-n", "--rounds", type=int, default=2)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not args.inside:
        enter(sys.argv[1:])
    os.environ["BENCH_REGISTRY"] = REGISTRY
    for name in ("BENCH_BASE_SMALL", "BENCH_BASE_DISTRO"):
        os.environ[name] = REGISTRY + "/" + os.environ[name].split("/", 1)[1]
    sys.path.insert(0, "/bench/src")
    import bench
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    results = os.path.join(os.environ["BENCH_WORK"], f"remote-cache-{int(time.time())}.jsonl")
    run = Run(bench, results)
    try:
        for _ in range(args.rounds):
            for workload in args.workloads.split(","):
                run.round(workload, args.peers.split(","))
    finally:
        for peer in run.peers.values():
            peer.clean()
        if run.registry.proc:
            run.registry.proc.terminate()
    with open(results) as lines:
        table([json.loads(line) for line in lines])


if __name__ == "__main__":
    main()
