//! `--call=outline`: what a target can be given and what it asks for.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wythe_builder::lint::needed;
use wythe_builder::options::Options;
use wythe_dockerfile::ast::{ArgItem, Dockerfile, Escape, Instruction, InstructionKind, Word};
use wythe_dockerfile::expand::expand;
use wythe_dockerfile::mount::{self, Mount, Requirement};
use wythe_dockerfile::span::Span;
use wythe_dockerfile::stage::{Stage, stages};

use super::{description_of, title, without_empty};
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
    /// By name.
    secrets: BTreeMap<String, Asked>,
    ssh: BTreeMap<String, Asked>,
    caches: Vec<String>,
}

/// What is set where an instruction stands, as far as a Dockerfile tells.
#[derive(Clone, Debug, Default)]
struct Scope {
    given: BTreeMap<String, String>,
    global: BTreeMap<String, String>,
    values: BTreeMap<String, String>,
    escape: Escape,
}

impl Scope {
    /// Declares a name of an `ARG`, and tells its value.
    fn declare(&mut self, item: &ArgItem) -> String {
        let name = &item.name.value;
        let default = item.default.as_ref().map(|word| self.expand(word));
        let value = self.given.get(name).cloned().or(default);
        let value = value.or_else(|| self.global.get(name).cloned());
        if let Some(value) = &value {
            self.values.insert(name.clone(), value.clone());
        }
        value.unwrap_or_default()
    }

    /// A word as it is expanded here, with nothing for what only a build knows; as it is written where it is wrong.
    fn expand(&self, word: &Word) -> String {
        expand(&word.value, self.escape, &self.values)
            .map_or_else(|_| word.value.clone(), |expanded| expanded.value)
    }
}

#[derive(Debug)]
struct Argument {
    name: String,
    description: String,
    value: String,
    /// Of the instruction that declares it.
    span: Span,
}

/// Something that steps ask for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    required: Requirement,
    /// Of the first instruction that does.
    span: Span,
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
        let (title, description) = (title(goal), super::description(goal));
        let mut outline = Self { name: goal.name.clone(), title, description, ..Self::default() };
        let needed = needed(file, options);
        let needed =
            stages.stages.iter().filter(|stage: &&Stage<'_>| needed.contains(&stage.index));
        let (given, escape) = (options.build_args.clone(), file.directives.escape);
        let mut global = Scope { given, escape, ..Scope::default() };
        stages.global.iter().for_each(|instruction| outline.add(instruction, &mut global));
        let fresh =
            Scope { global: global.values.clone(), values: BTreeMap::new(), ..global.clone() };
        let mut scopes: BTreeMap<usize, Scope> = BTreeMap::new();
        for stage in needed {
            let base = stages.base(stage, &global.values, escape).map(|base| base.index);
            let scope = base.and_then(|base| scopes.get(&base)).unwrap_or(&fresh);
            let mut scope = scope.clone();
            stage.body.iter().for_each(|instruction| outline.add(instruction, &mut scope));
            scopes.insert(stage.index, scope);
        }
        Ok(outline)
    }

    fn add(&mut self, instruction: &Instruction, scope: &mut Scope) {
        if let InstructionKind::Arg(arg) = &instruction.kind {
            for item in &arg.items {
                let name = item.name.value.clone();
                let value = scope.declare(item);
                let description = description_of(instruction, &name);
                let span = instruction.span;
                self.argument(Argument { name, description, value, span });
            }
        }
        if let InstructionKind::Env(list) = &instruction.kind {
            let before = scope.clone();
            for pair in &list.pairs {
                let [key, value] = [&pair.key, &pair.value].map(|word| before.expand(word));
                scope.values.insert(key, value);
            }
        }
        if let InstructionKind::Run(run) = &instruction.kind {
            let plain = |text: &str| Ok::<_, std::convert::Infallible>(text.to_owned());
            let mounts = run.mounts.iter().filter_map(|word| mount::parse(word).ok());
            for mount in mounts.filter_map(|raw| raw.interpret(plain).ok()) {
                self.mount(mount, instruction.span);
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

    fn mount(&mut self, mount: Mount, span: Span) {
        let asked = |required| Asked { required, span };
        match mount {
            Mount::Secret(secret) => ask(&mut self.secrets, secret.id, asked(secret.required)),
            Mount::Ssh(ssh) => ask(&mut self.ssh, ssh.id, asked(ssh.required)),
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
    pub(super) fn json(&self, source: &SourceFile) -> Value {
        let arg = |arg: &Argument| {
            without_empty(json!({
                "name": arg.name,
                "description": arg.description,
                "value": arg.value,
                "location": source.location(arg.span),
            }))
        };
        let list = |of: &BTreeMap<String, Asked>| -> Vec<Value> {
            let object = |(name, asked): (&String, &Asked)| {
                let required = asked.required == Requirement::Required;
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
            "cache": self.caches.iter().map(|id| json!({"ID": id})).collect::<Vec<Value>>(),
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
            let rows = asked.iter().map(|(name, asked)| {
                let required = asked.required == Requirement::Required;
                [name.clone(), if required { "yes" } else { "no" }.to_owned()]
            });
            table([head, "REQUIRED"], rows, session)?;
        }
        table(["CACHE"], self.caches.iter().map(|id| [id.clone()]), session)
    }
}

/// Notes that something is asked for; once required, it is required.
fn ask(all: &mut BTreeMap<String, Asked>, id: String, asked: Asked) {
    let known = all.entry(id).or_insert(asked);
    if asked.required == Requirement::Required {
        known.required = asked.required;
    }
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
        let source = SourceFile { name: String::new(), text: text.to_owned() };
        Outline::of(&parse(text).dockerfile, &options).map(|outline| outline.json(&source))
    }

    fn lines(start: u32) -> Value {
        json!({"ranges": [{"start": {"line": start}, "end": {"line": start}}]})
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
                {"name": "V", "description": "the version", "value": "1", "location": lines(3)},
                {"name": "W", "value": "9", "location": lines(5)},
            ])
        );
        let secret = json!({"name": "s", "required": true, "location": lines(6)});
        assert_eq!(outline["secrets"], json!([secret]));
        let agent = json!({"name": "default", "location": lines(10)});
        assert_eq!(outline["ssh"], json!([agent]));
        assert_eq!(outline["cache"], json!([{"ID": "/c"}]));
        assert_eq!(outline.get("name"), None);
    }

    #[test]
    fn defaults_are_told_as_they_are_expanded() {
        let text =
            "ARG V=1\nARG W=v$V\nFROM a AS one\nARG V\nENV E=e\nFROM one\nARG X=$V-$E Y=${Z:-$z}\n";
        let outline = outline(text, None, &[]).unwrap();
        let args = outline["args"].as_array().unwrap();
        let value = |arg: &Value| arg.get("value").map(|value| value.as_str().unwrap().to_owned());
        let values: Vec<String> = args.iter().filter_map(value).collect();
        assert_eq!(values, ["1", "v1", "1-e"]);
    }

    #[test]
    fn a_target_that_is_not_there_has_no_outline() {
        let failure = outline("FROM a AS build\n", Some("bulid"), &[]).unwrap_err();
        assert!(failure.lines().join("\n").contains("did you mean build?"));
    }
}
