//! FROM: what a stage starts as.

use wythe_dockerfile::ast::Word;
use wythe_dockerfile::expand::Variables;
use wythe_dockerfile::span::Span;
use wythe_dockerfile::stage::Stage;
use wythe_dockerfile::suggest::nearest;
use wythe_store::oci::config::ImageConfig;
use wythe_store::oci::platform::Platform;

use super::error::LowerError;
use super::expand;
use super::source::Origin;
use super::stage::Lowering;
use super::state::State;
use crate::operation::BaseSource;

impl Lowering<'_> {
    /// The state a stage starts with.
    pub(crate) fn base(&mut self, stage: &Stage<'_>) -> Result<State, LowerError> {
        let platform = self.platform(stage)?;
        let image = &stage.from.image;
        let name = expand::word(image, self.escape, &self.globals)?;
        if name.is_empty() {
            let message = format!("base name ({}) should not be blank", image.value);
            let help =
                "give the argument a default before the first FROM, or set it with --build-arg";
            return Err(LowerError::at(image.span, message).help(help));
        }
        let origin = self.origin(&name, &platform, (stage.index, image.span))?;
        self.state_of(origin, &platform, stage.index, image.span)
    }

    /// What a stage is where a named context of its name replaces all of it.
    pub(crate) fn replaced(&mut self, stage: &Stage<'_>) -> Result<Option<State>, LowerError> {
        let Some(name) = &stage.name else { return Ok(None) };
        let platform = self.platform(stage)?;
        if self.named_context(name, &platform).is_none() {
            return Ok(None);
        }
        let span = stage.from.image.span;
        let origin = self.origin(name, &platform, (stage.index, span))?;
        self.state_of(origin, &platform, stage.index, span).map(Some)
    }

    /// The state that starts from an origin.
    pub(crate) fn state_of(
        &mut self,
        origin: Origin,
        platform: &Platform,
        stage: usize,
        span: Span,
    ) -> Result<State, LowerError> {
        let base = match origin {
            Origin::Stage(index) => return Ok(self.stage(index)?.inherited()),
            Origin::Scratch => return Ok(State::scratch(self.around.platform)),
            Origin::Directory(context) => {
                let mut state = State::scratch(platform);
                let shown = format!("FROM {context}");
                let vertex = self.base_vertex(BaseSource::Directory { context }, stage, span);
                state.layer(shown, vertex);
                return Ok(state);
            }
            Origin::Layout(context) => BaseSource::Layout { context, platform: platform.clone() },
            Origin::Image(reference) => BaseSource::Image { reference, platform: platform.clone() },
        };
        let facts = self.around.bases.facts(&base).map_err(|error| {
            LowerError::base(span, error).suggest(self.near_stage(span, stage).as_deref())
        })?;
        let vertex = self.base_vertex(base, stage, span);
        let ran_on = platform_of(&facts.config, platform);
        Ok(State::over(Some(vertex), facts.config, &ran_on))
    }

    /// The platform a stage is for.
    pub(crate) fn platform(&self, stage: &Stage<'_>) -> Result<Platform, LowerError> {
        // `--platform=` with nothing behind it is as if it were not there; what expands to nothing is a mistake.
        let written = stage.from.platform.as_ref().filter(|word| !word.value.is_empty());
        let Some(word) = written else { return Ok(self.around.platform.clone()) };
        let expanded = expand::whole(word, self.escape, &self.globals)?;
        if expanded.value.is_empty() {
            let message = format!("empty platform value from expression {}", word.value);
            let names = self.globals.names();
            let missing = expanded.unset.first().map_or("", String::as_str);
            let near = nearest(missing, names.iter().map(String::as_str)).map(str::to_owned);
            return Err(LowerError::at(word.span, message).suggest(near.as_deref()));
        }
        expanded.value.parse().map_err(|error| bad_platform(word, &error))
    }

    /// A stage name that is nearly the word at a place, which asked for an image.
    fn near_stage(&self, span: Span, stage: usize) -> Option<String> {
        let here = &self.stages.stages[stage];
        let asked =
            if here.from.image.span == span { &here.from.image.value } else { return None };
        let earlier = self.stages.stages[..stage].iter().filter_map(|one| one.name.as_deref());
        nearest(asked, earlier).map(|name| format!("the stage {name}"))
    }
}

fn bad_platform(word: &Word, error: &wythe_store::oci::platform::ParsePlatformError) -> LowerError {
    LowerError::at(word.span, format!("failed to parse platform: {error}"))
        .help("write os/architecture, or $BUILDPLATFORM")
}

/// What an image says it runs on, or what was asked for where it says nothing.
fn platform_of(config: &ImageConfig, asked: &Platform) -> Platform {
    if config.architecture.is_empty() {
        return asked.clone();
    }
    let (architecture, os) = (config.architecture.clone(), config.os.clone());
    Platform { architecture, os, os_version: None, variant: config.variant.clone() }.normalized()
}
