#!/usr/bin/env python3
"""operations_page.py PAGE: runs the blocks of commands of a page, each line by a shell of its own, in order.

A block of ```toml is the configuration file from there on. One of commands opens with ```sh. A comment behind a command may say what it must do, else it must succeed:
  status=N    its exit code
  says="…"    what it prints, in part
"""
import os
import re
import subprocess
import sys

SAYS = re.compile(r'#.*?\bsays="([^"]*)"')
STATUS = re.compile(r"#.*?\bstatus=(\d+)")
# What a command may take, with a debug build on a busy machine.
SECONDS = 120


def commands(page):
    """The number and the text of each command, while the page is read: what it configures is in force."""
    inside, file = None, []
    for number, line in enumerate(page.splitlines(), 1):
        if line.startswith("```"):
            if inside == "toml":
                configure("\n".join(file) + "\n")
            inside, file = None if inside is not None else line[3:], []
            if inside not in (None, "sh", "toml"):
                sys.exit(f"line {number}: what is {inside!r}? A block is sh or toml")
        elif inside == "toml":
            file.append(line)
        elif inside and line.strip():
            yield number, line


def configure(text):
    folder = os.path.join(os.environ["XDG_CONFIG_HOME"], "wythe")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.toml"), "w", encoding="utf-8") as file:
        file.write(text)


def problem(line):
    """What is wrong with a command; nothing if it does what it says."""
    run = subprocess.run(["sh", "-euc", line], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         timeout=SECONDS, check=False, stdin=subprocess.DEVNULL)
    status, says = STATUS.search(line), SAYS.search(line)
    if run.returncode != int(status.group(1) if status else 0):
        return f"it ends with {run.returncode}:\n{run.stdout}"
    if says and says.group(1) not in run.stdout:
        return f"it does not say {says.group(1)!r}:\n{run.stdout}"
    return None


def main():
    with open(sys.argv[1], encoding="utf-8") as page:
        text = page.read()
    found = wrong = 0
    for number, line in commands(text):
        found += 1
        if said := problem(line):
            wrong += 1
            print(f"line {number}: {line}\n{said}")
    print(f"{found} commands, {wrong} wrong")
    sys.exit(1 if wrong or not found else 0)


os.environ["PATH"] = os.path.dirname(os.environ["WYTHE"]) + ":" + os.environ["PATH"]
main()
