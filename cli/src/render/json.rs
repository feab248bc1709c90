//! Progress as JSON, one object per line, as `docs/events.md` specifies.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use wythe_builder::progress::{Event, Hit, Progress, StepId, StepKind, StepOutline, Stream};

use super::lines::Lines;
use super::source::SourceFile;
use super::stopwatch::Stopwatch;
use super::transfer;
use super::{egress, isolation, reason, sanitize};

/// The version of the objects. Raised when a field changes its meaning or goes; readers have to
/// ignore events and fields they do not know.
pub(crate) const VERSION: u32 = 1;

/// The stream of objects.
#[derive(Debug)]
pub(crate) struct Json<W> {
    stopwatch: Stopwatch,
    source: SourceFile,
    state: Mutex<State<W>>,
}

#[derive(Debug)]
struct State<W> {
    out: W,
    /// Output that is not yet a whole line, by step; first standard output, then standard error.
    partial: BTreeMap<StepId, [Lines; 2]>,
}

impl<W: Write + Send> Json<W> {
    /// A stream on `out`.
    pub(crate) fn new(out: W, stopwatch: Stopwatch, source: SourceFile) -> Self {
        let state = Mutex::new(State { out, partial: BTreeMap::new() });
        Self { stopwatch, source, state }
    }

    fn write(&self, state: &mut State<W>, event: &str, fields: Value) {
        let mut object = json!({"v": VERSION, "event": event});
        object["time"] = json!(self.stopwatch.elapsed().as_secs_f64());
        if let (Some(object), Value::Object(fields)) = (object.as_object_mut(), fields) {
            object.extend(fields);
        }
        // Where standard error is gone there is nobody to tell.
        let _ = writeln!(state.out, "{}", escape(&object.to_string()));
    }

    fn outline(&self, step: &StepOutline<'_>) -> Value {
        json!({
            "step": step.step.0,
            "name": step.name,
            "kind": kind(step.kind),
            "line": self.source.line_at(step.span),
            "inputs": step.inputs.iter().map(|input| input.0).collect::<Vec<_>>(),
        })
    }

    fn output(&self, state: &mut State<W>, step: StepId, stream: Stream, bytes: &[u8]) {
        let lines = &mut state.partial.entry(step).or_default()[index(stream)];
        let mut complete = Vec::new();
        lines.push(bytes, |line| complete.push(String::from_utf8_lossy(line).into_owned()));
        for line in complete {
            self.line(state, step, stream, &line);
        }
    }

    fn line(&self, state: &mut State<W>, step: StepId, stream: Stream, line: &str) {
        let stream = match stream {
            Stream::Err => "stderr",
            Stream::Out => "stdout",
        };
        self.write(state, "output", json!({"step": step.0, "stream": stream, "line": line}));
    }

    /// Writes what is left of the output of a step that ended.
    fn flush(&self, state: &mut State<W>, step: StepId) {
        let Some(mut partial) = state.partial.remove(&step) else { return };
        for stream in [Stream::Out, Stream::Err] {
            let mut left = Vec::new();
            let lines = &mut partial[index(stream)];
            lines.finish(|line| left.push(String::from_utf8_lossy(line).into_owned()));
            for line in left {
                self.line(state, step, stream, &line);
            }
        }
    }
}

/// What programs know the kind of a step by.
fn kind(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Base => "base",
        StepKind::Copy => "copy",
        StepKind::Run => "run",
        StepKind::Workdir => "workdir",
    }
}

fn index(stream: Stream) -> usize {
    match stream {
        Stream::Err => 1,
        Stream::Out => 0,
    }
}

/// Escapes the characters that JSON allows inside strings but a terminal acts upon.
pub(crate) fn escape(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for char in json.chars() {
        if char.is_control() || sanitize::reorders(char) {
            let _ = write!(out, "\\u{:04x}", u32::from(char));
        } else {
            out.push(char);
        }
    }
    out
}

impl<W: Write + Send> Progress for Json<W> {
    fn event(&self, event: &Event<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        match *event {
            Event::Isolated { isolation, reason } => {
                let fields = json!({"isolation": isolation::name(isolation), "reason": reason});
                self.write(state, "isolated", fields);
            }
            Event::Graph { steps } => {
                let steps: Vec<Value> = steps.iter().map(|step| self.outline(step)).collect();
                self.write(state, "graph", json!({"steps": steps}));
            }
            Event::Layer { step, diff_id, size } => {
                let diff_id = diff_id.0.to_string();
                let fields = json!({"step": step.0, "diff_id": diff_id, "size": size});
                self.write(state, "layer", fields);
            }
            Event::Planned { steps } => self.write(state, "planned", json!({"steps": steps})),
            Event::Started { step, name } => {
                self.write(state, "started", json!({"step": step.0, "name": name}));
            }
            Event::Cached { step, name, hit, saved, origin } => {
                let hit = match hit {
                    Hit::Cache => "cache",
                    Hit::Content => "content",
                    Hit::Definition => "definition",
                };
                let saved = saved.as_secs_f64();
                let mut fields = json!({"step": step.0, "name": name, "hit": hit, "saved": saved});
                if let Some(origin) = origin {
                    fields["origin"] = json!(origin);
                }
                self.write(state, "cached", fields);
            }
            Event::Output { step, stream, bytes } => self.output(state, step, stream, bytes),
            Event::Egress { step, contact } => {
                let mut fields = egress::fields(contact);
                fields["step"] = json!(step.0);
                self.write(state, "egress", fields);
            }
            Event::Explained { step, reason } => {
                let mut fields = reason::fields(reason);
                fields["step"] = json!(step.0);
                self.write(state, "explained", fields);
            }
            Event::Finished { step, elapsed } => {
                self.flush(state, step);
                let elapsed = elapsed.as_secs_f64();
                self.write(state, "finished", json!({"step": step.0, "elapsed": elapsed}));
            }
            Event::Cancelled { step, elapsed } => {
                self.flush(state, step);
                let elapsed = elapsed.as_secs_f64();
                self.write(state, "cancelled", json!({"step": step.0, "elapsed": elapsed}));
            }
            Event::Failed { step, elapsed } => {
                self.flush(state, step);
                let elapsed = elapsed.as_secs_f64();
                self.write(state, "failed", json!({"step": step.0, "elapsed": elapsed}));
            }
            Event::Transferred { transfer } => {
                self.write(state, "transferred", transfer::fields(&transfer));
            }
            Event::CacheFailed { reason } => {
                self.write(state, "cache_failed", json!({"message": reason}));
            }
            Event::Warning { diagnostic } => {
                let line = self.source.line(diagnostic);
                let fields = json!({
                    "rule": diagnostic.rule,
                    "line": line,
                    "message": diagnostic.message,
                    "help": diagnostic.help,
                });
                self.write(state, "warning", fields);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wythe_dockerfile::span::Span;

    use super::*;

    fn lines(events: &[Event<'_>]) -> Vec<String> {
        let json = Json::new(Vec::new(), Stopwatch::stepping(), SourceFile::default());
        for event in events {
            json.event(event);
        }
        let written = String::from_utf8(json.state.into_inner().unwrap().out).unwrap();
        written.lines().map(str::to_owned).collect()
    }

    fn output(bytes: &[u8]) -> Event<'_> {
        Event::Output { step: StepId(1), stream: Stream::Err, bytes }
    }

    #[test]
    fn every_event_of_the_specification_is_one_that_is_written() {
        let page = include_str!("../../../docs/events.md");
        let senders = concat!(
            include_str!("json.rs"),
            include_str!("reason.rs"),
            include_str!("egress.rs"),
            include_str!("transfer.rs"),
            include_str!("../failure.rs"),
            include_str!("../session.rs")
        );
        let table = page.split("## Events").nth(1).unwrap();
        let names = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        let names: Vec<&str> = names.filter(|name| *name != "event").collect();
        assert!(names.len() > 8, "{names:?}");
        for name in names {
            assert!(senders.contains(&format!("\"{name}\"")), "{name}");
        }
    }

    #[test]
    fn every_event_is_one_object_with_a_version_and_a_time() {
        let found = lines(&[Event::Planned { steps: 3 }]);
        let object: Value = serde_json::from_str(&found[0]).unwrap();
        assert_eq!(object, json!({"v": 1, "event": "planned", "time": 0.0, "steps": 3}));
    }

    #[test]
    fn a_graph_says_of_each_step_where_it_stands_and_what_it_is_made_of() {
        let source =
            SourceFile { name: "Dockerfile".to_owned(), text: "FROM a\nRUN b\n".to_owned() };
        let json = Json::new(Vec::new(), Stopwatch::stepping(), source);
        let (name, span) = ("[2/2] RUN b", Span::new(7, 12));
        let (kind, inputs) = (StepKind::Run, vec![StepId(1)]);
        let steps = [StepOutline { step: StepId(2), name, kind, span, inputs }];
        json.event(&Event::Graph { steps: &steps });
        let written = json.state.into_inner().unwrap().out;
        let object: Value = serde_json::from_slice(&written).unwrap();
        let expected = json!({"step": 2, "name": name, "kind": "run", "line": 2, "inputs": [1]});
        assert_eq!((&object["event"], &object["steps"][0]), (&json!("graph"), &expected));
    }

    #[test]
    fn output_comes_in_whole_lines() {
        let end = Event::Finished { step: StepId(1), elapsed: Duration::from_secs(1) };
        let found = lines(&[output(b"one\ntw"), output(b"o"), end]);
        let objects: Vec<Value> =
            found.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!([&objects[0]["line"], &objects[1]["line"]], ["one", "two"]);
        assert_eq!(
            (&objects[0]["stream"], &objects[2]["event"]),
            (&json!("stderr"), &json!("finished"))
        );
    }

    #[test]
    fn no_byte_of_a_step_acts_upon_a_terminal() {
        let found = lines(&[output("\u{9b}2A\u{202e}\x1b[2J\n".as_bytes())]);
        assert!(found[0].is_ascii(), "{}", found[0]);
        let object: Value = serde_json::from_str(&found[0]).unwrap();
        assert_eq!(object["line"], "\u{9b}2A\u{202e}\x1b[2J");
    }
}
