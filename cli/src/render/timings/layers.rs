//! What was reused and why the rest was not, and what the layers weigh.

use super::Page;
use super::took;
use crate::build_record::{Outcome, RecordedStep};
use crate::render::quantity::Bytes;

/// As many files as somebody looks through for what should not be there.
const MOST_FILES: usize = 25;

impl Page<'_> {
    /// Which steps were answered by earlier results, and why the others ran.
    pub(super) fn cache(&mut self) {
        self.part("cache");
        let record = self.record;
        let cached: Vec<&RecordedStep> =
            record.steps.iter().filter(|step| step.outcome.is_cached()).collect();
        let others = record.steps.iter().filter(|step| !step.outcome.is_cached());
        let others: Vec<&RecordedStep> =
            others.filter(|step| step.outcome != Outcome::Unneeded).collect();
        self.table("Steps that ran, and why no earlier result would do", ["Step", "Why"]);
        for step in &others {
            let why = step.why.as_deref().unwrap_or("nothing was said");
            self.row(step, &[("name", why)]);
        }
        self.end(others.len());
        self.table("Steps whose results were there", ["Step", "Where from, and what that saved"]);
        for step in &cached {
            let saved = step.saved.map(|saved| format!("; {} saved", took(saved)));
            let from = format!("{}{}", step.outcome.words(), saved.unwrap_or_default());
            self.row(step, &[("name", &from)]);
        }
        self.end(cached.len());
    }

    /// How large the layers are, and the largest files in them.
    pub(super) fn layers(&mut self) {
        self.part("layers");
        let record = self.record;
        let mut layers: Vec<(&RecordedStep, u64)> = record
            .steps
            .iter()
            .filter_map(|step| Some((step, step.layer.as_ref()?.size)))
            .collect();
        layers.sort_by_key(|(step, size)| (std::cmp::Reverse(*size), step.step));
        self.table(
            "Layers of this build, the largest first, without those of base images",
            ["Step", "Bytes"],
        );
        for (step, size) in &layers {
            self.row(step, &[("number", &Bytes(*size).to_string())]);
        }
        self.end(layers.len());
        let mut files: Vec<(usize, &str, u64)> = Vec::new();
        for (step, found) in &self.subject.files {
            files.extend(found.largest.iter().map(|(path, size)| (*step, path.as_str(), *size)));
        }
        files.sort_by_key(|(step, path, size)| (std::cmp::Reverse(*size), *step, *path));
        files.truncate(MOST_FILES);
        self.markup.raw(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Largest files\">\n",
        );
        self.markup.raw(
            "<table>\n<caption>The largest files in layers that are still in the store</caption>\n",
        );
        self.markup.raw("<thead><tr><th scope=\"col\" class=\"name\">File</th><th scope=\"col\" class=\"number\">Bytes</th>");
        self.markup.raw("<th scope=\"col\">Step</th></tr></thead>\n<tbody>\n");
        for (step, path, size) in &files {
            self.markup.raw("<tr>").element("th", &[("scope", "row"), ("class", "name")], path);
            self.markup.element("td", &[("class", "number")], &Bytes(*size).to_string());
            self.markup.raw("<td>").link(*step, &format!("step {step}")).raw("</td></tr>\n");
        }
        if files.is_empty() {
            self.markup.raw("<tr><td colspan=\"3\">None is known.</td></tr>\n");
        }
        self.markup.raw("</tbody>\n</table>\n</div>\n");
    }

    fn table(&mut self, caption: &'static str, heads: [&'static str; 2]) {
        let region =
            [("class", "scroll"), ("tabindex", "0"), ("role", "region"), ("aria-label", caption)];
        self.markup.open("div", &region).raw("\n<table>\n").plain("caption", caption);
        self.markup.raw("<thead><tr>");
        for head in heads {
            let class = if head == "Bytes" { "number" } else { "name" };
            self.markup.element("th", &[("scope", "col"), ("class", class)], head);
        }
        self.markup.raw("</tr></thead>\n<tbody>\n");
    }

    fn row(&mut self, step: &RecordedStep, cells: &[(&'static str, &str)]) {
        self.markup.raw("<tr><th scope=\"row\" class=\"name\">").link(step.step, &step.name);
        self.markup.raw("</th>");
        for (class, text) in cells {
            self.markup.element("td", &[("class", class)], text);
        }
        self.markup.raw("</tr>\n");
    }

    fn end(&mut self, rows: usize) {
        if rows == 0 {
            self.markup.raw("<tr><td colspan=\"2\">None.</td></tr>\n");
        }
        self.markup.raw("</tbody>\n</table>\n</div>\n");
    }
}
