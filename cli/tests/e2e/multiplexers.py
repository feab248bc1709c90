#!/usr/bin/env python3
"""multiplexers.py WYTHE CONTEXT BASE: looks at builds in tmux and in GNU screen, as these show them.

They are terminals that others wrote: tmux breaks lines anew when a window becomes narrower, screen cuts them, both keep what has
scrolled away. Of CONTEXT the stage `ends` ends, and the stage `stays` runs until it is interrupted."""
import fcntl
import itertools
import os
import pathlib
import pty
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

wythe, context, base = sys.argv[1:]
BUILD = [wythe, 'build', '--no-cache', '--build-context', f'base=oci-layout://{base}', context]
PATIENCE = int(os.environ.get('PATIENCE', 120))
NUMBERS = itertools.count()
# The sockets of both have short names.
work = pathlib.Path(tempfile.mkdtemp(prefix='mux', dir='/tmp'))
ENV = {key: value for key, value in os.environ.items() if not key.startswith('LC_')}
ENV |= {'LANG': 'C.UTF-8', 'TERM': 'xterm-256color', 'TMUX_TMPDIR': str(work), 'SCREENDIR': str(work / 'screens')}
for name in ('NO_COLOR', 'STY', 'TMUX', 'XTERM_VERSION'):
    ENV.pop(name, None)


def call(*words):
    return subprocess.run(words, env=ENV, check=True, capture_output=True, timeout=60).stdout.decode(errors='replace')


class Window:
    """A build in a window of a multiplexer; the window stays when the build is over."""

    def __init__(self, stage, columns, rows, variables=()):
        self.name = f'wythe{next(NUMBERS)}'
        self.pid = work / self.name
        build = shlex.join(['env', *variables, *BUILD, '--target', stage])
        inner = f'echo $$ > {self.pid}; exec {build}'
        self.columns, self.rows = columns, rows
        self.start(f'trap : INT; sh -c {shlex.quote(inner)}; echo "ended with $?"; exec sleep 1000')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def until(self, is_there):
        end = time.monotonic() + PATIENCE
        while not is_there(self.text()):
            assert time.monotonic() < end, f'not seen:\n{self.whole()}'
            time.sleep(0.1)
        return self.text()

    def resize(self, columns):
        """Nothing is drawn while the window changes: what is drawn for a size that is no more is nobody's mistake."""
        pid = int(self.pid.read_text())
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.3)
        self.columns = columns
        self.change()
        time.sleep(0.3)
        os.kill(pid, signal.SIGCONT)


class Tmux(Window):
    def tmux(self, *words):
        # A server of its own: the last one may not be gone yet.
        return call('tmux', '-u', '-L', self.name, '-f', '/dev/null', *words)

    def start(self, script):
        self.tmux('new-session', '-d', '-x', str(self.columns), '-y', str(self.rows), script)

    def text(self):
        return self.tmux('capture-pane', '-p').rstrip('\n')

    def whole(self):
        return self.tmux('capture-pane', '-p', '-S', '-').rstrip('\n')

    def is_coloured(self):
        return '\x1b[' in self.tmux('capture-pane', '-p', '-e', '-S', '-')

    def change(self):
        self.tmux('resize-window', '-x', str(self.columns), '-y', str(self.rows))

    def interrupt(self):
        self.tmux('send-keys', 'C-c')

    def stop(self):
        self.tmux('kill-server')


class GnuScreen(Window):
    """It takes its size from the terminal it is shown on: one that nobody looks at."""

    def screen(self, *words):
        call('screen', '-S', self.name, '-p', '0', '-X', *words)

    def start(self, script):
        process, self.terminal = pty.fork()
        if process == 0:
            self.change(0)
            os.execvpe('screen', ['screen', '-U', '-c', '/dev/null', '-S', self.name, 'sh', '-c', script], ENV)
        self.process = process
        self.change()
        threading.Thread(target=self.drain, daemon=True).start()

    def drain(self):
        try:
            while os.read(self.terminal, 65536):
                pass
        except OSError:
            pass

    def hardcopy(self):
        copy = work / 'copy'
        copy.unlink(missing_ok=True)
        try:
            self.screen('hardcopy', str(copy))
        except subprocess.CalledProcessError:
            return ''  # It has not begun.
        end = time.monotonic() + 10
        while not copy.exists() and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.05)
        # It writes a byte for each cell.
        return copy.read_text(encoding='latin-1').strip('\n') if copy.exists() else ''

    def text(self):
        return self.hardcopy()

    def whole(self):
        # In a higher window what has scrolled away is there again; of its history it gives only parts away.
        self.rows = 100
        self.change()
        time.sleep(0.5)
        return self.hardcopy()

    def is_coloured(self):
        # It gives no colours away.
        return None

    def change(self, terminal=None):
        size = struct.pack('HHHH', self.rows, self.columns, 0, 0)
        fcntl.ioctl(self.terminal if terminal is None else terminal, termios.TIOCSWINSZ, size)

    def interrupt(self):
        self.screen('stuff', '\x03')

    def stop(self):
        self.screen('quit')
        os.waitpid(self.process, 0)
        os.close(self.terminal)


def first_line(text, start):
    return next(line for line in text.split('\n') if line.startswith(start))


def fits(window, text):
    """One frame, as wide as the window, and nothing of earlier ones."""
    assert all(len(line) <= window.columns for line in text.split('\n')), text
    for part in ('critical path: ', '=> [stays 3/3] RUN', '| waiting'):
        assert text.count(part) == 1, (part, text)
    return True


def is_drawn(window):
    def drawn(text):
        ends = text.split('\n')[-2:]
        return '| waiting' in text and ends[0].startswith('critical path: ') and \
            all(len(line) == window.columns - 1 for line in ends)
    return drawn


def a_build_stays_one_frame_in_windows_of_all_widths(kind):
    with kind('stays', 80, 24) as window:
        for columns in (80, 60, 100, 60, 80):
            if columns != window.columns:
                window.resize(columns)
            fits(window, window.until(is_drawn(window)))
        assert window.is_coloured() in (True, None)
        window.interrupt()
        window.until(lambda text: 'ended with 130' in text)
        whole = window.whole()
        assert whole.count('=> [stays 2/3] RUN') == 1, whole
        assert 'cancelled' in whole and 'critical path: ' not in whole, whole


def what_a_build_came_to_is_there_when_it_is_over(kind):
    for columns in (60, 80):
        with kind('ends', columns, 24) as window:
            window.until(lambda text: 'ended with 0' in text)
            whole = window.whole()
            for step in ('=> [ends 2/3] RUN', '=> [ends 3/3] RUN', '\ncritical path: '):
                assert whole.count(step) == 1, (step, whole)


def without_colours_and_unicode(kind):
    with kind('stays', 60, 24, ('NO_COLOR=1', 'LC_ALL=C')) as window:
        text = window.until(is_drawn(window))
        assert text.isascii() and '...' in first_line(text, '=> [stays 3/3] RUN'), text
        assert not window.is_coloured()
        window.interrupt()
        window.until(lambda text: 'ended with 130' in text)


try:
    for program, kind in (('tmux', Tmux), ('screen', GnuScreen)):
        if not shutil.which(program):
            continue
        for test in (
            a_build_stays_one_frame_in_windows_of_all_widths,
            what_a_build_came_to_is_there_when_it_is_over,
            without_colours_and_unicode,
        ):
            print(program, test.__name__, flush=True)
            test(kind)
finally:
    shutil.rmtree(work, ignore_errors=True)
