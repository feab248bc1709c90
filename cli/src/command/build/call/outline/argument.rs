//! Which build arguments a stage uses, and what they are there.
//!
//! A stage uses what it declares and what its `FROM` reads, and of the arguments before the first
//! stage those that the defaults of such arguments read.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use wythe_builder::lint::predefined;
use wythe_builder::options::Options;
use wythe_dockerfile::ast::{ArgItem, Dockerfile, Escape, From, Instruction, InstructionKind};
use wythe_dockerfile::expand::{ExpandError, Variables, expand};
use wythe_dockerfile::span::Span;
use wythe_dockerfile::stage::Stages;

use super::super::description_of;

/// An argument where it is declared.
#[derive(Clone, Debug)]
pub(super) struct Argument {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) value: String,
    /// Of the instruction that declares it.
    pub(super) span: Span,
    /// Which of the names of that instruction it is.
    pub(super) position: usize,
}

/// What is declared before the first stage.
#[derive(Debug)]
pub(super) struct Globals<'a> {
    given: &'a BTreeMap<String, String>,
    /// With what every build has.
    pub(super) values: BTreeMap<String, String>,
    pub(super) escape: Escape,
    declared: BTreeMap<String, Argument>,
    /// The names that defaults read, by the name of the argument.
    reads: BTreeMap<String, BTreeSet<String>>,
}

impl<'a> Globals<'a> {
    pub(super) fn new(file: &Dockerfile, stages: &Stages<'_>, options: &'a Options) -> Self {
        let mut globals = Self {
            given: &options.build_args,
            values: predefined(file, options),
            escape: file.directives.escape,
            declared: BTreeMap::new(),
            reads: BTreeMap::new(),
        };
        for instruction in stages.global {
            for (position, item) in items(instruction).enumerate() {
                globals.declare(instruction, position, item);
            }
        }
        globals
    }

    fn declare(&mut self, instruction: &Instruction, position: usize, item: &ArgItem) {
        let name = &item.name.value;
        let mut reads = BTreeSet::new();
        let default = item.default.as_ref().filter(|_| !self.given.contains_key(name));
        let default = default.map(|word| {
            let seen = Seen::new(&self.values);
            let value = as_far_as_known(&word.value, self.escape, &seen);
            reads = seen.names.into_inner();
            value
        });
        // An argument that is made of what it was before is made of what that was made of.
        if reads.remove(name) {
            reads.extend(self.reads.remove(name).unwrap_or_default());
        }
        let value = self.given.get(name).cloned().or(default);
        self.values.extend(value.clone().map(|value| (name.clone(), value)));
        self.reads.insert(name.clone(), reads);
        self.declared.insert(name.clone(), argument(instruction, position, item, value));
    }

    /// The arguments that a `FROM` reads.
    pub(super) fn read_by(&self, from: &From) -> BTreeSet<String> {
        let seen = Seen::new(&self.values);
        let words = from.platform.iter().chain([&from.image]);
        // What is wrong with a word is for a build to complain about.
        words.for_each(|word| drop(expand(&word.value, self.escape, &seen)));
        seen.names.into_inner()
    }
}

/// What a stage has declared up to one of its instructions.
#[derive(Clone, Debug)]
pub(super) struct Scope<'a> {
    globals: &'a Globals<'a>,
    values: BTreeMap<String, String>,
    declared: BTreeMap<String, Argument>,
    used: BTreeSet<String>,
    /// What of that its `FROM` reads, and those of the stages below it.
    by_from: BTreeSet<String>,
}

impl<'a> Scope<'a> {
    /// At the `FROM` of a stage that starts from an image.
    pub(super) fn new(globals: &'a Globals<'a>, from: &From) -> Self {
        let values = BTreeMap::new();
        let (declared, by_from) = (BTreeMap::new(), globals.read_by(from));
        Self { globals, values, declared, used: by_from.clone(), by_from }
    }

    /// At the `FROM` of a stage that starts from the stage that ends here.
    pub(super) fn above(&self, from: &From) -> Self {
        let mut above = Self::new(self.globals, from);
        above.values.clone_from(&self.values);
        above.by_from.extend(self.by_from.iter().cloned());
        above.used.clone_from(&above.by_from);
        above
    }

    /// Follows an instruction.
    pub(super) fn step(&mut self, instruction: &Instruction) {
        for (position, item) in items(instruction).enumerate() {
            self.declare(instruction, position, item);
        }
        if let InstructionKind::Env(list) = &instruction.kind {
            let before = self.values.clone();
            for pair in &list.pairs {
                let [key, value] = [&pair.key, &pair.value]
                    .map(|word| as_far_as_known(&word.value, self.globals.escape, &before));
                self.values.insert(key, value);
            }
        }
    }

    fn declare(&mut self, instruction: &Instruction, position: usize, item: &ArgItem) {
        let (name, globals) = (&item.name.value, self.globals);
        let default = item.default.as_ref();
        let default =
            default.map(|word| as_far_as_known(&word.value, globals.escape, &self.values));
        let own = globals.given.get(name).cloned().or(default);
        let global = globals.values.get(name).cloned();
        self.used.insert(name.clone());
        // What only says that a global argument is wanted declares nothing.
        if own.is_some() || global.is_none() {
            let argument = argument(instruction, position, item, own.clone());
            self.declared.insert(name.clone(), argument);
        }
        self.values.extend(own.or(global).map(|value| (name.clone(), value)));
    }

    /// A word as it is here.
    pub(super) fn expand(&self, word: &str) -> Result<String, ExpandError> {
        expand(word, self.globals.escape, &self.values).map(|expanded| expanded.value)
    }

    /// The arguments that the stage uses.
    pub(super) fn arguments(&self) -> impl Iterator<Item = &Argument> {
        let mut used = BTreeSet::new();
        let mut open: Vec<&String> = self.used.iter().collect();
        while let Some(name) = open.pop() {
            if used.insert(name) && !self.declared.contains_key(name) {
                open.extend(self.globals.reads.get(name).into_iter().flatten());
            }
        }
        let of = |name| self.declared.get(name).or_else(|| self.globals.declared.get(name));
        used.into_iter().filter_map(of)
    }
}

/// The names that an instruction declares.
fn items(instruction: &Instruction) -> impl Iterator<Item = &ArgItem> {
    let arg = if let InstructionKind::Arg(arg) = &instruction.kind { Some(arg) } else { None };
    arg.into_iter().flat_map(|arg| &arg.items)
}

fn argument(
    instruction: &Instruction,
    position: usize,
    item: &ArgItem,
    value: Option<String>,
) -> Argument {
    let name = item.name.value.clone();
    let description = description_of(instruction, &name);
    Argument {
        name,
        description,
        value: value.unwrap_or_default(),
        span: instruction.span,
        position,
    }
}

/// A word with nothing for what only a build knows; as it is written where it is wrong.
fn as_far_as_known(word: &str, escape: Escape, variables: &dyn Variables) -> String {
    expand(word, escape, variables).map_or_else(|_| word.to_owned(), |expanded| expanded.value)
}

/// Variables that note which of them are read.
struct Seen<'a> {
    values: &'a BTreeMap<String, String>,
    names: RefCell<BTreeSet<String>>,
}

impl<'a> Seen<'a> {
    fn new(values: &'a BTreeMap<String, String>) -> Self {
        Self { values, names: RefCell::default() }
    }
}

impl Variables for Seen<'_> {
    fn get(&self, name: &str) -> Option<String> {
        let value = Variables::get(self.values, name)?;
        self.names.borrow_mut().insert(name.to_owned());
        Some(value)
    }

    fn names(&self) -> Vec<String> {
        self.values.names()
    }
}
