//! Targets and groups as other things see them: expressions, and programs that read JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::entry::{Attestation, CacheEntry, Output, Secret, Ssh};
use super::{Group, Target};
use crate::definition::HERE;
use crate::value::Value;

type Strings = Option<BTreeMap<String, Option<String>>>;

impl Target {
    /// What `target.NAME.ATTRIBUTE` is. None for what targets do not have.
    pub(crate) fn value(&self, attribute: &str) -> Option<Value> {
        Some(match attribute {
            "name" => Value::string(self.name.as_str()),
            "annotations" => list(self.annotations.as_ref()),
            "args" => strings(&self.args),
            "attest" => entries(self.attest.as_deref(), attestation),
            "cache-from" => entries(self.cache_from.as_deref(), cache),
            "cache-to" => entries(self.cache_to.as_deref(), cache),
            "call" => text(self.call.as_ref()),
            "context" => text(self.context.as_ref()),
            "contexts" => self.contexts.as_ref().map_or(Value::Null, |items| {
                let pair = |(key, item): (&String, &String)| (key.clone(), Value::string(item));
                Value::map(items.iter().map(pair).collect())
            }),
            "description" => Value::string(self.description.clone().unwrap_or_default()),
            "dockerfile" => text(self.dockerfile.as_ref()),
            "dockerfile-inline" => text(self.dockerfile_inline.as_ref()),
            "entitlements" => list(self.entitlements.as_ref()),
            "extra-hosts" => strings(&self.extra_hosts),
            "inherits" if self.inherits.is_empty() => Value::Null,
            "inherits" => Value::strings(self.inherits.iter().cloned()),
            "labels" => strings(&self.labels),
            "network" => text(self.network.as_ref()),
            "no-cache" => self.no_cache.map_or(Value::Null, Value::Bool),
            "no-cache-filter" => list(self.no_cache_filter.as_ref()),
            "output" => entries(self.outputs.as_deref(), output),
            "platforms" => list(self.platforms.as_ref()),
            "pull" => self.pull.map_or(Value::Null, Value::Bool),
            "secret" => entries(self.secrets.as_deref(), secret),
            "shm-size" => text(self.shm_size.as_ref()),
            "ssh" => entries(self.ssh.as_deref(), ssh),
            "tags" => list(self.tags.as_ref()),
            "target" => text(self.target.as_ref()),
            "ulimits" => list(self.ulimits.as_ref()),
            _ => return None,
        })
    }
}

impl Group {
    /// What `group.NAME.ATTRIBUTE` is.
    pub(crate) fn value(&self, attribute: &str) -> Option<Value> {
        match attribute {
            "name" => Some(Value::string(self.name.as_str())),
            "description" => Some(Value::string(self.description.clone().unwrap_or_default())),
            "targets" => Some(Value::strings(self.targets.iter().cloned())),
            _ => None,
        }
    }
}

fn text(text: Option<&String>) -> Value {
    text.map_or(Value::Null, Value::string)
}

fn list(items: Option<&Vec<String>>) -> Value {
    items.map_or(Value::Null, |items| Value::strings(items.iter().cloned()))
}

fn strings(items: &Strings) -> Value {
    let Some(items) = items else { return Value::Null };
    let pair = |(key, item): (&String, &Option<String>)| (key.clone(), text(item.as_ref()));
    Value::map(items.iter().map(pair).collect())
}

fn entries<T>(items: Option<&[T]>, value: fn(&T) -> Value) -> Value {
    Value::list(items.unwrap_or_default().iter().map(value).collect())
}

fn object<'a>(
    first: impl IntoIterator<Item = (&'a str, &'a str)>,
    rest: &'a BTreeMap<String, String>,
) -> BTreeMap<&'a str, &'a str> {
    let rest = rest.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    rest.chain(first).collect()
}

fn map(items: BTreeMap<&str, &str>) -> Value {
    let pair = |(key, item): (&str, &str)| (key.to_owned(), Value::string(item));
    Value::map(items.into_iter().map(pair).collect())
}

fn cache(one: &CacheEntry) -> Value {
    map(object([("type", one.kind.as_str())], &one.attributes))
}

fn output(one: &Output) -> Value {
    let first = [("type", one.kind.as_str()), ("dest", one.destination.as_str())];
    map(object(first, &one.attributes))
}

fn attestation(one: &Attestation) -> Value {
    let mut items = object([("type", one.kind.as_str())], &one.attributes);
    if one.is_disabled {
        items.insert("disabled", "true");
    }
    map(items)
}

fn secret(one: &Secret) -> Value {
    let none = BTreeMap::new();
    let first =
        [("id", one.id.as_str()), ("src", one.source.as_str()), ("env", one.variable.as_str())];
    map(object(first, &none))
}

fn ssh(one: &Ssh) -> Value {
    Value::object(BTreeMap::from([
        ("id".to_owned(), Value::string(one.id.as_str())),
        ("paths".to_owned(), Value::strings(one.paths.iter().cloned())),
    ]))
}

/// Text that a definition would have to escape, as it would be written in one.
fn escaped(text: &str) -> String {
    text.replace("${", "$${").replace("%{", "%%{")
}

fn escaped_map(items: &BTreeMap<String, Option<String>>) -> BTreeMap<&str, Option<String>> {
    items.iter().map(|(key, item)| (key.as_str(), item.as_deref().map(escaped))).collect()
}

impl Serialize for CacheEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        object([("type", self.kind.as_str())], &self.attributes).serialize(serializer)
    }
}

impl Serialize for Output {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut items = object([("type", self.kind.as_str())], &self.attributes);
        if !self.destination.is_empty() {
            items.insert("dest", &self.destination);
        }
        items.serialize(serializer)
    }
}

impl Serialize for Attestation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let mut items = object([("type", self.kind.as_str())], &self.attributes);
        if self.is_disabled {
            items.insert("disabled", "");
        }
        for (key, item) in items {
            match key {
                "disabled" if self.is_disabled => map.serialize_entry(key, &true)?,
                key => map.serialize_entry(key, item)?,
            }
        }
        map.end()
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let all = [("id", &self.id), ("src", &self.source), ("env", &self.variable)];
        for (key, item) in all.into_iter().filter(|(_, item)| !item.is_empty()) {
            map.serialize_entry(key, item)?;
        }
        map.end()
    }
}

impl Serialize for Ssh {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.id.is_empty() {
            map.serialize_entry("id", &self.id)?;
        }
        if !self.paths.is_empty() {
            map.serialize_entry("paths", &self.paths)?;
        }
        map.end()
    }
}

impl Serialize for Group {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(description) = self.description.as_ref().filter(|text| !text.is_empty()) {
            map.serialize_entry("description", description)?;
        }
        map.serialize_entry("targets", &self.targets)?;
        map.end()
    }
}

/// The members of an object that are there.
struct Members<M>(M);

impl<M: SerializeMap> Members<M> {
    fn text(&mut self, key: &str, text: Option<&String>) -> Result<(), M::Error> {
        text.map_or(Ok(()), |text| self.0.serialize_entry(key, text))
    }

    fn list<T: Serialize>(&mut self, key: &str, items: Option<&Vec<T>>) -> Result<(), M::Error> {
        let items = items.filter(|items| !items.is_empty());
        items.map_or(Ok(()), |items| self.0.serialize_entry(key, items))
    }

    fn map(&mut self, key: &str, items: &Strings) -> Result<(), M::Error> {
        let items = items.as_ref().filter(|items| !items.is_empty());
        items.map_or(Ok(()), |items| self.0.serialize_entry(key, &escaped_map(items)))
    }

    fn truth(&mut self, key: &str, truth: Option<bool>) -> Result<(), M::Error> {
        truth.map_or(Ok(()), |truth| self.0.serialize_entry(key, &truth))
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = Members(serializer.serialize_map(None)?);
        map.text("description", self.description.as_ref().filter(|text| !text.is_empty()))?;
        let annotations =
            self.annotations.as_ref().map(|items| items.iter().map(|one| escaped(one)).collect());
        map.list::<String>("annotations", annotations.as_ref())?;
        map.list("attest", self.attest.as_ref())?;
        let context = self.context.as_deref();
        let context = context.map(|text| text.strip_prefix(HERE).unwrap_or(text).to_owned());
        map.text("context", context.as_ref())?;
        if let Some(contexts) = self.contexts.as_ref().filter(|items| !items.is_empty()) {
            map.0.serialize_entry("contexts", contexts)?;
        }
        map.text("dockerfile", self.dockerfile.as_ref())?;
        let inline = self.dockerfile_inline.as_deref().map(escaped);
        map.text("dockerfile-inline", inline.as_ref())?;
        map.map("args", &self.args)?;
        map.map("labels", &self.labels)?;
        map.list("tags", self.tags.as_ref())?;
        map.list("cache-from", self.cache_from.as_ref())?;
        map.list("cache-to", self.cache_to.as_ref())?;
        map.text("target", self.target.as_ref())?;
        map.list("secret", self.secrets.as_ref())?;
        map.list("ssh", self.ssh.as_ref())?;
        map.list("platforms", self.platforms.as_ref())?;
        map.list("output", self.outputs.as_ref())?;
        map.truth("pull", self.pull)?;
        map.truth("no-cache", self.no_cache)?;
        map.text("network", self.network.as_ref())?;
        map.list("no-cache-filter", self.no_cache_filter.as_ref())?;
        map.text("shm-size", self.shm_size.as_ref())?;
        map.list("ulimits", self.ulimits.as_ref())?;
        map.text("call", self.call.as_ref())?;
        map.list("entitlements", self.entitlements.as_ref())?;
        map.map("extra-hosts", &self.extra_hosts)?;
        map.0.end()
    }
}
