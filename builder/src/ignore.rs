//! Ignore rules: the lines of an ignore file, or the patterns of `--exclude`.

use wythe_dockerfile::pattern::{Exclusion, Level, PatternCause, PatternError, PatternSet};

/// Patterns in order, which go down with a walk from directory to directory.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    patterns: PatternSet,
    file: String,
    text: String,
}

/// A pattern that cannot be understood.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{cause}{}", self.place())]
pub struct RuleError {
    /// The ignore file, or `--exclude`.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The pattern.
    pub pattern: String,
    /// Why not.
    pub cause: PatternCause,
}

/// A line of an ignore file that takes a path out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IgnoredBy {
    /// The ignore file's name within the context.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// What is on it.
    pub pattern: String,
}

impl RuleError {
    /// The pattern and where it stands; a file that is no text has none to show.
    fn place(&self) -> String {
        let Self { file, line, pattern, cause } = self;
        if *cause == PatternCause::Wide {
            return String::new();
        }
        format!(" {pattern:?} at {file}:{line}")
    }
}

impl Rules {
    /// The rules of an ignore file.
    ///
    /// # Errors
    /// The first line that cannot be understood.
    pub fn parse(file: &str, text: &str) -> Result<Self, RuleError> {
        let rules = Self::of(file, PatternSet::parse_ignore_file(text))?;
        Ok(Self { text: text.to_owned(), ..rules })
    }

    /// The rules of `--exclude`.
    ///
    /// # Errors
    /// The first pattern that cannot be understood.
    pub fn exclude(patterns: &[String]) -> Result<Self, RuleError> {
        Self::of("--exclude", PatternSet::from_patterns(patterns))
    }

    fn of(file: &str, patterns: Result<PatternSet, PatternError>) -> Result<Self, RuleError> {
        let file = file.to_owned();
        match patterns {
            Ok(patterns) => Ok(Self { patterns, file, text: String::new() }),
            Err(PatternError { line, pattern, cause }) => {
                Err(RuleError { file, line: line_number(line), pattern, cause })
            }
        }
    }

    /// The text of the ignore file.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The patterns.
    pub fn patterns(&self) -> &PatternSet {
        &self.patterns
    }

    /// Whether nothing is ever excluded.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether a path is excluded.
    pub fn excludes(&self, path: &[u8]) -> bool {
        self.patterns.excludes(&String::from_utf8_lossy(path))
    }

    /// The line that excludes a path.
    pub fn excluded_by(&self, path: &[u8]) -> Option<IgnoredBy> {
        let path = String::from_utf8_lossy(path);
        let decision = self.patterns.decide(&path)?;
        (decision.outcome == Exclusion::Excluded).then(|| IgnoredBy {
            file: self.file.clone(),
            line: line_number(decision.line),
            pattern: decision.pattern.to_owned(),
        })
    }

    /// The directory that paths begin in.
    pub fn top(&self) -> Level {
        self.patterns.top()
    }

    /// Goes down into a directory of a directory. What may hold something that is kept is known
    /// there, so that a large excluded directory is not walked for an exception elsewhere.
    pub fn enter(&self, above: &Level, path: &[u8]) -> Level {
        self.patterns.enter(above, &String::from_utf8_lossy(path))
    }

    /// Whether an entry of a directory is excluded.
    pub fn excludes_in(&self, above: &Level, path: &[u8]) -> bool {
        self.patterns.excludes_in(above, &String::from_utf8_lossy(path))
    }
}

fn line_number(line: usize) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_elsewhere_does_not_open_an_excluded_directory() {
        let rules = Rules::parse("i", "node_modules\n*.md\n!docs/*.md\n!**/keep\n").unwrap();
        let opens = |rules: &Rules, path: &[u8]| rules.enter(&rules.top(), path).may_keep_below();
        assert!(!opens(&Rules::parse("i", "a\n!b/c\n").unwrap(), b"a"));
        assert!(opens(&rules, b"node_modules"));
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

    #[test]
    fn two_stars_in_a_name_may_stand_for_nothing() {
        let rules = Rules::parse("i", "a**b\n").unwrap();
        assert!(rules.excludes(b"ab") && rules.excludes(b"ax/b") && !rules.excludes(b"axb"));
    }

    #[test]
    fn a_leading_slash_anchors_in_a_file_and_matches_nothing_in_a_flag() {
        assert!(Rules::parse("i", "/b\n").unwrap().excludes(b"b"));
        assert!(!Rules::exclude(&["/b".to_owned()]).unwrap().excludes(b"b"));
    }

    #[test]
    fn a_lone_bang_is_refused_by_file_and_line() {
        let error = Rules::parse(".dockerignore", "a\n!\n").unwrap_err();
        assert_eq!(error.to_string(), "illegal exclusion pattern: \"!\" at .dockerignore:2");
        let error = Rules::parse(".dockerignore", "[a\n").unwrap_err();
        assert_eq!(error.to_string(), "syntax error in pattern \"[a\" at .dockerignore:1");
    }
}
