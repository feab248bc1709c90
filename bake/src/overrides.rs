//! `--set TARGET.KEY=VALUE`: what the command line changes.

use crate::error::Problem;
use crate::path;
use crate::target::Target;
use crate::target::entry::{Attestation, CacheEntry, Output, Secret, Ssh, truth, without_repeats};

/// What one `--set` says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Override {
    /// As it was given, for errors.
    text: String,
    /// The targets it is meant for.
    pattern: String,
    key: String,
    /// The second name in `args.NAME`.
    name: Option<String>,
    /// What follows the sign, if there is one.
    value: Option<String>,
    /// `+=`
    is_appended: bool,
}

/// The keys that take several values, each of its own `--set`.
const LISTS: [&str; 13] = [
    "annotations",
    "attest",
    "cache-from",
    "cache-to",
    "entitlements",
    "network",
    "no-cache-filter",
    "output",
    "platform",
    "secrets",
    "ssh",
    "tags",
    "ulimits",
];

/// The keys that name one of several.
const NAMED: [&str; 4] = ["args", "contexts", "extra-hosts", "labels"];

/// All other keys.
const SINGLE: [&str; 10] = [
    "call",
    "context",
    "dockerfile",
    "load",
    "no-cache",
    "pull",
    "push",
    "shm-size",
    "target",
    "network",
];

impl Override {
    /// Reads what follows `--set`.
    ///
    /// # Errors
    ///
    /// If it is no override, or of a key that targets do not have.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let wrong = |why: &str| Problem::Override { text: text.to_owned(), why: why.to_owned() };
        let (path, value) = match text.split_once('=') {
            Some((path, value)) => (path, Some(value.to_owned())),
            None => (text, None),
        };
        let is_appended = path.ends_with('+');
        let path = path.strip_suffix('+').unwrap_or(path);
        let mut parts = path.splitn(3, '.').map(ToOwned::to_owned);
        let (Some(pattern), Some(key)) = (parts.next(), parts.next()) else {
            return Err(wrong("it names no key of a target"));
        };
        let name = parts.next();
        let key_name = key.as_str();
        if NAMED.contains(&key_name) && name.is_none() {
            return Err(wrong(&format!("{key} needs a name, as in {pattern}.{key}.NAME=VALUE")));
        }
        if ![&LISTS[..], &NAMED, &SINGLE].concat().contains(&key_name) {
            return Err(wrong(&format!("{key} cannot be set")));
        }
        if value.is_none() && key != "args" {
            return Err(wrong("it has no value"));
        }
        let text = text.to_owned();
        Ok(Self { text, pattern, key, name, value, is_appended })
    }

    fn wrong(&self, why: impl Into<String>) -> Problem {
        Problem::Override { text: self.text.clone(), why: why.into() }
    }

    /// Whether it is meant for a target; whether its pattern is one.
    pub(crate) fn is_for(&self, target: &str) -> Result<bool, Problem> {
        if self.pattern == target {
            return Ok(true);
        }
        path::matches(&self.pattern, target).ok_or_else(|| self.wrong("the pattern is broken"))
    }

    /// What it is meant for.
    pub(crate) fn pattern(&self) -> &str {
        &self.pattern
    }
}

/// Applies all that is meant for a target, in order; several of one list are one list.
pub(crate) fn apply(
    target: &mut Target,
    all: &[&Override],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<(), Problem> {
    let mut done: Vec<&str> = Vec::new();
    for one in all {
        if LISTS.contains(&one.key.as_str()) && one.key != "network" {
            if !done.contains(&one.key.as_str()) {
                done.push(&one.key);
                let same: Vec<&Override> =
                    all.iter().copied().filter(|other| other.key == one.key).collect();
                list(target, &same)?;
            }
        } else if let Some(name) = &one.name {
            named(target, one, name, lookup);
        } else {
            single(target, one)?;
        }
    }
    Ok(())
}

fn named(target: &mut Target, one: &Override, name: &str, lookup: &dyn Fn(&str) -> Option<String>) {
    let Some(value) = one.value.clone().or_else(|| lookup(name)) else { return };
    let name = name.to_owned();
    match one.key.as_str() {
        "args" => drop(target.args.get_or_insert_default().insert(name, Some(value))),
        "contexts" => drop(target.contexts.get_or_insert_default().insert(name, value)),
        "labels" => drop(target.labels.get_or_insert_default().insert(name, Some(value))),
        _ => drop(target.extra_hosts.get_or_insert_default().insert(name, Some(value))),
    }
}

fn single(target: &mut Target, one: &Override) -> Result<(), Problem> {
    let value = one.value.clone().unwrap_or_default();
    let bool = || truth(&value).ok_or_else(|| one.wrong(format!("{value:?} is no bool")));
    match one.key.as_str() {
        "call" => target.call = Some(value),
        "context" => target.context = Some(value),
        "dockerfile" => target.dockerfile = Some(value),
        "load" if bool()? => load(&mut target.outputs),
        "load" => {}
        "network" => target.network = Some(value),
        "no-cache" => target.no_cache = Some(bool()?),
        "pull" => target.pull = Some(bool()?),
        "push" if bool()? => push(&mut target.outputs),
        "push" => keep(&mut target.outputs),
        "shm-size" => target.shm_size = Some(value),
        _ => target.target = Some(value),
    }
    Ok(())
}

/// Where a list goes: into the place of another, or behind it.
#[derive(Clone, Copy, Debug)]
enum Placing {
    Append,
    Replace,
}

impl Placing {
    fn put<T>(self, mine: &mut Option<Vec<T>>, items: Vec<T>) {
        match self {
            Self::Append => mine.get_or_insert_default().extend(items),
            Self::Replace => *mine = Some(items),
        }
    }
}

fn list(target: &mut Target, all: &[&Override]) -> Result<(), Problem> {
    let Some(last) = all.last() else { return Ok(()) };
    let texts = || all.iter().filter_map(|one| one.value.clone());
    let known = || texts().filter(|text| !text.is_empty());
    let parsed = |why: String| last.wrong(why);
    let placing = if last.is_appended { Placing::Append } else { Placing::Replace };
    match last.key.as_str() {
        // These are added in any case.
        "annotations" => Placing::Append.put(&mut target.annotations, texts().collect()),
        "entitlements" => Placing::Append.put(&mut target.entitlements, texts().collect()),
        "attest" => {
            let items = known().map(|text| Attestation::parse(&text)).collect::<Result<_, _>>();
            let other = Target { attest: Some(items.map_err(parsed)?), ..Target::default() };
            target.merge(other);
        }
        "cache-from" | "cache-to" => {
            let mut entries = Vec::new();
            for text in texts() {
                entries.extend(CacheEntry::parse(&text).map_err(parsed)?);
            }
            let is_from = last.key == "cache-from";
            let mine = if is_from { &mut target.cache_from } else { &mut target.cache_to };
            placing.put(mine, entries);
            *mine = mine.take().map(without_repeats);
        }
        "no-cache-filter" => placing.put(&mut target.no_cache_filter, texts().collect()),
        "output" => {
            let mut outputs = Vec::new();
            for text in texts() {
                outputs.extend(Output::parse(&text).map_err(parsed)?);
            }
            placing.put(&mut target.outputs, outputs);
        }
        "platform" => placing.put(&mut target.platforms, texts().collect()),
        "secrets" => {
            let items = known().map(|text| Secret::parse(&text)).collect::<Result<_, _>>();
            placing.put(&mut target.secrets, items.map_err(parsed)?);
        }
        "ssh" => placing.put(&mut target.ssh, known().map(|text| Ssh::parse(&text)).collect()),
        "tags" => placing.put(&mut target.tags, texts().collect()),
        _ => placing.put(&mut target.ulimits, texts().collect()),
    }
    Ok(())
}

/// Makes images be pushed; where there is no output, or one that loads, adds one.
fn push(outputs: &mut Option<Vec<Output>>) {
    let all = outputs.get_or_insert_default();
    mark(all, "true");
    if all.iter().all(|output| output.kind == "docker") {
        let mut output = Output { kind: "image".to_owned(), ..Output::default() };
        output.attributes.insert("push".to_owned(), "true".to_owned());
        all.push(output);
    }
}

/// Makes images be kept here.
fn keep(outputs: &mut Option<Vec<Output>>) {
    let all = outputs.get_or_insert_default();
    all.retain(|output| output.kind != "registry");
    mark(all, "false");
}

fn mark(outputs: &mut [Output], push: &str) {
    for output in outputs.iter_mut().filter(|output| output.kind == "image") {
        output.attributes.insert("push".to_owned(), push.to_owned());
    }
}

/// Adds the output that loads, unless there is one, or one that is no image.
fn load(outputs: &mut Option<Vec<Output>>) {
    let all = outputs.get_or_insert_default();
    let is_loaded = |output: &Output| output.kind == "docker" && output.destination.is_empty();
    let is_image =
        |output: &Output| ["docker", "image", "oci", "registry"].contains(&output.kind.as_str());
    if !all.iter().any(is_loaded) && all.iter().all(is_image) {
        all.push(Output { kind: "docker".to_owned(), ..Output::default() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sets: &[&str], check: impl Fn(&Target)) {
        let all: Vec<Override> = sets.iter().map(|text| Override::parse(text).unwrap()).collect();
        let mut target = Target { tags: Some(vec!["a".to_owned()]), ..Target::default() };
        let lookup = |name: &str| (name == "SET").then(|| "from outside".to_owned());
        apply(&mut target, &all.iter().collect::<Vec<_>>(), &lookup).unwrap();
        check(&target);
    }

    #[test]
    fn lists_are_replaced_or_grow() {
        let tags = |target: &Target| target.tags.clone().unwrap_or_default();
        check(&["a.tags=b", "a.tags=c"], |target| assert_eq!(tags(target), ["b", "c"]));
        check(&["a.tags+=b"], |target| assert_eq!(tags(target), ["a", "b"]));
        check(&["a.ulimits=core=1"], |target| {
            assert_eq!(target.ulimits.as_deref(), Some(&["core=1".to_owned()][..]));
        });
    }

    #[test]
    fn arguments_without_a_value_are_looked_up() {
        check(&["a.args.SET", "a.args.UNSET", "a.args.X=1=2"], |target| {
            let args = target.args.as_ref().unwrap();
            assert_eq!(args["SET"].as_deref(), Some("from outside"));
            assert_eq!(args["X"].as_deref(), Some("1=2"));
            assert!(!args.contains_key("UNSET"));
        });
    }

    #[test]
    fn pushing_and_loading_leave_files_alone() {
        let outputs = |target: &Target| -> Vec<String> {
            target.outputs.iter().flatten().map(ToString::to_string).collect()
        };
        check(&["a.push=true"], |target| assert_eq!(outputs(target), ["type=image,push=true"]));
        check(&["a.load=true"], |target| assert_eq!(outputs(target), ["type=docker"]));
        check(&["a.output=out", "a.push=true", "a.load=true"], |target| {
            assert_eq!(outputs(target), ["type=local,dest=out"]);
        });
    }

    #[test]
    fn what_cannot_be_set_is_refused() {
        for text in ["a", "a.tags", "a.args=1", "a.platforms=x", "a.inherits=b"] {
            assert!(Override::parse(text).is_err(), "{text}");
        }
    }
}
