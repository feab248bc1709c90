//! `--call=context`: how much of the context is visible to a build, and which files are the largest.

use serde_json::{Value, json};
use wythe_builder::context::survey::Survey;

use crate::args::build::BuildArgs;
use crate::args::call::AnswerFormat;
use crate::args::context::ContextSource;
use crate::command::build::dockerfile::Dockerfile;
use crate::failure::{Class, Failure};
use crate::host;
use crate::render::quantity::Bytes;
use crate::render::table::Table;
use crate::session::Session;

/// How many of the largest files are listed.
const LISTED: usize = 10;

/// Prints what the ignore file leaves.
pub(super) fn context(
    format: AnswerFormat,
    dockerfile: &Dockerfile,
    args: &BuildArgs,
    session: &Session,
) -> Result<(), Failure> {
    let ContextSource::Directory(path) = &args.context else {
        return Err(Failure::usage("--call=context is about a directory"));
    };
    let survey = host::threads()?.install(|| Survey::of(path, dockerfile.path.as_deref()));
    let survey = survey.map_err(|error| Failure::of(Class::Usage, &error))?;
    let largest = survey.files.iter().take(LISTED);
    if format == AnswerFormat::Json {
        let object = |(path, size): &(String, u64)| json!({"path": path, "size": size});
        let largest: Vec<Value> = largest.map(object).collect();
        let (files, bytes) = (survey.files.len(), survey.bytes());
        let answer = json!({"files": files, "bytes": bytes, "largest": largest});
        return session.print(&answer.to_string());
    }
    let mut table = Table::new(["SIZE", "FILE"]);
    largest.for_each(|(path, size)| table.push([Bytes(*size).to_string(), path.clone()]));
    table.lines().iter().try_for_each(|line| session.print(line))?;
    session.print(&format!("{} in {} files", Bytes(survey.bytes()), survey.files.len()))
}
