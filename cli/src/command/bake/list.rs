//! `--list`: what a definition has.

use serde_json::{Value, json};
use wythe_bake::definition::Definition;

use crate::args::bake::{List, Listed};
use crate::args::call::AnswerFormat;
use crate::failure::Failure;
use crate::render::table::Table;
use crate::session::Session;

/// A row of the list of targets.
struct Row {
    name: String,
    description: String,
    is_group: bool,
}

/// Prints the list.
pub(super) fn print(list: List, definition: &Definition, session: &Session) -> Result<(), Failure> {
    match (list.what, list.format) {
        (Listed::Targets, AnswerFormat::Json) => {
            let objects: Vec<Value> = rows(definition).iter().map(Row::object).collect();
            session.print(&format!("{:#}", Value::from(objects)))
        }
        (Listed::Targets, AnswerFormat::Text) => {
            let mut table = Table::new(["TARGET", "DESCRIPTION"]);
            for row in rows(definition) {
                table.push([row.name, row.description]);
            }
            table.lines().iter().try_for_each(|line| session.print(line))
        }
        (Listed::Variables, AnswerFormat::Json) => {
            session.print(&format!("{:#}", Value::from(variables(definition))))
        }
        (Listed::Variables, AnswerFormat::Text) => {
            let mut table = Table::new(["VARIABLE", "TYPE", "VALUE", "DESCRIPTION"]);
            for one in definition.variables() {
                let value = one.value.clone().unwrap_or_else(|| "<null>".to_owned());
                let kind = one.kind.clone().unwrap_or_default();
                let description = one.description.clone().unwrap_or_default();
                table.push([one.name.clone(), kind, value, description]);
            }
            table.lines().iter().try_for_each(|line| session.print(line))
        }
    }
}

fn variables(definition: &Definition) -> Vec<Value> {
    let object = |one: &wythe_bake::definition::Variable| {
        let mut object = json!({"name": one.name});
        let parts = [("type", &one.kind), ("description", &one.description), ("value", &one.value)];
        for (key, part) in parts {
            if let Some(part) = part {
                object[key] = part.clone().into();
            }
        }
        object
    };
    definition.variables().iter().map(object).collect()
}

/// Targets and groups by name; those that begin with a line are nobody else's business.
fn rows(definition: &Definition) -> Vec<Row> {
    let targets = definition.targets().iter().map(|target| Row {
        name: target.name.clone(),
        description: target.description.clone().unwrap_or_default(),
        is_group: false,
    });
    let groups = definition.groups().iter().map(|group| {
        let mut names = group.targets.clone();
        names.sort();
        let names = names.join(", ");
        let description = match group.description.as_deref().unwrap_or_default() {
            "" => names,
            text if names.is_empty() => text.to_owned(),
            text => format!("{text} ({names})"),
        };
        Row { name: group.name.clone(), description, is_group: true }
    });
    let mut rows: Vec<Row> = targets.chain(groups).collect();
    rows.retain(|row| !row.name.starts_with('_'));
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    rows
}

impl Row {
    fn object(&self) -> Value {
        let mut object = json!({"name": self.name});
        if !self.description.is_empty() {
            object["description"] = self.description.clone().into();
        }
        if self.is_group {
            object["group"] = true.into();
        }
        object
    }
}
