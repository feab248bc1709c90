//! Triggers: instructions that a base has waiting for whoever starts from it.

use wythe_dockerfile::diagnostic::Severity;
use wythe_dockerfile::parse::parse_trigger;
use wythe_dockerfile::stage::Stage;

use super::error::LowerError;
use super::stage::{Lowering, Site};
use super::state::State;

impl Lowering<'_> {
    /// Carries out the triggers of a stage's base, as if they stood right after its `FROM`.
    pub(crate) fn triggers(
        &mut self,
        stage: &Stage<'_>,
        state: &mut State,
    ) -> Result<(), LowerError> {
        let place = stage.instruction.span;
        for text in std::mem::take(&mut state.config.config.on_build) {
            let parsed = parse_trigger(&text);
            let broken = parsed.diagnostics.iter().find(|one| one.severity == Severity::Error);
            if let Some(finding) = broken {
                let message = format!("in the trigger {text:?} of the base: {}", finding.message);
                return Err(LowerError::at(place, message).help(IN_BASE));
            }
            for instruction in &parsed.dockerfile.instructions {
                let site = Site { stage: stage.index, trigger: Some(place), instruction };
                self.instruction(site, state).map_err(|error| moved(&error, &text, place))?;
            }
        }
        Ok(())
    }
}

/// What helps where a trigger is wrong.
const IN_BASE: &str = "correct the ONBUILD instruction of the base";

/// The error at the `FROM`, because the trigger stands in no file of the user's.
fn moved(error: &LowerError, trigger: &str, place: wythe_dockerfile::span::Span) -> LowerError {
    let message = format!("in the trigger {trigger:?} of the base: {}", error.message());
    LowerError::at(place, message).help(IN_BASE)
}
