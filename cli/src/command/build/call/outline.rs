//! `--call=outline`: what a target can be given and what it asks for.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wythe_builder::lint::needed;
use wythe_builder::options::Options;
use wythe_dockerfile::ast::{Dockerfile, Instruction, InstructionKind};
use wythe_dockerfile::mount::{self, Mount, Requirement};
use wythe_dockerfile::stage::{Stage, stages};

use super::{description_of, title};
use crate::failure::Failure;
use crate::render::table::Table;
use crate::session::Session;

/// What a target can be given and what it asks for.
#[derive(Debug, Default)]
pub(super) struct Outline {
    name: String,
    description: String,
    args: Vec<Argument>,
    /// Whether each is required, by name.
    secrets: BTreeMap<String, bool>,
    ssh: BTreeMap<String, bool>,
    caches: Vec<String>,
}

#[derive(Debug)]
struct Argument {
    name: String,
    description: String,
    value: String,
}

impl Outline {
    /// The outline of a target, or of the last stage, with the stages it needs.
    pub(super) fn of(file: &Dockerfile, options: &Options) -> Result<Self, Failure> {
        let stages = stages(file);
        let target = match options.targets.as_slice() {
            [] => None,
            [name] => Some(name.as_str()),
            _ => return Err(Failure::usage("--call=outline is about one target")),
        };
        let goal = super::goal(&stages, target)?;
        let (name, description) = (title(goal), super::description(goal));
        let mut outline = Self { name, description, ..Self::default() };
        let needed = needed(file, options);
        let needed =
            stages.stages.iter().filter(|stage: &&Stage<'_>| needed.contains(&stage.index));
        let bodies = needed.flat_map(|stage| stage.body);
        for instruction in stages.global.iter().chain(bodies) {
            outline.add(instruction, &options.build_args);
        }
        Ok(outline)
    }

    fn add(&mut self, instruction: &Instruction, given: &BTreeMap<String, String>) {
        if let InstructionKind::Arg(arg) = &instruction.kind {
            for item in &arg.items {
                let name = item.name.value.clone();
                let default = item.default.as_ref().map(|word| word.value.clone());
                let value = given.get(&name).cloned().or(default);
                let description = description_of(instruction, &name);
                self.argument(Argument { name, description, value: value.unwrap_or_default() });
            }
        }
        if let InstructionKind::Run(run) = &instruction.kind {
            let plain = |text: &str| Ok::<_, std::convert::Infallible>(text.to_owned());
            let mounts = run.mounts.iter().filter_map(|word| mount::parse(word).ok());
            for mount in mounts.filter_map(|raw| raw.interpret(plain).ok()) {
                self.mount(mount);
            }
        }
    }

    /// Adds an argument; one that is declared again without a value is the one there is.
    fn argument(&mut self, argument: Argument) {
        match self.args.iter_mut().find(|known| known.name == argument.name) {
            None => self.args.push(argument),
            Some(known) if known.value.is_empty() => *known = argument,
            Some(_) => {}
        }
    }

    fn mount(&mut self, mount: Mount) {
        match mount {
            Mount::Secret(secret) => require(&mut self.secrets, secret.id, secret.required),
            Mount::Ssh(ssh) => require(&mut self.ssh, ssh.id, ssh.required),
            Mount::Cache(cache) => {
                let id = cache.id.unwrap_or(cache.target);
                if !self.caches.contains(&id) {
                    self.caches.push(id);
                }
            }
            Mount::Bind(_) | Mount::Tmpfs(_) => {}
        }
    }

    /// As JSON, with the names that readers of buildx's answers know.
    pub(super) fn json(&self) -> Value {
        let arg = |arg: &Argument| json!({"name": arg.name, "description": arg.description, "value": arg.value});
        let list = |of: &BTreeMap<String, bool>| -> Vec<Value> {
            of.iter().map(|(name, required)| json!({"name": name, "required": required})).collect()
        };
        json!({
            "name": self.name,
            "description": self.description,
            "args": self.args.iter().map(arg).collect::<Vec<Value>>(),
            "secrets": list(&self.secrets),
            "ssh": list(&self.ssh),
            "cache": self.caches.iter().map(|id| json!({"ID": id})).collect::<Vec<Value>>(),
        })
    }

    /// As text: a table for each kind of thing there is.
    pub(super) fn print(&self, session: &Session) -> Result<(), Failure> {
        session.print(format!("TARGET {} {}", self.name, self.description).trim_end())?;
        let args = self
            .args
            .iter()
            .map(|arg| [arg.name.clone(), arg.value.clone(), arg.description.clone()]);
        table(["BUILD ARG", "VALUE", "DESCRIPTION"], args, session)?;
        for (head, asked) in [("SECRET", &self.secrets), ("SSH", &self.ssh)] {
            let rows = asked.iter().map(|(name, required)| {
                [name.clone(), if *required { "yes" } else { "no" }.to_owned()]
            });
            table([head, "REQUIRED"], rows, session)?;
        }
        table(["CACHE"], self.caches.iter().map(|id| [id.clone()]), session)
    }
}

/// Notes that something is asked for; once required, it is required.
fn require(all: &mut BTreeMap<String, bool>, id: String, requirement: Requirement) {
    *all.entry(id).or_default() |= requirement == Requirement::Required;
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
mod tests {
    use wythe_dockerfile::parse::parse;
    use wythe_store::oci::platform::Platform;

    use super::*;

    fn outline(text: &str, target: Option<&str>, given: &[(&str, &str)]) -> Result<Value, Failure> {
        let mut options = Options::new(Platform::linux("amd64"));
        options.targets.extend(target.map(str::to_owned));
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        options.build_args.extend(given);
        Outline::of(&parse(text).dockerfile, &options).map(|outline| outline.json())
    }

    #[test]
    fn a_variable_decides_which_stage_is_needed() {
        let text = "ARG KIND=one\nFROM a AS one\nARG V\nFROM a AS two\nARG W\nFROM $KIND\n";
        let names = |given| {
            let outline = outline(text, None, given).unwrap();
            let args = outline["args"].as_array().unwrap().iter();
            args.map(|arg| arg["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&[]), ["KIND", "V"]);
        assert_eq!(names(&[("KIND", "two")]), ["KIND", "W"]);
    }

    #[test]
    fn a_target_asks_for_what_the_stages_it_needs_ask_for() {
        let text = "# check=skip=all\n# V the version\nARG V=1\nFROM a AS one\nARG W\nRUN --mount=type=secret,id=s,required \
                    --mount=type=cache,target=/c x\nFROM b AS two\nARG X\nFROM one\nRUN --mount=type=ssh y\nARG V\n";
        let outline = outline(text, None, &[("W", "9")]).unwrap();
        assert_eq!(
            outline["args"],
            json!([
                {"name": "V", "description": "the version", "value": "1"},
                {"name": "W", "description": "", "value": "9"},
            ])
        );
        assert_eq!(outline["secrets"], json!([{"name": "s", "required": true}]));
        assert_eq!(outline["ssh"], json!([{"name": "default", "required": false}]));
        assert_eq!(outline["cache"], json!([{"ID": "/c"}]));
    }

    #[test]
    fn a_target_that_is_not_there_has_no_outline() {
        let failure = outline("FROM a AS build\n", Some("bulid"), &[]).unwrap_err();
        assert!(failure.lines().join("\n").contains("did you mean build?"));
    }
}
