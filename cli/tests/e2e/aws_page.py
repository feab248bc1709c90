#!/usr/bin/env python3
"""aws_page.py PAGE: runs what pages.py leaves, a page from top to bottom in this directory: its files are written, and its
commands run, each by a shell of its own. Of which programs is for whoever calls this to say, by PATH.
"""
import subprocess
import sys

from pages import SECONDS, blocks, commands, write


def run(line, command):
    ended = subprocess.run(["sh", "-euc", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           timeout=SECONDS, check=False, stdin=subprocess.DEVNULL)
    if ended.returncode:
        sys.exit(f"line {line}: {command}\nends with {ended.returncode}:\n{ended.stdout}")


def main():
    with open(sys.argv[1], encoding="utf-8") as page:
        text = page.read()
    files = found = 0
    for block in blocks(text):
        if "file" in block.needs:
            write(block.needs["file"], block.text)
            files += 1
        elif block.needs.get("needs") == "aws":
            for line, command in commands(block):
                run(line, command)
                found += 1
    print(f"{files} files, {found} commands")
    sys.exit(0 if files and found else 1)


main()
