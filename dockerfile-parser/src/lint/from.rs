//! Rules about FROM lines, applied to every stage whether it is needed or not.

use super::reference;
use super::rule::{
    DUPLICATE_STAGE_NAME, FROM_PLATFORM_FLAG_CONST_DISALLOWED, INVALID_BASE_IMAGE_PLATFORM,
    INVALID_DEFAULT_ARG_IN_FROM, REDUNDANT_TARGET_PLATFORM, RESERVED_STAGE_NAME,
    UNDEFINED_ARG_IN_FROM,
};
use super::scope::{self, Scope};
use super::{Linter, Rule};
use crate::ast::{InstructionKind, Word};
use crate::expand::Variables;
use crate::stage::Stage;
use crate::suggest::nearest;

const TARGET_PLATFORM: &str = "TARGETPLATFORM";

impl Linter<'_> {
    pub(super) fn stage_heads(&mut self) {
        let [global, defaults] =
            [Values::Given, Values::Defaults].map(|values| self.global(values));
        for stage in self.stages.stages.clone() {
            self.stage_name(&stage);
            self.platform(&stage, &global);
            self.image(&stage, &global, &defaults);
            self.mismatch(&stage);
        }
    }

    /// The global arguments.
    pub(super) fn global(&self, values: Values) -> Scope {
        let mut scope = Scope::default();
        for (name, value) in &self.context.predefined {
            scope.declare(name, Some(value.clone()));
        }
        for instruction in self.stages.global {
            let InstructionKind::Arg(arg) = &instruction.kind else { continue };
            for item in &arg.items {
                let escape = self.escape();
                let name = &item.name.value;
                let default =
                    item.default.as_ref().map(|word| scope.expand(&word.value, escape).value);
                let given = self.context.build_args.get(name).filter(|_| values == Values::Given);
                scope.declare(name, given.cloned().or(default));
            }
        }
        scope
    }

    fn stage_name(&mut self, stage: &Stage<'_>) {
        let (Some(written), Some(name)) = (&stage.from.name, &stage.name) else { return };
        if ["context", "scratch"].contains(&name.as_str()) {
            let message =
                format!("Stage name should not use the same name as reserved stage {name:?}");
            self.report(&RESERVED_STAGE_NAME, stage.instruction, written, message);
        }
        if self.stages.find_before(name, stage.index).is_some() {
            let message = format!("Duplicate stage name {name:?}, stage names should be unique");
            self.report(&DUPLICATE_STAGE_NAME, stage.instruction, written, message);
        }
    }

    fn platform(&mut self, stage: &Stage<'_>, global: &Scope) {
        let Some(platform) = &stage.from.platform else { return };
        let escape = self.escape();
        let read = scope::names(&platform.value, escape);
        let value = global.expand(&platform.value, escape).value;
        let same = Variables::get(global, TARGET_PLATFORM).is_some_and(|target| target == value);
        if same && read.iter().eq([TARGET_PLATFORM]) {
            let message = format!(
                "Setting platform to predefined {} in FROM is redundant as this is the default behavior",
                platform.value
            );
            self.report(&REDUNDANT_TARGET_PLATFORM, stage.instruction, platform, message);
        }
        let name = stage.name.as_deref().unwrap_or_default();
        if read.is_empty() && !mentions(name, &self.full(&value)) {
            let message = format!("FROM --platform flag should not use constant value {value:?}");
            self.report(&FROM_PLATFORM_FLAG_CONST_DISALLOWED, stage.instruction, platform, message);
        }
    }

    /// A platform of one word with the half it leaves to this machine.
    fn full(&self, platform: &str) -> String {
        const SYSTEMS: [&str; 4] = ["darwin", "freebsd", "linux", "windows"];
        let ours = |name: &str| self.context.predefined.get(name).cloned().unwrap_or_default();
        match platform {
            platform if platform.contains('/') => platform.to_owned(),
            system if SYSTEMS.contains(&system) => format!("{system}/{}", ours("BUILDARCH")),
            architecture => format!("{}/{architecture}", ours("BUILDOS")),
        }
    }

    fn image(&mut self, stage: &Stage<'_>, global: &Scope, defaults: &Scope) {
        let image = &stage.from.image;
        for word in std::iter::once(image).chain(&stage.from.platform) {
            self.undefined(&UNDEFINED_ARG_IN_FROM, stage, word, global);
        }
        let escape = self.escape();
        if !reference::is_valid(&defaults.expand(&image.value, escape).value) {
            let message = format!(
                "Default value for ARG {} results in empty or invalid base image name",
                image.value
            );
            self.report(&INVALID_DEFAULT_ARG_IN_FROM, stage.instruction, image, message);
        }
    }

    fn undefined(&mut self, rule: &Rule, stage: &Stage<'_>, word: &Word, scope: &Scope) {
        let escape = self.escape();
        for name in scope.expand(&word.value, escape).unset {
            if scope.is_undefined(&name) {
                let guess = guess(&name, scope, "");
                let message = format!("FROM argument '{name}' is not declared{guess}");
                self.report(rule, stage.instruction, word, message);
            }
        }
    }

    fn mismatch(&mut self, stage: &Stage<'_>) {
        let facts =
            self.context.bases.get(&stage.index).filter(|_| self.needed.contains(&stage.index));
        let Some(mismatch) = facts.and_then(|facts| facts.mismatch.as_ref()) else { return };
        let message = format!(
            "Base image {} was pulled with platform {:?}, expected {:?} for current build",
            stage.from.image.value, mismatch.actual, mismatch.expected
        );
        self.report(&INVALID_BASE_IMAGE_PLATFORM, stage.instruction, &stage.from.image, message);
    }
}

/// Whether build arguments count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Values {
    /// They do.
    Given,
    /// Only defaults do.
    Defaults,
}

/// Whether the name of a stage says which platform it is for.
fn mentions(name: &str, platform: &str) -> bool {
    let lower = platform.to_lowercase();
    let parts = lower.split('/').take(2).map(|part| match part {
        "x86_64" | "x86-64" => "amd64",
        "i386" => "386",
        "aarch64" => "arm64",
        "armhf" | "armel" => "arm",
        part => part,
    });
    parts.filter(|part| !part.is_empty()).any(|part| name.contains(part))
}

/// "did you mean", as the end of a message; `sign` is what the name is written with.
pub(super) fn guess(name: &str, scope: &Scope, sign: &str) -> String {
    match nearest(name, scope.names().iter().map(String::as_str)) {
        Some(known) => format!(" (did you mean {sign}{known}?)"),
        None => String::new(),
    }
}
