//! What happened when: a row for each step and transfer, with a bar. Who sees no bars reads the numbers.

use super::{Page, class, took};
use crate::build_record::waits::critical_path;
use crate::build_record::{RecordedStep, RecordedTransfer};
use crate::render::quantity::Bytes;

/// What a row shows beside its numbers: parts of the whole, in microseconds, each with a class.
type Bars = Vec<(&'static str, u64, u64)>;

impl Page<'_> {
    /// The timeline.
    pub(super) fn course(&mut self) {
        self.part("course");
        self.markup
            .raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Timeline\">\n");
        self.markup.raw("<table>\n<caption>In the order in which things began; ");
        self.markup.raw("hatched is how long a step could have begun before it did, ");
        self.markup.raw("◆ and a border mark the critical path.</caption>\n<thead><tr>");
        for (class, head) in [
            ("name", "Step"),
            ("", "Outcome"),
            ("number", "Began"),
            ("number", "Took"),
            ("", "Waited for"),
            ("number", "Then for its turn"),
        ] {
            self.markup.element("th", &[("scope", "col"), ("class", class)], head);
        }
        self.markup.raw("<th scope=\"col\">Course</th></tr></thead>\n<tbody>\n");
        let record = self.record;
        let mut steps: Vec<&RecordedStep> =
            record.steps.iter().filter(|step| step.started.is_some()).collect();
        steps.sort_by_key(|step| (step.started, step.step));
        let mut transfers: Vec<&RecordedTransfer> = record.transfers.iter().collect();
        transfers.sort_by_key(|transfer| transfer.started);
        let mut transfers = transfers.into_iter().peekable();
        for step in steps {
            let started = step.started.unwrap_or_default();
            while let Some(transfer) = transfers.next_if(|one| one.started <= started) {
                self.transfer(transfer);
            }
            self.step_row(step, started);
        }
        transfers.for_each(|transfer| self.transfer(transfer));
        self.markup.raw("</tbody>\n</table>\n</div>\n");
    }

    fn step_row(&mut self, step: &RecordedStep, started: u64) {
        let is_critical = self.critical.contains(&step.step);
        let wait = self.waits.get(&step.step).copied();
        self.markup.raw("<tr><th scope=\"row\" class=\"name\">");
        if is_critical {
            self.markup.raw("<span class=\"mark\" title=\"on the critical path\">◆</span> ");
        }
        self.markup.link(step.step, &step.name).raw("</th>");
        let class = class(step.outcome);
        let word = format!("{class}-word");
        self.markup.raw("<td>").element("span", &[("class", &word)], short(step)).raw("</td>");
        self.number(&took(started));
        let duration = step.duration();
        self.number(&duration.map_or_else(|| "not over".to_owned(), took));
        self.markup.raw("<td>");
        if let Some(input) = wait.and_then(|wait| wait.last_input) {
            self.markup.link(input, &format!("step {input}"));
        }
        self.markup.raw("</td>");
        let queued = wait.map_or(0, |wait| wait.queued);
        self.number(&if queued < 1000 { String::new() } else { took(queued) });
        let end = step.ended.unwrap_or(self.record.duration);
        let mut bars: Bars = Vec::new();
        if queued >= 1000 {
            bars.push(("queued", started.saturating_sub(queued), started));
        }
        let bar = match (class, is_critical) {
            ("ran", false) => "run",
            ("ran", true) => "run critical",
            ("bad", _) => "bad critical",
            ("stopped", _) => "stopped",
            (_, true) => "cached critical",
            (_, false) => "cached",
        };
        bars.push((bar, started, end));
        self.bars(&bars);
    }

    fn transfer(&mut self, transfer: &RecordedTransfer) {
        let RecordedTransfer { direction, image, started, ended, blobs, bytes } = transfer;
        let name = format!("{direction} {image}");
        self.markup.raw("<tr>").element("th", &[("scope", "row"), ("class", "name")], &name);
        self.markup.plain("td", &format!("{blobs} blobs, {}", Bytes(*bytes)));
        self.number(&took(*started));
        self.number(&took(ended.saturating_sub(*started)));
        self.markup.raw("<td></td><td></td>");
        self.bars(&[("moved", *started, *ended)]);
    }

    fn number(&mut self, text: &str) {
        self.markup.element("td", &[("class", "number")], text);
    }

    /// The last cell of a row.
    fn bars(&mut self, bars: &[(&'static str, u64, u64)]) {
        self.markup.raw("<td class=\"bar\"><span class=\"lane\" aria-hidden=\"true\">");
        for (class, from, to) in bars {
            let place = format!(
                "left:{}%;width:{}%",
                self.share(*from),
                self.share(to.saturating_sub(*from))
            );
            self.markup.element("span", &[("class", class), ("style", &place)], "");
        }
        self.markup.raw("</span></td></tr>\n");
    }

    /// How much of the build that is, in hundredths with two digits.
    fn share(&self, micros: u64) -> String {
        let whole = u128::from(self.record.duration.max(1));
        let parts = (u128::from(micros) * 10_000 / whole).min(10_000);
        format!("{}.{:02}", parts / 100, parts % 100)
    }

    /// The steps that the build was as long as.
    pub(super) fn path(&mut self) {
        self.part("path");
        let path = critical_path(self.record);
        if path.is_empty() {
            self.markup.raw("<p>No step ran.</p>\n");
            return;
        }
        self.markup.raw("<p>Each of these waited for the one before; to make the build shorter one of them has to take less time, or get its turn sooner.</p>\n");
        self.markup.raw("<ol>\n");
        for number in path {
            let Some(step) = self.record.step(number) else { continue };
            let (duration, queued) = (
                step.duration().unwrap_or_default(),
                self.waits.get(&number).map_or(0, |wait| wait.queued),
            );
            self.markup.raw("<li>").link(number, &step.name);
            let share = self.share(duration);
            self.markup.text(&format!(": {} ({share} %)", took(duration)));
            if queued >= 1000 {
                self.markup.text(&format!(", after {} for its turn", took(queued)));
            }
            self.markup.raw("</li>\n");
        }
        self.markup.raw("</ol>\n");
    }
}

/// What became of a step, in a word or two.
pub(super) fn short(step: &RecordedStep) -> &'static str {
    if step.outcome.is_cached() { "cached" } else { step.words() }
}
