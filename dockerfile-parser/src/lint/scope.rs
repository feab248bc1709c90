//! The variables of a stage, as far as a Dockerfile tells.

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
    pub(super) base: Base,
}

/// Whether the environment of the base image is known.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Base {
    /// It is.
    #[default]
    Known,
    /// It may set any variable.
    Unknown,
}

impl Scope {
    /// The scope of a stage over an image with these variables, as `NAME=value`.
    pub(super) fn over(environment: Option<&[String]>) -> Self {
        let base = if environment.is_some() { Base::Known } else { Base::Unknown };
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
        self.base == Base::Known && !self.declared.contains(name) && !is_proxy(name)
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

/// Proxies may be used without being declared.
fn is_proxy(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let known = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];
    known.contains(&upper.as_str()) && (name == upper || name == name.to_ascii_lowercase())
}
