//! `wythe history export`.

use std::fs;

use serde_json::{Value, json};

use crate::args::history::ExportBuildArgs;
use crate::build_record::BuildRecord;
use crate::build_record::log::BuildLog;
use crate::build_record::shelf::BuildShelf;
use crate::failure::{Class, Failure};
use crate::layer_files;
use crate::render::json::escape;
use crate::render::timings::{self, Subject};
use crate::session::Session;

/// How files end that Docker Desktop imports.
const OF_DESKTOP: &str = "dockerbuild";

/// Writes a record.
pub(super) fn run(
    args: &ExportBuildArgs,
    shelf: &BuildShelf,
    session: &Session,
) -> Result<(), Failure> {
    let ending = args.output.as_ref().and_then(|path| path.extension());
    if ending.is_some_and(|ending| ending == OF_DESKTOP) {
        let text = "records are not in the form that Docker Desktop imports";
        return Err(Failure::usage(text).remedy("name a file that ends with .json"));
    }
    let (record, log): (_, BuildLog) = shelf.read(&shelf.find(args.build.as_ref())?)?;
    let text = if args.html.is_on() {
        page(&record, &log, session)?
    } else {
        format!("{}\n", escape(&whole(&record, &log)?.to_string()))
    };
    match &args.output {
        None => session.write(text.as_bytes()),
        Some(path) => fs::write(path, text).map_err(|error| {
            let what = format!("cannot write {}", path.display());
            Failure::new(Class::Environment, what).because(&error)
        }),
    }
}

/// The page of a record, with the files of those of its layers that are still here.
pub(super) fn page(
    record: &BuildRecord,
    log: &BuildLog,
    session: &Session,
) -> Result<String, Failure> {
    let files = layer_files::of_build(&session.store_to_read()?, record)?;
    Ok(timings::page(&Subject { record, log, files }))
}

/// A record with its log.
fn whole(record: &BuildRecord, log: &BuildLog) -> Result<Value, Failure> {
    let internal = |error: serde_json::Error| Failure::of(Class::Internal, &error);
    let mut whole = serde_json::to_value(record).map_err(internal)?;
    let lines = log
        .steps
        .iter()
        .map(|(step, log)| json!({"step": step, "left_out": log.left_out, "lines": log.lines}));
    whole["logs"] = lines.collect();
    Ok(whole)
}
