//! What a step does, with every word expanded and every name resolved.
//!
//! [`Operation::facts`] lists what the result depends on besides the inputs. The same list is
//! hashed for the cache key and shown by `--explain`, so that an explanation cannot leave out a
//! reason for a miss.

pub mod copy;
pub mod facts;
pub mod run;

use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;

use self::copy::CopyStep;
use self::facts::{Fact, Facts};
use self::run::RunStep;

/// Which rules turn the facts and inputs of a step into its result.
///
/// To be raised with every change after which a step of the same facts and inputs can have another
/// result: what a `COPY` selects, what an owner or a mode becomes, what a `RUN` finds in its root.
/// Results of other rules are then found no more, and each step is done once again; nothing else
/// tells a store of a later program that what it remembers is wrong. A new fact needs no new rules.
pub const RULES: u32 = 7;

/// What a step does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Operation {
    /// Where a stage starts.
    Base(BaseSource),
    /// `COPY` and `ADD`.
    Copy(Box<CopyStep>),
    /// `RUN`
    Run(Box<RunStep>),
    /// `WORKDIR` other than `/`.
    Workdir(WorkdirStep),
}

/// Where a stage starts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BaseSource {
    /// An image; the manifest's digest joins the key once it is known.
    Image {
        /// Which.
        reference: Reference,
        /// For which platform.
        platform: Platform,
    },
    /// The image in a layout that a named context stands for.
    Layout {
        /// The name of the context.
        context: String,
        /// For which platform.
        platform: Platform,
    },
    /// The directory that a named context stands for, as a root file system.
    Directory {
        /// The name of the context.
        context: String,
    },
}

/// Makes sure that a directory exists.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WorkdirStep {
    /// The absolute path, cleaned.
    pub path: String,
    /// `USER` at this point: who owns directories that are created.
    pub user: String,
    /// `SOURCE_DATE_EPOCH`: the time of directories that are created.
    pub epoch: Option<i64>,
}

/// Where the files of a `COPY` or of a mount come from.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum FileSource {
    /// The main context.
    Context,
    /// The directory that a named context stands for.
    Directory(String),
    /// The root of one of the vertex's [inputs](crate::graph::Vertex::inputs), by position.
    Input(usize),
    /// An empty root.
    Nothing,
}

impl FileSource {
    /// The source as keys know it: the name of a context says nothing about what is in it.
    fn fact(&self) -> String {
        match self {
            Self::Context | Self::Directory(_) => "directory".to_owned(),
            Self::Input(position) => format!("input {position}"),
            Self::Nothing => "nothing".to_owned(),
        }
    }
}

/// How a step is looked up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lookup {
    /// Over its inputs' keys.
    Definition,
    /// Over what its inputs contain: the place of what is copied does not matter then.
    Content,
}

impl Operation {
    /// Whether it makes the same layer whatever it stands on.
    pub fn stands_alone(&self) -> bool {
        matches!(self, Self::Copy(step) if step.base == crate::copy::CopyTarget::Nothing)
    }

    /// The kind of the step, which keeps the keys of kinds apart.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Base(_) => "base",
            Self::Copy(_) => "copy",
            Self::Run(_) => "run",
            Self::Workdir(_) => "workdir",
        }
    }

    /// What the result depends on besides the inputs, in a fixed order. Of a base that is nothing:
    /// what its name stands for is an input, and how the name is spelt matters to nobody.
    pub fn facts(&self, lookup: Lookup) -> Vec<Fact> {
        let mut facts = Facts::default();
        facts.add("rules of this version", &RULES);
        match self {
            Self::Base(_) => {}
            Self::Copy(step) => step.facts(lookup, &mut facts),
            Self::Run(step) => step.facts(&mut facts),
            Self::Workdir(step) => step.facts(&mut facts),
        }
        facts.0
    }
}

impl WorkdirStep {
    fn facts(&self, facts: &mut Facts) {
        facts.add("path", &self.path);
        facts.add("user", &self.user);
        facts.optional("epoch", self.epoch.as_ref());
    }
}
