//! `--call=outline`: what a target can be given and what it asks for.

mod argument;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use wythe_builder::lint::needed;
use wythe_builder::options::Options;
use wythe_dockerfile::ast::{Dockerfile, Instruction, InstructionKind};
use wythe_dockerfile::mount::{self, Mount, Requirement};
use wythe_dockerfile::span::Span;
use wythe_dockerfile::stage::{Stage, Stages, fired, stages};

use self::argument::{Argument, Globals, Scope};
use super::{title, without_empty};
use crate::failure::Failure;
use crate::render::source::SourceFile;
use crate::render::table::Table;
use crate::session::Session;

/// What a target can be given and what it asks for.
#[derive(Debug, Default)]
pub(super) struct Outline {
    /// Of the stage, where it has one.
    name: Option<String>,
    /// The name, or which stage it is.
    title: String,
    description: String,
    args: Vec<Argument>,
    secrets: Vec<Asked>,
    ssh: Vec<Asked>,
    caches: Vec<Asked>,
}

/// Something that steps ask for.
#[derive(Clone, Debug)]
struct Asked {
    id: String,
    required: Requirement,
    /// Of the instruction that does.
    span: Span,
}

impl Outline {
    /// The outline of a target, or of the last stage, with the stages it needs.
    ///
    /// What several stages have is told as the one that is nearest to the target has it.
    pub(super) fn of(file: &Dockerfile, options: &Options) -> Result<Self, Failure> {
        let stages = stages(file);
        let target = match options.targets.as_slice() {
            [] => None,
            [name] => Some(name.as_str()),
            _ => return Err(Failure::usage("--call=outline is about one target")),
        };
        let goal = super::goal(&stages, target)?;
        let (title, description) = (title(goal), super::description(goal));
        let mut outline = Self { name: goal.name.clone(), title, description, ..Self::default() };
        let globals = Globals::new(file, &stages, options);
        let mut needed = needed(file, options);
        // A context in the place of a stage takes no arguments.
        needed.retain(|index| !is_replaced(&stages.stages[*index], options));
        let mut parts = Parts::of(&stages, &globals, &needed);
        let mut next = Some(goal.index);
        while let Some(part) = next.and_then(|index| parts.0.remove(&index)) {
            next = part.base;
            outline.add(&part);
        }
        parts.0.values().rev().for_each(|part| outline.add(part));
        outline.in_order();
        Ok(outline)
    }

    fn add(&mut self, part: &Part<'_>) {
        for argument in part.scope.arguments() {
            if self.args.iter().all(|known| known.name != argument.name) {
                self.args.push(argument.clone());
            }
        }
        for (mount, span) in &part.mounts {
            self.mount(mount, *span);
        }
    }

    fn mount(&mut self, mount: &Mount, span: Span) {
        let (list, id, required) = match mount {
            Mount::Secret(secret) => (&mut self.secrets, &secret.id, secret.required),
            Mount::Ssh(ssh) => (&mut self.ssh, &ssh.id, ssh.required),
            Mount::Cache(cache) => {
                let id = cache.id.as_ref().unwrap_or(&cache.target);
                (&mut self.caches, id, Requirement::Optional)
            }
            Mount::Bind(_) | Mount::Tmpfs(_) => return,
        };
        match list.iter_mut().find(|known| known.id == *id) {
            None => list.push(Asked { id: id.clone(), required, span }),
            // Once required, it is required.
            Some(known) if required == Requirement::Required => known.required = required,
            Some(_) => {}
        }
    }

    /// Puts everything into the order of the Dockerfile.
    fn in_order(&mut self) {
        self.args.sort_by_key(|arg| (arg.span.start, arg.position));
        for list in [&mut self.secrets, &mut self.ssh, &mut self.caches] {
            list.sort_by_key(|asked| asked.span.start);
        }
    }

    /// As JSON, with the names that readers of buildx's answers know.
    pub(super) fn json(&self, source: &SourceFile) -> Value {
        let arg = |arg: &Argument| {
            without_empty(json!({
                "name": arg.name,
                "description": arg.description,
                "value": arg.value,
                "location": source.location(arg.span),
            }))
        };
        let list = |of: &[Asked]| -> Vec<Value> {
            let object = |asked: &Asked| {
                let (name, required) = (&asked.id, asked.required == Requirement::Required);
                let location = source.location(asked.span);
                without_empty(json!({"name": name, "required": required, "location": location}))
            };
            of.iter().map(object).collect()
        };
        without_empty(json!({
            "name": self.name,
            "description": self.description,
            "args": self.args.iter().map(arg).collect::<Vec<Value>>(),
            "secrets": list(&self.secrets),
            "ssh": list(&self.ssh),
            "cache": self.caches.iter().map(|cache| json!({"ID": cache.id})).collect::<Vec<Value>>(),
            "sources": source.encoded(),
        }))
    }

    /// As text: a table for each kind of thing there is.
    pub(super) fn print(&self, session: &Session) -> Result<(), Failure> {
        session.print(format!("TARGET {} {}", self.title, self.description).trim_end())?;
        let args = self
            .args
            .iter()
            .map(|arg| [arg.name.clone(), arg.value.clone(), arg.description.clone()]);
        table(["BUILD ARG", "VALUE", "DESCRIPTION"], args, session)?;
        for (head, asked) in [("SECRET", &self.secrets), ("SSH", &self.ssh)] {
            let rows = asked.iter().map(|asked| {
                let required = asked.required == Requirement::Required;
                [asked.id.clone(), if required { "yes" } else { "no" }.to_owned()]
            });
            table([head, "REQUIRED"], rows, session)?;
        }
        table(["CACHE"], self.caches.iter().map(|cache| [cache.id.clone()]), session)
    }
}

/// What the stages that a target needs say, by index.
struct Parts<'a>(BTreeMap<usize, Part<'a>>);

/// What one stage says.
struct Part<'a> {
    /// At its end.
    scope: Scope<'a>,
    /// The stage it starts from.
    base: Option<usize>,
    mounts: Vec<(Mount, Span)>,
}

impl<'a> Parts<'a> {
    fn of(stages: &Stages<'_>, globals: &'a Globals<'a>, needed: &BTreeSet<usize>) -> Self {
        let mut parts = Self(BTreeMap::new());
        for stage in stages.stages.iter().filter(|stage| needed.contains(&stage.index)) {
            let base = stages.base(stage, &globals.values, globals.escape);
            let part = parts.part(stage, base, globals);
            parts.0.insert(stage.index, part);
        }
        parts
    }

    fn part(
        &self,
        stage: &Stage<'_>,
        base: Option<&Stage<'_>>,
        globals: &'a Globals<'a>,
    ) -> Part<'a> {
        let below = base.and_then(|base| self.0.get(&base.index));
        let scope = below
            .map_or_else(|| Scope::new(globals, stage.from), |below| below.scope.above(stage.from));
        let base_index = base.map(|base| base.index);
        let mut part = Part { scope, base: base_index, mounts: Vec::new() };
        let triggers = fired(base.into_iter().flat_map(Stage::triggers), stage.instruction);
        for trigger in triggers {
            // What the comments above a FROM describe is the stage.
            part.step(&Instruction { comments: Vec::new(), ..trigger });
        }
        stage.body.iter().for_each(|instruction| part.step(instruction));
        part
    }
}

impl Part<'_> {
    fn step(&mut self, instruction: &Instruction) {
        self.scope.step(instruction);
        if let InstructionKind::Run(run) = &instruction.kind {
            let scope = &self.scope;
            let raw = run.mounts.iter().filter_map(|word| mount::parse(word).ok());
            let mounts = raw.filter_map(|raw| raw.interpret(|text| scope.expand(text)).ok());
            self.mounts.extend(mounts.map(|mount| (mount, instruction.span)));
        }
    }
}

/// Whether a context is given in the place of a stage.
fn is_replaced(stage: &Stage<'_>, options: &Options) -> bool {
    stage.name.as_ref().is_some_and(|name| options.contexts.contains_key(name))
}

/// Prints a table below an empty line, if there is anything in it.
fn table<const N: usize>(
    heads: [&'static str; N],
    rows: impl Iterator<Item = [String; N]>,
    session: &Session,
) -> Result<(), Failure> {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    let mut table = Table::new(heads);
    rows.for_each(|row| table.push(row));
    session.print("")?;
    table.lines().iter().try_for_each(|line| session.print(line))
}

#[cfg(test)]
mod tests;
