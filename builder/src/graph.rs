//! The steps of a build and what each reads: what lowering makes and solving consumes.

use std::collections::BTreeSet;

use wythe_dockerfile::span::Span;
use wythe_store::oci::config::ImageConfig;
use wythe_store::oci::platform::Platform;

use crate::demand::Wiring;
use crate::operation::Operation;
use crate::options::Caching;
use crate::progress::{StepId, StepKind, StepOutline};

/// The index of a vertex in [`Graph::vertices`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct VertexId(pub usize);

/// Everything the images need, inputs before their users.
#[derive(Clone, Debug)]
pub struct Graph {
    /// The steps.
    pub vertices: Vec<Vertex>,
    /// What the images are made of: for each target one for each platform.
    pub images: Vec<ImagePlan>,
}

/// One step.
#[derive(Clone, Debug)]
pub struct Vertex {
    /// What it does.
    pub operation: Operation,
    /// The vertex whose layers lie below its own.
    pub parent: Option<VertexId>,
    /// Every vertex it reads besides its parent, each once, in the order of first use.
    pub inputs: Vec<VertexId>,
    /// How progress shows it: `[build 2/3] RUN make`.
    pub name: String,
    /// The stage it belongs to, as an index into the Dockerfile's stages.
    pub stage: usize,
    /// Where the Dockerfile asks for it. A trigger of a base points at the `FROM`.
    pub span: Span,
    /// Whether a known result may be used.
    pub caching: Caching,
}

/// What the image of a target for a platform is made of.
#[derive(Clone, Debug)]
pub struct ImagePlan {
    /// The name of the stage, or `default`.
    pub target: String,
    /// What it is for.
    pub platform: Platform,
    /// The last vertex of the stage; absent for an image without layers.
    pub top: Option<VertexId>,
    /// The configuration after the last instruction, without times, DiffIDs and new history.
    /// Its `history` is the base image's.
    pub config: ImageConfig,
    /// What every instruction since the base image did.
    pub instructions: Vec<InstructionRecord>,
    /// `SOURCE_DATE_EPOCH`: the creation time of everything new, in seconds.
    pub epoch: Option<i64>,
}

/// One instruction as history tells it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InstructionRecord {
    /// The instruction in the spelling of history.
    pub created_by: String,
    /// The vertex that made its layer, if it has one.
    pub layer: Option<VertexId>,
}

impl VertexId {
    /// The same in events.
    pub fn step(self) -> StepId {
        StepId(self.0 + 1)
    }
}

impl Graph {
    /// The vertex of an id of this graph.
    pub fn vertex(&self, id: VertexId) -> &Vertex {
        &self.vertices[id.0]
    }

    /// Vertices, and all that they read directly or not, in the order of the graph.
    pub fn below(&self, tops: impl Iterator<Item = VertexId>) -> BTreeSet<VertexId> {
        let (mut found, mut open) = (BTreeSet::new(), tops.collect::<Vec<_>>());
        while let Some(id) = open.pop() {
            if found.insert(id) {
                open.extend(self.vertex(id).reads());
            }
        }
        found
    }

    /// The vertices as progress tells of them.
    pub fn outline(&self) -> Vec<StepOutline<'_>> {
        let vertices = self.vertices.iter().enumerate();
        vertices.map(|(index, vertex)| vertex.outline(VertexId(index))).collect()
    }

    /// How the vertices hang together.
    pub fn wiring(&self) -> Wiring {
        let parent = |vertex: &Vertex| vertex.parent.map(|id| id.0);
        let inputs = |vertex: &Vertex| vertex.reads().map(|id| id.0).collect();
        Wiring {
            parents: self.vertices.iter().map(parent).collect(),
            inputs: self.vertices.iter().map(inputs).collect(),
        }
    }
}

impl Vertex {
    fn outline(&self, id: VertexId) -> StepOutline<'_> {
        StepOutline {
            step: id.step(),
            name: &self.name,
            kind: match self.operation {
                Operation::Base(_) => StepKind::Base,
                Operation::Copy(_) => StepKind::Copy,
                Operation::Run(_) => StepKind::Run,
                Operation::Workdir(_) => StepKind::Workdir,
            },
            span: self.span,
            inputs: self.reads().map(VertexId::step).collect(),
        }
    }

    /// Everything it reads: the parent, if any, and then the other inputs.
    pub fn reads(&self) -> impl Iterator<Item = VertexId> {
        self.parent.into_iter().chain(self.inputs.iter().copied())
    }
}
