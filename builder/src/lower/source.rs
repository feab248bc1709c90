//! Names of places: what `FROM`, `--from` and `from=` mean by a word.

use wythe_dockerfile::ast::Word;
use wythe_dockerfile::span::Span;
use wythe_dockerfile::suggest::nearest;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;

use super::cycle;
use super::error::LowerError;
use super::stage::{Lowering, Site};
use crate::graph::VertexId;
use crate::operation::FileSource;
use crate::options::NamedContext;

/// The empty root.
const SCRATCH: &str = "scratch";

/// What no named context replaces.
const RESERVED: [&str; 2] = [SCRATCH, "context"];

/// What a name stands for.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// Files given as a named context of this name.
    Directory(String),
    /// An image.
    Image(Reference),
    /// A layout given as a named context of this name.
    Layout(String),
    /// The empty root.
    Scratch,
    /// A stage, by position.
    Stage(usize),
}

/// Where files are looked up.
pub(crate) struct Files {
    /// The place.
    pub(crate) source: FileSource,
    /// What to call it in messages.
    pub(crate) name: String,
}

impl Lowering<'_> {
    /// What a name stands for in a stage: a named context, an earlier stage, nothing, an image.
    pub(crate) fn origin(
        &self,
        name: &str,
        platform: &Platform,
        (stage, span): (usize, Span),
    ) -> Result<Origin, LowerError> {
        if let Some((key, context)) = self.named_context(name, platform) {
            return match context {
                NamedContext::Directory(_) | NamedContext::Git(_) | NamedContext::Url(_) => {
                    Ok(Origin::Directory(key))
                }
                NamedContext::OciLayout { .. } => Ok(Origin::Layout(key)),
                NamedContext::Image(reference) if reference.to_string() == SCRATCH => {
                    Ok(Origin::Scratch)
                }
                NamedContext::Image(reference) => Ok(Origin::Image(reference.clone())),
                NamedContext::Stored(image) => Ok(Origin::Image(image.name.clone())),
            };
        }
        if let Some(found) = self.stages.find_before(name, stage) {
            return Ok(Origin::Stage(found.index));
        }
        if name == SCRATCH {
            return Ok(Origin::Scratch);
        }
        let reference: Result<Reference, _> = name.parse();
        let reference = reference.map_err(|error| {
            LowerError::at(span, format!("invalid reference format: {error}"))
                .help("write an image as [registry/]name[:tag], in lower case")
        })?;
        Ok(Origin::Image(reference.with_default_tag()))
    }

    /// The named context that replaces a name: one for the platform before one for all, by that
    /// name or by the image the name means.
    pub(crate) fn named_context(
        &self,
        name: &str,
        platform: &Platform,
    ) -> Option<(String, &NamedContext)> {
        let name = name.to_lowercase();
        if RESERVED.contains(&name.as_str()) {
            return None;
        }
        let contexts = &self.around.options.contexts;
        let suffix = format!("::{platform}");
        let limited = contexts
            .iter()
            .filter_map(|(key, context)| Some((key, key.strip_suffix(&suffix)?, context)));
        let general = contexts.iter().map(|(key, context)| (key, key.as_str(), context));
        let meant = canonical(&name);
        let is_meant = |key: &str| key == name || (meant.is_some() && canonical(key) == meant);
        let mut found = limited.chain(general).filter(|(_, key, _)| is_meant(key));
        found.next().map(|(key, _, context)| (key.clone(), context))
    }

    /// Where `--from` or `from=` looks files up. Stages it names become inputs.
    pub(crate) fn files_of(
        &mut self,
        word: &Word,
        site: Site<'_>,
        inputs: &mut Vec<VertexId>,
    ) -> Result<Files, LowerError> {
        let span = site.trigger.unwrap_or(word.span);
        if word.value.contains('$') {
            let message = format!(
                "variable expansion is not supported for --from={}, define a new stage with FROM using ARG from global scope as a workaround",
                word.value
            );
            return Err(LowerError::at(span, message));
        }
        let platform = self.around.platform.clone();
        let origin = self.place(&word.value, site.stage, span)?;
        let name = match &origin {
            Origin::Directory(_) | Origin::Layout(_) => format!("the context {}", word.value),
            Origin::Image(_) | Origin::Scratch => format!("the image {}", word.value),
            Origin::Stage(_) => format!("the stage {}", word.value),
        };
        if let Origin::Directory(context) = origin {
            return Ok(Files { source: FileSource::Directory(context), name });
        }
        let state = self.state_of(origin, &platform, site.stage, span);
        let state =
            state.map_err(|error| error.suggest(self.misspelt(&word.value, site).as_deref()))?;
        let input = |top| FileSource::Input(position(inputs, top));
        Ok(Files { source: state.top.map_or(FileSource::Nothing, input), name })
    }

    fn place(&self, name: &str, stage: usize, span: Span) -> Result<Origin, LowerError> {
        if let Ok(index) = name.parse::<i64>() {
            return match usize::try_from(index).unwrap_or(usize::MAX) {
                index if index < stage => Ok(Origin::Stage(index)),
                index if index < self.stages.stages.len() => {
                    Err(self.later(index, name, stage, span))
                }
                _ => {
                    Err(LowerError::at(span, format!("invalid stage index {name}")).help(format!(
                        "stages are numbered from 0; here 0 to {} can be named",
                        stage.saturating_sub(1)
                    )))
                }
            };
        }
        let platform = self.around.platform;
        if self.named_context(name, platform).is_none()
            && self.stages.find_before(name, stage).is_none()
            && let Some(found) = self.stages.find(name)
        {
            return Err(self.later(found.index, name, stage, span));
        }
        self.origin(name, platform, (stage, span))
    }

    /// A stage that is not there yet: itself, or one that comes later.
    fn later(&self, index: usize, name: &str, stage: usize, span: Span) -> LowerError {
        let here = self.stages.stages[stage].name.clone();
        let here = here.unwrap_or_else(|| format!("stage-{stage}"));
        if cycle::leads(self.stages, index, stage) || index == stage {
            let text = format!("circular dependency detected on stage: {here}");
            return LowerError::at(span, text).help("a stage cannot copy from what copies from it");
        }
        let message = format!(
            "cannot copy from stage {name:?}, it needs to be defined before current stage {here:?}"
        );
        LowerError::at(span, message).help("move that stage up")
    }

    fn misspelt(&self, name: &str, site: Site<'_>) -> Option<String> {
        let earlier = self.stages.stages[..site.stage].iter().filter_map(|one| one.name.as_deref());
        nearest(name, earlier).map(|stage| format!("the stage {stage}"))
    }
}

/// The position of a vertex among inputs; it is added where it is new.
pub(crate) fn position(inputs: &mut Vec<VertexId>, vertex: VertexId) -> usize {
    inputs.iter().position(|known| *known == vertex).unwrap_or_else(|| {
        inputs.push(vertex);
        inputs.len() - 1
    })
}

fn canonical(name: &str) -> Option<String> {
    let reference: Reference = name.parse().ok()?;
    Some(reference.with_default_tag().canonical())
}
