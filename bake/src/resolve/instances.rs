//! Blocks as what they come to: one target each, or as many as a matrix makes of it.

use std::collections::BTreeMap;

use super::everywhere;
use crate::definition::is_target_name;
use crate::error::{Fault, Problem};
use crate::evaluate::{Names, Scope, mismatch};
use crate::syntax::body::{Attribute, Block, Body, Label};
use crate::target::decode::{GROUP, TARGET};
use crate::target::{Group, known_once};
use crate::value::Value;

/// The most targets that one matrix may make.
const MAX_INSTANCES: usize = 10_000;

/// One target or group.
pub(super) struct Instance<'a> {
    pub(super) block: &'a Block,
    label: &'a str,
    pub(super) name: String,
    /// What the matrix says here.
    values: BTreeMap<String, Value>,
}

impl Instance<'_> {
    pub(super) fn kind(&self) -> &str {
        &self.block.kind
    }

    /// The attributes that say something of the target itself.
    pub(super) fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        let known: &[&str] = if self.kind() == "group" { &GROUP } else { &TARGET };
        let is_known = |one: &&Attribute| known.contains(&one.name.as_str());
        let is_own = |one: &&Attribute| one.name != "name" && one.name != "matrix";
        self.block.body.attributes.iter().filter(is_known).filter(is_own)
    }

    pub(super) fn scope<'a>(&self, names: &'a dyn Names) -> Scope<'a> {
        Scope::new(names, self.values.clone())
    }
}

/// All targets and groups of files, in their order.
pub(super) fn all<'a>(bodies: &'a [Body], names: &dyn Names) -> Result<Vec<Instance<'a>>, Fault> {
    let mut all = Vec::new();
    let blocks = bodies.iter().flat_map(|body| &body.blocks);
    for block in blocks.filter(|block| names.is_block(&block.kind)) {
        let [label] = block.labels.as_slice() else {
            let text = format!("a {0} has one name: {0} \"name\" {{ … }}", block.kind);
            return Err(Problem::Invalid(text).at(block.span));
        };
        check_name(&label.text, label)?;
        all.extend(instances(block, label, names)?);
    }
    Ok(all)
}

fn check_name(name: &str, label: &Label) -> Result<(), Fault> {
    if is_target_name(name) {
        return Ok(());
    }
    Err(Problem::Name { name: name.to_owned() }.at(label.span))
}

fn instances<'a>(
    block: &'a Block,
    label: &'a Label,
    names: &dyn Names,
) -> Result<Vec<Instance<'a>>, Fault> {
    let (matrix, name) = (block.body.attribute("matrix"), block.body.attribute("name"));
    let refused = |attribute: &Attribute, text: &str| {
        Err(Problem::Invalid(text.to_owned()).at(attribute.span))
    };
    let rows = match (matrix, name) {
        (Some(one), _) if block.kind == "group" => return refused(one, "a group has no matrix"),
        (_, Some(one)) if block.kind == "group" => {
            return refused(one, "a group has no attribute name");
        }
        (None, Some(one)) => {
            return refused(one, "name is for targets with a matrix; the label names this one");
        }
        (None, None) => vec![BTreeMap::new()],
        (Some(matrix), _) => rows(matrix, names)?,
    };
    let mut instances: Vec<Instance<'a>> = Vec::new();
    for values in rows {
        let scope = Scope::new(names, values.clone());
        let name = match name {
            Some(name) => scope.text(&name.value)?,
            None => label.text.clone(),
        };
        check_name(&name, label)?;
        if instances.iter().any(|one| one.name == name) {
            let text = format!(
                "the matrix makes two targets {name:?}: name = \"{}-${{…}}\" tells them apart",
                label.text
            );
            return Err(Problem::Invalid(text).at(label.span));
        }
        instances.push(Instance { block, label: &label.text, name, values });
    }
    Ok(instances)
}

/// Each combination of a value of each axis.
fn rows(matrix: &Attribute, names: &dyn Names) -> Result<Vec<BTreeMap<String, Value>>, Fault> {
    let value = everywhere(names).evaluate(&matrix.value)?;
    let Value::Mapping(_, axes) = value else {
        return Err(mismatch("an object of lists", &value).at(matrix.value.span));
    };
    let mut rows = vec![BTreeMap::new()];
    for (axis, values) in axes {
        let values = match values {
            Value::Sequence(_, items) => items,
            Value::Mapping(_, items) => items.into_values().collect(),
            value => return Err(mismatch("a list", &value).at(matrix.value.span)),
        };
        if rows.len().saturating_mul(values.len()) > MAX_INSTANCES {
            let text = format!("the matrix makes more than {MAX_INSTANCES} targets");
            return Err(Problem::Invalid(text).at(matrix.span));
        }
        let longer = |value: &Value| {
            let (axis, value) = (axis.clone(), value.clone());
            rows.iter().map(move |row: &BTreeMap<String, Value>| {
                let mut row = row.clone();
                row.insert(axis.clone(), value.clone());
                row
            })
        };
        rows = values.iter().flat_map(longer).collect();
    }
    Ok(rows)
}

/// For each label that stands for other names: the group of them.
pub(super) fn matrices(instances: &[Instance<'_>]) -> Vec<Group> {
    let mut labels: Vec<(&str, Vec<String>)> = Vec::new();
    for one in instances.iter().filter(|one| one.kind() == "target") {
        match labels.iter_mut().find(|(label, _)| *label == one.label) {
            Some((_, names)) => names.push(one.name.clone()),
            None => labels.push((one.label, vec![one.name.clone()])),
        }
    }
    let groups = labels.into_iter().filter_map(|(label, names)| {
        let targets = known_once(names);
        let is_itself = targets.len() == 1 && targets[0] == label;
        (!is_itself).then(|| Group { name: label.to_owned(), targets, description: None })
    });
    groups.collect()
}
