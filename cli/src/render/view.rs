//! What the live view shows, as values: which lines stay, and which are drawn again.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use wythe_builder::progress::{Event, Isolation, StepId, Stream};
use wythe_store::digest::Digest;
use wythe_store::oci::transfer::{Direction, Transfer, TransferState};

use super::chain::Chains;
use super::isolation::isolated;
use super::lines::Lines;
use super::quantity::{Bytes, Elapsed};
use super::row::{Tone, ViewLine};
use super::sanitize::{self, Medium};
use super::source::SourceFile;
use super::traffic::Traffic;
use super::transfer::called;

/// The steps that run, and what was said about those that ended.
#[derive(Debug, Default)]
pub(crate) struct View {
    source: SourceFile,
    steps: usize,
    ended: usize,
    settled: Vec<ViewLine>,
    running: BTreeMap<StepId, Running>,
    /// What is on its way: a line for each, and how far it is.
    moving: BTreeMap<(Direction, Digest), ViewLine>,
    traffic: Traffic,
    chains: Chains,
}

#[derive(Debug)]
struct Running {
    name: String,
    since: Duration,
    /// Why it runs, where that was asked for.
    reason: Option<ViewLine>,
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
        self.chains.take(event, now);
        match *event {
            Event::Planned { steps } => self.steps = steps,
            Event::Started { step, name } => {
                self.running.insert(step, Running::new(name, now));
            }
            Event::Cached { name, .. } => self.settle(&clean(name), ("cached", Tone::Good)),
            Event::Output { step, stream, bytes } => {
                if let Some(running) = self.running.get_mut(&step) {
                    running.output(stream, bytes);
                }
            }
            Event::Explained { step, reason } => {
                if let Some(running) = self.running.get_mut(&step) {
                    let text = format!("   because {}", clean(&reason.to_string()));
                    running.reason = Some(ViewLine::new(text, Tone::Faint));
                }
            }
            Event::Finished { step, elapsed } => {
                self.end(step, (&Elapsed(elapsed).to_string(), Tone::Neutral));
            }
            Event::Cancelled { step, elapsed } => {
                self.end(step, (&format!("cancelled {}", Elapsed(elapsed)), Tone::Warning));
            }
            Event::Failed { step, elapsed } => {
                self.end(step, (&format!("failed {}", Elapsed(elapsed)), Tone::Bad));
            }
            Event::Transferred { transfer } => self.transfer(&transfer),
            Event::Isolated { isolation, reason } => self.isolated(isolation, reason),
            Event::CacheFailed { reason } => self.warn(&clean(reason)),
            Event::Warning { diagnostic } => self.warn(&self.source.summary(diagnostic)),
            // What was refused is among what the step prints.
            Event::Egress { .. } | Event::Graph { .. } | Event::Layer { .. } | _ => {}
        }
    }

    /// Who looks on is told of what is not as it should be.
    fn isolated(&mut self, isolation: Isolation, reason: Option<&str>) {
        let is_less = isolation == Isolation::SingleId && reason.is_some();
        if is_less || isolation == Isolation::Chroot {
            self.warn(&isolated(isolation, reason));
        }
    }

    fn warn(&mut self, text: &str) {
        self.settled.push(ViewLine::new(format!("WARN {text}"), Tone::Warning));
    }

    /// The lines that stay, each once.
    pub(crate) fn settled(&mut self) -> Vec<ViewLine> {
        std::mem::take(&mut self.settled)
    }

    /// The lines below them, which the next frame replaces: as many as `window` has room for, the outline last.
    pub(crate) fn live(&self, now: Duration, window: Window) -> Vec<ViewLine> {
        if self.is_idle() {
            return Vec::new();
        }
        let outline = self.outline(now, window.columns);
        // One row is the cursor's; what would scroll away cannot be drawn again.
        let room = window.rows.saturating_sub(1 + outline.len());
        let heads = self.running.values().map(Running::heads).sum::<usize>() + self.moving.len();
        let tail = room.saturating_sub(heads).checked_div(self.running.len()).unwrap_or_default();
        let mut lines = Vec::new();
        for running in self.running.values() {
            running.draw(now, tail.min(TAIL), &mut lines);
        }
        lines.extend(self.moving.values().cloned());
        if lines.len() > room {
            let more = lines.len() - room.saturating_sub(1);
            lines.truncate(room.saturating_sub(1));
            lines.extend(
                (room > 0).then(|| ViewLine::new(format!("   and {more} more"), Tone::Faint)),
            );
        }
        lines.extend(outline);
        lines.truncate(window.rows.saturating_sub(1));
        lines
    }

    /// Whether nothing runs and nothing is on its way: there are no lines below those that stay.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.moving.is_empty()
    }

    /// How far the build is, and which steps it is as long as.
    fn outline(&self, now: Duration, columns: usize) -> Vec<ViewLine> {
        let mut text = format!("{} of {} steps", self.ended, self.steps);
        for (way, word) in [(Direction::Pull, "fetched"), (Direction::Push, "sent")] {
            let bytes = self.traffic.total(way);
            if bytes > 0 {
                let _ = write!(text, ", {} {word}", Bytes(bytes));
            }
        }
        let mut lines = vec![ViewLine::new(text, Tone::Neutral).ending(Elapsed(now).to_string())];
        let path = self.chains.critical(now);
        if let ([first, _, ..], false) = (&*path, self.running.is_empty()) {
            let names: Vec<String> = path.iter().map(|link| clean(link.short())).collect();
            let took = Elapsed(now.saturating_sub(first.started)).to_string();
            // The border, and a blank before the time.
            let text = chain(&names, columns.saturating_sub(took.len() + 2));
            lines.insert(0, ViewLine::new(text, Tone::Faint).ending(took));
        }
        lines
    }

    fn end(&mut self, step: StepId, verdict: (&str, Tone)) {
        if let Some(running) = self.running.remove(&step) {
            self.settle(&running.name, verdict);
            self.settled.extend(running.reason);
        }
    }

    /// Notes how far a blob is; what was there already is not worth a line.
    fn transfer(&mut self, transfer: &Transfer<'_>) {
        self.traffic.take(transfer);
        let id = (transfer.direction, transfer.digest);
        let line = ViewLine::new(called(transfer), Tone::Neutral);
        let size = Bytes(transfer.size);
        match transfer.state {
            TransferState::Moving => {
                let end = format!("{} / {size}", Bytes(transfer.bytes));
                self.moving.insert(id, line.ending(end));
            }
            TransferState::Done => {
                self.moving.remove(&id);
                self.settled.push(line.ending(size.to_string()));
            }
            TransferState::Mounted | TransferState::Present => {
                self.moving.remove(&id);
            }
        }
    }

    fn settle(&mut self, name: &str, (end, tone): (&str, Tone)) {
        self.ended += 1;
        self.settled.push(ViewLine::new(format!("=> {name}"), tone).ending(end));
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

    /// How many lines it takes without what it prints.
    fn heads(&self) -> usize {
        1 + usize::from(self.reason.is_some())
    }

    fn draw(&self, now: Duration, tail: usize, lines: &mut Vec<ViewLine>) {
        let elapsed = Elapsed(now.saturating_sub(self.since)).to_string();
        lines.push(ViewLine::new(format!("=> {}", self.name), Tone::Neutral).ending(elapsed));
        lines.extend(self.reason.clone());
        let last = self.tail.iter().skip(self.tail.len().saturating_sub(tail));
        lines.extend(last.map(|line| ViewLine::new(format!("   | {line}"), Tone::Faint)));
    }
}

/// A critical path in so many columns: what matters most is where it is now, so that its beginning is what is counted
/// and not named where there is no room.
fn chain(names: &[String], columns: usize) -> String {
    let text = |before: usize| {
        let more = if before > 0 { format!("{before} more > ") } else { String::new() };
        format!("critical path: {more}{}", names[before..].join(" > "))
    };
    let last = names.len().saturating_sub(1);
    let fitting = (0..last).map(text).find(|text| text.chars().count() <= columns);
    fitting.unwrap_or_else(|| text(last))
}

fn clean(text: &str) -> String {
    sanitize::text(text.as_bytes(), Medium::Log).replace('\t', " ")
}

#[cfg(test)]
mod tests {
    use wythe_builder::reason::Reason;

    use super::super::look::{Charset, Colour, Look, Reflow};
    use super::*;

    const WINDOW: Window = Window { columns: 30, rows: 12 };
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

    fn texts(lines: &[ViewLine], window: Window) -> Vec<String> {
        let look = Look { colour: Colour::Plain, charset: Charset::Unicode, reflow: Reflow::Wraps };
        lines.iter().map(|line| line.fit(window.columns, look).text).collect()
    }

    fn live(view: &View, millis: u64, window: Window) -> Vec<String> {
        texts(&view.live(Duration::from_millis(millis), window), window)
    }

    fn settled(view: &mut View) -> Vec<String> {
        texts(&view.settled(), WINDOW)
    }

    #[test]
    fn a_running_step_shows_its_time_and_its_last_lines() {
        let mut view = view();
        print(&mut view, b"1\n2\n3\n4\n5\n6\n7\n");
        let lines = live(&view, 2500, WINDOW);
        assert_eq!(lines[0], "=> [2/3] RUN make        2.5s");
        assert_eq!((lines[1].as_str(), lines[6].as_str()), ("   | 2", "   | 7"));
        assert_eq!(lines[7], "0 of 4 steps             2.5s");
    }

    #[test]
    fn a_finished_step_settles_once() {
        let mut view = view();
        view.take(&Event::Finished { step: STEP, elapsed: Duration::from_secs(3) }, Duration::ZERO);
        assert_eq!(settled(&mut view), ["=> [2/3] RUN make        3.0s"]);
        assert!(view.settled().is_empty());
        assert!(view.live(Duration::ZERO, WINDOW).is_empty());
    }

    #[test]
    fn a_reason_stands_under_its_own_step() {
        let mut view = view();
        let other = StepId(2);
        view.take(&Event::Started { step: other, name: "[3/3] RUN x" }, Duration::ZERO);
        view.take(&Event::Explained { step: STEP, reason: &Reason::Failed }, Duration::ZERO);
        let expected = "   because it failed the las…";
        assert_eq!(live(&view, 0, WINDOW)[1], expected);
        let end = |step| Event::Finished { step, elapsed: Duration::ZERO };
        view.take(&end(other), Duration::ZERO);
        view.take(&end(STEP), Duration::ZERO);
        let settled = settled(&mut view);
        assert!(settled[1].starts_with("=> [2/3] RUN make"), "{settled:?}");
        assert_eq!(settled[2], expected);
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
        let lines = live(&view, 0, window);
        let begin = "=> pull example.org/base:1 sha256:e3b0c44298fc ";
        assert!(lines[0].starts_with(begin), "{lines:?}");
        assert!(lines[0].ends_with(" 500kB / 2.00MB"), "{lines:?}");
        assert!(lines[1].starts_with("0 of 0 steps, 500kB fetched "), "{lines:?}");
        assert_eq!(lines.len(), 2, "{lines:?}");
        view.take(&at(TransferState::Done, 2_000_000), Duration::ZERO);
        assert!(view.live(Duration::ZERO, window).is_empty());
        let settled = texts(&view.settled(), window);
        assert!(settled[0].starts_with(begin) && settled[0].ends_with(" 2.00MB"), "{settled:?}");
    }

    #[test]
    fn the_end_of_a_critical_path_is_shown_and_its_beginning_is_counted() {
        let names = ["[a 1/9]", "[a 2/9]", "[a 3/9]"].map(str::to_owned);
        assert_eq!(chain(&names, 42), "critical path: [a 1/9] > [a 2/9] > [a 3/9]");
        assert_eq!(chain(&names, 41), "critical path: 1 more > [a 2/9] > [a 3/9]");
        assert_eq!(chain(&names, 40), "critical path: 2 more > [a 3/9]");
        assert_eq!(chain(&names, 5), "critical path: 2 more > [a 3/9]");
    }

    #[test]
    fn no_frame_is_higher_than_the_window() {
        let mut view = view();
        print(&mut view, b"1\n2\n3\n4\n5\n6\n");
        let rows = |rows| live(&view, 0, Window { columns: 30, rows });
        assert_eq!(
            rows(4),
            ["=> [2/3] RUN make        0.0s", "   | 6", "0 of 4 steps             0.0s"]
        );
        for height in 0..9 {
            assert!(rows(height).len() < usize::max(height, 1), "{height}");
        }
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let mut view = view();
        for step in 2..9 {
            view.take(&Event::Started { step: StepId(step), name: "RUN x" }, Duration::ZERO);
        }
        let lines = live(&view, 0, Window { columns: 30, rows: 6 });
        assert_eq!(lines[3], "   and 5 more");
        assert_eq!(lines.len(), 5);
    }
}
