//! What the live view shows, as values: which lines stay, and which are drawn again.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use unicode_width::UnicodeWidthChar;
use wythe_builder::progress::{Event, Isolation, StepId, Stream};
use wythe_store::digest::Digest;
use wythe_store::oci::transfer::{Direction, Transfer, TransferState};

use super::isolation::isolated;
use super::lines::Lines;
use super::quantity::{Bytes, Elapsed};
use super::sanitize::{self, Medium};
use super::source::SourceFile;
use super::transfer::called;

/// The steps that run, and what was said about those that ended.
#[derive(Debug, Default)]
pub(crate) struct View {
    source: SourceFile,
    steps: usize,
    ended: usize,
    settled: Vec<Settled>,
    running: BTreeMap<StepId, Running>,
    /// What is on its way: a line for each, and how far it is.
    moving: BTreeMap<(Direction, Digest), Settled>,
}

/// A line that stays on the screen: a step and what became of it.
#[derive(Debug)]
struct Settled {
    text: String,
    end: String,
}

#[derive(Debug)]
struct Running {
    name: String,
    since: Duration,
    /// Why it runs, where that was asked for.
    reason: Option<String>,
    lines: [Lines; 2],
    tail: VecDeque<String>,
}

/// How many of the last lines of a running step are shown.
const TAIL: usize = 6;

/// The size of a window in cells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Window {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

impl View {
    /// An empty view; warnings point at `source`.
    pub(crate) fn new(source: SourceFile) -> Self {
        Self { source, ..Self::default() }
    }

    /// Takes an event that happened at `now`.
    pub(crate) fn take(&mut self, event: &Event<'_>, now: Duration) {
        match *event {
            Event::Planned { steps } => self.steps = steps,
            Event::Started { step, name } => {
                self.running.insert(step, Running::new(name, now));
            }
            Event::Cached { name, .. } => self.settle(&clean(name), "cached".to_owned()),
            Event::Output { step, stream, bytes } => {
                if let Some(running) = self.running.get_mut(&step) {
                    running.output(stream, bytes);
                }
            }
            Event::Explained { step, reason } => {
                if let Some(running) = self.running.get_mut(&step) {
                    running.reason = Some(format!("   because {}", clean(&reason.to_string())));
                }
            }
            Event::Finished { step, elapsed } => self.end(step, Elapsed(elapsed).to_string()),
            Event::Cancelled { step, elapsed } => {
                self.end(step, format!("cancelled {}", Elapsed(elapsed)));
            }
            Event::Failed { step, elapsed } => {
                self.end(step, format!("failed {}", Elapsed(elapsed)));
            }
            Event::Transferred { transfer } => self.transfer(&transfer),
            Event::Isolated { isolation, reason } => self.isolated(isolation, reason),
            Event::CacheFailed { reason } => {
                let text = format!("WARN {}", clean(reason));
                self.settled.push(Settled { text, end: String::new() });
            }
            Event::Warning { diagnostic } => {
                let text = format!("WARN {}", self.source.summary(diagnostic));
                self.settled.push(Settled { text, end: String::new() });
            }
            // What was refused is among what the step prints.
            Event::Egress { .. } | Event::Graph { .. } | Event::Layer { .. } | _ => {}
        }
    }

    /// Who looks on is told of what is not as it should be.
    fn isolated(&mut self, isolation: Isolation, reason: Option<&str>) {
        let is_less = isolation == Isolation::SingleId && reason.is_some();
        if is_less || isolation == Isolation::Chroot {
            let text = format!("WARN {}", isolated(isolation, reason));
            self.settled.push(Settled { text, end: String::new() });
        }
    }

    /// The lines that stay, each once.
    pub(crate) fn settled(&mut self, window: Window) -> Vec<String> {
        let row = |line: &Settled| row(&line.text, &line.end, window.columns);
        let lines = self.settled.iter().map(row).collect();
        self.settled.clear();
        lines
    }

    /// The lines below them, which the next frame replaces.
    pub(crate) fn live(&self, now: Duration, window: Window) -> Vec<String> {
        let mut lines = Vec::new();
        for running in self.running.values() {
            running.draw(now, window.columns, &mut lines);
        }
        let moving = self.moving.values();
        lines.extend(moving.map(|line| row(&line.text, &line.end, window.columns)));
        // One row is the cursor's; what would scroll away cannot be drawn again.
        lines.truncate(window.rows.saturating_sub(2));
        if !self.running.is_empty() {
            lines.push(format!("{} of {} steps", self.ended, self.steps));
        }
        lines
    }

    fn end(&mut self, step: StepId, verdict: String) {
        if let Some(running) = self.running.remove(&step) {
            self.settle(&running.name, verdict);
            let reason = running.reason.map(|text| Settled { text, end: String::new() });
            self.settled.extend(reason);
        }
    }

    /// Notes how far a blob is; what was there already is not worth a line.
    fn transfer(&mut self, transfer: &Transfer<'_>) {
        let id = (transfer.direction, transfer.digest);
        let (text, size) = (called(transfer), Bytes(transfer.size));
        match transfer.state {
            TransferState::Moving => {
                let end = format!("{} / {size}", Bytes(transfer.bytes));
                self.moving.insert(id, Settled { text, end });
            }
            TransferState::Done => {
                self.moving.remove(&id);
                self.settled.push(Settled { text, end: size.to_string() });
            }
            TransferState::Mounted | TransferState::Present => {
                self.moving.remove(&id);
            }
        }
    }

    fn settle(&mut self, name: &str, end: String) {
        self.ended += 1;
        self.settled.push(Settled { text: format!("=> {name}"), end });
    }
}

impl Running {
    fn new(name: &str, since: Duration) -> Self {
        let name = clean(name);
        Self { name, since, reason: None, lines: Default::default(), tail: VecDeque::new() }
    }

    fn output(&mut self, stream: Stream, bytes: &[u8]) {
        let index = usize::from(stream == Stream::Err);
        let tail = &mut self.tail;
        self.lines[index].push(bytes, |line| {
            if tail.len() == TAIL {
                tail.pop_front();
            }
            tail.push_back(sanitize::line(line, Medium::Log).replace('\t', "    "));
        });
    }

    fn draw(&self, now: Duration, columns: usize, lines: &mut Vec<String>) {
        let elapsed = Elapsed(now.saturating_sub(self.since)).to_string();
        lines.push(row(&format!("=> {}", self.name), &elapsed, columns));
        lines.extend(self.reason.iter().map(|reason| row(reason, "", columns)));
        lines.extend(self.tail.iter().map(|line| row(&format!("   | {line}"), "", columns)));
    }
}

fn clean(text: &str) -> String {
    sanitize::text(text.as_bytes(), Medium::Log).replace('\t', " ")
}

/// How many cells a line takes.
pub(crate) fn width(line: &str) -> usize {
    line.chars().filter_map(UnicodeWidthChar::width).sum()
}

/// `text`, cut to what fits, and `end` at the right border.
fn row(text: &str, end: &str, columns: usize) -> String {
    // A line that fills the last column makes some terminals wrap.
    let room = columns.saturating_sub(1 + end.len() + usize::from(!end.is_empty()));
    let (mut out, mut width) = (String::new(), 0);
    for char in text.chars() {
        let cells = char.width().unwrap_or(0);
        if width + cells > room {
            break;
        }
        width += cells;
        out.push(char);
    }
    if !end.is_empty() {
        out.push_str(&" ".repeat(room - width + 1));
        out.push_str(end);
    }
    out
}

#[cfg(test)]
mod tests {
    use wythe_builder::reason::Reason;

    use super::*;

    const WINDOW: Window = Window { columns: 30, rows: 10 };
    const STEP: StepId = StepId(1);

    fn view() -> View {
        let mut view = View::default();
        view.take(&Event::Planned { steps: 4 }, Duration::ZERO);
        view.take(&Event::Started { step: STEP, name: "[2/3] RUN make" }, Duration::ZERO);
        view
    }

    fn print(view: &mut View, bytes: &[u8]) {
        let event = Event::Output { step: STEP, stream: Stream::Out, bytes };
        view.take(&event, Duration::ZERO);
    }

    #[test]
    fn a_running_step_shows_its_time_and_its_last_lines() {
        let mut view = view();
        print(&mut view, b"1\n2\n3\n4\n5\n6\n7\n");
        let lines = view.live(Duration::from_millis(2500), WINDOW);
        assert_eq!(lines[0], "=> [2/3] RUN make        2.5s");
        assert_eq!((lines[1].as_str(), lines[6].as_str()), ("   | 2", "   | 7"));
        assert_eq!(lines[7], "0 of 4 steps");
    }

    #[test]
    fn a_finished_step_settles_once() {
        let mut view = view();
        view.take(&Event::Finished { step: STEP, elapsed: Duration::from_secs(3) }, Duration::ZERO);
        assert_eq!(view.settled(WINDOW), ["=> [2/3] RUN make        3.0s"]);
        assert!(view.settled(WINDOW).is_empty());
        assert!(view.live(Duration::ZERO, WINDOW).is_empty());
    }

    #[test]
    fn a_reason_stands_under_its_own_step() {
        let mut view = view();
        let other = StepId(2);
        view.take(&Event::Started { step: other, name: "[3/3] RUN x" }, Duration::ZERO);
        view.take(&Event::Explained { step: STEP, reason: &Reason::Failed }, Duration::ZERO);
        assert_eq!(view.live(Duration::ZERO, WINDOW)[1], "   because it failed the last");
        let end = |step| Event::Finished { step, elapsed: Duration::ZERO };
        view.take(&end(other), Duration::ZERO);
        view.take(&end(STEP), Duration::ZERO);
        let settled = view.settled(WINDOW);
        assert!(settled[1].starts_with("=> [2/3] RUN make"), "{settled:?}");
        assert_eq!(settled[2], "   because it failed the last");
    }

    #[test]
    fn a_blob_on_its_way_has_a_line_until_it_is_there() {
        let mut view = View::default();
        let reference = "example.org/base:1".parse().unwrap();
        let at = |state, bytes| Event::Transferred {
            transfer: Transfer {
                direction: Direction::Pull,
                reference: &reference,
                digest: Digest::of(b""),
                state,
                bytes,
                size: 2_000_000,
            },
        };
        let window = Window { columns: 70, rows: 10 };
        view.take(&at(TransferState::Moving, 0), Duration::ZERO);
        view.take(&at(TransferState::Moving, 500_000), Duration::ZERO);
        let lines = view.live(Duration::ZERO, window);
        assert_eq!(lines.len(), 1, "{lines:?}");
        let begin = "=> pull example.org/base:1 sha256:e3b0c44298fc ";
        assert!(lines[0].starts_with(begin), "{lines:?}");
        assert!(lines[0].ends_with(" 500kB / 2.00MB"), "{lines:?}");
        view.take(&at(TransferState::Done, 2_000_000), Duration::ZERO);
        assert!(view.live(Duration::ZERO, window).is_empty());
        let settled = view.settled(window);
        assert!(settled[0].starts_with(begin) && settled[0].ends_with(" 2.00MB"), "{settled:?}");
    }

    #[test]
    fn no_line_is_wider_than_the_window() {
        let mut view = view();
        print(&mut view, "長い行".repeat(30).as_bytes());
        print(&mut view, b"\n");
        for line in view.live(Duration::ZERO, WINDOW) {
            assert!(width(&line) < WINDOW.columns, "{line}");
        }
    }

    #[test]
    fn no_frame_is_higher_than_the_window() {
        let mut view = view();
        print(&mut view, b"1\n2\n3\n4\n5\n6\n");
        let window = Window { columns: 30, rows: 4 };
        assert!(view.live(Duration::ZERO, window).len() < window.rows);
    }
}
