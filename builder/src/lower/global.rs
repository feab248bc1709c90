//! What exists before the first stage: global arguments and the platform's.

use std::collections::BTreeMap;

use wythe_dockerfile::ast::{Escape, InstructionKind};
use wythe_dockerfile::expand::Variables;
use wythe_dockerfile::stage::Stages;
use wythe_store::oci::platform::Platform;

use super::args::Scope;
use super::error::LowerError;
use super::{Surroundings, expand};

/// The arguments that `FROM` lines see, and stages that declare them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Globals {
    /// Predefined and declared arguments.
    pub(crate) scope: Scope,
}

impl Globals {
    /// Evaluates the global `ARG`s in order.
    pub(crate) fn new(
        stages: &Stages<'_>,
        around: Surroundings<'_>,
        target: &str,
        escape: Escape,
    ) -> Result<Self, LowerError> {
        let mut globals = Self::default();
        let given = &around.options.build_args;
        let predefined = predefined(&around.options.build_platform, around.platform, target);
        for (name, value) in predefined {
            let value = given.get(&name).cloned().unwrap_or(value);
            globals.scope.declare(&name, Some(value));
        }
        for instruction in stages.global {
            if let InstructionKind::Arg(arg) = &instruction.kind {
                for item in &arg.items {
                    globals.declare(item, given, escape)?;
                }
            }
        }
        Ok(globals)
    }

    fn declare(
        &mut self,
        item: &wythe_dockerfile::ast::ArgItem,
        given: &BTreeMap<String, String>,
        escape: Escape,
    ) -> Result<(), LowerError> {
        let name = &item.name.value;
        let default = item.default.as_ref().filter(|_| !given.contains_key(name));
        let default = default.map(|word| expand::word(word, escape, &*self));
        let value = match (given.get(name), default.transpose()?) {
            (Some(given), _) => Some(given.clone()),
            (None, Some(default)) => Some(default),
            (None, None) => self.scope.get(name).map(str::to_owned),
        };
        self.scope.declare(name, value);
        Ok(())
    }
}

impl Variables for Globals {
    fn get(&self, name: &str) -> Option<String> {
        self.scope.get(name).map(str::to_owned)
    }

    fn names(&self) -> Vec<String> {
        self.scope.values().map(|(name, _)| name.to_owned()).collect()
    }
}

/// The arguments every build has.
pub(crate) fn predefined(
    build: &Platform,
    target: &Platform,
    stage: &str,
) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (prefix, platform) in [("BUILD", build), ("TARGET", target)] {
        let parts = [
            ("PLATFORM", platform.to_string()),
            ("OS", platform.os.clone()),
            ("OSVERSION", platform.os_version.clone().unwrap_or_default()),
            ("ARCH", platform.architecture.clone()),
            ("VARIANT", platform.variant.clone().unwrap_or_default()),
        ];
        found.extend(parts.map(|(name, value)| (format!("{prefix}{name}"), value)));
    }
    found.push(("TARGETSTAGE".to_owned(), stage.to_owned()));
    found
}
