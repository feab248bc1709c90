//! What is to be built: targets with everything said.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::target::{Group, Target};

/// Targets by name, and the groups through which they were chosen.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Plan {
    /// The groups, the chosen ones together as `default`.
    pub groups: BTreeMap<String, Group>,
    /// The targets, those that others have as contexts among them.
    pub targets: BTreeMap<String, Target>,
}

#[derive(Serialize)]
struct Printed<'a> {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    group: &'a BTreeMap<String, Group>,
    target: &'a BTreeMap<String, Target>,
}

impl Plan {
    /// As `--print` shows it: a definition in JSON that means the same.
    pub fn to_json(&self) -> String {
        let printed = Printed { group: &self.groups, target: &self.targets };
        // Maps of text and text cannot fail.
        let json = serde_json::to_string_pretty(&printed).unwrap_or_default();
        // Only strings can have these, and others escape them.
        json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
    }

    /// The targets, each after those that it has as contexts.
    pub fn in_order(&self) -> Vec<&Target> {
        let mut order = Vec::new();
        for name in self.targets.keys() {
            self.visit(name, &mut order);
        }
        order
    }

    fn visit<'a>(&'a self, name: &str, order: &mut Vec<&'a Target>) {
        let Some(target) = self.targets.get(name) else { return };
        if order.iter().any(|seen| seen.name == target.name) {
            return;
        }
        // Circles were refused when the plan was made.
        target.links().for_each(|link| self.visit(link, order));
        order.push(target);
    }
}
