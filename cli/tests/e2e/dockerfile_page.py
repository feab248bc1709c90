#!/usr/bin/env python3
"""dockerfile_page.py PAGE: builds every example of a page, in a context of a few files.

A block that opens with ```dockerfile is an example. What follows that word says what it needs:
  args="…"    further flags of `wythe build`
  error="…"   it must fail, and say this; | separates words of which one will do
Addresses at example.org are served from the loopback.
"""
import functools
import http.server
import os
import re
import shlex
import socket
import subprocess
import sys
import tarfile
import threading
import time

OPENING = re.compile(r"^```(\w*)(.*)$")
# What a build may take; it is a debug build that is tested, sometimes on a busy machine.
SECONDS = 120


def examples(page):
    """The line, the needs and the text of each example."""
    found, fence = [], None
    for number, line in enumerate(page.splitlines(), 1):
        opening = OPENING.match(line)
        if fence is None and opening:
            fence = (number, opening.group(1), opening.group(2), [])
        elif fence is not None and line == "```":
            if fence[1] != "dockerfile":
                sys.exit(f"line {fence[0]}: what is {fence[1]!r}? An example is a dockerfile")
            needs = dict(pair.split("=", 1) for pair in shlex.split(fence[2]))
            found.append((fence[0], needs, "\n".join(fence[3]) + "\n"))
            fence = None
        elif fence is not None:
            fence[3].append(line)
    return found


def make_context():
    os.makedirs("context/src/lib")
    files = {"hello.txt": "hello\n", "src/a.txt": "a\n", "src/lib/b.txt": "b\n", "src/lib/c.md": "c\n",
             "token": "hunter2-hunter2", "build.log": "log\n", ".dockerignore": "*.log\n", "index.html": "<p>\n"}
    for name, text in files.items():
        with open(f"context/{name}", "w", encoding="utf-8") as file:
            file.write(text)
    with tarfile.open("context/site.tar.gz", "w:gz") as archive:
        archive.add("context/index.html", "index.html")


def free_port():
    return int(subprocess.check_output([os.path.join(os.path.dirname(os.path.abspath(__file__)), "ports"), "1"]))


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def serve_files():
    os.mkdir("www")
    with open("www/file.txt", "w", encoding="utf-8") as file:
        file.write("hello\n")
    handler = functools.partial(Quiet, directory="www")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


def serve_repository():
    os.makedirs("git/tool.git/sub")
    with open("git/tool.git/sub/file", "w", encoding="utf-8") as file:
        file.write("in the repository\n")
    git = ["git", "-C", "git/tool.git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "first"]):
        subprocess.run(git + words, check=True)
    port = free_port()
    daemon = subprocess.Popen(["git", "daemon", "--base-path=git", "--export-all", "--reuseaddr",
                               "--listen=127.0.0.1", f"--port={port}"], stderr=subprocess.DEVNULL)
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.1)
    return daemon, f"git://127.0.0.1:{port}/"


def problem(needs, text, addresses):
    """What is wrong with an example; nothing if it does what it says."""
    flags = needs.get("args", "")
    for known, served in addresses:
        text, flags = text.replace(known, served), flags.replace(known, served)
    with open("Dockerfile", "w", encoding="utf-8") as file:
        file.write(text)
    base = f"base=oci-layout://{os.environ['BASE']}"
    command = [os.environ["WYTHE"], "build", "--progress=plain", "-f", "../Dockerfile", "-o", "type=cacheonly",
               "--build-context", base, *shlex.split(flags), "."]
    run = subprocess.run(command, cwd="context", capture_output=True, text=True, timeout=SECONDS, check=False)
    wanted = needs.get("error")
    if wanted is None:
        return None if run.returncode == 0 else run.stderr
    if run.returncode == 0:
        return "it builds, and must not"
    fits = any(words in run.stderr for words in wanted.split("|"))
    return None if fits else f"it does not say {wanted!r}:\n{run.stderr}"


def main():
    with open(sys.argv[1], encoding="utf-8") as page:
        found = examples(page.read())
    make_context()
    daemon, repositories = serve_repository()
    addresses = [("https://example.org/", serve_files()), ("git://example.org/", repositories)]
    failed = 0
    try:
        for number, needs, text in found:
            wrong = problem(needs, text, addresses)
            if wrong is not None:
                failed += 1
                print(f"line {number}: {wrong}\n{text}")
    finally:
        daemon.terminate()
    print(f"{len(found)} examples, {failed} wrong")
    sys.exit(1 if failed or not found else 0)


main()
