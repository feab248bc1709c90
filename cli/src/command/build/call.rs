//! Answers about a Dockerfile: `--call=check`, `context`, `outline` and `targets`.

mod check;
mod context;
mod outline;

use serde_json::{Value, json};
use wythe_dockerfile::ast::{self, Instruction};
use wythe_dockerfile::stage::{Stage, Stages, stages};

use self::outline::Outline;
use crate::args::build::BuildArgs;
use crate::args::call::{AnswerFormat, Call, Method};
use crate::command::build::dockerfile::Dockerfile;
use crate::command::build::options;
use crate::failure::Failure;
use crate::render::source::SourceFile;
use crate::render::table::Table;
use crate::session::Session;

/// Prints the answer.
pub(crate) fn answer(
    call: Call,
    dockerfile: Dockerfile,
    args: &BuildArgs,
    session: &Session,
) -> Result<(), Failure> {
    let parsed = match dockerfile.parse() {
        // It tells of that in the form that was asked for.
        Err(_) if matches!(call.method, Method::Check) => {
            return check::check(call, dockerfile, args, session);
        }
        parsed => parsed?,
    };
    let source = dockerfile.source.clone();
    let stages = stages(&parsed.dockerfile);
    match call.method {
        Method::Build => Ok(()),
        Method::Check => {
            for name in args.input.targets() {
                goal(&stages, Some(&name))?;
            }
            check::check(call, dockerfile, args, session)
        }
        Method::Context => context::context(call.format, &dockerfile, args, session),
        Method::Describe => describe(call.format, session),
        Method::Outline => outline((&parsed.dockerfile, &source), args, call.format, session),
        Method::Targets => targets((&stages, &source), call.format, session),
    }
}

fn targets(
    (stages, source): (&Stages<'_>, &SourceFile),
    format: AnswerFormat,
    session: &Session,
) -> Result<(), Failure> {
    let last = stages.stages.len().saturating_sub(1);
    match format {
        AnswerFormat::Json => {
            let object = |stage: &Stage<'_>| target(stage, last, source);
            let targets: Vec<Value> = stages.stages.iter().map(object).collect();
            session.print(&json!({"targets": targets, "sources": source.encoded()}).to_string())
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

/// A stage as readers of buildx's answers know it; the platform as it is written.
fn target(stage: &Stage<'_>, last: usize, source: &SourceFile) -> Value {
    let platform = stage.from.platform.as_ref();
    without_empty(json!({
        "name": stage.name,
        "base": stage.from.image.value,
        "platform": platform.map(|platform| platform.value.as_str()),
        "description": description(stage),
        "default": stage.index == last,
        "location": source.location(stage.instruction.span),
    }))
}

fn outline(
    (file, source): (&ast::Dockerfile, &SourceFile),
    args: &BuildArgs,
    format: AnswerFormat,
    session: &Session,
) -> Result<(), Failure> {
    let outline = Outline::of(file, &options::options(args, &session.settings)?)?;
    match format {
        AnswerFormat::Json => session.print(&outline.json(source).to_string()),
        AnswerFormat::Text => outline.print(session),
    }
}

/// The questions there are. `lint` is another name of `check`.
fn describe(format: AnswerFormat, session: &Session) -> Result<(), Failure> {
    const QUESTIONS: [(&str, &str); 5] = [
        ("check", "Apply the build checks"),
        ("context", "List the largest files that the ignore file leaves"),
        ("outline", "List what a target can be given and what it asks for"),
        ("subrequests.describe", "List these questions"),
        ("targets", "List the stages"),
    ];
    match format {
        AnswerFormat::Json => {
            let object = |(name, text): &(&str, &str)| json!({"name": name, "description": text});
            let questions: Vec<Value> = QUESTIONS.iter().map(object).collect();
            session.print(&json!(questions).to_string())
        }
        AnswerFormat::Text => {
            let mut table = Table::new(["NAME", "DESCRIPTION"]);
            for (name, text) in QUESTIONS {
                table.push([name.to_owned(), text.to_owned()]);
            }
            table.lines().iter().try_for_each(|line| session.print(line))
        }
    }
}

/// The stage that is asked about: the target, or the last.
fn goal<'s, 'a>(stages: &'s Stages<'a>, target: Option<&str>) -> Result<&'s Stage<'a>, Failure> {
    let Some(name) = target else {
        return stages.stages.last().ok_or_else(|| Failure::usage("there is no stage"));
    };
    stages.find(name).ok_or_else(|| {
        let near = stages.suggest(name).map(|near| format!("did you mean {near}?"));
        Failure::usage(format!("target stage {name:?} could not be found")).advised(near)
    })
}

/// An object without what says nothing, as readers of buildx's answers know it.
fn without_empty(mut object: Value) -> Value {
    let says_nothing = |value: &Value| match value {
        Value::Null => true,
        Value::Bool(is_so) => !is_so,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Number(_) | Value::Object(_) => false,
    };
    if let Value::Object(fields) = &mut object {
        fields.retain(|_, value| !says_nothing(value));
    }
    object
}

/// The name of a stage, or its position.
fn title(stage: &Stage<'_>) -> String {
    stage.name.clone().unwrap_or_else(|| stage.index.to_string())
}

/// What the comment above a stage says about it.
fn description(stage: &Stage<'_>) -> String {
    description_of(stage.instruction, &title(stage))
}

/// The comment above an instruction, from the line that begins with the name of what the
/// instruction declares, as `BuildKit` has it.
fn description_of(instruction: &Instruction, name: &str) -> String {
    let lines = instruction.comments.iter().map(|line| line.value.trim());
    let named = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' '));
    // Directives above the first instruction count as its comments, too.
    let text = lines.skip_while(|line| !named(line)).collect::<Vec<_>>().join(" ");
    text.strip_prefix(name).unwrap_or_default().trim_start().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wythe_dockerfile::parse::parse;

    #[test]
    fn a_target_tells_the_platform_it_is_pinned_to_as_it_is_written() {
        let text = "FROM a AS one\nFROM --platform=$BUILDPLATFORM one\n".to_owned();
        let parsed = parse(&text);
        let source = SourceFile { name: String::new(), text };
        let stages = stages(&parsed.dockerfile).stages;
        let lines = |at: u32| json!({"ranges": [{"start": {"line": at}, "end": {"line": at}}]});
        let [one, last] = [0, 1].map(|index| target(&stages[index], 1, &source));
        assert_eq!(one, json!({"name": "one", "base": "a", "location": lines(1)}));
        let platform = "$BUILDPLATFORM";
        let pinned =
            json!({"base": "one", "platform": platform, "default": true, "location": lines(2)});
        assert_eq!(last, pinned);
    }
}
