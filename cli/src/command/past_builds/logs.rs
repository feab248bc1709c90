//! `wythe history logs`: what a build showed, from its record.

use std::collections::BTreeMap;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use wythe_store::digest::Digest;

use super::list::moment;
use crate::args::global::ProgressForm;
use crate::args::history::BuildLogsArgs;
use crate::build_record::log::{BuildLog, LogLine, StepLog};
use crate::build_record::shelf::BuildShelf;
use crate::build_record::{BuildRecord, Outcome, RecordedStep};
use crate::failure::{Class, Failure};
use crate::render::json::escape;
use crate::render::sanitize::{self, Medium};
use crate::session::Session;

/// Prints the log of a build on standard error, where it was printed when it ran.
pub(super) fn run(
    args: &BuildLogsArgs,
    shelf: &BuildShelf,
    session: &Session,
) -> Result<(), Failure> {
    let (record, log): (_, BuildLog) = shelf.read(&shelf.find(args.build.as_ref())?)?;
    if !record.is_over() {
        session.remark(&format!(
            "the build {} is {}: logs are kept at the end",
            record.id,
            record.status.name()
        ));
    }
    let lines = match session.global.progress {
        ProgressForm::RawJson | ProgressForm::Json => statuses(&record, &log),
        ProgressForm::Auto | ProgressForm::Plain | ProgressForm::Quiet | ProgressForm::Tty => {
            plain(&record, &log)
        }
    };
    let text = lines.join("\n") + "\n";
    match io::Write::write_all(&mut io::stderr().lock(), text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::of(Class::Environment, &error))
        }
        _ => Ok(()),
    }
}

/// The steps in the order in which they began, without those of which nothing was told.
fn told(record: &BuildRecord) -> Vec<&RecordedStep> {
    let mut steps: Vec<&RecordedStep> =
        record.steps.iter().filter(|step| step.started.is_some()).collect();
    steps.sort_by_key(|step| (step.started, step.step));
    steps
}

/// As `--progress=plain` has it, one step after the other.
fn plain(record: &BuildRecord, log: &BuildLog) -> Vec<String> {
    let (mut lines, none) = (Vec::new(), StepLog::default());
    for step in told(record) {
        let number = step.step;
        let mut line = |text: &str| {
            lines.push(format!("#{number} {}", sanitize::text(text.as_bytes(), Medium::Log)));
        };
        line(&step.name);
        if let Some(why) = &step.why {
            line(&format!("because {why}"));
        }
        let StepLog { left_out, lines: written, .. } = log.steps.get(&number).unwrap_or(&none);
        if *left_out > 0 {
            line(&format!("[{left_out} lines before these were not kept]"));
        }
        for LogLine(at, _, text) in written {
            let since = at.saturating_sub(step.started.unwrap_or_default());
            line(&format!("{}.{:03} {text}", since / 1_000_000, since / 1000 % 1000));
        }
        line(&verdict(step));
        lines.push(String::new());
    }
    lines.extend(record.warnings.iter().map(|text| format!("WARN: {}", clean(text))));
    lines.extend(record.error.iter().flat_map(|error| error.lines.iter().map(|line| clean(line))));
    lines
}

fn verdict(step: &RecordedStep) -> String {
    let seconds = step.duration().unwrap_or_default();
    let took = format!("{}.{}s", seconds / 1_000_000, seconds / 100_000 % 10);
    match step.outcome {
        Outcome::Cached | Outcome::CachedByContent | Outcome::CachedElsewhere => {
            "CACHED".to_owned()
        }
        Outcome::Canceled => format!("CANCELED {took}"),
        Outcome::Failed => format!("ERROR {took}"),
        Outcome::Ran => format!("DONE {took}"),
        Outcome::Unfinished | Outcome::Unneeded => "not finished".to_owned(),
    }
}

fn clean(text: &str) -> String {
    sanitize::text(text.as_bytes(), Medium::Log)
}

/// As `--progress=rawjson` has it: a status of BuildKit for each thing that happened, in that order.
fn statuses(record: &BuildRecord, log: &BuildLog) -> Vec<String> {
    let steps = told(record);
    let digests: BTreeMap<usize, String> = steps
        .iter()
        .map(|step| {
            let name = format!("step {} {}", step.step, step.name);
            (step.step, Digest::of(name.as_bytes()).to_string())
        })
        .collect();
    let at = |micros: u64| moment(record.started.saturating_add(micros));
    let mut found: Vec<(u64, Value)> = Vec::new();
    for step in &steps {
        let (Some(started), Some(digest)) = (step.started, digests.get(&step.step)) else {
            continue;
        };
        let inputs = step.inputs.iter().filter_map(|input| digests.get(input));
        let mut vertex = json!({
            "digest": digest,
            "inputs": inputs.collect::<Vec<_>>(),
            "name": step.name,
            "started": at(started),
        });
        if !step.outcome.is_cached() {
            found.push((started, json!({"vertexes": [vertex]})));
        }
        for LogLine(when, stream, text) in
            log.steps.get(&step.step).iter().flat_map(|log| &log.lines)
        {
            let data = STANDARD.encode(format!("{text}\n"));
            let line =
                json!({"vertex": digest, "stream": stream, "data": data, "timestamp": at(*when)});
            found.push((*when, json!({"logs": [line]})));
        }
        if let Some(ended) = step.ended {
            vertex["completed"] = json!(at(ended));
            if step.outcome.is_cached() {
                vertex["cached"] = json!(true);
            } else if step.outcome == Outcome::Canceled {
                vertex["error"] = json!("context canceled");
            } else if step.outcome == Outcome::Failed {
                vertex["error"] = json!("the step failed");
            }
            found.push((ended, json!({"vertexes": [vertex]})));
        }
    }
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, status)| escape(&status.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build_record::RecordedStep;
    use crate::build_record::shelf::tests::record;

    fn build() -> (BuildRecord, BuildLog) {
        let (mut found, mut log) = (record(1_700_000_000, "abc"), BuildLog::default());
        let mut run = RecordedStep::new(2, "[2/2] RUN make");
        (run.started, run.ended, run.outcome) = (Some(500_000), Some(2_100_000), Outcome::Failed);
        run.why = Some("nothing is known".to_owned());
        let mut copy = RecordedStep::new(3, "[1/2] COPY . .");
        (copy.started, copy.ended, copy.outcome) = (Some(100), Some(100), Outcome::Cached);
        found.steps.extend([run, copy]);
        log.push(2, LogLine(1_250_000, 2, "boom".to_owned()));
        (found, log)
    }

    #[test]
    fn a_log_is_printed_as_it_was() {
        let (record, log) = build();
        let expected = "\
#3 [1/2] COPY . .
#3 CACHED

#2 [2/2] RUN make
#2 because nothing is known
#2 0.750 boom
#2 ERROR 1.6s
";
        assert_eq!(plain(&record, &log).join("\n"), expected);
    }

    #[test]
    fn programs_read_what_buildkit_would_have_told_them() {
        let (record, log) = build();
        let found: Vec<Value> = statuses(&record, &log)
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(found[0]["vertexes"][0]["cached"], true);
        assert_eq!(found[1]["vertexes"][0]["started"], "2023-11-14T22:13:20.5Z");
        assert_eq!(found[2]["logs"][0]["data"], STANDARD.encode("boom\n"));
        assert_eq!(found[3]["vertexes"][0]["error"], "the step failed");
        assert_eq!(found.len(), 4);
    }
}
