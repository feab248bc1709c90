//! Stages: which one is built, which others it needs, and what each becomes.

use std::collections::BTreeMap;

use wythe_dockerfile::ast::{Escape, Instruction, InstructionKind};
use wythe_dockerfile::diagnostic::Diagnostic;
use wythe_dockerfile::span::Span;
use wythe_dockerfile::stage::{Stage, Stages};

use wythe_store::oci::config::ImageConfig;
use wythe_store::oci::platform::Platform;

use super::args;
use super::error::LowerError;
use super::global::Globals;
use super::state::State;
use super::{Lowered, Surroundings};
use crate::graph::{Graph, ImagePlan, Vertex, VertexId};
use crate::operation::{BaseSource, Operation};
use crate::options::Caching;

/// The stage that is built.
pub(crate) struct Target {
    /// Its position.
    pub(crate) index: usize,
    /// Its name as it was asked for, or `default`.
    pub(crate) name: String,
}

/// Finds the stage that is built: the named one, or the last.
pub(crate) fn target(stages: &Stages<'_>, name: Option<&str>) -> Result<Target, LowerError> {
    let stage = match name.filter(|name| !name.is_empty()) {
        Some(name) => stages.find(name).ok_or_else(|| {
            LowerError::nowhere(format!("target stage {name:?} could not be found"))
                .suggest(stages.suggest(name))
        })?,
        None => stages.stages.last().ok_or_else(|| {
            LowerError::nowhere("dockerfile contains no stages to build").help("add a FROM")
        })?,
    };
    let name = name.filter(|name| !name.is_empty()).map(str::to_owned).or(stage.name.clone());
    let name = name.unwrap_or_else(|| "default".to_owned());
    Ok(Target { index: stage.index, name })
}

/// The work of lowering: vertices as they come to be, and stages that are done.
pub(crate) struct Lowering<'a> {
    pub(crate) stages: &'a Stages<'a>,
    pub(crate) around: Surroundings<'a>,
    pub(crate) globals: Globals,
    pub(crate) escape: Escape,
    pub(crate) epoch: Option<i64>,
    pub(crate) warnings: Vec<Diagnostic>,
    vertices: Vec<Vertex>,
    finished: BTreeMap<usize, State>,
}

/// Where an instruction stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'s> {
    /// The stage.
    pub(crate) stage: usize,
    /// Where errors of triggers point, instead of into the trigger.
    pub(crate) trigger: Option<Span>,
    /// The instruction.
    pub(crate) instruction: &'s Instruction,
}

impl Site<'_> {
    /// Where the Dockerfile asks for what the instruction does.
    pub(crate) fn span(&self) -> Span {
        self.trigger.unwrap_or(self.instruction.span)
    }
}

impl<'a> Lowering<'a> {
    pub(crate) fn new(
        stages: &'a Stages<'a>,
        around: Surroundings<'a>,
        globals: Globals,
        escape: Escape,
    ) -> Self {
        let (vertices, finished, warnings) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { stages, around, globals, escape, epoch: None, warnings, vertices, finished }
    }

    /// Lowers a stage and what it needs, and makes it the image.
    pub(crate) fn image(mut self, target: Target) -> Result<Lowered, LowerError> {
        let epoch = args::epoch(self.around.options);
        self.epoch = epoch.map_err(|error| LowerError::nowhere(error.to_string()))?;
        let state = self.stage(target.index)?;
        let mut config = state.config;
        // Who names a platform gets an image of it, whatever its base says.
        if !self.around.options.platforms.is_empty() {
            say_platform(&mut config, self.around.platform);
        }
        // What goes without saying is not said, such as that arm64 is v8.
        config.variant = config.platform().variant;
        config.config.labels.extend(self.around.options.labels.clone());
        let (top, instructions) = (state.top, state.records);
        let (target, platform) = (target.name, self.around.platform.clone());
        let epoch = self.epoch;
        let image = ImagePlan { target, platform, top, config, instructions, epoch };
        let graph = Graph { vertices: self.vertices, images: vec![image] };
        Ok(Lowered { graph, warnings: self.warnings })
    }

    /// What a stage ends as.
    pub(crate) fn stage(&mut self, index: usize) -> Result<State, LowerError> {
        if let Some(state) = self.finished.get(&index) {
            return Ok(state.clone());
        }
        let stage = self.stages.stages[index].clone();
        if let Some(state) = self.replaced(&stage)? {
            return Ok(state);
        }
        let mut state = self.base(&stage)?;
        self.triggers(&stage, &mut state)?;
        for instruction in stage.body {
            let site = Site { stage: index, trigger: None, instruction };
            self.instruction(site, &mut state)?;
        }
        self.finished.insert(index, state.clone());
        Ok(state)
    }

    /// Carries out one instruction on the state of its stage.
    #[expect(clippy::wildcard_enum_match_arm, reason = "`metadata` takes the rest")]
    pub(crate) fn instruction(
        &mut self,
        site: Site<'_>,
        state: &mut State,
    ) -> Result<(), LowerError> {
        match &site.instruction.kind {
            InstructionKind::Add(add) => self.add(site, add, state),
            InstructionKind::Copy(copy) => self.copy(site, copy, state),
            InstructionKind::Run(run) => self.run(site, run, state),
            InstructionKind::Workdir(path) => self.workdir(site, path, state),
            InstructionKind::Arg(arg) => self.arg(arg, state),
            other => self.metadata(site, other, state),
        }
    }

    /// Adds a vertex for an instruction.
    pub(crate) fn vertex(
        &mut self,
        site: Site<'_>,
        operation: Operation,
        parent: Option<VertexId>,
        inputs: Vec<VertexId>,
    ) -> VertexId {
        let stage = &self.stages.stages[site.stage];
        let name = step_name(self.stages, stage, site.instruction);
        let label = stage.name.clone().unwrap_or_default();
        let caching = self.around.options.cache.of_stage(&label);
        let (stage, span) = (site.stage, site.span());
        self.push(Vertex { operation, parent, inputs, name, stage, span, caching })
    }

    /// The vertex of a base, one for every use of it.
    pub(crate) fn base_vertex(&mut self, base: BaseSource, stage: usize, span: Span) -> VertexId {
        let operation = Operation::Base(base);
        if let Some(at) = self.vertices.iter().position(|vertex| vertex.operation == operation) {
            return VertexId(at);
        }
        let name = match &operation {
            Operation::Base(BaseSource::Image { reference, .. }) => format!("FROM {reference}"),
            Operation::Base(
                BaseSource::Layout { context, .. } | BaseSource::Directory { context },
            ) => {
                format!("FROM {context}")
            }
            Operation::Copy(_) | Operation::Run(_) | Operation::Workdir(_) => String::new(),
        };
        let (parent, inputs, caching) = (None, Vec::new(), Caching::Reuse);
        self.push(Vertex { operation, parent, inputs, name, stage, span, caching })
    }

    fn push(&mut self, vertex: Vertex) -> VertexId {
        self.vertices.push(vertex);
        VertexId(self.vertices.len() - 1)
    }
}

fn say_platform(config: &mut ImageConfig, platform: &Platform) {
    let same = config.os == platform.os && config.architecture == platform.architecture;
    platform.os.clone_into(&mut config.os);
    platform.architecture.clone_into(&mut config.architecture);
    if platform.variant.is_some() || !same {
        config.variant.clone_from(&platform.variant);
    }
}

/// How progress shows a step: `[build 2/3] RUN make`.
fn step_name(stages: &Stages<'_>, stage: &Stage<'_>, instruction: &Instruction) -> String {
    let steps: Vec<&Instruction> = stage.body.iter().filter(|one| makes_layer(one)).collect();
    let at = steps.iter().position(|one| one.span == instruction.span);
    let number = at.map_or(1, |at| at + 2);
    let label = match (&stage.name, stages.stages.len()) {
        (Some(name), _) => format!("{name} "),
        (None, 1) => String::new(),
        (None, _) => format!("stage-{} ", stage.index),
    };
    let text = instruction.text.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("[{label}{number}/{}] {text}", steps.len() + 1)
}

fn makes_layer(instruction: &Instruction) -> bool {
    use InstructionKind::{Add, Copy, Run, Workdir};
    matches!(instruction.kind, Add(_) | Copy(_) | Run(_) | Workdir(_))
}
