//! Ignore rules: the lines of an ignore file, or the patterns of `--exclude`.

use crate::copy::error::IgnoredBy;
use crate::copy::route::{Front, Reach, Route, start};

/// Patterns in order, the last match of which decides.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Vec<(Route, bool, u32, String)>,
    file: String,
}

/// A pattern that cannot be understood.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("syntax error in pattern {pattern:?} at {file}:{line}")]
pub struct RuleError {
    /// The ignore file, or `--exclude`.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The pattern.
    pub pattern: String,
}

impl Rules {
    /// The rules of an ignore file.
    ///
    /// # Errors
    /// The first line whose pattern has no end.
    pub fn parse(file: &str, text: &str) -> Result<Self, RuleError> {
        let mut rules = Vec::new();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let pattern = line.trim();
            let (keep, body) = match pattern.strip_prefix('!') {
                Some(body) => (true, body.trim()),
                None => (false, pattern),
            };
            let Some(route) = Route::nested(body) else {
                let (file, pattern) = (file.to_owned(), pattern.to_owned());
                return Err(RuleError { file, line: line_number(index), pattern });
            };
            if !route.steps().is_empty() {
                rules.push((route, keep, line_number(index), pattern.to_owned()));
            }
        }
        Ok(Self { rules, file: file.to_owned() })
    }

    /// The rules of `--exclude`.
    ///
    /// # Errors
    /// The first pattern that has no end.
    pub fn exclude(patterns: &[String]) -> Result<Self, RuleError> {
        Self::parse("--exclude", &patterns.join("\n"))
    }

    /// Whether nothing is ever excluded.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a path is excluded.
    pub fn excludes(&self, path: &[u8]) -> bool {
        self.deciding(path).is_some_and(|index| !self.rules[index].1)
    }

    /// The line that excludes a path.
    pub fn excluded_by(&self, path: &[u8]) -> Option<IgnoredBy> {
        let (_, keep, line, pattern) = &self.rules[self.deciding(path)?];
        (!keep).then(|| IgnoredBy {
            file: self.file.clone(),
            line: *line,
            pattern: pattern.clone(),
        })
    }

    /// Whether something below an excluded directory may be kept after all.
    pub fn may_keep_below(&self, _directory: &[u8]) -> bool {
        self.rules.iter().any(|(_, keep, ..)| *keep)
    }

    fn deciding(&self, path: &[u8]) -> Option<usize> {
        (0..self.rules.len()).rev().find(|&index| whole(&self.rules[index].0, path))
    }
}

fn line_number(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

fn whole(route: &Route, path: &[u8]) -> bool {
    let routes = std::slice::from_ref(route);
    let mut reach = start(routes);
    for name in path.split(|&byte| byte == b'/') {
        reach = match reach {
            Reach::Toward(front) => Front::step(&front, routes, name),
            done @ (Reach::Nothing | Reach::Whole) => return done == Reach::Whole,
        };
    }
    reach == Reach::Whole
}
