//! Ignore patterns: which paths of a context are left out.
//!
//! Patterns are asked in order, and one that would change nothing about a path is not asked. What
//! matched a directory counts as matched by all that is in it, and nothing else that was asked about
//! the directory does: after `**/.env`, `!src` says nothing about `src`, which is not left out, and
//! so nothing about `src/.env` either. This is why patterns go down with a walk, as a [`Level`] per
//! directory. Matching takes time proportional to the pattern and the path, whatever the pattern.

mod automaton;
pub mod component;
mod escape;
mod path;
mod regular;
mod syntax;
mod walk;

use path::PathPattern;

use crate::line::is_wide;
pub use walk::Level;

/// Patterns in order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PatternSet {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Rule {
    pattern: PathPattern,
    outcome: Exclusion,
    line: usize,
    text: String,
}

/// What a pattern says about the paths it matches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exclusion {
    /// They are left out.
    Excluded,
    /// `!`: they are kept after all.
    Kept,
}

/// What decides about a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Decision<'a> {
    /// The position of the deciding pattern in the set.
    pub index: usize,
    /// The line of the deciding pattern, from 1.
    pub line: usize,
    /// The deciding pattern as written, without blanks around it.
    pub pattern: &'a str,
    /// What it decides.
    pub outcome: Exclusion,
}

/// A pattern that cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{cause} {pattern:?}")]
pub struct PatternError {
    /// The line, from 1.
    pub line: usize,
    /// The pattern as written, without blanks around it.
    pub pattern: String,
    /// Why.
    pub cause: PatternCause,
}

/// Why a pattern cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternCause {
    /// `!` without a pattern.
    #[error("illegal exclusion pattern:")]
    LoneBang,
    /// The text of the file is encoded in another way than all others.
    #[error("the file is UTF-16, not UTF-8")]
    Wide,
    /// A class or an escape without an end, or a range that ends before it begins.
    #[error("{0}")]
    Malformed(#[from] Malformed),
}

/// A class is not closed or empty, a range lacks an end or ends before it begins, or a backslash comes
/// last.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("syntax error in pattern")]
pub struct Malformed;

impl PatternSet {
    /// Reads an ignore file.
    ///
    /// # Errors
    /// The first line that cannot be read.
    pub fn parse_ignore_file(text: &str) -> Result<Self, PatternError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if is_wide(text) {
            let pattern = text.lines().next().unwrap_or_default().to_owned();
            return Err(PatternError { line: 1, pattern, cause: PatternCause::Wide });
        }
        let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#'));
        Self::collect(lines.map(|(index, line)| (index + 1, line)), Root::Dropped)
    }

    /// Patterns that do not come from a file: `#` means nothing, and one that begins with `/`
    /// matches no path.
    ///
    /// # Errors
    /// The first pattern that cannot be read; its line is its position.
    pub fn from_patterns(patterns: &[String]) -> Result<Self, PatternError> {
        let lines = patterns.iter().enumerate().map(|(index, line)| (index + 1, line.as_str()));
        Self::collect(lines, Root::Meant)
    }

    fn collect<'a>(
        lines: impl Iterator<Item = (usize, &'a str)>,
        root: Root,
    ) -> Result<Self, PatternError> {
        let mut rules: Vec<Rule> = Vec::new();
        let lines = lines.map(|(number, line)| (number, line.trim()));
        for (line, pattern) in lines.filter(|(_, line)| !line.is_empty()) {
            match rule(line, pattern, root) {
                Ok(rule) => rules.push(rule),
                Err(PatternCause::Malformed(_)) if is_unasked(&rules, pattern) => {}
                Err(cause) => {
                    return Err(PatternError { line, pattern: pattern.to_owned(), cause });
                }
            }
        }
        Ok(Self { rules })
    }

    /// Whether there is no pattern.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a pattern excludes everything there is at the root.
    pub fn excludes_all(&self) -> bool {
        let all = |rule: &Rule| ["*", "**", "**/*"].contains(&rule.text.trim_start_matches('/'));
        self.rules.iter().any(|rule| rule.outcome == Exclusion::Excluded && all(rule))
    }

    /// Whether there is a `!`.
    pub fn has_exceptions(&self) -> bool {
        self.rules.iter().any(|rule| rule.outcome == Exclusion::Kept)
    }

    /// What decides about a path, which is relative, clean, and has `/` between its names.
    pub fn decide(&self, path: &str) -> Option<Decision<'_>> {
        let mut level = self.top();
        for (end, _) in path.match_indices('/') {
            level = self.enter(&level, &path[..end]);
        }
        self.decide_in(&level, path)
    }

    /// Whether a path is left out.
    pub fn excludes(&self, path: &str) -> bool {
        self.decide(path).is_some_and(|decision| decision.outcome == Exclusion::Excluded)
    }
}

/// What a leading `/` means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Root {
    /// Nothing.
    Dropped,
    /// The root of the file system, which no relative path is below.
    Meant,
}

fn rule(line: usize, text: &str, root: Root) -> Result<Rule, PatternCause> {
    let (outcome, pattern) = match text.strip_prefix('!') {
        Some(pattern) => (Exclusion::Kept, pattern.trim()),
        None => (Exclusion::Excluded, text),
    };
    if pattern.is_empty() {
        return Err(PatternCause::LoneBang);
    }
    let clean = clean(pattern);
    let relative = clean.strip_prefix('/').filter(|rest| root == Root::Dropped && !rest.is_empty());
    let pattern = PathPattern::parse(relative.unwrap_or(&clean))?;
    Ok(Rule { pattern, outcome, line, text: text.to_owned() })
}

/// Whether nobody asks an exception, because nothing is left out before it. Only what is asked becomes a
/// regular expression, so that it may well be none.
fn is_unasked(above: &[Rule], text: &str) -> bool {
    let is_name_pattern = |pattern: &str| syntax::tokens(&clean(pattern.trim())).is_ok();
    above.iter().all(|rule| rule.outcome == Exclusion::Kept)
        && text.strip_prefix('!').is_some_and(is_name_pattern)
}

/// Go's `path.Clean`: no double slashes, no `.`, and no `..` but at the start of a relative path.
fn clean(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match (part, parts.last()) {
            ("" | ".", _) => {}
            ("..", Some(&last)) if last != ".." => drop(parts.pop()),
            ("..", None) if absolute => {}
            _ => parts.push(part),
        }
    }
    match (absolute, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

#[cfg(test)]
mod tests;
