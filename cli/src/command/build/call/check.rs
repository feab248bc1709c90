//! `--call=check`: the findings of the build checks.

use serde_json::{Value, json};
use wythe_builder::error::BuildError;
use wythe_builder::lint::inspect;
use wythe_dockerfile::diagnostic::Diagnostic;
use wythe_dockerfile::lint::Report;
use wythe_dockerfile::lint::rule::{OWN, RULES, Rule};

use crate::args::build::BuildArgs;
use crate::args::call::{AnswerFormat, Call, OnFindings};
use crate::command::build::dockerfile::Dockerfile;
use crate::command::build::{input, options};
use crate::failure::Failure;
use crate::failure::code::ErrorCode;
use crate::render::source::SourceFile;
use crate::session::Session;

/// Prints the findings; any is a failure, as with `docker buildx build --check`, unless that is not wanted.
pub(crate) fn check(
    call: Call,
    dockerfile: Dockerfile,
    args: &BuildArgs,
    session: &Session,
) -> Result<(), Failure> {
    let options = options::options(args, &session.settings)?;
    let source = dockerfile.source.clone();
    // A machine without a store knows no images, and should not get a store by being asked.
    let known = session.store_path().is_ok_and(|path| path.exists());
    let store = if known { session.store().ok() } else { None };
    let report = match inspect(&input(args, dockerfile), &options, store.as_ref()) {
        Ok(report) => report,
        Err(error) => {
            if call.format == AnswerFormat::Json {
                session.print(&unchecked(&source, &error).to_string())?;
            }
            return Err(error.into());
        }
    };
    match call.format {
        AnswerFormat::Json => session.print(&object(&source, &report).to_string())?,
        AnswerFormat::Text => print(&source, &report, session)?,
    }
    let text = match (report.violation(), report.findings.len()) {
        (Some(message), _) => message,
        (None, 0) => return Ok(()),
        (None, _) if call.findings == OnFindings::Tell => return Ok(()),
        (None, 1) => "the build checks have a finding".to_owned(),
        (None, count) => format!("the build checks have {count} findings"),
    };
    Err(Failure::usage(text).known_as(ErrorCode::ChecksFailed).code(FOUND))
}

/// The exit code where there are findings, as `docker buildx build --check` has it; a Dockerfile
/// that could not be checked has another.
const FOUND: u8 = 1;

fn print(source: &SourceFile, report: &Report, session: &Session) -> Result<(), Failure> {
    for finding in &report.findings {
        session.print(&format!("WARN {}", source.summary(finding)))?;
        session.print(&source.excerpt(finding))?;
    }
    match report.findings.len() {
        0 => session.print("check complete, nothing found"),
        1 => session.print("check complete, 1 finding"),
        count => session.print(&format!("check complete, {count} findings")),
    }
}

/// The answer about a Dockerfile that could not be checked, as buildx gives it.
fn unchecked(source: &SourceFile, error: &BuildError) -> Value {
    let findings = error.findings();
    let (message, location) = match findings.first() {
        Some(finding) => (finding.message.clone(), source.location(finding.span)),
        None => (error.to_string(), Value::Null),
    };
    let error = json!({"message": message, "location": location});
    json!({"warnings": [], "sources": source.named(), "buildError": error})
}

/// The findings with the fields that readers of buildx's answers look for, and plainer ones.
fn object(source: &SourceFile, report: &Report) -> Value {
    let warning = |finding: &Diagnostic| {
        let rule = finding.rule.unwrap_or_default();
        let about = RULES.iter().chain(OWN).find(|known| known.name == rule);
        json!({
            "rule": rule,
            "line": source.line(finding),
            "message": finding.message,
            "help": finding.help,
            "ruleName": rule,
            "description": about.map_or("", |rule| rule.description),
            "url": about.map(Rule::url),
            "detail": finding.message,
            "location": source.location(finding.span),
        })
    };
    let warnings: Vec<Value> = report.findings.iter().map(warning).collect();
    json!({"warnings": warnings, "sources": source.named()})
}
