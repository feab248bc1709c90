#!/usr/bin/env python3
"""Types a line and a tab into a real shell on a terminal, and prints what then stands on the line.

Usage: complete.py bash|zsh|fish SCRIPT LINE [TABS]

The shell has the completion script loaded. What it made of the line is read by having it print its words.
"""
import os
import pty
import re
import select
import sys
import time

SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
PREPARED = {
    "bash": "PS1='ready> '; bind 'set enable-bracketed-paste off'; source {script}\n",
    "zsh": "PS1='ready> '; unsetopt zle_bracketed_paste; autoload -U compinit; compinit -u -D; source {script}\n",
    "fish": "function fish_prompt; echo -n 'ready> '; end; source {script}\n",
}
# The longest that a shell may take for anything, on a machine that does much else.
PATIENCE = 60


class Terminal:
    def __init__(self, shell):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "dumb" if shell != "fish" else "xterm"
            os.execvp(shell, SHELLS[shell])

    def wait_for(self, words):
        """Reads until the words have come, and returns all before them."""
        end = time.monotonic() + PATIENCE
        while words not in self.seen:
            if time.monotonic() > end:
                sys.exit(f"{words!r} did not come; what came is {self.seen!r}")
            if select.select([self.fd], [], [], 1)[0]:
                self.seen += os.read(self.fd, 65536)
        before, _, self.seen = self.seen.partition(words)
        return before

    def type(self, text):
        os.write(self.fd, text.encode())


def main():
    shell, script, line = sys.argv[1:4]
    tabs = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    terminal = Terminal(shell)
    terminal.type(PREPARED[shell].format(script=script) + "echo MARK''ED\n")
    terminal.wait_for(b"MARKED\r\n")
    # The line becomes the arguments of a command that prints them.
    terminal.type("wythe() { printf '<%s>' \"$@\"; echo END; }\n" if shell != "fish" else
                  "function wythe; printf '<%s>' $argv; echo END; end\n")
    terminal.type("echo MARK''ED\n")
    terminal.wait_for(b"MARKED\r\n")
    # A shell looks at the next key when it has done what the one before asks for.
    terminal.type(line + "\t" * tabs + "\n")
    told = terminal.wait_for(b">END")
    print(re.search(rb"(?:<[^<>]*>)*$", told + b">").group().decode())
    os.close(terminal.fd)


main()
