//! Screens of a terminal that is driven: what a person sees, and not which bytes were sent.

use std::num::NonZero;

use expect_test::{Expect, expect};
use wythe_builder::progress::{Hit, StepId, StepKind, StepOutline, Stream};
use wythe_builder::reason::{InputChange, Reason};
use wythe_dockerfile::span::Span;
use wythe_store::digest::Digest;
use wythe_store::id::CacheKey;
use wythe_store::oci::transfer::{Direction, Transfer, TransferState};
use wythe_store::timestamp::Timestamp;

use super::super::look::{Charset, Colour};
use super::*;

const PLAIN: Look = Look { colour: Colour::Plain, charset: Charset::Unicode, reflow: Reflow::Cuts };

/// A terminal and what draws on it.
struct Driven {
    terminal: vt100::Parser,
    state: State<Vec<u8>>,
    window: Window,
}

fn cells(number: u16) -> NonZero<u16> {
    NonZero::new(number).unwrap()
}

impl Driven {
    fn new((columns, rows): (u16, u16), look: Look) -> Self {
        let (out, view, drawn) = (Vec::new(), View::default(), Vec::new());
        let state = State { out, look, view, drawn, taken: 0, ended: Ended::No };
        let window = Window { columns: columns.into(), rows: rows.into() };
        let terminal = vt100::Parser::new(cells(rows), cells(columns), 100);
        Self { terminal, state, window }
    }

    fn take(&mut self, millis: u64, event: &Event<'_>) -> &mut Self {
        self.state.view.take(event, Duration::from_millis(millis));
        self
    }

    fn draw(&mut self, millis: u64) -> &mut Self {
        self.draw_below(&[], millis)
    }

    /// Draws a frame below something that is said.
    fn draw_below(&mut self, said: &[&str], millis: u64) -> &mut Self {
        let said: Vec<String> = said.iter().map(|line| (*line).to_owned()).collect();
        self.state.draw(&said, Duration::from_millis(millis), self.window);
        for byte in std::mem::take(&mut self.state.out) {
            // The driver of a terminal moves to the first column where a line ends.
            let bytes = if byte == b'\n' { &b"\r\n"[..] } else { std::slice::from_ref(&byte) };
            self.terminal.process(bytes);
        }
        self
    }

    /// Another size, as of a terminal that cuts its lines.
    fn resize(&mut self, (columns, rows): (u16, u16)) -> &mut Self {
        self.terminal.screen_mut().set_size(cells(rows), cells(columns));
        self.window = Window { columns: columns.into(), rows: rows.into() };
        self
    }

    fn check(&self, expected: &Expect) {
        let screen = self.terminal.screen();
        let rows: Vec<String> = screen.rows(0, screen.size().1.get()).collect();
        let text: Vec<&str> = rows.iter().map(|row| row.trim_end()).collect();
        expected.assert_eq(&format!("{}\n", text.join("\n").trim_end()));
    }
}

const BASE: StepId = StepId(1);
const COPY: StepId = StepId(2);
const RUN: StepId = StepId(3);

/// A build of four steps: one is cached, one has run, and one runs and prints, while a layer is fetched.
fn begun(driven: &mut Driven) {
    let names = ["[1/4] FROM debian", "[build 2/4] COPY . .", "[build 3/4] RUN make -C /src all"];
    let outline = |(at, name): (usize, &'static str)| StepOutline {
        step: StepId(at + 1),
        name,
        kind: StepKind::Run,
        span: Span::default(),
        inputs: (1..=at).map(StepId).collect(),
    };
    let steps: Vec<_> = names.into_iter().enumerate().map(outline).collect();
    let (hit, saved) = (Hit::Definition, Duration::ZERO);
    let what = "argument VERSION".to_owned();
    let change = InputChange::Value { what, old: Some("1".to_owned()), new: Some("2".to_owned()) };
    let (earlier, created) = (CacheKey::of(b"k"), Timestamp::from_seconds(0));
    let reason = &Reason::Changed { earlier, created, origin: None, changes: vec![change] };
    let bytes = "cc -O2 main.c\n\x1b[2Jcc -O2 größe.c\n".as_bytes();
    let reference = &"example.org/base:1".parse().unwrap();
    let (direction, digest, state) = (Direction::Pull, Digest::of(b""), TransferState::Moving);
    let transfer =
        Transfer { direction, reference, digest, state, bytes: 500_000, size: 2_000_000 };
    driven
        .take(0, &Event::Graph { steps: &steps })
        .take(0, &Event::Planned { steps: 4 })
        .take(100, &Event::Cached { step: BASE, name: names[0], hit, saved, origin: None })
        .take(100, &Event::Started { step: COPY, name: names[1] })
        .take(1300, &Event::Finished { step: COPY, elapsed: Duration::from_millis(1200) })
        .take(1300, &Event::Started { step: RUN, name: names[2] })
        .take(1300, &Event::Explained { step: RUN, reason })
        .take(1400, &Event::Output { step: RUN, stream: Stream::Out, bytes })
        .take(1400, &Event::Transferred { transfer })
        .draw(5600);
}

/// The same build to its end, which is bad.
fn failed(driven: &mut Driven) {
    let elapsed = Duration::from_secs(5);
    driven.take(6300, &Event::Failed { step: RUN, elapsed }).draw(6300);
}

#[test]
fn a_build_in_sixty_columns() {
    let mut driven = Driven::new((60, 12), PLAIN);
    begun(&mut driven);
    driven.check(&expect![[r#"
        => [1/4] FROM debian                                 cached
        => [build 2/4] COPY . .                                1.2s
        => [build 3/4] RUN make -C /src all                    4.3s
           because argument VERSION changed from "1" to "2"
           | cc -O2 main.c
           | \x1b[2Jcc -O2 größe.c
        => pull example.org/base:1 sha256:e3b0c4429… 500kB / 2.00MB
        critical path: [build 2/4] > [build 3/4]               5.5s
        2 of 4 steps, 500kB fetched                            5.6s
    "#]]);
    failed(&mut driven);
    driven.check(&expect![[r#"
        => [1/4] FROM debian                                 cached
        => [build 2/4] COPY . .                                1.2s
        => [build 3/4] RUN make -C /src all             failed 5.0s
           because argument VERSION changed from "1" to "2"
        => pull example.org/base:1 sha256:e3b0c4429… 500kB / 2.00MB
        3 of 4 steps, 500kB fetched                            6.3s
    "#]]);
}

#[test]
fn a_build_in_few_columns_and_ascii() {
    let mut driven = Driven::new((36, 12), Look { charset: Charset::Ascii, ..PLAIN });
    begun(&mut driven);
    driven.check(&expect![[r"
        => [1/4] FROM debian         cached
        => [build 2/4] COPY . .        1.2s
        => [build 3/4] RUN make -C ... 4.3s
           because argument VERSION chan...
           | cc -O2 main.c
           | \x1b[2Jcc -O2 gr\u{f6}\u{df...
        => pull example.o... 500kB / 2.00MB
        critical path: 1 more > [bu... 5.5s
        2 of 4 steps, 500kB fetched    5.6s
    "]]);
}

#[test]
fn a_frame_replaces_the_one_before_in_windows_of_all_sizes() {
    let mut driven = Driven::new((60, 12), PLAIN);
    begun(&mut driven);
    driven.resize((40, 12)).draw(5700).resize((70, 12)).draw(5800);
    driven.check(&expect![[r#"
        => [1/4] FROM debian
        => [build 2/4] COPY . .
        => [build 3/4] RUN make -C /src all                              4.5s
           because argument VERSION changed from "1" to "2"
           | cc -O2 main.c
           | \x1b[2Jcc -O2 größe.c
        => pull example.org/base:1 sha256:e3b0c44298fc         500kB / 2.00MB
        critical path: [build 2/4] > [build 3/4]                         5.7s
        2 of 4 steps, 500kB fetched                                      5.8s
    "#]]);
    driven.resize((60, 7)).draw(5900);
    driven.check(&expect![[r#"
        => [build 3/4] RUN make -C /src all                    4.6s
           because argument VERSION changed from "1" to "2"
           | \x1b[2Jcc -O2 größe.c
        => pull example.org/base:1 sha256:e3b0c4429… 500kB / 2.00MB
        critical path: [build 2/4] > [build 3/4]               5.8s
        2 of 4 steps, 500kB fetched                            5.9s
    "#]]);
}

#[test]
fn a_frame_in_a_narrower_window_replaces_the_rows_that_the_last_one_was_broken_into() {
    let mut driven = Driven::new((80, 24), Look { reflow: Reflow::Wraps, ..PLAIN });
    driven.take(0, &Event::Started { step: RUN, name: "one" }).draw(0);
    driven.state.draw(&[], Duration::ZERO, Window { columns: 40, rows: 24 });
    // 79 cells in windows of 40 are two rows.
    assert!(driven.state.out.starts_with(b"\r\x1b[4A"), "{:?}", driven.state.out);
}

#[test]
fn colours_are_there_only_where_they_are_wanted() {
    for (colour, expected) in [(Colour::Coloured, true), (Colour::Plain, false)] {
        let mut driven = Driven::new((60, 12), Look { colour, ..PLAIN });
        begun(&mut driven);
        failed(&mut driven);
        let text = driven.terminal.screen().contents_formatted();
        assert_eq!(text.contains("\x1b[31m"), expected, "{text:?}");
    }
}

#[test]
fn nothing_of_a_frame_is_erased_before_it_is_written_anew() {
    let mut driven = Driven::new((60, 12), PLAIN);
    begun(&mut driven);
    driven.state.draw(&[], Duration::from_millis(5700), driven.window);
    let frame = String::from_utf8(std::mem::take(&mut driven.state.out)).unwrap();
    assert!(frame.ends_with("\x1b[K\n\x1b[J") && frame.matches("\x1b[J").count() == 1, "{frame:?}");
}

#[test]
fn what_is_said_during_a_build_stands_above_the_frames_after_it() {
    let mut driven = Driven::new((60, 12), PLAIN);
    driven.take(0, &Event::Started { step: RUN, name: "[build 3/4] RUN make" }).draw(0);
    driven.draw_below(&["note: one", "note: another"], 100).draw(200);
    driven.check(&expect![[r"
        note: one
        note: another
        => [build 3/4] RUN make                                0.2s
        0 of 0 steps                                           0.2s
    "]]);
}
