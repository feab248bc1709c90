#!/usr/bin/env python3
"""screens.py: drives programs on a terminal of the kernel, and keeps a model of what a person sees on it.

  import screens
  with screens.Terminal(['wythe', …], columns=60, rows=12, env={…}) as terminal:
      terminal.until(lambda text: 'RUN' in text)

The model knows what the program may use: text, CR, LF, cursor up, home, erasing, colours, the second screen, the cursor's visibility.
Anything else is an error, so that nothing else creeps in. Lines are cut when it becomes narrower, and not wrapped.
"""
import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
import unicodedata

SEQUENCE = re.compile(r'\x1b\[(\??)([0-9;]*)([A-Za-z])')
PATIENCE = 120


class Screen:
    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.lines, self.x, self.y = [''] * rows, 0, 0
        self.scrolled = []
        self.kept = None
        self.hidden, self.coloured = False, False

    def resize(self, columns, rows):
        # What is below the cursor goes first, as in xterm.
        while len(self.lines) > max(rows, self.y + 1):
            self.lines.pop()
        while len(self.lines) > rows:
            self.scrolled.append(self.lines.pop(0))
            self.y = max(self.y - 1, 0)
        self.lines += [''] * (rows - len(self.lines))
        self.lines = [line[:columns] for line in self.lines]
        self.columns, self.rows = columns, rows

    def text(self):
        return '\n'.join(line.rstrip() for line in self.lines).rstrip('\n')

    def whole(self):
        return '\n'.join([line.rstrip() for line in self.scrolled] + [self.text()])

    def feed(self, text):
        """Takes text; gives back what is not yet a whole sequence."""
        while text:
            if text[0] == '\x1b':
                found = SEQUENCE.match(text)
                if not found:
                    if len(text) < 16:
                        return text
                    raise AssertionError(f'unknown: {text[:20]!r}')
                self.control(*found.groups())
                text = text[found.end():]
                continue
            self.char(text[0])
            text = text[1:]
        return ''

    def char(self, char):
        if char == '\r':
            self.x = 0
        elif char == '\n':
            if self.y == self.rows - 1:
                self.scrolled.append(self.lines.pop(0))
                self.lines.append('')
            else:
                self.y += 1
        else:
            assert char.isprintable(), f'{char!r} on the screen'
            if self.x >= self.columns:
                self.char('\r')
                self.char('\n')
            line = self.lines[self.y].ljust(self.x)
            self.lines[self.y] = line[:self.x] + char + line[self.x + 1:]
            wide = unicodedata.east_asian_width(char) in 'WF'
            assert not wide, 'the model knows no wide characters'
            self.x += 1

    def control(self, private, parameters, letter):
        number = int(parameters or 1) if parameters.isdigit() or not parameters else None
        if private:
            if parameters == '1049':
                if letter == 'h':
                    self.kept = (self.lines, self.x, self.y)
                    self.lines, self.x, self.y = [''] * self.rows, 0, 0
                else:
                    (self.lines, self.x, self.y), self.kept = self.kept, None
            elif parameters == '25':
                self.hidden = letter == 'l'
            else:
                raise AssertionError(f'unknown mode {parameters}')
        elif letter == 'A':
            self.y = max(self.y - number, 0)
        elif letter == 'H':
            self.x = self.y = 0
        elif letter == 'K':
            self.lines[self.y] = self.lines[self.y][:self.x]
        elif letter == 'J':
            self.lines[self.y] = self.lines[self.y][:self.x]
            self.lines[self.y + 1:] = [''] * (self.rows - self.y - 1)
        elif letter == 'm':
            self.coloured = self.coloured or parameters not in ('', '0')
        else:
            raise AssertionError(f'unknown: {private}{parameters}{letter}')


class Terminal:
    """A program on a terminal."""

    def __init__(self, words, columns, rows, env):
        self.screen = Screen(columns, rows)
        self.rest, self.decoder = '', codecs.getincrementaldecoder('utf-8')()
        self.bytes = b''
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            self.size(columns, rows, fd=0)
            os.execvpe(words[0], words, env)
        self.size(columns, rows)
        self.before = termios.tcgetattr(self.fd)
        self.status = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    def size(self, columns, rows, fd=None):
        data = struct.pack('HHHH', rows, columns, 0, 0)
        fcntl.ioctl(self.fd if fd is None else fd, termios.TIOCSWINSZ, data)

    def resize(self, columns, rows):
        """Makes the window another size, when all that was drawn for the old one has been taken: nothing draws meanwhile."""
        os.killpg(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)
        while self.read(0.5):
            pass
        self.size(columns, rows)
        self.screen.resize(columns, rows)
        os.killpg(self.pid, signal.SIGCONT)

    def type(self, text):
        os.write(self.fd, text.encode())

    def read(self, wait):
        """Takes what the program writes within so many seconds; whether there was anything."""
        if not select.select([self.fd], [], [], wait)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b''
        if not data:
            self.end()
            return False
        self.bytes += data
        self.rest = self.screen.feed(self.rest + self.decoder.decode(data))
        return True

    def end(self):
        if self.status is None:
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def until(self, is_there):
        """Waits until what is seen is so."""
        end = time.monotonic() + PATIENCE
        while not is_there(self.screen.text()):
            assert self.status is None and time.monotonic() < end, f'not seen:\n{self.screen.whole()}'
            self.read(1)

    def finish(self):
        """Waits for the end of the program: its exit code."""
        end = time.monotonic() + PATIENCE
        while self.status is None:
            assert time.monotonic() < end, f'does not end:\n{self.screen.whole()}'
            self.read(1)
        return self.status
