//! The builds of services, as targets.

use std::collections::BTreeMap;

use wythe_dockerfile::suggest;

use super::yaml::{Data, Merging, Node, text as scalar, texts as list};
use super::{Composed, Environment, environment, merge, size};
use crate::definition::is_target_name;
use crate::error::{Fault, Problem};
use crate::surroundings::Surroundings;
use crate::target::entry::{self, Attestation, CacheEntry, Output, Secret, Ssh, without_repeats};
use crate::target::{Group, Target, known_once};

/// Who asks: both have their own idea of what some keys mean.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Manner {
    /// `bake`, for which a Compose file is one definition among others.
    Bake,
    /// `compose build`, for which it is a project.
    Compose,
}

/// A target for each service that is built, and a group of all.
pub(super) fn targets(
    project: &Node,
    environment: &Environment<'_>,
    surroundings: &dyn Surroundings,
) -> Result<Composed, Fault> {
    let Some(services) = project.get("services") else {
        let text = "a Compose file has services";
        return Err(Problem::Invalid(text.to_owned()).at(project.span));
    };
    let mut composed = Composed::default();
    for (name, mut target) in built(project, Manner::Bake, (environment, surroundings))? {
        let image = services.get(&name).and_then(|service| service.get("image")).and_then(scalar);
        if target.tags.as_ref().is_none_or(Vec::is_empty) {
            target.tags = image.map(|image| vec![image]);
        }
        composed.targets.push(target);
    }
    if !services.members().is_empty() {
        let targets = composed.targets.iter().map(|target| target.name.clone()).collect();
        composed.group = Some(Group { name: "default".to_owned(), description: None, targets });
    }
    Ok(composed)
}

/// The targets of services that are built, by the name of the service.
pub(super) fn built(
    project: &Node,
    manner: Manner,
    (environment, surroundings): (&Environment<'_>, &dyn Surroundings),
) -> Result<BTreeMap<String, Target>, Fault> {
    let services = project.get("services").map(Node::members).unwrap_or_default();
    let mut targets: BTreeMap<String, Target> = BTreeMap::new();
    for (service_name, service) in services {
        let build = service.get("build").filter(|build| build.tag != Some(Merging::Reset));
        let Some(build) = build.filter(|build| !build.is_null()) else { continue };
        let name = target_name(service_name);
        if !is_target_name(&name) {
            return Err(Problem::Name { name }.at(build.span));
        }
        let build = merge::normal(build.clone(), "build");
        check_keys(&build)?;
        let context = Context { manner, project, service, environment, surroundings };
        let mut target = context.target(&name, &build)?;
        if let Some(extension) = build.get("x-bake").filter(|_| manner == Manner::Bake) {
            extend(&mut target, extension)?;
        }
        targets.insert(service_name.clone(), target);
    }
    Ok(targets)
}

/// A service's name as one of a target: these have no dots.
pub(crate) fn target_name(name: &str) -> String {
    name.replace('.', "_")
}

struct Context<'a> {
    manner: Manner,
    project: &'a Node,
    service: &'a Node,
    environment: &'a Environment<'a>,
    surroundings: &'a dyn Surroundings,
}

impl Context<'_> {
    fn target(&self, name: &str, build: &Node) -> Result<Target, Fault> {
        let text = |key: &str| optional(build, key);
        if self.manner == Manner::Compose
            && let Some(inline) = build.get("dockerfile_inline").filter(|node| !node.is_null())
            && build.get("dockerfile").is_some_and(|node| !node.is_null())
        {
            let text = "a build has either a dockerfile or a dockerfile_inline";
            return Err(Problem::Invalid(text.to_owned()).at(inline.span));
        }
        Ok(Target {
            name: name.to_owned(),
            context: text("context")?,
            contexts: build.get("additional_contexts").map(contexts).transpose()?,
            dockerfile: text("dockerfile")?,
            dockerfile_inline: text("dockerfile_inline")?,
            args: build.get("args").map(|args| self.args(args)).transpose()?,
            labels: build.get("labels").map(labels).transpose()?,
            tags: build.get("tags").map(list).transpose()?,
            cache_from: build.get("cache_from").map(caches).transpose()?,
            cache_to: build.get("cache_to").map(caches).transpose()?,
            target: text("target")?,
            network: text("network")?,
            platforms: build.get("platforms").map(list).transpose()?,
            ssh: build.get("ssh").map(agents).transpose()?,
            secrets: build.get("secrets").map(|one| self.secrets(one)).transpose()?,
            shm_size: build.get("shm_size").map(shm_size).transpose()?,
            ulimits: build.get("ulimits").map(ulimits).transpose()?,
            extra_hosts: build.get("extra_hosts").map(hosts).transpose()?,
            attest: attestations(build)?,
            no_cache_filter: self.of_compose(build, "no_cache_filter", list)?,
            entitlements: self.entitlements(build)?,
            // What is false says nothing.
            no_cache: build.get("no_cache").map(truth).transpose()?.filter(|one| *one),
            pull: build.get("pull").map(truth).transpose()?.filter(|one| *one),
            ..Target::default()
        })
    }

    /// The value of a key that bake leaves out.
    fn of_compose<T>(
        &self,
        build: &Node,
        key: &str,
        read: fn(&Node) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        let node = build.get(key).filter(|node| self.manner == Manner::Compose && !node.is_null());
        node.map(read).transpose()
    }

    fn entitlements(&self, build: &Node) -> Result<Option<Vec<String>>, Fault> {
        let mut all = self.of_compose(build, "entitlements", list)?.unwrap_or_default();
        if self.of_compose(build, "privileged", truth)? == Some(true) {
            all.push("security.insecure".to_owned());
        }
        let all = known_once(all);
        Ok((!all.is_empty()).then_some(all))
    }

    /// Arguments; those without a value take that of the service's environment, or of ours.
    fn args(&self, args: &Node) -> Result<BTreeMap<String, Option<String>>, Fault> {
        let args = merge::normal(args.clone(), "args");
        let own = match self.manner {
            Manner::Bake => self.service_environment()?,
            Manner::Compose => BTreeMap::new(),
        };
        let mut known = BTreeMap::new();
        for (name, value) in mapping(&args)? {
            let value = match &value.data {
                Data::Null => own.get(name).cloned().or_else(|| self.environment.get(name)),
                _ => Some(scalar(value).ok_or_else(|| value.wanted("a string"))?),
            };
            known.extend(value.map(|value| (name.clone(), Some(value))));
        }
        Ok(known)
    }

    /// What the service's processes see: what it says itself, over what its files say.
    fn service_environment(&self) -> Result<BTreeMap<String, String>, Fault> {
        let mut values = BTreeMap::new();
        if let Some(files) = self.service.get("env_file") {
            for file in env_files(files)? {
                values.extend(self.env_file(&file, files)?);
            }
        }
        if let Some(environment) = self.service.get("environment") {
            let environment = merge::normal(environment.clone(), "environment");
            for (name, value) in mapping(&environment)? {
                let value = match &value.data {
                    Data::Null => self.environment.get(name),
                    _ => scalar(value),
                };
                values.extend(value.map(|value| (name.clone(), value)));
            }
        }
        Ok(values)
    }

    fn env_file(&self, file: &EnvFile, at: &Node) -> Result<BTreeMap<String, String>, Fault> {
        let path = &file.path;
        let wrong = |why: String| Problem::Invalid(format!("{path}: {why}")).at(at.span);
        match self.surroundings.file(path).map_err(wrong)? {
            Some(text) => {
                environment::parse(&text, &|name| self.environment.get(name)).map_err(wrong)
            }
            None if file.is_required => Err(wrong("there is no such file".to_owned())),
            None => Ok(BTreeMap::new()),
        }
    }

    fn secrets(&self, secrets: &Node) -> Result<Vec<Secret>, Fault> {
        let mut all = Vec::new();
        for secret in sequence(secrets)? {
            let source = scalar(secret).or_else(|| secret.get("source").and_then(scalar));
            let id = source.ok_or_else(|| secret.wanted("the name of a secret"))?;
            let defined = self.project.get("secrets").and_then(|all| all.get(&id));
            let text = |key: &str| defined.and_then(|one| one.get(key)).and_then(scalar);
            if defined
                .and_then(|one| one.get("external"))
                .is_some_and(|one| truth(one).unwrap_or(false))
            {
                let text = format!("the secret {id} is external, and a build cannot have it");
                return Err(Problem::Invalid(text).at(secret.span));
            }
            let (source, variable) = (text("file"), text("environment"));
            let source = source.map(|path| crate::path::clean(&path));
            let (source, variable) = (source.unwrap_or_default(), variable.unwrap_or_default());
            let called = secret.get("target").filter(|_| self.manner == Manner::Compose);
            let id = called.and_then(scalar).filter(|name| !name.is_empty()).unwrap_or(id);
            all.push(Secret { id, source, variable });
        }
        Ok(all)
    }
}

/// The keys of a build; those that begin with `x-` are anybody's.
const KEYS: [&str; 26] = [
    "additional_contexts",
    "args",
    "cache_from",
    "cache_to",
    "context",
    "dockerfile",
    "dockerfile_inline",
    "entitlements",
    "extra_hosts",
    "isolation",
    "labels",
    "network",
    "no_cache",
    "no_cache_filter",
    "platforms",
    "privileged",
    "provenance",
    "pull",
    "sbom",
    "secrets",
    "shm_size",
    "ssh",
    "tags",
    "target",
    "ulimits",
    "x-bake",
];

fn check_keys(build: &Node) -> Result<(), Fault> {
    if !matches!(build.data, Data::Mapping(_)) {
        return Err(build.wanted("a path or a mapping"));
    }
    for (key, node) in build.members() {
        if !KEYS.contains(&key.as_str()) && !key.starts_with("x-") {
            let similar = suggest::nearest(key, KEYS).map(ToOwned::to_owned);
            return Err(Problem::UnknownAttribute { name: key.clone(), similar }.at(node.span));
        }
    }
    Ok(())
}

/// The text of a key, if it is there and not empty.
fn optional(build: &Node, key: &str) -> Result<Option<String>, Fault> {
    let Some(node) = build.get(key).filter(|node| !node.is_null()) else { return Ok(None) };
    let text = scalar(node).ok_or_else(|| node.wanted("a string"))?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn truth(node: &Node) -> Result<bool, Fault> {
    let text = scalar(node).unwrap_or_default();
    match text.to_lowercase().as_str() {
        "true" | "yes" | "on" | "y" | "1" => Ok(true),
        "false" | "no" | "off" | "n" | "0" => Ok(false),
        _ => Err(node.wanted("true or false")),
    }
}

fn mapping(node: &Node) -> Result<&[(String, Node)], Fault> {
    match &node.data {
        Data::Mapping(members) => Ok(members),
        Data::Null => Ok(&[]),
        _ => Err(node.wanted("a mapping")),
    }
}

fn sequence(node: &Node) -> Result<&[Node], Fault> {
    match &node.data {
        Data::Sequence(items) => Ok(items),
        Data::Null => Ok(&[]),
        _ => Err(node.wanted("a list")),
    }
}

/// A list, or a string of words.
fn words(node: &Node) -> Result<Vec<String>, Fault> {
    match scalar(node) {
        Some(text) => Ok(text.split_whitespace().map(ToOwned::to_owned).collect()),
        None => list(node),
    }
}

fn contexts(node: &Node) -> Result<BTreeMap<String, String>, Fault> {
    let node = merge::normal(node.clone(), "additional_contexts");
    let mut contexts = BTreeMap::new();
    for (name, context) in mapping(&node)? {
        let context = scalar(context).ok_or_else(|| context.wanted("a context"))?;
        let link = context.strip_prefix("service:").or_else(|| context.strip_prefix("target:"));
        let context = link.map(|name| format!("target:{}", target_name(name))).unwrap_or(context);
        contexts.insert(name.clone(), context);
    }
    Ok(contexts)
}

fn labels(node: &Node) -> Result<BTreeMap<String, Option<String>>, Fault> {
    let node = merge::normal(node.clone(), "labels");
    let label =
        |(name, value): &(String, Node)| (name.clone(), Some(scalar(value).unwrap_or_default()));
    Ok(mapping(&node)?.iter().map(label).collect())
}

fn hosts(node: &Node) -> Result<BTreeMap<String, Option<String>>, Fault> {
    let node = merge::normal(node.clone(), "extra_hosts");
    let mut hosts = BTreeMap::new();
    for (name, address) in mapping(&node)? {
        let addresses = match scalar(address) {
            Some(address) => address,
            None => list(address)?.join(","),
        };
        hosts.insert(name.clone(), Some(addresses));
    }
    Ok(hosts)
}

fn caches(node: &Node) -> Result<Vec<CacheEntry>, Fault> {
    let mut all = Vec::new();
    for text in list(node)? {
        let entries = CacheEntry::parse(&text);
        all.extend(entries.map_err(|why| Problem::Invalid(why).at(node.span))?);
    }
    Ok(all)
}

fn agents(node: &Node) -> Result<Vec<Ssh>, Fault> {
    let node = merge::normal(node.clone(), "ssh");
    let agent = |(id, path): &(String, Node)| {
        let path = scalar(path).filter(|path| !path.is_empty());
        Ssh { id: id.clone(), paths: path.into_iter().collect() }
    };
    let mut agents: Vec<Ssh> = mapping(&node)?.iter().map(agent).collect();
    agents.sort();
    Ok(agents)
}

fn shm_size(node: &Node) -> Result<String, Fault> {
    let size = scalar(node).as_deref().and_then(size::bytes);
    size.map(size::human).ok_or_else(|| node.wanted("a size, as 64m"))
}

fn ulimits(node: &Node) -> Result<Vec<String>, Fault> {
    let mut limits = Vec::new();
    for (name, limit) in mapping(node)? {
        let number = |node: &Node| scalar(node).ok_or_else(|| node.wanted("a number"));
        let part = |key: &str| {
            limit.get(key).ok_or_else(|| limit.wanted("soft and hard")).and_then(number)
        };
        let (soft, hard) = match scalar(limit) {
            Some(both) => (both.clone(), both),
            None => (part("soft")?, part("hard")?),
        };
        limits.push(format!("{name}={soft}:{hard}"));
    }
    limits.sort();
    Ok(limits)
}

/// `sbom` and `provenance`: `true`, `false`, or attributes.
fn attestations(build: &Node) -> Result<Option<Vec<Attestation>>, Fault> {
    let mut all = Vec::new();
    for kind in ["sbom", "provenance"] {
        let Some(node) = build.get(kind) else { continue };
        let text = scalar(node).unwrap_or_default();
        let Some(text) = attestation(kind, &text) else { continue };
        let attestation = Attestation::parse(&text);
        all.push(attestation.map_err(|why| Problem::Invalid(why).at(node.span))?);
    }
    Ok(if all.is_empty() { None } else { Some(all) })
}

/// An attestation as flags write it, from its attributes or a bool. None from nothing.
pub(crate) fn attestation(kind: &str, text: &str) -> Option<String> {
    match (text, entry::truth(text)) {
        ("", _) => None,
        (_, Some(true)) => Some(format!("type={kind}")),
        (_, Some(false)) => Some(format!("type={kind},disabled=true")),
        (text, None) => Some(format!("type={kind},{text}")),
    }
}

/// A file of variables.
struct EnvFile {
    path: String,
    /// Whether it has to be there.
    is_required: bool,
}

fn env_files(node: &Node) -> Result<Vec<EnvFile>, Fault> {
    let file = |node: &Node| {
        if let Some(path) = scalar(node) {
            return Ok(EnvFile { path, is_required: true });
        }
        let path = node.get("path").and_then(scalar).ok_or_else(|| node.wanted("a path"))?;
        let is_required = node.get("required").map(truth).transpose()?.unwrap_or(true);
        Ok(EnvFile { path, is_required })
    };
    match &node.data {
        Data::Sequence(items) => items.iter().map(file).collect(),
        _ => Ok(vec![file(node)?]),
    }
}

/// What `x-bake` adds.
fn extend(target: &mut Target, extension: &Node) -> Result<(), Fault> {
    let wrong = |why: String| Problem::Invalid(why).at(extension.span);
    let get = |key: &str| extension.get(key).map(words).transpose();
    let join = |mine: &mut Option<Vec<String>>, more: Option<Vec<String>>| {
        if let Some(more) = more {
            *mine = Some(known_once([mine.take().unwrap_or_default(), more].concat()));
        }
    };
    join(&mut target.tags, get("tags")?);
    join(&mut target.platforms, get("platforms")?);
    join(&mut target.no_cache_filter, get("no-cache-filter")?);
    for (mine, key) in [(&mut target.cache_from, "cache-from"), (&mut target.cache_to, "cache-to")]
    {
        for text in get(key)?.unwrap_or_default() {
            mine.get_or_insert_default().extend(CacheEntry::parse(&text).map_err(wrong)?);
        }
        *mine = mine.take().map(without_repeats);
    }
    for text in get("secret")?.unwrap_or_default() {
        target.secrets.get_or_insert_default().push(Secret::parse(&text).map_err(wrong)?);
    }
    if let Some(agents) = get("ssh")? {
        let all = target.ssh.get_or_insert_default();
        all.extend(agents.iter().map(|text| Ssh::parse(text)));
        all.sort();
        all.dedup();
    }
    for text in get("output")?.unwrap_or_default() {
        target.outputs.get_or_insert_default().extend(Output::parse(&text).map_err(wrong)?);
    }
    if let Some(pull) = extension.get("pull") {
        target.pull = Some(truth(pull)?);
    }
    if let Some(no_cache) = extension.get("no-cache") {
        target.no_cache = Some(truth(no_cache)?);
    }
    if let Some(more) = extension.get("contexts") {
        let mine = target.contexts.get_or_insert_default();
        for (name, context) in contexts(more)? {
            mine.entry(name).or_insert(context);
        }
    }
    Ok(())
}
