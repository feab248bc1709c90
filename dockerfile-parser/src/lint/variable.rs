//! Variables that nobody sets, and files that nobody sends.

use std::collections::BTreeSet;

use super::Linter;
use super::from::guess;
use super::rule::{COPY_IGNORED_FILE, UNDEFINED_VAR};
use super::scope::Scope;
use crate::ast::{
    ArgItem, Escape, Heredoc, HeredocExpansion, Instruction, InstructionKind, Source, Word,
};
use crate::expand::{ExpandError, Variables, expand_heredoc};
use crate::mount;

impl Linter<'_> {
    pub(super) fn escape(&self) -> Escape {
        self.parsed.dockerfile.directives.escape
    }

    /// Reports the variables that an instruction uses and nobody sets.
    pub(super) fn variables(&mut self, instruction: &Instruction, scope: &Scope) {
        let mut unset = BTreeSet::new();
        for word in words(&instruction.kind) {
            unset.extend(scope.expand(&word.value, self.escape()).unset);
        }
        for heredoc in heredocs(&instruction.kind) {
            unset.extend(expand_heredoc(&heredoc.text(), scope).unwrap_or_default().unset);
        }
        unset.extend(self.mounts(&instruction.kind, scope));
        self.undefined_vars(instruction, unset, scope);
        self.ignored(instruction, scope);
    }

    fn undefined_vars(
        &mut self,
        instruction: &Instruction,
        unset: BTreeSet<String>,
        scope: &Scope,
    ) {
        for name in unset.into_iter().filter(|name| scope.is_undefined(name)) {
            let guess = guess(&name, scope, "$");
            let message = format!("Usage of undefined variable '${name}'{guess}");
            self.report_at(&UNDEFINED_VAR, instruction, instruction.span, message);
        }
    }

    fn mounts(&self, kind: &InstructionKind, scope: &Scope) -> Vec<String> {
        let InstructionKind::Run(run) = kind else { return Vec::new() };
        let mut unset = Vec::new();
        for raw in run.mounts.iter().filter_map(|word| mount::parse(word).ok()) {
            let interpreted = raw.interpret(|text| {
                let expanded = scope.expand(text, self.escape());
                unset.extend(expanded.unset);
                Ok::<_, ExpandError>(expanded.value)
            });
            // What is wrong with a mount is said where it is built.
            drop(interpreted);
        }
        unset
    }

    /// Declares one name of an `ARG`.
    pub(super) fn declare(
        &mut self,
        instruction: &Instruction,
        item: &ArgItem,
        scope: &mut Scope,
        global: &Scope,
    ) {
        let name = &item.name.value;
        self.secret(instruction, "ARG", &item.name, name);
        let value = match (self.context.build_args.get(name), &item.default) {
            (Some(given), _) => Some(given.clone()),
            (None, None) => Variables::get(global, name),
            (None, Some(default)) => {
                let default = scope.expand(&default.value, self.escape());
                self.undefined_vars(instruction, default.unset.into_iter().collect(), scope);
                Some(default.value)
            }
        };
        scope.declare(name, value);
    }

    /// Reports sources that the ignore file keeps out of the context.
    fn ignored(&mut self, instruction: &Instruction, scope: &Scope) {
        let (command, sources) = match &instruction.kind {
            InstructionKind::Copy(copy) if copy.from.is_none() => ("Copy", &copy.sources),
            InstructionKind::Add(add) => ("Add", &add.sources),
            _ => return,
        };
        // An exception may bring back any part of what is excluded.
        let Some(ignore) = self.context.ignore.filter(|ignore| !ignore.has_exceptions()) else {
            return;
        };
        for word in sources.iter().filter_map(Source::word) {
            let source = scope.expand(&word.value, self.escape()).value;
            if source.contains("://") {
                continue;
            }
            let path = relative(&source);
            // A source that is the context itself is kept by all but what excludes everything.
            let excluded =
                if path.is_empty() { ignore.excludes_all() } else { ignore.excludes(&path) };
            if excluded {
                let path = if path.is_empty() { "." } else { &path };
                let message = format!(
                    "Attempting to {command} file {path:?} that is excluded by .dockerignore"
                );
                self.report(&COPY_IGNORED_FILE, instruction, word, message);
            }
        }
    }
}

/// A path of the context, without `.`, `..` and slashes at its ends.
fn relative(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// The words of an instruction that are expanded, but for those of `ARG`, whose names see each
/// other.
fn words(kind: &InstructionKind) -> Vec<&Word> {
    match kind {
        InstructionKind::Add(add) => {
            let flags = add.chown.iter().chain(&add.chmod).chain(&add.checksum);
            flags
                .chain(add.sources.iter().filter_map(Source::word))
                .chain([&add.destination])
                .collect()
        }
        InstructionKind::Copy(copy) => {
            let flags = copy.chown.iter().chain(&copy.chmod);
            flags
                .chain(copy.sources.iter().filter_map(Source::word))
                .chain([&copy.destination])
                .collect()
        }
        InstructionKind::Env(pairs) | InstructionKind::Label(pairs) => {
            pairs.pairs.iter().flat_map(|pair| [&pair.key, &pair.value]).collect()
        }
        InstructionKind::Volume(list) => list.words.iter().collect(),
        InstructionKind::Stopsignal(word)
        | InstructionKind::User(word)
        | InstructionKind::Workdir(word) => vec![word],
        InstructionKind::Arg(_)
        | InstructionKind::Cmd(_)
        | InstructionKind::Entrypoint(_)
        // Its words may well vanish: what is left of them is a list.
        | InstructionKind::Expose(_)
        | InstructionKind::From(_)
        | InstructionKind::Healthcheck(_)
        | InstructionKind::Maintainer(_)
        | InstructionKind::Onbuild(_)
        | InstructionKind::Run(_)
        | InstructionKind::Shell(_) => Vec::new(),
    }
}

/// The heredocs whose bodies the builder expands.
fn heredocs(kind: &InstructionKind) -> Vec<&Heredoc> {
    let sources = match kind {
        InstructionKind::Add(add) => &add.sources,
        InstructionKind::Copy(copy) => &copy.sources,
        _ => return Vec::new(),
    };
    let heredocs = sources.iter().filter_map(|source| match source {
        Source::Heredoc(heredoc) if heredoc.expansion == HeredocExpansion::Expand => Some(heredoc),
        Source::Heredoc(_) | Source::Word(_) => None,
    });
    heredocs.collect()
}
