//! Each step in words, with what it wrote.

use super::{Page, class, took};
use crate::build_record::log::{LogLine, StepLog};
use crate::build_record::{Kind, RecordedStep};
use crate::render::quantity::Bytes;

/// As many lines of a log as a page shows; `wythe history logs` has the rest.
const MOST_LINES: usize = 500;

impl Page<'_> {
    /// All steps, in the order of the graph.
    pub(super) fn steps(&mut self) {
        self.part("steps");
        for step in &self.record.steps {
            let anchor = format!("step-{}", step.step);
            self.markup.open("section", &[("class", "step"), ("id", &anchor)]);
            self.markup.plain("h3", &step.name);
            self.about(step);
            if let Some(log) = self.subject.log.steps.get(&step.step) {
                self.log(step, log);
            }
            self.markup.raw("</section>\n");
        }
    }

    fn about(&mut self, step: &RecordedStep) {
        let word = format!("{}-word", class(step.outcome));
        self.markup.raw("<p>").text(&format!("Step {}, ", step.step));
        self.markup.element("span", &[("class", &word)], step.words());
        if let Some(duration) = step.duration().filter(|took| *took > 0) {
            self.markup.text(&format!(", {}", took(duration)));
        }
        if let Some(line) = step.line {
            let what =
                if step.kind == Kind::Base { "starts a stage in" } else { "is asked for in" };
            self.markup.text(&format!("; {what} line {line} of the Dockerfile"));
        }
        if let Some(layer) = &step.layer {
            self.markup.text(&format!("; its layer has {}", Bytes(layer.size)));
        }
        if let Some(files) = self.subject.files.get(&step.step) {
            let word = if files.count == 1 { "file" } else { "files" };
            self.markup.text(&format!(" in {} {word}", files.count));
        }
        self.markup.raw(".</p>\n");
        if !step.inputs.is_empty() {
            self.markup.raw("<p>Made of ");
            for (at, input) in step.inputs.iter().enumerate() {
                if at > 0 {
                    self.markup.raw(", ");
                }
                self.markup.link(*input, &format!("step {input}"));
            }
            self.markup.raw(".</p>\n");
        }
        if let Some(why) = &step.why {
            self.markup.raw("<p>").text(&format!("It ran because {why}.")).raw("</p>\n");
        }
    }

    fn log(&mut self, step: &RecordedStep, log: &StepLog) {
        let started = step.started.unwrap_or_default();
        let skipped = log.lines.len().saturating_sub(MOST_LINES);
        let missing = log.left_out + skipped as u64;
        let count = log.lines.len() as u64 + log.left_out;
        let word = if count == 1 { "line" } else { "lines" };
        let text = format!("Log of step {}: {count} {word}", step.step);
        self.markup.raw("<details><summary>").text(&text);
        self.markup.raw("</summary>\n");
        let label = format!("Log of step {}", step.step);
        self.markup.open("pre", &[("tabindex", "0"), ("role", "region"), ("aria-label", &label)]);
        if missing > 0 {
            self.markup.text(&format!("[{missing} lines before these are not shown]")).raw("\n");
        }
        for LogLine(at, _, text) in log.lines.iter().skip(skipped) {
            let since = at.saturating_sub(started);
            let time = format!("{:>4}.{:03}  ", since / 1_000_000, since / 1000 % 1000);
            self.markup.element("span", &[("class", "faint")], &time).text(text).raw("\n");
        }
        self.markup.raw("</pre></details>\n");
    }
}
