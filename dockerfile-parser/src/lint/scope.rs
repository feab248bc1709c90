//! The variables of a stage, as far as a Dockerfile tells.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::ast::Escape;
use crate::expand::{Expanded, Variables, expand};

/// What is set and declared at one point of a stage.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    values: BTreeMap<String, String>,
    /// Declared by `ARG`, with a value or without.
    declared: BTreeSet<String>,
    /// Whether everything that the base image sets is known.
    pub(super) base: BaseEnv,
}

/// Whether the environment of the base image is known.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum BaseEnv {
    /// It is.
    #[default]
    Known,
    /// It may set any variable.
    Unknown,
}

impl Scope {
    /// The scope of a stage over an image with these variables, as `NAME=value`.
    pub(super) fn over(environment: Option<&[String]>) -> Self {
        let base = if environment.is_some() { BaseEnv::Known } else { BaseEnv::Unknown };
        let mut scope = Self { base, ..Self::default() };
        // Every image has a search path, one from scratch included.
        scope.set("PATH", String::new());
        for (name, value) in
            environment.unwrap_or_default().iter().filter_map(|pair| pair.split_once('='))
        {
            scope.set(name, value.to_owned());
        }
        scope
    }

    pub(super) fn set(&mut self, name: &str, value: String) {
        self.values.insert(name.to_owned(), value);
    }

    pub(super) fn declare(&mut self, name: &str, value: Option<String>) {
        self.declared.insert(name.to_owned());
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    /// A word expanded as far as possible; errors are the builder's to report.
    pub(super) fn expand(&self, word: &str, escape: Escape) -> Expanded {
        expand(word, escape, self).unwrap_or_default()
    }

    /// Whether a name that has no value is a mistake.
    pub(super) fn is_undefined(&self, name: &str) -> bool {
        self.base == BaseEnv::Known && !self.declared.contains(name) && !CONTROLS.contains(&name)
    }
}

impl Variables for Scope {
    fn get(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.values.keys().chain(&self.declared).cloned().collect()
    }
}

/// Arguments that speak to the builder: a stage has no variable of their name even where it
/// declares them.
const CONTROLS: [&str; 2] = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

/// The names a word reads, whether they are set or not.
pub(super) fn names(word: &str, escape: Escape) -> BTreeSet<String> {
    let read = Read::default();
    // Whatever is wrong with the word, the builder tells.
    drop(expand(word, escape, &read));
    read.0.into_inner()
}

/// Variables that are all set, and remember which were asked for.
#[derive(Default)]
struct Read(RefCell<BTreeSet<String>>);

impl Variables for Read {
    fn get(&self, name: &str) -> Option<String> {
        self.0.borrow_mut().insert(name.to_owned());
        Some("set".to_owned())
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}
