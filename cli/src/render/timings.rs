//! A build as one page of HTML: its course, its graph, its cache, its layers. It needs no network and no script, and
//! has none: a policy in it forbids both.

mod graph;
mod layers;
mod markup;
mod steps;
mod timeline;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use self::markup::Markup;
use super::quantity::{Bytes, Elapsed};
use crate::build_record::log::BuildLog;
use crate::build_record::waits::{Wait, critical_path, waits};
use crate::build_record::{BuildRecord, BuildStatus, Outcome, StepCount};
use crate::layer_files::LayerFiles;

/// What a page is made of.
pub(crate) struct Subject<'a> {
    pub(crate) record: &'a BuildRecord,
    pub(crate) log: &'a BuildLog,
    /// The files of layers that the store still has, by step.
    pub(crate) files: BTreeMap<usize, LayerFiles>,
}

/// A page in the making: what it is of, and what follows from that.
struct Page<'a> {
    subject: &'a Subject<'a>,
    record: &'a BuildRecord,
    critical: BTreeSet<usize>,
    waits: BTreeMap<usize, Wait>,
    markup: Markup,
}

/// The parts, by their anchors.
const PARTS: [(&str, &str); 7] = [
    ("course", "Timeline"),
    ("path", "Critical path"),
    ("graph", "Graph"),
    ("cache", "Cache"),
    ("layers", "Layers and files"),
    ("steps", "Steps and logs"),
    ("source", "Dockerfile"),
];

/// The page of a build.
pub(crate) fn page(subject: &Subject<'_>) -> String {
    let record = subject.record;
    let critical = critical_path(record).into_iter().collect();
    let markup = Markup::default();
    let mut page = Page { subject, record, critical, waits: waits(record), markup };
    page.head();
    page.markup.raw("<main id=\"main\">\n");
    page.summary();
    page.course();
    page.path();
    page.graph();
    page.cache();
    page.layers();
    page.steps();
    page.source();
    page.markup.raw("</main>\n</body>\n</html>\n");
    page.markup.finish()
}

impl Page<'_> {
    fn head(&mut self) {
        let record = self.record;
        self.markup.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
        self.markup
            .raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; ");
        self.markup.raw("style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n");
        self.markup
            .raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
        self.markup.plain("title", &format!("Build of {}", record.name));
        self.markup
            .raw("\n<style>\n")
            .raw(include_str!("timings/style.css"))
            .raw("</style>\n</head>\n<body>\n");
        self.markup.raw("<a class=\"skip\" href=\"#main\">Skip to the content</a>\n<header>\n");
        self.markup.plain("h1", &format!("Build of {}", record.name));
        self.markup.raw("<p>");
        let class = match record.status {
            BuildStatus::Canceled | BuildStatus::Lost | BuildStatus::Running => "stopped-word",
            BuildStatus::Completed => "cached-word",
            BuildStatus::Failed => "bad-word",
        };
        self.markup.element("span", &[("class", &format!("status {class}"))], record.status.name());
        let began = moment(record.started);
        self.markup.text(&format!(" in {}, began {began} UTC, ", took(record.duration)));
        self.markup.plain("code", record.id.as_str());
        self.markup.text(&format!(", wythe {}", record.program)).raw("</p>\n");
        self.markup.raw("<nav aria-label=\"Parts of this page\"><ul>\n");
        for (anchor, title) in PARTS {
            self.markup.raw("<li>").element("a", &[("href", &format!("#{anchor}"))], title);
            self.markup.raw("</li>\n");
        }
        self.markup.raw("</ul></nav>\n</header>\n");
    }

    /// The beginning of a part.
    fn part(&mut self, anchor: &'static str) {
        let title = PARTS.iter().find(|part| part.0 == anchor).map_or(anchor, |part| part.1);
        self.markup.element("h2", &[("id", anchor)], title).raw("\n");
    }

    fn summary(&mut self) {
        let record = self.record;
        let StepCount { total, completed, cached } = record.count();
        let saved: u64 = record.steps.iter().filter_map(|step| step.saved).sum();
        let path = critical_path(record);
        let length: u64 = path.iter().filter_map(|step| record.step(*step)?.duration()).sum();
        let bytes = |direction: &str| -> u64 {
            let moved = record.transfers.iter().filter(|one| one.direction == direction);
            moved.map(|transfer| transfer.bytes).sum()
        };
        let layers: u64 =
            record.steps.iter().filter_map(|step| Some(step.layer.as_ref()?.size)).sum();
        let facts = [
            ("Steps", format!("{completed} of {total} done")),
            ("From the cache", cached.to_string()),
            ("Time that saved", took(saved)),
            ("On the critical path", format!("{} in {} steps", took(length), path.len())),
            ("Fetched", Bytes(bytes("pull")).to_string()),
            ("Sent", Bytes(bytes("push")).to_string()),
            ("New layers", Bytes(layers).to_string()),
        ];
        self.markup.raw("<dl class=\"facts\">\n");
        for (what, value) in facts {
            self.markup.raw("<div>").plain("dt", what).plain("dd", &value).raw("</div>\n");
        }
        self.markup.raw("</dl>\n");
        let about = [
            ("Context", record.context.clone()),
            ("Repository", record.repository.clone().unwrap_or_default()),
            ("Targets", record.targets.join(", ")),
            ("Platforms", record.platforms.join(", ")),
        ];
        for (what, value) in about.iter().filter(|(_, value)| !value.is_empty()) {
            self.markup.raw("<p>").text(&format!("{what}: ")).plain("code", value).raw("</p>\n");
        }
        for result in &record.results {
            let names = if result.names.is_empty() {
                "no name".to_owned()
            } else {
                result.names.join(", ")
            };
            self.markup.raw("<p>").text(&format!("Result {}: ", result.target));
            self.markup.plain("code", &result.digest).text(&format!(" ({names})")).raw("</p>\n");
        }
        if let Some(error) = &record.error {
            self.markup.raw("<pre tabindex=\"0\" role=\"region\" aria-label=\"Why it failed\">");
            self.markup.lines(error.lines.iter().flat_map(|line| line.lines())).raw("</pre>\n");
        }
        if !record.warnings.is_empty() {
            self.markup
                .raw("<details><summary>")
                .text(&format!("Warnings: {}", record.warnings.len()));
            self.markup.raw("</summary><ul>\n");
            for warning in &record.warnings {
                self.markup.plain("li", warning).raw("\n");
            }
            self.markup.raw("</ul></details>\n");
        }
    }

    fn source(&mut self) {
        self.part("source");
        let file = &self.record.dockerfile;
        self.markup.plain("p", file.path.as_deref().unwrap_or(&file.name));
        self.markup
            .raw("<pre tabindex=\"0\" role=\"region\" aria-label=\"Text of the Dockerfile\">");
        for (number, line) in (1..).zip(file.text.lines()) {
            self.markup.element("span", &[("class", "faint")], &format!("{number:>4}  "));
            self.markup.text(line).raw("\n");
        }
        self.markup.raw("</pre>\n");
    }
}

/// The class of what became of a step.
fn class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Cached | Outcome::CachedByContent | Outcome::CachedElsewhere => "cached",
        Outcome::Canceled | Outcome::Unfinished => "stopped",
        Outcome::Failed => "bad",
        Outcome::Ran => "ran",
        Outcome::Unneeded => "unneeded",
    }
}

/// Microseconds for people: `12ms`, `1.5s`, `2m05s`.
fn took(micros: u64) -> String {
    if micros < 1_000_000 {
        format!("{}ms", micros / 1000)
    } else {
        Elapsed(Duration::from_micros(micros)).to_string()
    }
}

/// A moment in microseconds since 1970.
fn moment(micros: u64) -> String {
    let moment =
        i64::try_from(micros).ok().and_then(|at| jiff::Timestamp::from_microsecond(at).ok());
    let text = moment.map(|moment| moment.to_string()).unwrap_or_default();
    text.get(..19).unwrap_or(&text).replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build_record::log::LogLine;
    use crate::build_record::shelf::tests::record;
    use crate::build_record::{Kind, RecordedError, RecordedLayer, RecordedStep, RecordedTransfer};

    /// What nobody may be made to run.
    const HOSTILE: &str =
        "</pre></title></style>\"><script>alert(1)</script><img src=x onerror=alert(2)>";

    fn build(name: &str) -> (BuildRecord, BuildLog) {
        let (mut found, mut log) = (record(1_700_000_000, "abc"), BuildLog::default());
        found.name = name.to_owned();
        found.context = name.to_owned();
        found.dockerfile.text = format!("FROM a\nRUN {name}\n");
        found.warnings = vec![name.to_owned()];
        found.error =
            Some(RecordedError { class: "step".to_owned(), lines: vec![name.to_owned()] });
        found.transfers = vec![RecordedTransfer {
            direction: "pull".to_owned(),
            image: name.to_owned(),
            started: 0,
            ended: 900_000,
            blobs: 2,
            bytes: 7,
        }];
        let outcomes = [Outcome::Unneeded, Outcome::Ran, Outcome::CachedByContent, Outcome::Failed];
        found.steps = (1..)
            .zip(outcomes)
            .map(|(number, outcome)| {
                let mut step = RecordedStep::new(number, &format!("[{number}/4] {name}"));
                step.kind = if number == 1 { Kind::Base } else { Kind::Run };
                step.line = Some(number);
                step.inputs = (1..number).collect();
                step.outcome = outcome;
                let at = number as u64 * 100_000;
                if outcome != Outcome::Unneeded {
                    (step.started, step.ended) = (Some(at), Some(at + 90_000));
                    step.why = Some(name.to_owned());
                    step.layer = Some(RecordedLayer { diff_id: name.to_owned(), size: 5 });
                }
                step
            })
            .collect();
        log.push(2, LogLine(250_000, 1, name.to_owned()));
        (found, log)
    }

    fn page_of(name: &str) -> String {
        let (record, log) = build(name);
        let files = LayerFiles { largest: vec![(name.to_owned(), 5)], count: 1, bytes: 5 };
        page(&Subject { record: &record, log: &log, files: [(2, files)].into() })
    }

    /// The tags of a page in their order; those that end themselves are left out.
    fn tags(page: &str) -> Vec<&str> {
        let starts = page.split('<').skip(1).filter(|rest| !rest.starts_with('!'));
        let tags = starts.map(|rest| rest.split([' ', '>', '\n']).next().unwrap_or(rest));
        tags.filter(|tag| !matches!(*tag, "meta" | "br")).collect()
    }

    #[test]
    fn nothing_that_a_build_says_is_markup() {
        let (hostile, harmless) = (page_of(HOSTILE), page_of("harmless"));
        assert_eq!(tags(&hostile), tags(&harmless));
        assert!(!hostile.contains("<script") && !hostile.contains("<img"), "{hostile}");
        assert!(hostile.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    }

    #[test]
    fn every_element_ends_where_it_has_to() {
        let page = page_of("x");
        let mut open: Vec<&str> = Vec::new();
        for tag in tags(&page) {
            match tag.strip_prefix('/') {
                Some(end) => assert_eq!(open.pop(), Some(end), "{page}"),
                None => open.push(tag),
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }

    #[test]
    fn links_lead_to_what_is_on_the_page_and_ids_are_there_once() {
        let page = page_of("x");
        let ids: Vec<&str> =
            page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let unique: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), unique.len(), "{ids:?}");
        for link in page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let anchor = link.strip_prefix('#').unwrap_or_else(|| panic!("{link} leads away"));
            assert!(unique.contains(anchor), "{anchor}");
        }
    }

    #[test]
    fn a_page_needs_no_network_and_no_script() {
        let page = page_of("x");
        for word in ["http:", "https:", "src=", "url(", "@import", "<script", "javascript:"] {
            assert!(!page.contains(word), "{word}");
        }
        assert!(page.contains("default-src 'none'"));
    }

    #[test]
    fn a_page_says_what_took_the_time_and_why() {
        let page = page_of("make");
        assert!(page.contains("[4/4] make") && page.contains("failed"));
        assert!(page.contains("<caption>"));
    }
}
