#!/usr/bin/env python3
"""transfers.py WYTHE DIR [--rounds N] [--megabytes N] [--only TEXT] [--json FILE]

Images to a registry and back, beside skopeo, podman and docker: one table in markdown, medians of N rounds (5) after one
that does not count. All talk to one docker-registry on this machine; who comes first changes with the round.

  push                  ten layers, 1 GiB (--megabytes), half of it noise, uncompressed in the pusher's own store, to an empty registry;
                        all compress them with gzip
  push again            the same, which the registry has
  copy                  to another repository of the same registry, by who has nothing of it here
  pull                  four layers, 400 MB, gzip, into an empty store
  pull to files         the same to a directory; skopeo with umoci
  pull to files, slow   the same through nginx, which gives each connection 25 MB a second, as storage far away does
  build and push        ten COPYs of the same files on scratch, nothing known, to an empty registry

Counted are the time by the clock and the processor time of the program and its children, of docker also that of its daemon. A peer
that is not installed has an empty cell, one that fails says so. Docker is asked only where its daemon can be started, by root (in a
container: `setup.sh enter` of the benchmark environment). Needs docker-registry, and 12 GB below DIR, which is emptied at the end.
"""

import argparse
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
import statistics
import subprocess
import sys
import tarfile
import time

PUSHED, PULLED = 10, 4  # layers
FILE = 1 << 20
RATE = "25m"  # of each connection of the far registry
TAG = "1"
TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    pass


def main():
    args = arguments()
    folder = pathlib.Path(args.folder).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    wythe = shutil.which(args.wythe) or os.path.abspath(args.wythe)
    os.chdir(folder)
    os.environ["WYTHE_MIN_FREE_SPACE"] = "0"
    # By processes of their own: what this one holds would count as memory of those that it starts.
    for work in [(layout, "pushed", PUSHED, args.megabytes // PUSHED, "plain"), (layout, "pulled", PULLED, min(100, args.megabytes // 4), "gzip"), (context, args.megabytes // PUSHED)]:
        maker = multiprocessing.Process(target=work[0], args=work[1:])
        maker.start()
        maker.join()
        if maker.exitcode != 0:
            sys.exit("the images could not be made")
    # Not before: those processes share a directory for temporary files, which is removed when all is over.
    os.environ["TMPDIR"] = str(folder)
    world = World(wythe)
    peers = [peer for peer in [Wythe(world), Skopeo(world), Podman(world), Docker(world)] if peer.is_there()]
    print(f"peers: {', '.join(peer.name for peer in peers)}; load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    rows = [row for row in ROWS if args.only in row.title]
    results = {}
    for row in rows:
        for number in range(args.rounds + 1):
            first = number % len(peers)
            for peer in peers[first:] + peers[:first]:
                outcome = row.measure(world, peer)
                if number > 0 and outcome is not None:
                    results.setdefault((row.title, peer.name), []).append(outcome)
                shown = outcome if isinstance(outcome, str) else outcome and f"{outcome[0]:.2f} s, {outcome[1]:.2f} s of processor"
                if outcome is not None:
                    print(f"{row.title} {number} {peer.name}: {shown}", file=sys.stderr, flush=True)
    print(table(rows, peers, results))
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps([{"row": r, "peer": p, "rounds": all_of} for (r, p), all_of in results.items()]))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wythe")
    parser.add_argument("folder")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", type=os.path.abspath)
    args = parser.parse_args()
    if args.megabytes < PUSHED:
        parser.error(f"at least {PUSHED} megabytes, one for each layer")
    return args


def table(rows, peers, results):
    lines = ["| wall / processor, s | " + " | ".join(peer.title for peer in peers) + " |", "|---|" + "---|" * len(peers)]
    for row in rows:
        cells = [cell(results.get((row.title, peer.name), [])) for peer in peers]
        lines.append(f"| {row.title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cell(all_of):
    good = [outcome for outcome in all_of if not isinstance(outcome, str)]
    if not all_of:
        return ""
    if not good:
        return all_of[0]
    wall, cpu = (statistics.median(outcome[at] for outcome in good) for at in range(2))
    return f"{wall:.2f} / {cpu:.2f}" + (f" ({len(all_of) - len(good)} failed)" if len(good) < len(all_of) else "")


# What is moved.


def content(layer, number):
    """A file of which half does not compress, made from numbers alone."""
    noise = random.Random(layer * 10_000 + number).randbytes
    return noise(FILE // 2) + noise(1 << 10) * (FILE >> 11)


def context(files):
    """The files of the pushed image as a context."""
    lines = ["FROM scratch"]
    for layer in range(PUSHED):
        directory = pathlib.Path(f"context/layer{layer}")
        directory.mkdir(parents=True)
        for number in range(files):
            (directory / f"file{number}").write_bytes(content(layer, number))
        lines.append(f"COPY layer{layer} /layer{layer}")
    pathlib.Path("context/Dockerfile").write_text("\n".join(lines) + "\n")


def layout(name, n_layers, files, compression):
    """An image in an OCI layout."""
    folder = pathlib.Path(name)
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)

    def put(data, media_type):
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": f"application/vnd.oci.image.{media_type}", "digest": f"sha256:{digest}", "size": len(data)}

    layers, diff_ids = [], []
    for layer in range(n_layers):
        plain = io.BytesIO()
        with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for number in range(files):
                info = tarfile.TarInfo(f"layer{layer}/file{number}")
                info.size, info.mode = FILE, 0o644
                tar.addfile(info, io.BytesIO(content(layer, number)))
        diff_ids.append("sha256:" + hashlib.sha256(plain.getvalue()).hexdigest())
        if compression == "gzip":
            layers.append(put(gzip.compress(plain.getvalue(), 6, mtime=0), "layer.v1.tar+gzip"))
        else:
            layers.append(put(plain.getvalue(), "layer.v1.tar"))
    config = {"architecture": os.uname().machine.replace("x86_64", "amd64").replace("aarch64", "arm64"), "os": "linux"}
    config |= {"config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    config = put(json.dumps(config).encode(), "config.v1+json")
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"}
    root = put(json.dumps(manifest | {"config": config, "layers": layers}).encode(), "manifest.v1+json")
    root["annotations"] = {"org.opencontainers.image.ref.name": TAG}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [root]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


# Where it is moved.


class World:
    """The registry, what stands in front of it, and who has to be ended."""

    def __init__(self, wythe):
        self.wythe, self.port, self.registry_server, self.web = wythe, free(), None, None
        self.host = f"127.0.0.1:{self.port}"
        self.contents = None

    def registry(self, contents):
        """A registry that has what is asked for: nothing, or one of the images."""
        if self.registry_server is not None and contents != "empty" and self.contents == contents:
            return
        if self.registry_server is not None:
            end(self.registry_server)
        shutil.rmtree("registry", ignore_errors=True)
        pathlib.Path("registry.yml").write_text(
            "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
            f"storage: {{filesystem: {{rootdirectory: {os.getcwd()}/registry}}}}\nhttp: {{addr: {self.host}}}\n"
        )
        self.registry_server = serve(["docker-registry", "serve", "registry.yml"], self.port)
        self.contents = contents
        if contents != "empty":
            source = f"oci:{os.getcwd()}/{contents}:{TAG}"
            run([self.wythe, "--store", "filler", "--progress=quiet", "copy", source, f"docker://{self.host}/{contents}:{TAG}"])
            wipe("filler")

    def slow(self):
        """The same registry, where each connection has no more than so much."""
        nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
        if nginx is None:
            return None
        if self.web is None:
            here, self.web = os.getcwd(), free()
            os.makedirs("web", exist_ok=True)
            folders = " ".join(f"{kind}_temp_path web/{kind};" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
            pathlib.Path("nginx.conf").write_text(
                f"daemon off; pid {here}/web/pid; error_log {here}/web/error.log; events {{}}\n"
                f"http {{ access_log off; {folders} server {{ listen 127.0.0.1:{self.web}; location / {{\n"
                f"  proxy_pass http://{self.host}; proxy_set_header Host $http_host; limit_rate {RATE}; proxy_max_temp_file_size 0; }} }} }}\n"
            )
            serve([nginx, "-p", here, "-c", f"{here}/nginx.conf"], self.web)
        return f"127.0.0.1:{self.web}"


servers = []


def free():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def serve(command, port):
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    servers.append(server)
    for _ in range(100):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return server
        time.sleep(0.1)
    sys.exit(f"{command[0]} does not answer")


def end(server):
    server.terminate()
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    servers.remove(server)


def wipe(*paths):
    for path in paths:
        if os.path.lexists(path):
            # Files of subordinate ids, and directories nobody may enter.
            subprocess.run(["chmod", "-R", "u+rwX", path], stderr=subprocess.DEVNULL)
            shutil.rmtree(path, ignore_errors=True)
        if os.path.lexists(path) and shutil.which("podman"):
            subprocess.run(["podman", "unshare", "rm", "-rf", path], stderr=subprocess.DEVNULL)


def run(command):
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise Failed(f"{command}: {done.stderr.decode(errors='replace')[-2000:]}")


def cpu_of(pid):
    """The processor time of a process and of all that it has started."""
    total, todo = 0, [pid]
    while todo:
        one = todo.pop()
        try:
            fields = pathlib.Path(f"/proc/{one}/stat").read_text().rpartition(") ")[2].split()
            total += sum(int(fields[at]) for at in range(11, 15))
            for task in pathlib.Path(f"/proc/{one}/task").iterdir():
                todo += [int(child) for child in (task / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total / TICKS


def measured(commands, daemon=None):
    """Time by the clock and processor time of some commands, one after another."""
    began, cpu = time.monotonic(), -cpu_of(daemon) if daemon else 0.0
    for command in commands:
        with open("log", "wb") as log:
            child = subprocess.Popen(command, stdout=log, stderr=log)
            _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if status != 0:
            raise Failed(f"{command}: {pathlib.Path('log').read_text(errors='replace')[-2000:]}")
        cpu += usage.ru_utime + usage.ru_stime
    return time.monotonic() - began, cpu + (cpu_of(daemon) if daemon else 0.0)


# Who moves it.


class Peer:
    """What a program needs for each row: `None` where it does no such thing."""

    daemon = None

    def __init__(self, world):
        self.world = world

    def is_there(self):
        return shutil.which(self.name) is not None

    @property
    def title(self):
        version = subprocess.run([self.program(), "--version"], capture_output=True, text=True).stdout.split()
        return f"{self.name} {next((word.strip(',') for word in version if word[0].isdigit()), '')}".strip()

    def program(self):
        return self.name

    def forget(self):
        """Begins with nothing."""

    def load(self):
        """Has the image that is pushed."""
        return None

    def push(self, name):
        return None

    def copy(self, one, other):
        return None

    def pull(self, name):
        return None

    def files(self, name):
        return None

    def build(self, name):
        return None


class Wythe(Peer):
    name = "wythe"

    def is_there(self):
        return True

    def program(self):
        return self.world.wythe

    def own(self, *words):
        return [self.world.wythe, "--store", "store", "--progress=quiet", *words]

    def forget(self):
        wipe("store", "files")

    def load(self):
        run(self.own("copy", f"oci:{os.getcwd()}/pushed:{TAG}", "pushed"))
        return True

    def push(self, name):
        return [self.own("push", "--compression", "gzip", "pushed", name)]

    def copy(self, one, other):
        return [self.own("copy", f"docker://{one}", f"docker://{other}")]

    def pull(self, name):
        return [self.own("pull", name)]

    def files(self, name):
        os.makedirs("from", exist_ok=True)
        pathlib.Path("from/Dockerfile").write_text(f"FROM {name}\n")
        return [self.own("build", "-q", "-o", "type=local,dest=files", "from")]

    def build(self, name):
        return [self.own("build", "--push", "-t", name, "context")]


class Skopeo(Peer):
    name = "skopeo"

    def forget(self):
        wipe("unpacked", "files")

    def load(self):
        return True

    def push(self, name):
        return [["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:pushed:{TAG}", f"docker://{name}"]]

    def copy(self, one, other):
        return [["skopeo", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false", f"docker://{one}", f"docker://{other}"]]

    def files(self, name):
        if shutil.which("umoci") is None:
            return None
        rootless = [] if os.getuid() == 0 else ["--rootless"]
        return [
            ["skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{name}", f"oci:unpacked:{TAG}"],
            ["umoci", "unpack", *rootless, "--image", f"unpacked:{TAG}", "files"],
        ]


class Podman(Peer):
    name = "podman"

    def own(self, *words):
        here = os.getcwd()
        return ["podman", "--root", f"{here}/podman", "--runroot", f"{here}/podman-run", *words]

    def forget(self):
        if os.path.exists("podman"):
            subprocess.run(self.own("system", "reset", "--force"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wipe("podman", "podman-run")

    def load(self):
        run(self.own("pull", "-q", f"oci:pushed:{TAG}"))
        self.image = subprocess.run(self.own("images", "-q"), capture_output=True, text=True, check=True).stdout.split()[0]
        return True

    def push(self, name):
        return [self.own("push", "-q", "--tls-verify=false", self.image, name)]

    def pull(self, name):
        return [self.own("pull", "-q", "--tls-verify=false", name)]

    def build(self, name):
        return [
            self.own("build", "-q", "--network=none", "--no-cache", "--layers", "-t", name, "context"),
            self.own("push", "-q", "--tls-verify=false", name),
        ]


class Docker(Peer):
    name = "docker"
    server = None

    def is_there(self):
        if shutil.which("dockerd") is None or shutil.which("docker") is None or os.getuid() != 0:
            return False
        try:
            self.start()
        except Failed as error:
            print(f"docker: {error}", file=sys.stderr)
            return False
        return True

    def start(self):
        here = os.getcwd()
        os.makedirs("docker-run", exist_ok=True)
        words = f"--data-root {here}/docker --exec-root {here}/docker-run/exec --pidfile {here}/docker-run/pid -H unix://{here}/docker-run/socket"
        quiet = "--bridge none --iptables=false --ip6tables=false --ip-forward=false --log-level error"
        log = open("docker-run/log", "wb")
        self.server = subprocess.Popen(["dockerd", *words.split(), *quiet.split()], stdout=log, stderr=log)
        servers.append(self.server)
        for _ in range(150):
            if subprocess.run(self.own("version"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
                self.daemon = self.server.pid
                return
            time.sleep(0.2)
        raise Failed("the daemon does not answer: " + pathlib.Path("docker-run/log").read_text(errors="replace")[-500:])

    def own(self, *words):
        return ["docker", "-H", f"unix://{os.getcwd()}/docker-run/socket", *words]

    def forget(self):
        """Another daemon: what it knows of where layers are is kept beside them."""
        end(self.server)
        wipe("docker", "docker-run")
        self.start()

    def load(self):
        if not os.path.exists("pushed.tar"):
            run([self.world.wythe, "--store", "filler", "--progress=quiet", "copy", f"oci:{os.getcwd()}/pushed:{TAG}", "docker-archive:pushed.tar:pushed:1"])
            wipe("filler")
        run(self.own("load", "-q", "-i", "pushed.tar"))
        return True

    def push(self, name):
        run(self.own("tag", "pushed:1", name))
        return [self.own("push", "-q", name)]

    def copy(self, one, other):
        return [self.own("buildx", "imagetools", "create", "-t", other, one)]

    def pull(self, name):
        return [self.own("pull", "-q", name)]

    def build(self, name):
        return [self.own("build", "-q", "--no-cache", "--network=host", "-t", name, "context"), self.own("push", "-q", name)]


# What is measured.


class Row:
    def __init__(self, title, contents, commands, before=None, loaded=False):
        self.title, self.contents, self.commands, self.before, self.loaded = title, contents, commands, before, loaded

    def measure(self, world, peer):
        """What came of it; text where it failed, `None` where the peer does no such thing."""
        try:
            peer.forget()
            world.registry(self.contents)
            if self.loaded and peer.load() is None:
                return None
            commands = self.commands(world, peer)
            if commands is None:
                return None
            if self.before:
                measured(self.before(world, peer), peer.daemon)
            # What was written before is not this one's to wait for.
            os.sync()
            return measured(commands, peer.daemon)
        except Failed as error:
            print(f"{self.title} {peer.name}: {error}", file=sys.stderr, flush=True)
            return "failed"
        finally:
            peer.forget()


def pushing(world, peer):
    return peer.push(f"{world.host}/team/{peer.name}:{TAG}")


def copying(world, peer):
    # Another repository each time: there is nothing there yet.
    world.copies = getattr(world, "copies", 0) + 1
    return peer.copy(f"{world.host}/pushed:{TAG}", f"{world.host}/copy{world.copies}:{TAG}")


def slowly(world, peer):
    host = world.slow()
    return host and peer.files(f"{host}/pulled:{TAG}")


ROWS = [
    Row("push", "empty", pushing, loaded=True),
    Row("push again", "empty", pushing, before=pushing, loaded=True),
    Row("copy", "pushed", copying),
    Row("pull", "pulled", lambda world, peer: peer.pull(f"{world.host}/pulled:{TAG}")),
    Row("pull to files", "pulled", lambda world, peer: peer.files(f"{world.host}/pulled:{TAG}")),
    Row("pull to files, slow", "pulled", slowly),
    Row("build and push", "empty", lambda world, peer: peer.build(f"{world.host}/team/{peer.name}:{TAG}")),
]


if __name__ == "__main__":
    try:
        main()
    finally:
        for server in list(servers):
            end(server)
        # Nothing is left in a directory that was empty before.
        for name in os.listdir(".") if len(sys.argv) > 2 and pathlib.Path(".").resolve() == pathlib.Path(sys.argv[2]).resolve() else []:
            wipe(name)
            if os.path.isfile(name):
                os.remove(name)
