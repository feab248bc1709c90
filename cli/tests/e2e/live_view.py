#!/usr/bin/env python3
"""live_view.py WYTHE CONTEXT BASE: looks at builds and at the explorer on terminals of several kinds.

Of CONTEXT the stage `ends` ends, and the stage `stays` runs until it is interrupted."""
import os
import signal
import sys

import screens

wythe, context, base = sys.argv[1:]

ENV = {key: value for key, value in os.environ.items() if not key.startswith('LC_')}
ENV |= {'TERM': 'xterm', 'LANG': 'C.UTF-8'}
for name in ('NO_COLOR', 'STY', 'TMUX', 'XTERM_VERSION'):
    ENV.pop(name, None)
STEADY = ENV | {'XTERM_VERSION': 'XTerm(379)'}
BUILD = [wythe, 'build', '--no-cache', '--build-context', f'base=oci-layout://{base}', context]


def build(stage, columns, rows, env):
    return screens.Terminal([*BUILD, '--target', stage], columns=columns, rows=rows, env=env)


def first_line(text, start):
    return next(line for line in text.split('\n') if line.startswith(start))


def interrupt(terminal):
    terminal.type('\x03')
    assert terminal.finish() == 130, terminal.screen.whole()


def a_build_in_windows_of_all_sizes():
    with build('stays', 60, 16, STEADY) as terminal:
        terminal.until(lambda text: 'critical path: ' in text and '| waiting' in text)
        text = terminal.screen.text()
        running = first_line(text, '=> [stays 3/3] RUN')
        assert len(running) == 59 and running.endswith('s') and '…' in running, text
        assert 'critical path: [stays 2/3] > [stays 3/3]' in text, text
        for columns, rows in [(40, 16), (70, 16), (60, 8), (60, 16)]:
            terminal.resize(columns, rows)
            wide = lambda text: any(len(line) == columns - 1 for line in text.split('\n')[-2:])
            terminal.until(wide)
            text = terminal.screen.text()
            assert text.count('critical path: ') == 1, text
            assert text.count('=> [stays 3/3] RUN') == 1, text
        interrupt(terminal)
        whole = terminal.screen.whole()
        assert whole.count('=> [stays 2/3] RUN') == 1, whole
        assert 'cancelled' in whole and 'critical path: ' not in whole, whole
        # What was typed is not in the way of what is drawn.
        assert '=>=>' not in whole, whole
        assert terminal.screen.coloured


def what_a_build_came_to():
    with build('ends', 60, 30, STEADY) as terminal:
        assert terminal.finish() == 0, terminal.screen.whole()
        whole = terminal.screen.whole()
        assert '\ncritical path: [ends 2/3] ' in whole and '; took ' in whole.replace('\n', ''), whole


def without_colours_and_unicode():
    with build('stays', 60, 16, STEADY | {'NO_COLOR': '1', 'LC_ALL': 'C'}) as terminal:
        terminal.until(lambda text: '| waiting' in text)
        text = terminal.screen.text()
        assert text.isascii() and '...' in first_line(text, '=> [stays 3/3] RUN'), text
        assert '\\u{f6}' in text, text
        interrupt(terminal)
        assert not terminal.screen.coloured


def a_log_where_nothing_can_be_drawn():
    with build('ends', 200, 40, ENV | {'TERM': 'dumb'}) as terminal:
        assert terminal.finish() == 0
        assert b'\x1b' not in terminal.bytes, terminal.bytes


def explore(*words, env=ENV):
    return screens.Terminal([wythe, 'explore', *words], columns=60, rows=12, env=env)


def the_explorer_walks_and_gives_the_terminal_back():
    with explore('explored:1') as terminal:
        terminal.until(lambda text: 'q quits' in text or 'arrows move' in text)
        assert terminal.screen.hidden and terminal.screen.kept
        terminal.type('\x1b[F\r')
        terminal.until(lambda text: 'layer 3: /' in text)
        terminal.type('\x1b[D/big')
        terminal.until(lambda text: 'search: big_' in text)
        terminal.type('\r')
        terminal.until(lambda text: 'paths with "big"' in text and 'removed by layer 3' in text)
        terminal.resize(80, 20)
        terminal.until(lambda text: len(text.split('\n')) == 20)
        terminal.type('q')
        given_back(terminal, 0)


def the_explorer_ends_with_signals():
    for number, code in [(signal.SIGTERM, 130), (signal.SIGINT, 130), (signal.SIGHUP, 130)]:
        with explore('explored:1') as terminal:
            terminal.until(lambda text: 'arrows move' in text)
            os.kill(terminal.pid, number)
            given_back(terminal, code)
    with explore('explored:1') as terminal:
        terminal.until(lambda text: 'arrows move' in text)
        terminal.type('\x03')
        given_back(terminal, 0)


def given_back(terminal, code):
    # The end that the program had is gone with it; what it was set to is seen from this one.
    assert terminal.finish() == code, (terminal.status, terminal.screen.whole())
    assert not terminal.screen.hidden and terminal.screen.kept is None


def the_modes_of_the_terminal_come_back():
    script = f'{wythe} explore explored:1; stty -a | tr " " "\\n" | grep -x -e "-*echo" -e "-*icanon;*"'
    with screens.Terminal(['sh', '-c', script], columns=60, rows=12, env=ENV) as terminal:
        terminal.until(lambda text: 'arrows move' in text)
        terminal.type('q')
        terminal.finish()
        words = terminal.screen.text().split()
        assert 'echo' in words and '-echo' not in words and '-icanon' not in words, words


def a_list_where_there_is_no_screen():
    with explore('explored:1', env=ENV | {'TERM': 'dumb'}) as terminal:
        assert terminal.finish() == 0
        assert 'efficiency 0.' in terminal.screen.whole()


for test in [
    a_build_in_windows_of_all_sizes,
    what_a_build_came_to,
    without_colours_and_unicode,
    a_log_where_nothing_can_be_drawn,
    the_explorer_walks_and_gives_the_terminal_back,
    the_explorer_ends_with_signals,
    the_modes_of_the_terminal_come_back,
    a_list_where_there_is_no_screen,
]:
    print(test.__name__, flush=True)
    test()
