//! Definitions that are elsewhere: in a repository, in an archive behind an address, or alone there.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wythe_bake::definition::{DEFAULT_FILES, HERE};
use wythe_bake::source::DefinitionFile;
use wythe_builder::fetch::context::{ContextContent, FetchedContext, file};
use wythe_builder::options::{Options, Secret};
use wythe_sandbox::Cancel;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::lease::Lease;
use wythe_store::oci::platform::{Platform, host_architecture};

use super::files::MAX_DEFINITION;
use crate::args::bake::BakeArgs;
use crate::args::context::ContextSource;
use crate::command::build::agents::Agents;
use crate::command::build::fetched;
use crate::command::build::resources::BuildResources;
use crate::failure::Failure;
use crate::session::Session;
use crate::settings::Settings;

/// What git shows a server, for one host where a dot and its name follow.
const GIT_SECRETS: [&str; 2] = ["GIT_AUTH_TOKEN", "GIT_AUTH_HEADER"];

/// The variables that hold it begin so.
const GIT_VARIABLES: &str = "BUILDX_BAKE_";

/// An agent, or keys with commas between them, for repositories behind ssh.
const GIT_SSH: &str = "BUILDX_BAKE_GIT_SSH";

/// What the words of the command line are: an address of a definition, a context that it may ask for, and
/// targets.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Words<'a> {
    pub(super) url: Option<&'a str>,
    pub(super) context: &'a str,
    pub(super) targets: &'a [String],
}

impl<'a> Words<'a> {
    pub(super) fn of(words: &'a [String]) -> Self {
        let (url, rest) = leading_url(words);
        let (context, targets) = if url.is_some() { leading_url(rest) } else { (None, rest) };
        Self { url, context: context.unwrap_or(HERE), targets }
    }
}

fn leading_url(words: &[String]) -> (Option<&str>, &[String]) {
    match words.split_first() {
        Some((first, rest)) if is_remote(first) => (Some(first), rest),
        _ => (None, words),
    }
}

/// Whether a context is behind an address, and its Dockerfile with it.
pub(super) fn is_remote(context: &str) -> bool {
    matches!(ContextSource::from(context), ContextSource::Url(_))
}

/// A definition that was fetched, and what is beside it.
pub(crate) struct RemoteDefinition {
    url: String,
    lease: Arc<Lease>,
    resources: BuildResources,
    context: FetchedContext,
    /// What git asked for keys, as long as it may ask again.
    agents: Agents,
}

impl RemoteDefinition {
    /// Fetches what is behind an address.
    pub(super) fn fetch(url: &str, args: &BakeArgs, session: &Session) -> Result<Self, Failure> {
        let lease = Arc::new(session.store_with(Durability::Durable, args.jobs)?.lease()?);
        let mut resources = BuildResources::new(session, session.cancel()?, args.jobs)?;
        let paths = session.settings.text(GIT_SSH).filter(|paths| !paths.is_empty());
        let asked: Vec<String> =
            paths.map(|paths| format!("default={paths}")).into_iter().collect();
        let agents = Agents::new(&asked, &session.settings, &lease.work_dir())?;
        if let Some(socket) = agents.sockets.values().next() {
            resources.ask_agent(socket);
        }
        let mut options = Options::new(Platform::linux(host_architecture()));
        options.secrets = secrets(&session.settings);
        let environment = resources.environment(&lease, &());
        let context = FetchedContext::fetch(environment, &options, url);
        let context = context.map_err(|cause| {
            fetched::failure(cause).within(format!("cannot fetch {}", shown(url)))
        })?;
        // The builds of targets read it under leases of their own.
        lease.commit(Batch::default(), Durability::Relaxed)?;
        Ok(Self { url: url.to_owned(), lease, resources, context, agents })
    }

    /// The address that contexts of the definition are in; none where it stands alone.
    pub(super) fn origin(&self) -> Option<&str> {
        matches!(self.context.content, ContextContent::Files(_)).then_some(&*self.url)
    }

    /// What is in there.
    pub(super) fn context(&self) -> &FetchedContext {
        &self.context
    }

    /// What interrupts it, and whatever comes of it.
    pub(super) fn cancel(&self) -> &Cancel {
        self.resources.cancel()
    }

    /// The agent that git asks for keys, where one was named.
    pub(super) fn git_agent(&self) -> Option<&Path> {
        self.agents.sockets.values().next().map(PathBuf::as_path)
    }

    /// The files of the definition: those that are named, else those of the usual names.
    pub(super) fn files(&self, named: &[&str]) -> Result<Vec<DefinitionFile>, Failure> {
        if let ContextContent::Dockerfile(bytes) = &self.context.content {
            let text = text(bytes.clone()).map_err(|why| self.unusable(&self.url, &why))?;
            return Ok(vec![DefinitionFile { name: shown(&self.url), text }]);
        }
        let mut files = Vec::new();
        for name in if named.is_empty() { &DEFAULT_FILES[..] } else { named } {
            match self.read(name).map_err(|why| self.unusable(name, &why))? {
                Some(text) => files.push(DefinitionFile { name: (*name).to_owned(), text }),
                None if named.is_empty() => {}
                None => return Err(self.unusable(name, "there is no such file")),
            }
        }
        if files.is_empty() {
            let text = format!("there is no definition in {}", shown(&self.url));
            let remedy = "name a file in it with --file, or a directory with #REF:DIRECTORY";
            return Err(Failure::usage(text).remedy(remedy));
        }
        Ok(files)
    }

    /// The text of a file beside the definition; none where there is none.
    pub(super) fn read(&self, path: &str) -> Result<Option<String>, String> {
        let ContextContent::Files(files) = &self.context.content else { return Ok(None) };
        let environment = self.resources.environment(&self.lease, &());
        let bytes = file(environment, files, path).map_err(|error| error.to_string())?;
        bytes.map(text).transpose()
    }

    fn unusable(&self, name: &str, why: &str) -> Failure {
        let text = format!("cannot read the definition {name} of {}: {why}", shown(&self.url));
        Failure::usage(text)
    }
}

fn text(bytes: Vec<u8>) -> Result<String, String> {
    if bytes.len() as u64 > MAX_DEFINITION {
        return Err("it is longer than 16 MiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "it is no text".to_owned())
}

/// An address without what may be secret of it.
fn shown(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or(url);
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = host.rsplit('@').next().unwrap_or(host);
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    }
}

/// The address of a directory of a repository; none for what is no repository, or says already which
/// directory of it is meant in a way that has no room for another.
pub(super) fn below(url: &str, path: &str) -> Option<String> {
    if matches!(path, "" | ".") {
        return Some(url.to_owned());
    }
    let (base, fragment) = url.split_once('#').unwrap_or((url, ""));
    if !crate::command::build::options::is_git(url) || base.contains("subdir=") {
        return None;
    }
    let (reference, above) = fragment.split_once(':').unwrap_or((fragment, ""));
    let above = above.trim_matches('/');
    let path = if above.is_empty() { path.to_owned() } else { format!("{above}/{path}") };
    Some(format!("{base}#{reference}:{path}"))
}

/// What git shows servers, by the names under which it looks for that.
fn secrets(settings: &Settings) -> BTreeMap<String, Secret> {
    let found = git_variables(settings).into_iter();
    let value = |name: &str| Some(Secret::new(settings.raw(name)?.as_bytes().to_vec()));
    found.filter_map(|(id, name)| Some((id, value(&name)?))).collect()
}

/// What git shows servers, as the flags of a build.
pub(crate) fn secret_flags(settings: &Settings) -> Vec<(String, String)> {
    let found = git_variables(settings).into_iter();
    found.map(|(id, name)| (id.clone(), format!("id={id},env={name}"))).collect()
}

/// The ids of secrets for git, and the variables that hold them.
fn git_variables(settings: &Settings) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for id in GIT_SECRETS {
        let start = format!("{GIT_VARIABLES}{id}");
        for name in settings.beginning_with(&start).into_keys() {
            let host = &name[start.len()..];
            if host.is_empty() || host.len() > 1 && host.starts_with('.') {
                found.push((format!("{id}{host}"), name.clone()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_before_targets_and_a_context_after_it() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let all = words("https://h/r.git#v1 https://h/c.git app db");
        let found = Words::of(&all);
        assert_eq!(found.url, Some("https://h/r.git#v1"));
        assert_eq!((found.context, found.targets), ("https://h/c.git", &all[2..]));
        let all = words("github.com/o/r app");
        let found = Words::of(&all);
        assert_eq!((found.url, found.context), (Some("github.com/o/r"), HERE));
        let all = words("app https://h/r.git");
        assert_eq!(Words::of(&all), Words { url: None, context: HERE, targets: &all });
    }

    #[test]
    fn a_directory_of_a_repository_has_an_address() {
        for (url, path, expected) in [
            ("https://h/r.git", ".", Some("https://h/r.git")),
            ("https://h/r.git", "a/b", Some("https://h/r.git#:a/b")),
            ("https://h/r.git#v1", "a", Some("https://h/r.git#v1:a")),
            ("https://h/r.git#v1:x/", "a", Some("https://h/r.git#v1:x/a")),
            ("https://h/r.git?ref=v1", "a", Some("https://h/r.git?ref=v1#:a")),
            ("https://h/r.git?subdir=x", "a", None),
            ("https://h/r.tar.gz", "a", None),
            ("github.com/o/r", "a", Some("github.com/o/r#:a")),
        ] {
            assert_eq!(below(url, path).as_deref(), expected, "{url} {path}");
        }
    }

    #[test]
    fn secrets_of_git_are_those_of_variables_with_their_names() {
        let settings = Settings::of(&[
            ("BUILDX_BAKE_GIT_AUTH_TOKEN", "a"),
            ("BUILDX_BAKE_GIT_AUTH_HEADER.h.example", "b"),
            ("BUILDX_BAKE_GIT_AUTH_TOKENS", "c"),
            ("BUILDX_BAKE_GIT_AUTH_TOKEN.", "d"),
        ]);
        let found = secret_flags(&settings);
        let expected = [
            ("GIT_AUTH_TOKEN", "id=GIT_AUTH_TOKEN,env=BUILDX_BAKE_GIT_AUTH_TOKEN"),
            (
                "GIT_AUTH_HEADER.h.example",
                "id=GIT_AUTH_HEADER.h.example,env=BUILDX_BAKE_GIT_AUTH_HEADER.h.example",
            ),
        ];
        assert_eq!(found, expected.map(|(id, flag)| (id.to_owned(), flag.to_owned())));
        assert_eq!(secrets(&settings)["GIT_AUTH_TOKEN"].expose(), b"a");
    }

    #[test]
    fn what_is_told_of_an_address_is_no_secret() {
        assert_eq!(shown("https://u:p@h/r.hcl?token=x#y"), "https://h/r.hcl");
        assert_eq!(shown("git@h:r.git#main"), "git@h:r.git");
    }
}
