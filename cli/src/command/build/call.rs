//! Answers about a Dockerfile: `--call=check`, `outline` and `targets`.

mod check;

use serde_json::{Value, json};
use wythe_dockerfile::ast::{Instruction, InstructionKind};
use wythe_dockerfile::stage::{Stage, Stages, stages};

use crate::args::build::BuildArgs;
use crate::args::call::{AnswerFormat, Call, Method};
use crate::command::build::dockerfile::Dockerfile;
use crate::failure::Failure;
use crate::render::table::Table;
use crate::session::Session;

/// Prints the answer.
pub(crate) fn answer(
    call: Call,
    dockerfile: Dockerfile,
    args: &BuildArgs,
    session: &Session,
) -> Result<(), Failure> {
    let parsed = dockerfile.parse()?;
    let stages = stages(&parsed.dockerfile);
    let target = args.input.target.as_deref();
    match call.method {
        Method::Build => Ok(()),
        Method::Check => check::check(call.format, dockerfile, args, session),
        Method::Outline => outline(&stages, target, call.format, session),
        Method::Targets => targets(&stages, call.format, session),
    }
}

fn targets(stages: &Stages<'_>, format: AnswerFormat, session: &Session) -> Result<(), Failure> {
    let last = stages.stages.len().saturating_sub(1);
    match format {
        AnswerFormat::Json => {
            let object = |stage: &Stage<'_>| {
                json!({
                    "name": title(stage),
                    "base": stage.from.image.value,
                    "description": description(stage),
                    "default": stage.index == last,
                })
            };
            let targets: Vec<Value> = stages.stages.iter().map(object).collect();
            session.print(&json!({"targets": targets}).to_string())
        }
        AnswerFormat::Text => {
            let mut table = Table::new(["TARGET", "BASE", "DESCRIPTION"]);
            for stage in &stages.stages {
                let default = if stage.index == last { " (default)" } else { "" };
                let name = format!("{}{default}", title(stage));
                table.push([name, stage.from.image.value.clone(), description(stage)]);
            }
            table.lines().iter().try_for_each(|line| session.print(line))
        }
    }
}

fn outline(
    stages: &Stages<'_>,
    target: Option<&str>,
    format: AnswerFormat,
    session: &Session,
) -> Result<(), Failure> {
    let stage = match target {
        None => stages.stages.last(),
        Some(name) => stages.find(name),
    };
    let stage = stage.ok_or_else(|| Failure::usage("there is no such stage"))?;
    let arguments = arguments(stages.global.iter().chain(stage.body));
    match format {
        AnswerFormat::Json => {
            let object = |(name, value): &(String, String)| json!({"name": name, "value": value});
            let arguments: Vec<Value> = arguments.iter().map(object).collect();
            session.print(&json!({"name": title(stage), "args": arguments}).to_string())
        }
        AnswerFormat::Text => {
            session.print(&format!("TARGET {}", title(stage)))?;
            let mut table = Table::new(["BUILD ARG", "VALUE"]);
            for (name, value) in arguments {
                table.push([name, value]);
            }
            table.lines().iter().try_for_each(|line| session.print(line))
        }
    }
}

/// The build arguments that instructions declare, with their defaults as written.
fn arguments<'a>(instructions: impl Iterator<Item = &'a Instruction>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for instruction in instructions {
        let InstructionKind::Arg(arg) = &instruction.kind else { continue };
        for item in &arg.items {
            let default = item.default.as_ref().map(|word| word.value.clone());
            found.push((item.name.value.clone(), default.unwrap_or_default()));
        }
    }
    found
}

/// The name of a stage, or its position.
fn title(stage: &Stage<'_>) -> String {
    stage.name.clone().unwrap_or_else(|| stage.index.to_string())
}

/// The comment above a stage, if it begins with the name of the stage, as `BuildKit` has it.
fn description(stage: &Stage<'_>) -> String {
    let name = title(stage);
    let lines = stage.instruction.comments.iter().map(|line| line.value.trim());
    let text = lines.collect::<Vec<_>>().join(" ");
    let rest = text.strip_prefix(&name).and_then(|rest| rest.strip_prefix(' '));
    rest.unwrap_or_default().to_owned()
}
