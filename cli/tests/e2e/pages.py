#!/usr/bin/env python3
"""pages.py [--only WORD] PLACE…: does what pages say, and those below directories, each in a home of its own.

What follows the language of a block says how it is run:
  sh            commands, each by a shell that begins where the last one ended. A comment behind one may say what it must
                do, else it must succeed: status=N (its exit code), says="…" (what it prints, in part)
  console       commands behind `$ `, and what they print; … stands for anything, a line of it for any lines
  dockerfile    is built; args="…" are further flags of `wythe build`; error="…": it must fail, and say this, where |
                separates words of which one will do
  file="PATH"   is written there, and may be of any language
  needs="root"  is for a machine that has nothing yet: new_user.py runs it
  needs="aws"   reaches AWS: aws_page.py runs it, against doubles
  not-run="…"   the reason, which is printed; there may be so many of them as NOT_RUN says
  json, toml    without any of these are only parsed
  text          is what somebody sees
Of `wythe …` in a sentence, the command and its flags have to be there.
A comment `<!-- before` … `-->` holds commands that are run first. Pages of tutorials begin in an empty directory, others
in one with a few files and a Dockerfile. Files of example.org come from the loopback; registry.example, r.example
and Docker Hub are a docker-registry there, one for each page.
"""
import argparse
import concurrent.futures
import functools
import http.server
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time
import tomllib

HERE = os.path.dirname(os.path.abspath(__file__))
FENCE = re.compile(r"^( *)```([\w-]*)(.*)$")
INDENTED = re.compile(r"^    (\$ )?wythe ")
SAYS = re.compile(r'#.*?\bsays="([^"]*)"')
STATUS = re.compile(r"#.*?\bstatus=(\d+)")
MENTION = re.compile(r"`wythe ([^`]+)`")
FLAG = re.compile(r"(?<!\S)--?[a-z][a-z-]*")
HEREDOC = re.compile(r"<<-?\s*['\"]?(\w+)")
# What a command may take, with a debug build on a busy machine.
SECONDS = 300
# Blocks that no test runs: a number to be lowered. Each says why, and what holds it instead.
NOT_RUN = 23
# Folders whose pages others hold: dockerfile-parser those of its rules; decisions have no commands.
ELSEWHERE = ["checks", "adr"]
# Images of Docker Hub that pages build on. All are busybox here.
HUB = ["busybox:latest", "alpine:3", "debian:12-slim"]


class Wrong(Exception):
    """What a page says and does not come true."""


class Block:
    """A fenced block: its line, its language, what it needs, and its lines."""

    def __init__(self, line, language, needs, lines):
        self.line, self.language, self.needs, self.lines = line, language, needs, lines
        self.text = "\n".join(lines) + "\n"


def blocks(text):
    """The blocks of a page in order, the hidden ones among them."""
    found, fence, closing = [], None, None
    for number, line in enumerate(text.splitlines(), 1):
        opening = FENCE.match(line)
        if fence is not None and line.strip() == closing:
            found.append(fence)
            fence = None
        elif fence is not None:
            fence.lines.append(line[len(fence.needs.get("indent", "")):])
        elif opening:
            needs = dict(pair.split("=", 1) for pair in shlex.split(opening.group(3)))
            fence, closing = Block(number, opening.group(2), needs | {"indent": opening.group(1)}, []), "```"
        elif line == "<!-- before":
            fence, closing = Block(number, "sh", {}, []), "-->"
        elif INDENTED.match(line):
            raise Wrong(f"line {number}: a command outside of a fence is run by nobody")
    if fence is not None:
        raise Wrong(f"line {fence.line}: the block has no end")
    return [Block(one.line, one.language, one.needs, one.lines) for one in found]


def commands(block):
    """The line and the text of each command: a line with what continues it, or its here-document."""
    found, ending = [], None
    for number, line in enumerate(block.lines, block.line + 1):
        going_on = bool(found) and (ending is not None or found[-1][1].endswith("\\"))
        if going_on:
            found[-1][1] += "\n" + line
            if line == ending:
                ending = None
        elif line.strip():
            found.append([number, line])
        if found and not ending and not going_on and (here := HEREDOC.search(line)):
            ending = here.group(1)
    return found


def dialogue(block):
    """The line and the text of each command, and the lines that it prints."""
    found = []
    for number, line in enumerate(block.lines, block.line + 1):
        if line.startswith("$ "):
            found.append((number, line[2:], []))
        elif found:
            found[-1][2].append(line)
        else:
            raise Wrong(f"line {number}: nothing that begins with $ comes before")
    return found


def matches(wanted, printed):
    """Whether lines are those of the page, in which … is anything."""
    patterns = [".*(\n.*)*" if line == "…" else re.escape(line).replace("…", ".*") for line in wanted]
    return re.fullmatch("\n".join(patterns), "\n".join(printed)) is not None


def mentions(text):
    """The line of each command that stands in a sentence or a table, and the words behind `wythe`."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        fenced ^= bool(FENCE.match(line))
        if not fenced:
            yield from ((number, mention.group(1)) for mention in MENTION.finditer(line))


class Machine:
    """Where a page is run: a home, a directory, and the variables that its commands have set."""

    def __init__(self, world, home):
        self.world, self.home = world, home
        self.service, self.registry = world.registry(home + ".registry")
        self.directory = os.path.join(home, "work")
        os.makedirs(self.directory)
        os.makedirs(os.path.join(home, ".config/containers"))
        write(os.path.join(home, ".config/containers/registries.conf"), self.mirror())
        self.environment = {"HOME": home, "PATH": world.bin + ":" + os.environ["PATH"], "TMPDIR": world.run,
                            "LANG": "C.UTF-8", "USER": os.environ.get("USER", "you"), "WYTHE_MIN_FREE_SPACE": "0",
                            "BASE": world.base}

    def serves(self, block):
        """Whether this machine is one that the block is for."""
        return "needs" not in block.needs

    def end(self):
        self.service.terminate()
        self.service.wait()

    def mirror(self):
        """What makes the registry of this machine Docker Hub, for a `registries.conf`."""
        return f'[[registry]]\nlocation = "docker.io"\n[[registry.mirror]]\nlocation = "{self.registry}"\ninsecure = true\n'

    def here(self, text):
        """A text of a page with the names of this machine."""
        for known, served in self.world.names + [("registry.example", self.registry), ("r.example", self.registry)]:
            text = re.sub(rf"(?<![\w.-]){re.escape(known)}", served, text)
        return text

    def outside(self, path):
        """Where a file of this machine lies for this program."""
        return path

    def shell(self, text):
        return subprocess.run(["sh", "-euc", text], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              cwd=self.directory, env=self.environment, timeout=SECONDS, check=False,
                              stdin=subprocess.DEVNULL)

    def run(self, command):
        """The exit code of a command, and what it printed."""
        state = os.path.join(self.home, ".state")
        run = self.shell(f"{self.here(command)}\npwd > {state}; env -0 >> {state}")
        if run.returncode == 0 and os.path.exists(self.outside(state)):
            with open(self.outside(state), encoding="utf-8") as file:
                self.directory, rest = file.read().split("\n", 1)
            self.environment = dict(one.split("=", 1) for one in rest.split("\0") if one)
        return run.returncode, run.stdout

    def file(self, path, text):
        inside = path.replace("~", self.home, 1) if path.startswith("~") else os.path.join(self.directory, path)
        path = self.outside(inside)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write(path, self.here(text))

    def example(self, needs, text):
        """Builds a Dockerfile, and looks at how that ends."""
        write(os.path.join(self.home, "Dockerfile"), self.here(text))
        base = f"base=oci-layout://{self.world.base}"
        words = ["wythe", "build", "--progress=plain", "-f", "../Dockerfile", "-o", "type=cacheonly", "--build-context",
                 base, *shlex.split(needs.get("args", "")), "."]
        status, printed = self.run(shlex.join(words))
        wanted = needs.get("error")
        if wanted is None:
            return None if status == 0 else printed
        if status == 0:
            return "it builds, and must not"
        return None if any(one in printed for one in wanted.split("|")) else f"it does not say {wanted!r}:\n{printed}"

    def command(self, command):
        """What is wrong with a command; nothing if it does what it says."""
        status, printed = self.run(command)
        wanted, says = STATUS.search(command), SAYS.search(command)
        if status != int(wanted.group(1) if wanted else 0):
            return f"it ends with {status}:\n{printed}"
        if says and self.here(says.group(1)) not in printed:
            return f"it does not say {says.group(1)!r}:\n{printed}"
        return None

    def answer(self, command, wanted):
        status, printed = self.run(command)
        fits = matches(self.here("\n".join(wanted)).splitlines(), printed.splitlines())
        return None if status == 0 and fits else f"it ends with {status} and prints\n{printed}"


class World:
    """What all pages share: the program, the images of the hub, and the servers of example.org."""

    def __init__(self):
        self.run, self.base = os.getcwd(), os.environ["BASE"]
        self.bin = os.path.join(self.run, "bin")
        os.mkdir(self.bin)
        os.symlink(os.path.realpath(os.environ["WYTHE"]), os.path.join(self.bin, "wythe"))
        self.daemon, repositories = serve_repository()
        self.names = [("https://example.org/", serve_files()), ("git://example.org/", repositories)]
        self.hub = os.path.join(self.run, "hub")
        os.mkdir(self.hub)
        service, address = start_registry(self.hub)
        for name in HUB:
            subprocess.run([os.environ["WYTHE"], "--store", os.path.join(self.run, "store"), "copy", f"oci:{self.base}",
                            f"docker:{address}/library/{name}"], check=True, capture_output=True)
        service.terminate()
        service.wait()

    def registry(self, folder):
        """A registry that has the images of the hub, and its address."""
        shutil.copytree(self.hub, folder)
        return start_registry(folder)

    @functools.cache
    def help(self, *words):
        """What the help of a command says; nothing where there is no such command."""
        run = subprocess.run([os.environ["WYTHE"], *words, "--help"], capture_output=True, text=True, check=False)
        return run.stdout if run.returncode == 0 else None

    def unknown(self, words):
        """What of a command there is not; `a|b` are two."""
        path = []
        for word in words.split():
            names = word.split("|")
            if not all(re.fullmatch("[a-z][a-z-]*", name) for name in names) or "Commands:" not in self.help(*path):
                break
            for name in names:
                if self.help(*path, name) is None:
                    return name
            path.append(names[0])
        flags = FLAG.findall(words)
        return next((flag for flag in flags if not re.search(re.escape(flag) + "(?![a-z-])", self.help(*path))), None)


def free_port():
    return subprocess.check_output([os.path.join(HERE, "ports"), "1"], text=True).strip()


def start_registry(folder):
    """A registry that keeps its images in a folder, and its address."""
    port = free_port()
    write(f"{folder}.yml", f"""version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
""")
    with open(f"{folder}.log", "wb") as log:
        service = subprocess.Popen(["docker-registry", "serve", f"{folder}.yml"], stdout=log, stderr=log)
    for _ in range(600):
        if subprocess.run([os.path.join(HERE, "listening"), port], check=False).returncode == 0:
            return service, f"127.0.0.1:{port}"
        time.sleep(0.1)
    sys.exit("the registry does not answer")


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def make_context(folder):
    """The files that examples of pages copy, and a Dockerfile."""
    os.makedirs(f"{folder}/src/lib")
    files = {"hello.txt": "hello\n", "src/a.txt": "a\n", "src/lib/b.txt": "b\n", "src/lib/c.md": "c\n",
             "token": "hunter2-hunter2", "build.log": "log\n", ".dockerignore": "*.log\n", "index.html": "<p>\n",
             "Dockerfile": "FROM busybox\nCOPY hello.txt /\nRUN cat hello.txt > /again\n"}
    for name, text in files.items():
        write(f"{folder}/{name}", text)
    with tarfile.open(f"{folder}/site.tar.gz", "w:gz") as archive:
        archive.add(f"{folder}/index.html", "index.html")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, and tells nobody."""

    def log_message(self, *_):
        pass


def serve_files():
    os.mkdir("www")
    write("www/file.txt", "hello\n")
    handler = functools.partial(Quiet, directory="www")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


def serve_repository():
    os.makedirs("git/tool.git/sub")
    write("git/tool.git/sub/file", "in the repository\n")
    git = ["git", "-C", "git/tool.git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "first"]):
        subprocess.run(git + words, check=True)
    port = free_port()
    daemon = subprocess.Popen(["git", "daemon", "--base-path=git", "--export-all", "--reuseaddr",
                               "--listen=127.0.0.1", f"--port={port}"], stderr=subprocess.DEVNULL)
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", int(port))).close()
            break
        except OSError:
            time.sleep(0.1)
    return daemon, f"git://127.0.0.1:{port}/"


def run_block(machine, block):
    """How many things a block has that were looked at; what is wrong is raised."""
    needs, language = block.needs, block.language
    if "file" in needs:
        machine.file(needs["file"], block.text)
        return 1
    if language == "dockerfile":
        todo = [(block.line, block.text, functools.partial(machine.example, needs, block.text))]
    elif language == "sh":
        todo = [(line, text, functools.partial(machine.command, text)) for line, text in commands(block)]
    elif language == "console":
        todo = [(line, text, functools.partial(machine.answer, text, out)) for line, text, out in dialogue(block)]
    else:
        todo = [(block.line, block.text, functools.partial(parse, block))]
    for line, text, do in todo:
        try:
            problem = do()
        except subprocess.TimeoutExpired:
            problem = f"it has not ended after {SECONDS} s"
        if problem is not None:
            raise Wrong(f"line {line}: {text}\n{problem}")
    return len(todo)


def parse(block):
    """What is wrong with a block that is only looked at."""
    parsers = {"json": lambda text: [json.loads(line) for line in text.splitlines()] if text.startswith('{"event')
               else json.loads(text), "toml": tomllib.loads, "text": str}
    if block.language not in parsers:
        return f"what is {block.language!r}? file=, needs= or not-run= says how it is run"
    try:
        parsers[block.language](block.text)
    except ValueError as error:
        return str(error)
    return None


def run_page(machine, name, text):
    """The number of things that were run, the reasons why others were not, and what is wrong."""
    done, reasons, wrong = 0, [], []
    try:
        for block in blocks(text):
            if "not-run" in block.needs:
                reasons.append(f"{name}:{block.line}: not run: {block.needs['not-run']}")
            elif machine.serves(block):
                done += run_block(machine, block)
    except Wrong as problem:
        wrong.append(f"{name}: {problem}")
    return done, reasons, wrong


def at_home(world, number, name, path):
    """Runs a page in a home of its own."""
    machine = Machine(world, os.path.join(world.run, "homes", str(number)))
    if not name.startswith("tutorials/"):
        make_context(machine.directory)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        done, reasons, wrong = run_page(machine, name, text)
    finally:
        machine.end()
    for line, words in mentions(text):
        done += 1
        if unknown := world.unknown(words):
            wrong.append(f"{name}: line {line}: wythe {words}\nhas not {unknown}")
    return done, reasons, wrong


def named(places):
    """The names and the paths of pages: of those that are given, and of those below directories."""
    found = [(os.path.basename(place), place) for place in places if os.path.isfile(place)]
    for place in filter(os.path.isdir, places):
        for folder, _, files in sorted(os.walk(place)):
            if os.path.basename(folder) not in ELSEWHERE:
                paths = [os.path.join(folder, file) for file in sorted(files) if file.endswith(".md")]
                found += [(os.path.relpath(path, place), path) for path in paths]
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("places", nargs="+")
    options = parser.parse_args()
    chosen = [page for page in named(options.places) if options.only in page[0]]
    pages = [(number, *page) for number, page in enumerate(chosen)]
    world = World()
    try:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda page: at_home(world, *page), pages))
    finally:
        world.daemon.terminate()
    done, reasons, wrong = (sum((one[part] for one in results), start) for part, start in ((0, 0), (1, []), (2, [])))
    print("\n".join(reasons + wrong))
    print(f"{len(pages)} pages, {done} run, {len(reasons)} not run, {len(wrong)} wrong")
    if len(reasons) > NOT_RUN:
        sys.exit(f"at most {NOT_RUN} blocks may say that they are not run")
    sys.exit(1 if wrong or not done else 0)


if __name__ == "__main__":
    main()
