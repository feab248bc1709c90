//! Attributes of blocks into targets and groups.

use std::collections::BTreeMap;

use super::entry::{Attestation, CacheEntry, Output, Secret, Ssh};
use super::{Group, Target};
use crate::error::Problem;
use crate::evaluate::mismatch;
use crate::value::Value;

/// The attributes of a target, in alphabetical order.
pub(crate) const TARGET: [&str; 29] = [
    "annotations",
    "args",
    "attest",
    "cache-from",
    "cache-to",
    "call",
    "context",
    "contexts",
    "description",
    "dockerfile",
    "dockerfile-inline",
    "entitlements",
    "extra-hosts",
    "inherits",
    "labels",
    "matrix",
    "name",
    "network",
    "no-cache",
    "no-cache-filter",
    "output",
    "platforms",
    "pull",
    "secret",
    "shm-size",
    "ssh",
    "tags",
    "target",
    "ulimits",
];

/// The attributes of a group.
pub(crate) const GROUP: [&str; 2] = ["description", "targets"];

type Strings = Option<BTreeMap<String, Option<String>>>;

impl Target {
    /// Sets one attribute. Names that targets do not have are none of this one's business.
    pub(crate) fn set(&mut self, name: &str, value: &Value) -> Result<(), Problem> {
        match name {
            "annotations" => self.annotations = list(value)?,
            "args" => self.args = strings(value)?,
            "attest" => self.attest = entries(value, attestation)?,
            "cache-from" => self.cache_from = entries(value, cache)?,
            "cache-to" => self.cache_to = entries(value, cache)?,
            "call" => self.call = text(value)?,
            "context" => self.context = text(value)?,
            "contexts" => self.contexts = contexts(value)?,
            "description" => self.description = text(value)?,
            "dockerfile" => self.dockerfile = text(value)?,
            "dockerfile-inline" => self.dockerfile_inline = text(value)?,
            "entitlements" => self.entitlements = list(value)?,
            "extra-hosts" => self.extra_hosts = strings(value)?,
            "inherits" => self.inherits = list(value)?.unwrap_or_default(),
            "labels" => self.labels = strings(value)?,
            "network" => self.network = text(value)?,
            "no-cache" => self.no_cache = truth(value)?,
            "no-cache-filter" => self.no_cache_filter = list(value)?,
            "output" => self.outputs = entries(value, output)?,
            "platforms" => self.platforms = list(value)?,
            "pull" => self.pull = truth(value)?,
            "secret" => self.secrets = entries(value, secret)?,
            "shm-size" => self.shm_size = text(value)?,
            "ssh" => self.ssh = entries(value, ssh)?,
            "tags" => self.tags = list(value)?,
            "target" => self.target = text(value)?,
            "ulimits" => self.ulimits = list(value)?,
            _ => {}
        }
        Ok(())
    }
}

impl Group {
    /// Sets one attribute.
    pub(crate) fn set(&mut self, name: &str, value: &Value) -> Result<(), Problem> {
        match name {
            "description" => self.description = text(value)?,
            "targets" => self.targets = list(value)?.unwrap_or_default(),
            _ => {}
        }
        Ok(())
    }
}

fn text(value: &Value) -> Result<Option<String>, Problem> {
    if value.is_null() {
        return Ok(None);
    }
    value.to_text().map(Some).ok_or_else(|| mismatch("a string", value))
}

fn truth(value: &Value) -> Result<Option<bool>, Problem> {
    if value.is_null() {
        return Ok(None);
    }
    value.to_bool().map(Some).ok_or_else(|| mismatch("a bool", value))
}

fn items(value: &Value) -> Result<Option<&[Value]>, Problem> {
    match value {
        Value::Null => Ok(None),
        Value::Sequence(_, items) => Ok(Some(items)),
        value => Err(mismatch("a list", value)),
    }
}

fn list(value: &Value) -> Result<Option<Vec<String>>, Problem> {
    let text = |item: &Value| match item {
        Value::Null => {
            let text = "null in a list of strings; compact() takes null and empty strings out";
            Err(Problem::Invalid(text.to_owned()))
        }
        item => item.to_text().ok_or_else(|| mismatch("a string", item)),
    };
    items(value)?.map(|items| items.iter().map(text).collect()).transpose()
}

fn mapping(value: &Value) -> Result<Option<&BTreeMap<String, Value>>, Problem> {
    match value {
        Value::Null => Ok(None),
        Value::Mapping(_, items) => Ok(Some(items)),
        value => Err(mismatch("an object", value)),
    }
}

fn strings(value: &Value) -> Result<Strings, Problem> {
    let pair = |(key, item): (&String, &Value)| {
        let item = text(item).map_err(|_| {
            Problem::Invalid(format!("{key:?} has to be a string, it is {}", item.described()))
        })?;
        Ok((key.clone(), item))
    };
    mapping(value)?.map(|items| items.iter().map(pair).collect()).transpose()
}

fn contexts(value: &Value) -> Result<Option<BTreeMap<String, String>>, Problem> {
    let known = |items: BTreeMap<String, Option<String>>| {
        items.into_iter().map(|(key, item)| (key, item.unwrap_or_default())).collect()
    };
    Ok(strings(value)?.map(known))
}

/// The entries of a list; null and empty ones are left out, so that conditions can make them.
fn entries<T>(
    value: &Value,
    entry: fn(&Value) -> Result<Vec<T>, Problem>,
) -> Result<Option<Vec<T>>, Problem> {
    let Some(items) = items(value)? else { return Ok(None) };
    let mut all = Vec::new();
    for item in items {
        if !item.is_null() && *item != Value::string("") {
            all.extend(entry(item)?);
        }
    }
    Ok(Some(all))
}

/// The attributes of an entry that is an object; null ones are left out.
fn attributes(value: &Value) -> Result<BTreeMap<String, String>, Problem> {
    let Value::Mapping(..) = value else {
        return Err(mismatch("a string or an object", value));
    };
    let known = strings(value)?.unwrap_or_default().into_iter();
    Ok(known.filter_map(|(key, item)| Some((key, item?))).collect())
}

fn cache(value: &Value) -> Result<Vec<CacheEntry>, Problem> {
    match value {
        Value::String(text) => CacheEntry::parse(text).map_err(Problem::Invalid),
        value => {
            let entry = CacheEntry::from_attributes(attributes(value)?);
            entry.map(|entry| vec![entry]).map_err(Problem::Invalid)
        }
    }
}

fn output(value: &Value) -> Result<Vec<Output>, Problem> {
    match value {
        Value::String(text) => {
            Output::parse(text).map(|one| one.into_iter().collect()).map_err(Problem::Invalid)
        }
        value => {
            let output = Output::from_attributes(attributes(value)?);
            output.map(|output| vec![output]).map_err(Problem::Invalid)
        }
    }
}

fn attestation(value: &Value) -> Result<Vec<Attestation>, Problem> {
    let attestation = match value {
        Value::String(text) => Attestation::parse(text),
        value => Attestation::from_attributes(attributes(value)?),
    };
    attestation.map(|one| vec![one]).map_err(Problem::Invalid)
}

fn secret(value: &Value) -> Result<Vec<Secret>, Problem> {
    if let Value::String(text) = value {
        return Secret::parse(text).map(|secret| vec![secret]).map_err(Problem::Invalid);
    }
    let mut items = attributes(value)?;
    let mut take = |name: &str| items.remove(name).unwrap_or_default();
    Ok(vec![Secret { id: take("id"), source: take("src"), variable: take("env") }])
}

fn ssh(value: &Value) -> Result<Vec<Ssh>, Problem> {
    if let Value::String(text) = value {
        return Ok(vec![Ssh::parse(text)]);
    }
    let Some(items) = mapping(value)? else { return Ok(Vec::new()) };
    let id = items.get("id").map(text).transpose()?.flatten().unwrap_or_default();
    let paths = items.get("paths").map(list).transpose()?.flatten().unwrap_or_default();
    Ok(vec![Ssh { id, paths }])
}
