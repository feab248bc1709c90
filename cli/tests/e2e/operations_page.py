#!/usr/bin/env python3
"""operations_page.py PAGE: runs the blocks of commands of a page, each line by a shell of its own, in order.

A block opens with ```sh. A comment behind a command may say what it must do, else it must succeed:
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
    """The number and the text of each line of a block."""
    inside = None
    for number, line in enumerate(page.splitlines(), 1):
        if line.startswith("```"):
            inside = None if inside is not None else line[3:]
            if inside not in (None, "sh"):
                sys.exit(f"line {number}: what is {inside!r}? A block is sh")
        elif inside and line.strip():
            yield number, line


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
        found = list(commands(page.read()))
    wrong = [(number, line, said) for number, line in found if (said := problem(line))]
    for number, line, said in wrong:
        print(f"line {number}: {line}\n{said}")
    print(f"{len(found)} commands, {len(wrong)} wrong")
    sys.exit(1 if wrong or not found else 0)


os.environ["PATH"] = os.path.dirname(os.environ["WYTHE"]) + ":" + os.environ["PATH"]
main()
