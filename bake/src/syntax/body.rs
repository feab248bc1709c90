//! What a file consists of: attributes and blocks.

use crate::source::Span;
use crate::syntax::expression::Expression;

/// Attributes and blocks, in the order of the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) blocks: Vec<Block>,
}

impl Body {
    pub(crate) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }
}

/// `name = value`
#[derive(Clone, Debug)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) span: Span,
    pub(crate) value: Expression,
}

/// `target "name" { … }`
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) kind: String,
    pub(crate) labels: Vec<Label>,
    pub(crate) span: Span,
    pub(crate) body: Body,
}

/// A name of a block.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    pub(crate) text: String,
    pub(crate) span: Span,
}
