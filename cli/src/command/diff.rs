//! `wythe diff`.

use serde_json::{Value, json};
use wythe_store::image::catalog::StoredImage;
use wythe_store::image::rootfs::rootfs;

use crate::args::call::AnswerFormat;
use crate::args::copy_out::DiffArgs;
use crate::difference::{Change, Difference, Times, between};
use crate::failure::{Class, Failure};
use crate::render::sanitize::{self, Medium};
use crate::session::Session;
use crate::stored_image;

/// Says in what the files and the configuration of two images differ.
pub(crate) fn run(args: &DiffArgs, session: &Session) -> Result<(), Failure> {
    let lease = session.store()?.lease()?;
    let image = |name: &str| stored_image::complete(&lease, name, None, session);
    let (one, other) = (image(&args.one)?, image(&args.other)?);
    let times = if args.times.is_on() { Times::Told } else { Times::Ignored };
    let files = between(&rootfs(&lease, &one)?, &rootfs(&lease, &other)?, times);
    let fields = configuration(&one, &other)?;
    match args.format {
        AnswerFormat::Json => {
            let all: Vec<Value> = fields.iter().chain(&files).map(object).collect();
            session.print(&json!(all).to_string())
        }
        AnswerFormat::Text => {
            fields.iter().chain(&files).try_for_each(|found| session.print(&line(found)))
        }
    }
}

/// The fields of the configuration that differ.
fn configuration(one: &StoredImage, other: &StoredImage) -> Result<Vec<Difference>, Failure> {
    let parse = |image: &StoredImage| {
        serde_json::from_slice::<Value>(image.config.bytes())
            .map_err(|error| Failure::of(Class::Damage, &error))
    };
    let (one, other) = (parse(one)?, parse(other)?);
    let mut found = Vec::new();
    for key in ["architecture", "os", "variant"] {
        field(key, &one[key], &other[key], &mut found);
    }
    let keys = [&one, &other].into_iter().filter_map(|document| document["config"].as_object());
    let mut keys: Vec<&String> = keys.flat_map(|fields| fields.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        field(key, &one["config"][key], &other["config"][key], &mut found);
    }
    Ok(found)
}

fn field(name: &str, one: &Value, other: &Value, found: &mut Vec<Difference>) {
    if one != other {
        let (what, before, after) = (name.to_owned(), one.clone(), other.clone());
        found.push(Difference::Field(Change { what, before, after }));
    }
}

/// A line as `docker diff` has it, with what has changed.
fn line(found: &Difference) -> String {
    let text = match found {
        Difference::Added(path) => format!("A {path}"),
        Difference::Removed(path) => format!("D {path}"),
        Difference::Changed(path, changes) => {
            let changes: Vec<String> = changes.iter().map(change).collect();
            format!("C {path}  {}", changes.join(", "))
        }
        Difference::Field(field) => format!("config {}", change(field)),
    };
    sanitize::text(text.as_bytes(), Medium::Log)
}

fn change(Change { what, before, after }: &Change) -> String {
    let text = |value: &Value| match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    };
    match (before, after) {
        (Value::Null, Value::Null) => what.clone(),
        (before, after) => format!("{what} {} -> {}", text(before), text(after)),
    }
}

fn object(found: &Difference) -> Value {
    let parts = |Change { what, before, after }: &Change| json!({"what": what, "before": before, "after": after});
    match found {
        Difference::Added(path) => json!({"kind": "added", "path": path}),
        Difference::Removed(path) => json!({"kind": "removed", "path": path}),
        Difference::Changed(path, changes) => {
            json!({"kind": "changed", "path": path, "changes": changes.iter().map(parts).collect::<Vec<_>>()})
        }
        Difference::Field(field) => json!({"kind": "configuration", "changes": [parts(field)]}),
    }
}
