//! Ignore rules: the lines of an ignore file, or the patterns of `--exclude`.

use crate::copy::error::IgnoredBy;
use crate::copy::route::{Reach, Route, start};

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
            // Cleaning must not pull a pattern from outside the context into it.
            if leads_out(body) {
                continue;
            }
            let route = Route::nested(body).filter(|_| !body.is_empty());
            let Some(route) = route else {
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

    /// Whether something below an excluded directory may be kept after all: only where an exception
    /// leads, so that a large excluded directory is not walked for an exception elsewhere.
    pub fn may_keep_below(&self, directory: &[u8]) -> bool {
        let leads = |route: &Route| reach(route, directory) != Reach::Nothing;
        self.rules.iter().any(|(route, keep, ..)| *keep && leads(route))
    }

    fn deciding(&self, path: &[u8]) -> Option<usize> {
        (0..self.rules.len()).rev().find(|&index| whole(&self.rules[index].0, path))
    }
}

fn leads_out(pattern: &str) -> bool {
    let mut depth = 0_usize;
    !pattern.starts_with('/')
        && pattern.split('/').any(|part| match part {
            "" | "." => false,
            ".." if depth == 0 => true,
            ".." => {
                depth -= 1;
                false
            }
            _ => {
                depth += 1;
                false
            }
        })
}

fn line_number(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

fn whole(route: &Route, path: &[u8]) -> bool {
    reach(route, path) == Reach::Whole
}

fn reach(route: &Route, path: &[u8]) -> Reach {
    let routes = std::slice::from_ref(route);
    let mut reach = start(routes);
    for name in path.split(|&byte| byte == b'/') {
        let Reach::Toward(front) = &reach else { return reach };
        reach = front.step(routes, name);
    }
    reach
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_elsewhere_does_not_open_an_excluded_directory() {
        let rules = Rules::parse("i", "node_modules\n*.md\n!docs/*.md\n!**/keep\n").unwrap();
        assert!(!Rules::parse("i", "a\n!b/c\n").unwrap().may_keep_below(b"a"));
        assert!(rules.may_keep_below(b"node_modules"));
        assert!(rules.excludes(b"node_modules/x") && !rules.excludes(b"node_modules/keep"));
        assert!(rules.excludes(b"a.md") && !rules.excludes(b"docs/a.md"));
    }

    #[test]
    fn patterns_that_clean_to_nothing_exclude_nothing() {
        for text in [".", "/", "SRC", "{a,b}.txt", "\u{feff}# c", "*/*/foo", "../src"] {
            let rules = Rules::parse("i", text).unwrap();
            assert!(!rules.excludes(b"src") && !rules.excludes(b"a.txt"), "{text}");
        }
    }

    #[test]
    fn blanks_comments_and_escapes() {
        let rules = Rules::parse("i", "# c\n  foo  \n\n\\#hash\n #x\n* \n! src/foo \n").unwrap();
        assert!(rules.excludes(b"foo") && rules.excludes(b"#hash") && rules.excludes(b"#x"));
        assert!(!rules.excludes(b"src/foo") && rules.excludes(b"src/bar"));
    }
}
