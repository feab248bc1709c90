//! Why a COPY or ADD cannot be done, in words of the Dockerfile and the image only.

use super::canvas::PathCause;
use crate::ignore::IgnoredBy;

/// A source that cannot be copied, or a destination that cannot take it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("cannot copy {subject:?}")]
pub struct CopyError {
    /// The source as written, or the absolute path in the image.
    pub subject: String,
    /// Why not.
    #[source]
    pub cause: CopyCause,
}

/// Why a copy fails.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CopyCause {
    /// There is nothing of that name.
    #[error("{0}")]
    Missing(Box<Missing>),
    /// The pattern has an open bracket, a range that ends before it begins, or ends in an escape.
    #[error("syntax error in pattern")]
    Pattern,
    /// An `--exclude` pattern cannot be understood.
    #[error("syntax error in exclude pattern {0:?}")]
    Exclude(String),
    /// The path leads through a file or in circles.
    #[error(transparent)]
    Path(#[from] PathCause),
    /// A file, link or device would replace a directory.
    #[error("{path:?} in the image is a directory and cannot be replaced by a file")]
    FileOntoDirectory {
        /// The path in the image.
        path: String,
    },
    /// A directory would replace something else.
    #[error("{path:?} in the image is not a directory, so a directory cannot be copied onto it")]
    DirectoryOntoFile {
        /// The path in the image.
        path: String,
    },
}

/// A source that is not there, and what may help to see why.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Missing {
    /// The path that was looked for, from the source's root, after following links.
    pub path: String,
    /// Up to three existing paths with similar names, the most similar first.
    pub nearest: Vec<String>,
    /// The line of an ignore file that takes the path out, if one does.
    pub ignored: Option<IgnoredBy>,
    /// Where it was looked for, as in "the build context", where that is known.
    pub within: Option<String>,
}

impl CopyError {
    /// The error with where a missing source was looked for.
    #[must_use]
    pub(crate) fn within(mut self, place: &str) -> Self {
        if let CopyCause::Missing(missing) = &mut self.cause {
            missing.within = Some(place.to_owned());
        }
        self
    }
}

impl std::fmt::Display for Missing {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:?} not found", self.path)?;
        if let Some(place) = &self.within {
            write!(out, " in {place}")?;
        }
        match &self.ignored {
            Some(by) => write!(out, ": excluded by {:?} in {}:{}", by.pattern, by.file, by.line),
            None => Ok(()),
        }
    }
}

/// Up to three of `names` that are similar to `wanted`, the most similar first.
pub(crate) fn nearest<'a>(wanted: &[u8], names: impl Iterator<Item = &'a [u8]>) -> Vec<&'a [u8]> {
    let limit = wanted.len().div_ceil(2).max(1);
    let mut scored: Vec<(usize, &[u8])> = names
        .map(|name| (distance(wanted, name), name))
        .filter(|&(distance, _)| distance <= limit)
        .collect();
    scored.sort_unstable();
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Edits between two names, letters of either case alike.
fn distance(left: &[u8], right: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, a) in left.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, b) in right.iter().enumerate() {
            let changed = diagonal + usize::from(!a.eq_ignore_ascii_case(b));
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_names_come_first_and_strangers_not_at_all() {
        let names = ["src", "scr", "Source", "unrelated", "src2"];
        let found = nearest(b"SRC", names.iter().map(|name| name.as_bytes()));
        assert_eq!(found, [&b"src"[..], b"src2", b"scr"]);
    }

    #[test]
    fn a_missing_source_names_the_line_that_hides_it() {
        let ignored = IgnoredBy { file: ".dockerignore".into(), line: 3, pattern: "*.md".into() };
        let missing = Missing {
            path: "/a.md".into(),
            ignored: Some(ignored),
            within: Some("the build context".into()),
            ..Missing::default()
        };
        assert_eq!(
            missing.to_string(),
            "\"/a.md\" not found in the build context: excluded by \"*.md\" in .dockerignore:3"
        );
    }
}
