//! Why a step ran: values that events and answers carry, and their sentences.

use std::fmt;

use wythe_store::id::CacheKey;
use wythe_store::record_origin::RecordOrigin;
use wythe_store::timestamp::Timestamp;

/// Why a step was not answered from the cache.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// It was to run whatever is remembered: `--no-cache`.
    Refresh,
    /// A step that it reads was to run whatever is remembered.
    RefreshBelow {
        /// The name of that step.
        step: String,
    },
    /// No earlier result of the step is known.
    Unknown,
    /// The step failed when it was last made from the same.
    Failed,
    /// It was made from the same before, but that result is not kept any more.
    Evicted,
    /// The nearest earlier result was made from something else.
    Changed {
        /// Under which key that result is remembered.
        earlier: CacheKey,
        /// When it was made.
        created: Timestamp,
        /// Where and from which source, if it is another machine's that says so.
        origin: Option<RecordOrigin>,
        /// What differs; never empty.
        changes: Vec<InputChange>,
    },
}

/// Something that a step is made from and that is another than it was.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum InputChange {
    /// Something that the Dockerfile or the command line says. A side on which nothing is said is absent.
    Value {
        /// What it is: `the command`, `variable V`, `mount /x: path`.
        what: String,
        /// What it was.
        old: Option<String>,
        /// What it is now.
        new: Option<String>,
    },
    /// A value that is not shown, because it is secret.
    Hidden {
        /// What it is.
        what: String,
    },
    /// The image that the stage starts from, each as `REFERENCE@DIGEST`.
    Base {
        /// What it was.
        old: String,
        /// What it is now.
        new: String,
    },
    /// Files that the step reads.
    Files {
        /// Where they come from: `the build context`, `stage build`.
        within: String,
        /// The first of those that differ, in the order of their paths.
        files: Vec<FileChange>,
        /// How many more differ.
        more: usize,
    },
    /// Files that the step reads differ, but which is not known.
    Contents {
        /// Where they come from.
        within: String,
    },
    /// What another step made.
    Step {
        /// The name of that step.
        step: String,
    },
}

/// A file that a step reads and that is another than it was.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileChange {
    /// Its path from where the files come from.
    pub path: String,
    /// What became of it.
    pub kind: FileDifference,
}

/// What became of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FileDifference {
    /// There was none.
    Added,
    /// It is gone.
    Removed,
    /// It is of another type.
    Type,
    /// It has other bytes, or leads elsewhere.
    Content,
    /// It has another mode.
    Mode {
        /// The one it had.
        old: u32,
        /// The one it has.
        new: u32,
    },
    /// It belongs to others, each as user and group.
    Owner {
        /// Whose it was.
        old: (u32, u32),
        /// Whose it is.
        new: (u32, u32),
    },
    /// It has other extended attributes.
    Attributes,
}

impl FileDifference {
    /// One word for it, as JSON has it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Type => "type",
            Self::Content => "content",
            Self::Mode { .. } => "mode",
            Self::Owner { .. } => "owner",
            Self::Attributes => "attributes",
        }
    }
}

impl fmt::Display for Reason {
    /// One sentence without an end.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refresh => out.write_str("it was to run without the cache"),
            Self::RefreshBelow { step } => {
                write!(out, "it stands on a step that was to run without the cache: {step}")
            }
            Self::Unknown => out.write_str("no earlier result is known"),
            Self::Failed => out.write_str("it failed the last time"),
            Self::Evicted => out.write_str("its earlier result is not kept any more"),
            Self::Changed { changes, origin, created, .. } => {
                list(out, changes, "; ")?;
                origin.iter().try_for_each(|origin| since(out, *created, origin))
            }
        }
    }
}

impl fmt::Display for InputChange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { what, old: Some(old), new: Some(new) } => {
                write!(out, "{what} changed from {old:?} to {new:?}")
            }
            Self::Value { what, old: None, new: Some(new) } => write!(out, "{what} {new:?} is new"),
            Self::Value { what, old: Some(old), new: None } => {
                write!(out, "{what} {old:?} is gone")
            }
            Self::Value { what, old: None, new: None } => write!(out, "{what} changed"),
            Self::Hidden { what } => write!(out, "{what} changed, which is secret"),
            Self::Base { old, new } => write!(out, "the base changed from {old} to {new}"),
            Self::Files { within, files, more } => {
                write!(out, "files of {within} changed: ")?;
                list(out, files, ", ")?;
                if *more > 0 { write!(out, " and {more} more") } else { Ok(()) }
            }
            Self::Contents { within } => write!(out, "files of {within} changed"),
            Self::Step { step } => write!(out, "what it stands on or reads changed: {step}"),
        }
    }
}

impl fmt::Display for FileChange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.kind {
            FileDifference::Mode { old, new } => {
                write!(out, "{path} (mode {old:04o} to {new:04o})")
            }
            FileDifference::Owner { old, new } => {
                write!(out, "{path} (owner {}:{} to {}:{})", old.0, old.1, new.0, new.1)
            }
            kind @ (FileDifference::Added
            | FileDifference::Removed
            | FileDifference::Type
            | FileDifference::Content
            | FileDifference::Attributes) => write!(out, "{path} ({})", kind.name()),
        }
    }
}

/// When, where and from what another machine made what a step is compared with.
fn since(out: &mut fmt::Formatter<'_>, created: Timestamp, origin: &RecordOrigin) -> fmt::Result {
    out.write_str(", since it was made")?;
    if let Ok(date) = jiff::Timestamp::from_second(created.seconds) {
        write!(out, " at {date}")?;
    }
    write!(out, " {origin}")
}

fn list(out: &mut fmt::Formatter<'_>, parts: &[impl fmt::Display], between: &str) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            out.write_str(between)?;
        }
        write!(out, "{part}")?;
    }
    Ok(())
}
