//! `wythe history ls`.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::args::format::ListFormat;
use crate::args::history::ListBuildsArgs;
use crate::build_record::shelf::BuildShelf;
use crate::build_record::{BuildRecord, BuildStatus, StepCount};
use crate::command::build::project;
use crate::docker_image::ago;
use crate::failure::Failure;
use crate::render::listing;
use crate::session::Session;
use crate::template::Template;

/// As much of a name as a table shows, as buildx has it: of a longer one the end.
const NAME: usize = 36;

/// What stands before an id in references of buildx: builder and node, of which there is one.
pub(super) const BUILDER: &str = "default/default";

/// The table of buildx.
const TABLE: &str = "{{.Ref}}\t{{.Name}}\t{{.Status}}\t{{.CreatedAt}}\t{{.Duration}}";

/// Prints a line for each build.
pub(super) fn run(
    args: &ListBuildsArgs,
    shelf: &BuildShelf,
    session: &Session,
) -> Result<(), Failure> {
    let records = chosen(args, shelf, session)?;
    let as_template = || TABLE.parse::<Template>().map_err(listing::mistake);
    let rows = |is_table: bool| -> Vec<Value> {
        let shorten = is_table && !args.no_trunc.is_on();
        records.iter().map(|record| row(record, if shorten { NAME } else { usize::MAX })).collect()
    };
    let lines = match &args.format {
        ListFormat::Json => records.iter().map(|record| object(record).to_string()).collect(),
        ListFormat::Lines(template) if is_whole(template) => {
            records.iter().map(|record| object(record).to_string()).collect()
        }
        ListFormat::Lines(template) => listing::lines(template, &rows(false))?,
        ListFormat::Table => listing::table(&as_template()?, &headings(), &rows(true))?,
        ListFormat::TableOf(template) => listing::table(template, &headings(), &rows(true))?,
    };
    lines.iter().try_for_each(|line| session.print(line))
}

/// The records that are asked for, the latest first. Those that cannot be read are counted.
fn chosen(
    args: &ListBuildsArgs,
    shelf: &BuildShelf,
    session: &Session,
) -> Result<Vec<BuildRecord>, Failure> {
    let here = args.local.is_on().then(repository).transpose()?;
    let now = now();
    let (mut records, mut unreadable) = (Vec::new(), 0_usize);
    for kept in shelf.list()? {
        match shelf.read::<()>(&kept) {
            Ok((record, ())) => records.push(record),
            Err(_) => unreadable += 1,
        }
    }
    if unreadable > 0 {
        session.remark(&format!("{unreadable} records of builds cannot be read"));
    }
    records.retain(|record| {
        args.filter.iter().all(|filter| filter.takes(record, now))
            && here.as_ref().is_none_or(|here| record.repository.as_ref() == Some(here))
    });
    Ok(records)
}

fn repository() -> Result<String, Failure> {
    let found = project::repository(Path::new("."));
    found.ok_or_else(|| {
        Failure::usage("--local: this is no checkout of a repository with a remote called origin")
    })
}

/// Whether a template is `{{json .}}`, which prints what JSON is for.
fn is_whole(template: &Template) -> bool {
    "{{json .}}".parse::<Template>().is_ok_and(|whole| whole == *template)
}

fn row(record: &BuildRecord, most: usize) -> Value {
    let so_far = if record.status == BuildStatus::Running { "+" } else { "" };
    let took = record.duration_until(now()).map(duration).unwrap_or_default();
    json!({
        "Ref": record.id.as_str(),
        "FullRef": format!("{BUILDER}/{}", record.id),
        "Name": shortened(&record.name, most),
        "Status": status(record.status),
        "CreatedAt": ago(&moment(record.started)),
        "Duration": format!("{took}{so_far}"),
        "Link": "",
    })
}

fn headings() -> Value {
    json!({
        "Ref": "BUILD ID",
        "FullRef": "BUILD ID",
        "Name": "NAME",
        "Status": "STATUS",
        "CreatedAt": "CREATED AT",
        "Duration": "DURATION",
        "Link": "",
    })
}

/// What programs read, in the words of buildx.
fn object(record: &BuildRecord) -> Value {
    let StepCount { total, completed, cached } = record.count();
    let mut object = json!({
        "ref": format!("{BUILDER}/{}", record.id),
        "name": record.name,
        "status": status(record.status),
        "created_at": moment(record.started),
        "total_steps": total,
        "completed_steps": completed,
        "cached_steps": cached,
    });
    if record.is_over() {
        object["completed_at"] = moment(record.completed()).into();
    }
    object
}

fn status(status: BuildStatus) -> &'static str {
    match status {
        BuildStatus::Canceled | BuildStatus::Failed => "Error",
        BuildStatus::Completed => "Completed",
        BuildStatus::Lost => "Lost",
        BuildStatus::Running => "Running",
    }
}

/// The end of a text that is too long.
fn shortened(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    let end: String = text.chars().skip(length + 2 - most).collect();
    format!("..{end}")
}

/// The moment it is, in microseconds since 1970.
pub(super) fn now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap_or_default()
}

/// A moment in microseconds since 1970 as documents write it.
pub(super) fn moment(micros: u64) -> String {
    let moment =
        i64::try_from(micros).ok().and_then(|at| jiff::Timestamp::from_microsecond(at).ok());
    moment.map(|moment| moment.to_string()).unwrap_or_default()
}

/// A duration in microseconds as buildx shows it: `1.5s`, `2m  5s`.
pub(super) fn duration(micros: u64) -> String {
    let duration = Duration::from_micros(micros);
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{:.1}s", duration.as_secs_f64())
    } else {
        format!("{}m {:2}s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build_record::shelf::tests::record;

    #[test]
    fn a_build_is_told_in_the_words_of_buildx() {
        let mut found = record(1_700_000_000, "abc");
        found.status = BuildStatus::Failed;
        let told = object(&found);
        assert_eq!(told["ref"], format!("default/default/{:0<25}", "abc"));
        assert_eq!((&told["status"], &told["total_steps"]), (&json!("Error"), &json!(0)));
        assert_eq!(told["completed_at"], "2023-11-14T22:13:21.5Z");
        let template: Template = "{{.Ref}} {{.Status}} {{.Duration}}".parse().unwrap();
        let line = listing::lines(&template, &[row(&found, NAME)]).unwrap();
        assert_eq!(line, [format!("{:0<25} Error 1.5s", "abc")]);
    }

    #[test]
    fn long_names_lose_their_beginning_in_tables() {
        assert_eq!(shortened("abcdef", 6), "abcdef");
        assert_eq!(shortened("abcdefg", 6), "..defg");
    }

    #[test]
    fn durations_are_as_buildx_has_them() {
        assert_eq!([duration(0), duration(59_900_000)], ["0.0s", "59.9s"]);
        assert_eq!(duration(125_000_000), "2m  5s");
    }
}
