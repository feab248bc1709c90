//! `RUN --mount`: flags of the syntax become mounts with absolute targets.

use wythe_dockerfile::ast::Word;
use wythe_dockerfile::expand::{ExpandError, expand};
use wythe_dockerfile::mount::{
    BindMount, CacheMount as CacheFlag, Mount, SecretMount, SshMount, parse,
};
use wythe_dockerfile::span::{Span, Spanned};

use super::error::LowerError;
use super::stage::{Lowering, Site};
use super::state::{State, clean};
use crate::graph::VertexId;
use crate::operation::FileSource;
use crate::operation::run::{CacheMount, MountKind, RunMount};

/// Where secrets appear that name no target.
const SECRET_DIR: &str = "/run/secrets";

/// Where agents appear that name no target.
const AGENT_DIR: &str = "/run/buildkit";

/// The mounts of a step. What they read from becomes an input.
pub(crate) fn mounts(
    lowering: &mut Lowering<'_>,
    site: Site<'_>,
    flags: &[Word],
    (state, inputs): (&State, &mut Vec<VertexId>),
) -> Result<Vec<RunMount>, LowerError> {
    let mut found = Vec::new();
    let mut agents = 0;
    for word in flags {
        let span = site.trigger.unwrap_or(word.span);
        let raw = parse(word)?;
        let escape = lowering.escape;
        let mut value = |text: &str| -> Result<String, ExpandError> {
            expand(text, escape, state).map(|expanded| expanded.value)
        };
        let mount = raw.interpret(&mut value)?;
        let mut sources = Sources { lowering, site, span, inputs };
        match mount {
            Mount::Bind(bind) => found.push(sources.bind(bind, state)?),
            Mount::Cache(cache) => found.push(sources.cache(cache, state)?),
            Mount::Tmpfs(tmpfs) => {
                let target = target(&tmpfs.target, state, span)?;
                found.push(RunMount { target, kind: MountKind::Tmpfs { size: tmpfs.size } });
            }
            Mount::Secret(secret) => found.extend(secrets(secret, state, span)?),
            Mount::Ssh(ssh) => {
                found.push(agent(ssh, agents, state, span)?);
                agents += 1;
            }
        }
    }
    Ok(found)
}

/// Resolves where mounts read from.
struct Sources<'l, 'a, 's, 'i> {
    lowering: &'l mut Lowering<'a>,
    site: Site<'s>,
    span: Span,
    inputs: &'i mut Vec<VertexId>,
}

impl Sources<'_, '_, '_, '_> {
    fn files(
        &mut self,
        from: Option<String>,
        absent: FileSource,
    ) -> Result<FileSource, LowerError> {
        match from {
            Some(name) => {
                let word = Spanned::new(name, self.span);
                Ok(self.lowering.files_of(&word, self.site, self.inputs)?.source)
            }
            None => Ok(absent),
        }
    }

    fn bind(&mut self, bind: BindMount, state: &State) -> Result<RunMount, LowerError> {
        let target = target(&bind.target, state, self.span)?;
        let from = self.files(bind.from, FileSource::Context)?;
        let path = source_path(bind.source);
        Ok(RunMount { target, kind: MountKind::Bind { from, path, access: bind.access } })
    }

    fn cache(&mut self, cache: CacheFlag, state: &State) -> Result<RunMount, LowerError> {
        let target = target(&cache.target, state, self.span)?;
        let from_name = cache.from.clone().unwrap_or_default();
        let from = self.files(cache.from, FileSource::Nothing)?;
        let name = cache.id.filter(|id| !id.is_empty()).unwrap_or_else(|| target.clone());
        let namespace = self.lowering.around.options.build_args.get("BUILDKIT_CACHE_MOUNT_NS");
        let kind = MountKind::Cache(CacheMount {
            id: namespace.map_or(name.clone(), |namespace| format!("{namespace}/{name}")),
            sharing: cache.sharing,
            from,
            from_name,
            path: source_path(cache.source),
            owner: cache.owner,
            access: cache.access,
        });
        Ok(RunMount { target, kind })
    }
}

/// A source from the top of its files on; empty for all of them. A `..` takes away what is written
/// before it, whatever that is or leads to.
fn source_path(source: Option<String>) -> String {
    clean(&source.unwrap_or_default())[1..].to_owned()
}

/// A secret as a variable, as a file, or as both.
fn secrets(secret: SecretMount, state: &State, span: Span) -> Result<Vec<RunMount>, LowerError> {
    let required = secret.required;
    let mut found = Vec::new();
    if let Some(name) = secret.env.clone() {
        let kind = MountKind::SecretVariable { id: secret.id.clone(), required, name };
        found.push(RunMount { target: String::new(), kind });
    }
    if secret.target.is_some() || secret.env.is_none() {
        let path = secret.target.unwrap_or_else(|| format!("{SECRET_DIR}/{}", secret.id));
        let kind = MountKind::Secret { id: secret.id, required, owner: secret.owner };
        found.push(RunMount { target: target(&path, state, span)?, kind });
    }
    Ok(found)
}

fn agent(ssh: SshMount, number: usize, state: &State, span: Span) -> Result<RunMount, LowerError> {
    let path = ssh.target.unwrap_or_else(|| format!("{AGENT_DIR}/ssh_agent.{number}"));
    let kind = MountKind::Ssh { id: ssh.id, required: ssh.required, owner: ssh.owner };
    Ok(RunMount { target: target(&path, state, span)?, kind })
}

fn target(path: &str, state: &State, span: Span) -> Result<String, LowerError> {
    let absolute = state.absolute(path);
    let absolute = absolute.trim_end_matches('/');
    if absolute.is_empty() {
        return Err(LowerError::at(span, r#"invalid mount target "/""#)
            .help("name a directory below / with target="));
    }
    Ok(absolute.to_owned())
}
