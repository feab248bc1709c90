//! `wythe history inspect`.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::list::{duration, moment, now};
use crate::args::history::{InspectBuildArgs, InspectFormat};
use crate::build_record::shelf::BuildShelf;
use crate::build_record::{BuildRecord, BuildStatus, StepCount};
use crate::command::build::project;
use crate::failure::Failure;
use crate::render::listing;
use crate::render::sanitize::{self, Medium};
use crate::session::Session;

/// How wide the steps of a column are, as Go's tabwriter and terminals have them.
const TAB: usize = 8;

/// Prints what is known of a build.
pub(super) fn run(
    args: &InspectBuildArgs,
    shelf: &BuildShelf,
    session: &Session,
) -> Result<(), Failure> {
    let (record, ()) = shelf.read(&shelf.find(args.build.as_ref())?)?;
    match &args.format {
        InspectFormat::Json => session.print(&format!("{:#}", told(object(&record)))),
        InspectFormat::Pretty => {
            let is_named = args.build.is_some();
            let shown = if is_named { pretty(&record) } else { with_ref(&record) };
            shown.iter().try_for_each(|line| session.print(line))
        }
        InspectFormat::Template(template) => {
            let mut value = Value::Object(object(&record));
            value["Duration"] = json!(took(&record));
            session.print(&template.render(&value).map_err(listing::mistake)?)
        }
    }
}

fn took(record: &BuildRecord) -> String {
    let took = record.duration_until(now()).map_or_else(|| "unknown".to_owned(), duration);
    if record.status == BuildStatus::Running { format!("{took} (running)") } else { took }
}

/// Every field of buildx, and those of its own that have a meaning here.
fn object(record: &BuildRecord) -> Map<String, Value> {
    let StepCount { total, completed, cached } = record.count();
    let pair = |(name, value): (&String, &Option<String>)| json!({"Name": name, "Value": value.as_deref().unwrap_or(HIDDEN)});
    let material = |text: &String| {
        let (name, digest) = text.split_once('@').unwrap_or((text, ""));
        json!({"URI": name, "Digests": [digest]})
    };
    let error = record.error.as_ref().map_or(
        Value::Null,
        |error| json!({"Name": error.class, "Message": error.lines.join("\n")}),
    );
    let fields = json!({
        "Name": record.name,
        "Ref": record.id.as_str(),
        "Context": from_here(&record.context),
        "Dockerfile": dockerfile(record),
        "VCSRepository": record.repository,
        "Target": record.targets.join(","),
        "Platform": record.platforms,
        "StartedAt": moment(record.started),
        "CompletedAt": if record.is_over() { moment(record.completed()) } else { String::new() },
        // Nanoseconds, as Go counts them.
        "Duration": record.duration_until(now()).map(|took| took.saturating_mul(1000)),
        "Status": record.status.name(),
        "Error": error,
        "NumCompletedSteps": completed,
        "NumTotalSteps": total,
        "NumCachedSteps": cached,
        "BuildArgs": record.build_args.iter().map(pair).collect::<Vec<_>>(),
        "Config": {},
        "Materials": record.materials.iter().map(material).collect::<Vec<_>>(),
        "Results": record.results.iter().map(|result| json!({
            "Target": result.target,
            "Digest": result.digest,
            "Names": result.names,
            "Platforms": result.platforms,
        })).collect::<Vec<_>>(),
    });
    if let Value::Object(fields) = fields { fields } else { Map::new() }
}

/// What stands for a value that is not kept.
const HIDDEN: &str = "***";

/// The fields that say something.
fn told(fields: Map<String, Value>) -> Value {
    let says = |value: &Value| match value {
        Value::Array(list) => !list.is_empty(),
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => true,
    };
    Value::Object(fields.into_iter().filter(|(_, value)| says(value)).collect())
}

/// A directory as seen from where the command runs, if it is below.
fn from_here(context: &str) -> String {
    let here = project::absolute(Path::new("."));
    match Path::new(context).strip_prefix(here) {
        Ok(below) if below.as_os_str().is_empty() => ".".to_owned(),
        Ok(below) => below.display().to_string(),
        Err(_) => context.to_owned(),
    }
}

/// Where the Dockerfile is, seen from its context.
fn dockerfile(record: &BuildRecord) -> String {
    let file = &record.dockerfile;
    let within =
        |path: &String| path.strip_prefix(&record.context)?.strip_prefix('/').map(str::to_owned);
    let path = file.path.as_ref();
    path.map_or_else(|| file.name.clone(), |path| within(path).unwrap_or_else(|| path.clone()))
}

fn with_ref(record: &BuildRecord) -> Vec<String> {
    let mut lines = pretty(record);
    let at = usize::from(!record.name.is_empty());
    lines.insert(at, format!("Ref:\t\t{}", record.id));
    lines
}

/// What buildx prints, and the base images and results.
fn pretty(record: &BuildRecord) -> Vec<String> {
    let StepCount { total, completed, cached } = record.count();
    let about = [
        ("Name", record.name.clone()),
        ("Context", from_here(&record.context)),
        ("Dockerfile", dockerfile(record)),
        ("VCS Repository", record.repository.clone().unwrap_or_default()),
        ("Target", record.targets.join(", ")),
        ("Platforms", record.platforms.join(", ")),
    ];
    let about = about.into_iter().filter(|(_, value)| !value.is_empty());
    let mut lines = columns(about.map(|(name, value)| [format!("{name}:"), value]).collect());
    lines.push(String::new());
    let started = moment(record.started);
    let started = started.get(..19).unwrap_or(&started).replace('T', " ");
    let mut course = vec![["Started:".to_owned(), started], ["Duration:".to_owned(), took(record)]];
    match (record.status, &record.error) {
        (BuildStatus::Canceled, _) => {
            course.push(["Status:".to_owned(), "Canceled".to_owned()]);
        }
        (BuildStatus::Failed, Some(error)) => {
            let what = error.lines.iter().find_map(|line| line.strip_prefix("error: "));
            course.push(["Error:".to_owned(), what.unwrap_or(&error.class).to_owned()]);
        }
        (BuildStatus::Lost, _) => {
            course.push(["Status:".to_owned(), "Lost: it ended without saying how".to_owned()]);
        }
        (BuildStatus::Completed | BuildStatus::Failed | BuildStatus::Running, _) => {}
    }
    let percent = (cached * 100 + total / 2).checked_div(total).unwrap_or_default();
    course.push(["Build Steps:".to_owned(), format!("{completed}/{total} ({percent}% cached)")]);
    lines.extend(columns(course));
    lines.push(String::new());
    lines.extend(tables(record));
    lines.push(format!("Print build logs: wythe history logs {}", record.id));
    lines
}

fn tables(record: &BuildRecord) -> Vec<String> {
    let head = |first: &str, second: &str| vec![[first.to_owned(), second.to_owned()]];
    let mut lines = Vec::new();
    let mut table = |title: Option<&str>, rows: Vec<[String; 2]>| {
        if rows.len() > 1 {
            lines.extend(title.map(str::to_owned));
            lines.extend(columns(rows));
            lines.push(String::new());
        }
    };
    let mut args = head("BUILD ARG", "VALUE");
    let hidden = || HIDDEN.to_owned();
    args.extend(
        record
            .build_args
            .iter()
            .map(|(name, value)| [name.clone(), value.clone().unwrap_or_else(hidden)]),
    );
    table(None, args);
    let mut materials = head("URI", "DIGEST");
    materials.extend(record.materials.iter().map(|text| {
        let (name, digest) = text.split_once('@').unwrap_or((text, ""));
        [name.to_owned(), digest.to_owned()]
    }));
    table(Some("Materials:"), materials);
    let mut results = head("DIGEST", "NAMES");
    results.extend(
        record.results.iter().map(|result| [result.digest.clone(), result.names.join(", ")]),
    );
    table(Some("Results:"), results);
    if let Some(error) = &record.error {
        lines.extend(error.lines.iter().flat_map(|line| line.lines()).map(clean));
        lines.push(String::new());
    }
    lines
}

/// Two columns, the second of which begins at a stop of tabs.
fn columns(rows: Vec<[String; 2]>) -> Vec<String> {
    let widest = rows.iter().map(|[name, _]| name.chars().count() + 1).max().unwrap_or_default();
    let width = widest.div_ceil(TAB) * TAB;
    let line = |[name, value]: [String; 2]| {
        let tabs = (width - name.chars().count()).div_ceil(TAB);
        format!("{}{}{}", clean(&name), "\t".repeat(tabs), clean(&value))
    };
    rows.into_iter().map(line).collect()
}

fn clean(text: &str) -> String {
    sanitize::text(text.as_bytes(), Medium::Log)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build_record::shelf::tests::record;
    use crate::build_record::{RecordedError, RecordedResult};

    fn failed() -> BuildRecord {
        let mut found = record(1_700_000_000, "abc");
        found.dockerfile.path = Some("/src/app/docker/Dockerfile".to_owned());
        found.status = BuildStatus::Failed;
        let lines = vec!["Dockerfile:2".to_owned(), "error: RUN x failed".to_owned()];
        found.error = Some(RecordedError { class: "step".to_owned(), lines });
        found.build_args.insert("V".to_owned(), Some("1".to_owned()));
        found.build_args.insert("TOKEN".to_owned(), None);
        found.materials = vec!["docker.io/library/a:1@sha256:00".to_owned()];
        found
    }

    #[test]
    fn a_build_is_shown_as_buildx_shows_it() {
        let lines = pretty(&failed()).join("\n");
        let expected = "\
Name:\t\tapp
Context:\t/src/app
Dockerfile:\tdocker/Dockerfile

Started:\t2023-11-14 22:13:20
Duration:\t1.5s
Error:\t\tRUN x failed
Build Steps:\t0/0 (0% cached)

BUILD ARG\tVALUE
TOKEN\t\t***
V\t\t1

Materials:
URI\t\t\tDIGEST
docker.io/library/a:1\tsha256:00

Dockerfile:2
error: RUN x failed

Print build logs: wythe history logs abc0000000000000000000000";
        assert_eq!(lines, expected);
    }

    #[test]
    fn json_has_the_fields_of_buildx_and_none_that_say_nothing() {
        let mut found = failed();
        found.results.push(RecordedResult {
            target: "default".to_owned(),
            digest: "sha256:11".to_owned(),
            names: vec!["app".to_owned()],
            platforms: Vec::new(),
        });
        let object = told(object(&found));
        assert_eq!(
            (&object["Status"], &object["Duration"]),
            (&json!("failed"), &json!(1_500_000_000))
        );
        assert_eq!(object["Materials"][0]["Digests"][0], "sha256:00");
        assert!(object.get("Target").is_none() && object.get("VCSRepository").is_none());
    }
}
