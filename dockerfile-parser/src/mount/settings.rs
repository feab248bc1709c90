//! The rules of each type of mount, applied to expanded fields.

use super::field::{Field, Key};
use super::{
    Access, BindMount, CacheMount, Mount, Owner, Requirement, SecretMount, Sharing, SshMount,
    TmpfsMount, value,
};
use crate::diagnostic::Diagnostic;
use crate::span::Span;
use crate::suggest::nearest;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Bind,
    Cache,
    Secret,
    Ssh,
    Tmpfs,
}

const KINDS: [(&str, Kind); 5] = [
    ("bind", Kind::Bind),
    ("cache", Kind::Cache),
    ("secret", Kind::Secret),
    ("ssh", Kind::Ssh),
    ("tmpfs", Kind::Tmpfs),
];

impl Kind {
    fn name(self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// Keys that would be ignored are refused, but for those that Dockerfiles rely on being so.
    fn knows(self, key: Key) -> bool {
        match key {
            Key::Type | Key::Target | Key::Id | Key::Readonly | Key::Readwrite => true,
            Key::From => self != Self::Secret,
            Key::Source => self != Self::Ssh,
            Key::Mode | Key::Uid | Key::Gid => !matches!(self, Self::Bind | Self::Tmpfs),
            Key::Sharing => self == Self::Cache,
            Key::Size => self == Self::Tmpfs,
            Key::Required => matches!(self, Self::Secret | Self::Ssh),
            Key::Env => self == Self::Secret,
        }
    }
}

/// Expanded fields.
pub(super) struct Settings {
    pub(super) fields: Vec<Field>,
    pub(super) span: Span,
}

impl Settings {
    /// Reads the mount.
    pub(super) fn mount(&self) -> Result<Mount, Diagnostic> {
        let kind = self.kind()?;
        self.check_keys(kind)?;
        self.typed(kind)
    }

    /// The last field of a key decides.
    fn find(&self, key: Key) -> Option<&Field> {
        self.fields.iter().rev().find(|field| field.key == key)
    }

    fn text(&self, key: Key) -> Option<String> {
        self.find(key)?.value.clone().filter(|value| !value.is_empty())
    }

    fn kind(&self) -> Result<Kind, Diagnostic> {
        let Some(field) = self.find(Key::Type) else { return Ok(Kind::Bind) };
        let name = field.value.as_deref().unwrap_or_default().to_ascii_lowercase();
        if let Some((_, kind)) = KINDS.iter().find(|(known, _)| *known == name) {
            return Ok(*kind);
        }
        let error = Diagnostic::error(field.span, format!("unsupported mount type {name:?}"));
        Err(match nearest(&name, KINDS.map(|(known, _)| known)) {
            Some(known) => error.help(format!("did you mean {known}?")),
            None => {
                error.help(format!("known types are {}", KINDS.map(|(known, _)| known).join(", ")))
            }
        })
    }

    fn check_keys(&self, kind: Kind) -> Result<(), Diagnostic> {
        match self.fields.iter().find(|field| !kind.knows(field.key)) {
            None => Ok(()),
            Some(field) => {
                let (name, message) = (&field.name, misplaced(field, kind.name()));
                Err(Diagnostic::error(field.span, message).help(format!("remove {name}")))
            }
        }
    }

    fn typed(&self, kind: Kind) -> Result<Mount, Diagnostic> {
        let (from, source) = (self.text(Key::From), self.text(Key::Source));
        Ok(match kind {
            Kind::Bind => {
                let access = self.access(Access::ReadOnly)?;
                Mount::Bind(BindMount { from, source, target: self.target()?, access })
            }
            Kind::Cache => Mount::Cache(CacheMount {
                id: self.text(Key::Id),
                target: self.target()?,
                sharing: self.sharing()?,
                from,
                source,
                owner: self.owner(0o755)?,
                access: self.access(Access::ReadWrite)?,
            }),
            Kind::Tmpfs => Mount::Tmpfs(TmpfsMount { target: self.target()?, size: self.size()? }),
            Kind::Secret => self.secret(source)?,
            Kind::Ssh => Mount::Ssh(SshMount {
                id: self.text(Key::Id).unwrap_or_else(|| "default".to_owned()),
                target: self.text(Key::Target),
                required: self.required()?,
                owner: self.owner(0o600)?,
            }),
        })
    }

    fn secret(&self, source: Option<String>) -> Result<Mount, Diagnostic> {
        let (id, target, env) = (self.text(Key::Id), self.text(Key::Target), self.variable()?);
        let id = match (id, source) {
            (Some(_), Some(_)) => {
                let error = Diagnostic::error(self.span, "both source and id can't be set");
                return Err(error.help("source is another name of id: remove one of the two"));
            }
            (Some(id), None) | (None, Some(id)) => id,
            (None, None) => target.as_deref().map(base).map(str::to_owned).ok_or_else(|| {
                let message = "invalid secret mount: one of id, source, target is required";
                Diagnostic::error(self.span, message).help("write --mount=type=secret,id=name")
            })?,
        };
        let target = match (target, &env) {
            (None, None) => Some(format!("/run/secrets/{}", base(&id))),
            (target, _) => target,
        };
        let (required, owner) = (self.required()?, self.owner(0o400)?);
        Ok(Mount::Secret(SecretMount { id, target, required, owner, env }))
    }

    /// The variable that holds a secret; its name ends at the first `=`.
    fn variable(&self) -> Result<Option<String>, Diagnostic> {
        let Some(field) = self.find(Key::Env) else { return Ok(None) };
        let name = field.value.clone().unwrap_or_default();
        if name.is_empty() || name.starts_with('=') {
            let message = "invalid environment variable: name cannot be empty";
            let error = Diagnostic::error(field.span, message);
            return Err(error.help("write env= and the name of the variable"));
        }
        Ok(Some(name))
    }

    fn target(&self) -> Result<String, Diagnostic> {
        // A relative target is the builder's to judge: only it knows the working directory, which
        // is where a mount without a target goes.
        let target = self.text(Key::Target).unwrap_or_default();
        if target.starts_with('/') && is_root(&target) {
            let span = self.find(Key::Target).map_or(self.span, |field| field.span);
            let error = Diagnostic::error(span, format!("invalid mount target {target:?}"));
            return Err(error.help("write target= and a directory other than the root"));
        }
        Ok(target)
    }

    /// Of `ro` and `rw` the later decides.
    fn access(&self, default: Access) -> Result<Access, Diagnostic> {
        let mut access = default;
        for field in &self.fields {
            access = match (field.key, switched(field)?) {
                (Key::Readonly, true) | (Key::Readwrite, false) => Access::ReadOnly,
                (Key::Readonly, false) | (Key::Readwrite, true) => Access::ReadWrite,
                _ => access,
            };
        }
        Ok(access)
    }

    fn required(&self) -> Result<Requirement, Diagnostic> {
        let required = self.find(Key::Required).map(switched).transpose()?;
        Ok(match required {
            Some(true) => Requirement::Required,
            _ => Requirement::Optional,
        })
    }

    fn sharing(&self) -> Result<Sharing, Diagnostic> {
        let Some(field) = self.find(Key::Sharing) else { return Ok(Sharing::Shared) };
        match field.value.as_deref().unwrap_or_default().to_ascii_lowercase().as_str() {
            "shared" => Ok(Sharing::Shared),
            "private" => Ok(Sharing::Private),
            "locked" => Ok(Sharing::Locked),
            other => {
                let message = format!("unsupported sharing value {other:?}");
                let error = Diagnostic::error(field.span, message);
                Err(error.help("use shared, private or locked"))
            }
        }
    }

    fn size(&self) -> Result<Option<u64>, Diagnostic> {
        self.number(Key::Size, value::size, "write a number of bytes, or one with a unit as 64m")
    }

    fn owner(&self, mode: u32) -> Result<Owner, Diagnostic> {
        let id = |text: &str| text.parse().ok();
        let uid = self.number(Key::Uid, id, "write a number")?.unwrap_or(0);
        let gid = self.number(Key::Gid, id, "write a number")?.unwrap_or(0);
        let written = self.number(Key::Mode, value::mode, "write octal digits, at most 7777")?;
        Ok(Owner { uid, gid, mode: written.unwrap_or(mode) })
    }

    fn number<T>(
        &self,
        key: Key,
        read: impl Fn(&str) -> Option<T>,
        help: &str,
    ) -> Result<Option<T>, Diagnostic> {
        let Some(field) = self.find(key) else { return Ok(None) };
        let text = field.value.as_deref().unwrap_or_default();
        let number = read(text).ok_or_else(|| invalid(field, text).help(help))?;
        Ok(Some(number))
    }
}

/// What is wrong with a key that this kind of mount does not know.
fn misplaced(field: &Field, kind: &str) -> String {
    let name = &field.name;
    if matches!(field.key, Key::Gid | Key::Mode | Key::Uid) {
        format!("{name} not allowed for {kind:?} type mounts")
    } else if field.key == Key::From {
        format!("{kind} mount should not have a from")
    } else if field.key == Key::Sharing {
        format!("invalid cache sharing set for {kind} mount")
    } else {
        format!("unexpected key '{name}' for mount type '{kind}'")
    }
}

fn switched(field: &Field) -> Result<bool, Diagnostic> {
    if !matches!(field.key, Key::Readonly | Key::Readwrite | Key::Required) {
        return Ok(false);
    }
    let Some(text) = field.value.as_deref() else { return Ok(true) };
    value::switch(Some(text)).ok_or_else(|| invalid(field, text).help("write true or false"))
}

fn invalid(field: &Field, text: &str) -> Diagnostic {
    Diagnostic::error(field.span, format!("invalid value for {}: {text:?}", field.name))
}

/// The last element of a path.
fn base(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

/// Whether nothing of a path is left once `.` and `..` are resolved at the root.
fn is_root(path: &str) -> bool {
    let depth = path.split('/').fold(0_usize, |depth, part| match part {
        "" | "." => depth,
        ".." => depth.saturating_sub(1),
        _ => depth + 1,
    });
    depth == 0
}
