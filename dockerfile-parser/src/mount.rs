//! `RUN --mount`: from comma-separated fields to a typed mount.
//!
//! Two steps, because the variables are known late: [`parse`] splits and names the fields,
//! [`RawMount::interpret`] expands their values and applies the rules of the mount's type. The order
//! of the fields means nothing.

mod field;
mod settings;
mod value;

use std::fmt::Display;

use crate::ast::Word;
use crate::diagnostic::Diagnostic;
use crate::span::Span;
use field::{Field, Key};
use settings::Settings;

/// A mount.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Mount {
    /// Files of the build context, a stage or an image.
    Bind(BindMount),
    /// A directory that outlives the build.
    Cache(CacheMount),
    /// A secret as a file, a variable or both.
    Secret(SecretMount),
    /// The socket of an SSH agent.
    Ssh(SshMount),
    /// An empty file system in memory.
    Tmpfs(TmpfsMount),
}

/// `type=bind`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BindMount {
    /// The stage, image or context; the main context if absent.
    pub from: Option<String>,
    /// The path in it; its root if absent.
    pub source: Option<String>,
    /// Where to, as written.
    pub target: String,
    /// Whether the step may write. What it writes is discarded.
    pub access: Access,
}

/// `type=cache`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CacheMount {
    /// What it is known by; the target if absent.
    pub id: Option<String>,
    /// Where to, as written.
    pub target: String,
    /// Who may use it at once.
    pub sharing: Sharing,
    /// The stage, image or context a new one starts with.
    pub from: Option<String>,
    /// The path in it.
    pub source: Option<String>,
    /// Owner and mode of a new one.
    pub owner: Owner,
    /// Whether the step may write.
    pub access: Access,
}

/// `type=tmpfs`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TmpfsMount {
    /// Where to, as written.
    pub target: String,
    /// Its size in bytes.
    pub size: Option<u64>,
}

/// `type=secret`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SecretMount {
    /// Which secret.
    pub id: String,
    /// The file; absent where the secret is a variable only.
    pub target: Option<String>,
    /// Whether the step fails without it.
    pub required: Requirement,
    /// Owner and mode of the file.
    pub owner: Owner,
    /// The variable.
    pub env: Option<String>,
}

/// `type=ssh`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SshMount {
    /// Which agent; `default` if not written.
    pub id: String,
    /// The socket; the builder chooses a path if absent.
    pub target: Option<String>,
    /// Whether the step fails without it.
    pub required: Requirement,
    /// Owner and mode of the socket.
    pub owner: Owner,
}

/// Whether a step may write to a mount.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// It may not.
    ReadOnly,
    /// It may.
    ReadWrite,
}

/// Who may use a cache at once.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Sharing {
    /// Everybody.
    #[default]
    Shared,
    /// One step; others get a directory of their own.
    Private,
    /// One step; others wait.
    Locked,
}

/// Whether a step fails when something it asks for is not there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Requirement {
    /// It runs without.
    Optional,
    /// It fails.
    Required,
}

/// Owner and permission bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The permission bits.
    pub mode: u32,
}

/// The fields of a `--mount`, unexpanded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RawMount {
    fields: Vec<Field>,
    span: Span,
}

/// Splits the value of a `--mount`.
///
/// # Errors
/// A field that is no `key=value` pair, an unknown key, a variable in `from`, a quote left open.
pub fn parse(raw: &Word) -> Result<RawMount, Diagnostic> {
    Ok(RawMount { fields: field::read(raw)?, span: raw.span })
}

impl RawMount {
    /// The stage, image or context that is mounted; it holds no variables, so it is known early.
    pub fn from(&self) -> Option<&str> {
        let last = self.fields.iter().rev().find(|field| field.key == Key::From)?;
        last.value.as_deref().filter(|from| !from.is_empty())
    }

    /// Expands the values and reads the mount.
    ///
    /// # Errors
    /// What `expand` refuses, keys that the type does not know, values out of range.
    pub fn interpret<E: Display>(
        &self,
        mut expand: impl FnMut(&str) -> Result<String, E>,
    ) -> Result<Mount, Diagnostic> {
        let mut fields = Vec::with_capacity(self.fields.len());
        for field in &self.fields {
            let mut field = field.clone();
            if let Some(value) = field.value.as_mut().filter(|_| field.key != Key::From) {
                *value = expand(value)
                    .map_err(|cause| Diagnostic::error(field.span, cause.to_string()))?;
            }
            fields.push(field);
        }
        Settings { fields, span: self.span }.mount()
    }
}

#[cfg(test)]
mod tests;
