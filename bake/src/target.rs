//! Targets and groups: what is to be built, as a definition says it.

pub(crate) mod decode;
pub mod entry;
pub(crate) mod show;

use std::collections::{BTreeMap, BTreeSet};

use self::entry::{Attestation, CacheEntry, Output, Secret, Ssh, without_repeats};

/// A target. What is none was not said.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// The targets that it takes over from, empty once it is resolved.
    pub inherits: Vec<String>,
    /// `[TYPE:]KEY=VALUE`.
    pub annotations: Option<Vec<String>>,
    /// What is said of the image beside it.
    pub attest: Option<Vec<Attestation>>,
    /// A directory or URL. In a plan whose definition came from elsewhere a directory is one of there, unless
    /// it begins with [`HERE`](crate::definition::HERE).
    pub context: Option<String>,
    /// Named contexts: directories, URLs, `docker-image://…`, `target:NAME`.
    pub contexts: Option<BTreeMap<String, String>>,
    /// The Dockerfile's path, within the context.
    pub dockerfile: Option<String>,
    /// The Dockerfile itself.
    pub dockerfile_inline: Option<String>,
    /// Build arguments; none leaves the Dockerfile's.
    pub args: Option<BTreeMap<String, Option<String>>>,
    /// Labels of the image.
    pub labels: Option<BTreeMap<String, Option<String>>>,
    /// Names of the image.
    pub tags: Option<Vec<String>>,
    /// Caches to read.
    pub cache_from: Option<Vec<CacheEntry>>,
    /// Caches to write.
    pub cache_to: Option<Vec<CacheEntry>>,
    /// The stage to build.
    pub target: Option<String>,
    /// Secrets that steps may see.
    pub secrets: Option<Vec<Secret>>,
    /// SSH agents and keys that steps may use.
    pub ssh: Option<Vec<Ssh>>,
    /// Platforms to build for.
    pub platforms: Option<Vec<String>>,
    /// Where the result goes.
    pub outputs: Option<Vec<Output>>,
    /// Whether bases are looked up anew.
    pub pull: Option<bool>,
    /// Whether nothing is taken from a cache.
    pub no_cache: Option<bool>,
    /// The network of steps.
    pub network: Option<String>,
    /// Stages that are not taken from a cache.
    pub no_cache_filter: Option<Vec<String>>,
    /// The size of `/dev/shm`.
    pub shm_size: Option<String>,
    /// Limits of resources, as `nofile=1024:2048`.
    pub ulimits: Option<Vec<String>>,
    /// What is asked of the Dockerfile, if it is not to be built.
    pub call: Option<String>,
    /// What steps may do beyond the usual.
    pub entitlements: Option<Vec<String>>,
    /// Names and addresses for `/etc/hosts`.
    pub extra_hosts: Option<BTreeMap<String, Option<String>>>,
    /// Whether it is built only because another target has it as a context.
    pub is_linked: bool,
}

/// Targets under one name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Names of targets and groups.
    pub targets: Vec<String>,
}

fn replace<T>(mine: &mut Option<T>, theirs: Option<T>) {
    if theirs.is_some() {
        *mine = theirs;
    }
}

fn append<T>(mine: &mut Option<Vec<T>>, theirs: Option<Vec<T>>) {
    if let Some(theirs) = theirs {
        mine.get_or_insert_default().extend(theirs);
    }
}

fn append_once<T: PartialEq>(mine: &mut Option<Vec<T>>, theirs: Option<Vec<T>>) {
    append(mine, theirs);
    *mine = mine.take().map(without_repeats);
}

fn overlay<T>(mine: &mut Option<BTreeMap<String, T>>, theirs: Option<BTreeMap<String, T>>) {
    if let Some(theirs) = theirs.filter(|items| !items.is_empty()) {
        mine.get_or_insert_default().extend(theirs);
    }
}

/// Null takes nothing away that another said.
fn overlay_known(
    mine: &mut Option<BTreeMap<String, Option<String>>>,
    theirs: Option<BTreeMap<String, Option<String>>>,
) {
    let known = theirs.map(|items| items.into_iter().filter(|(_, item)| item.is_some()).collect());
    overlay(mine, known);
}

impl Target {
    /// Takes over what another says, over what this one says.
    pub(crate) fn merge(&mut self, other: Self) {
        replace(&mut self.context, other.context);
        replace(&mut self.dockerfile, other.dockerfile);
        replace(&mut self.dockerfile_inline, other.dockerfile_inline);
        overlay_known(&mut self.args, other.args);
        overlay(&mut self.contexts, other.contexts);
        overlay_known(&mut self.labels, other.labels);
        replace(&mut self.tags, other.tags);
        replace(&mut self.target, other.target);
        replace(&mut self.call, other.call);
        append(&mut self.annotations, other.annotations);
        append(&mut self.attest, other.attest);
        self.attest = self.attest.take().map(last_of_each_kind);
        append_once(&mut self.secrets, other.secrets);
        append_once(&mut self.ssh, other.ssh);
        replace(&mut self.platforms, other.platforms);
        append_once(&mut self.cache_from, other.cache_from);
        replace(&mut self.cache_to, other.cache_to);
        replace(&mut self.outputs, other.outputs);
        replace(&mut self.pull, other.pull);
        replace(&mut self.no_cache, other.no_cache);
        replace(&mut self.network, other.network);
        append(&mut self.no_cache_filter, other.no_cache_filter);
        replace(&mut self.shm_size, other.shm_size);
        append(&mut self.ulimits, other.ulimits);
        replace(&mut self.description, other.description.filter(|text| !text.is_empty()));
        append(&mut self.entitlements, other.entitlements);
        overlay_known(&mut self.extra_hosts, other.extra_hosts);
        self.inherits.extend(other.inherits);
    }

    /// What is repeated or empty goes, what follows from something else is added.
    pub(crate) fn normalise(&mut self) {
        for texts in [
            &mut self.annotations,
            &mut self.tags,
            &mut self.platforms,
            &mut self.no_cache_filter,
            &mut self.ulimits,
        ] {
            *texts = texts.take().map(known_once);
        }
        self.attest = self.attest.take().map(last_of_each_kind);
        self.secrets = self.secrets.take().map(without_repeats);
        self.ssh = self.ssh.take().map(without_repeats);
        self.cache_from = self.cache_from.take().map(without_repeats);
        self.cache_to = self.cache_to.take().map(without_repeats);
        self.outputs = self.outputs.take().map(without_repeats);
        if self.network.as_deref() == Some("host") {
            self.entitlements.get_or_insert_default().push("network.host".to_owned());
        }
        self.entitlements = self.entitlements.take().map(known_once);
        if let Some(contexts) = &mut self.contexts {
            contexts.retain(|_, context| !context.is_empty());
        }
    }

    /// The targets that are its contexts.
    pub fn links(&self) -> impl Iterator<Item = &str> {
        let contexts = self.contexts.iter().flat_map(BTreeMap::values);
        contexts.filter_map(|context| context.strip_prefix("target:"))
    }
}

/// Each text once, and no empty ones.
pub(crate) fn known_once(texts: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    texts.into_iter().filter(|text| !text.is_empty() && seen.insert(text.clone())).collect()
}

/// Of each type of attestation what was said last, in the place of what was said first.
fn last_of_each_kind(all: Vec<Attestation>) -> Vec<Attestation> {
    let mut kept: Vec<Attestation> = Vec::new();
    for one in all {
        match kept.iter_mut().find(|kept| kept.kind == one.kind) {
            Some(kept) => *kept = one,
            None => kept.push(one),
        }
    }
    kept
}
