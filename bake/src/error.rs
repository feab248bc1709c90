//! What is wrong with a definition: where, why, and what to do.

use std::fmt;

use thiserror::Error;

use crate::source::{Place, Sources, Span};

/// Why a definition cannot be used, and where it says so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BakeError {
    /// Where, if it is said in a file.
    pub place: Option<Place>,
    /// Why.
    pub problem: Problem,
}

impl BakeError {
    /// What to do about it, if that is known.
    pub fn remedy(&self) -> Option<String> {
        self.problem.remedy()
    }
}

impl fmt::Display for BakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.problem),
            None => self.problem.fmt(f),
        }
    }
}

impl std::error::Error for BakeError {}

/// What is wrong.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum Problem {
    /// A call with too few or too many arguments.
    #[error("{function} takes {wanted} argument(s), not {found}")]
    Arguments {
        /// The function.
        function: String,
        /// How many it takes.
        wanted: String,
        /// How many it got.
        found: usize,
    },
    /// A definition that needs itself.
    #[error("{what} is defined by itself")]
    Cycle {
        /// What needs itself.
        what: String,
    },
    /// A function that cannot do what it is asked.
    #[error("{function}: {why}")]
    Function {
        /// The function.
        function: String,
        /// What it says.
        why: String,
    },
    /// Something that a definition may not have, or lacks.
    #[error("{0}")]
    Invalid(String),
    /// A name that targets, groups or services cannot have.
    #[error("{name:?} cannot name a target")]
    Name {
        /// The name.
        name: String,
    },
    /// A `--set` that cannot be applied.
    #[error("--set {text}: {why}")]
    Override {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// Text that is not of its format.
    #[error("{0}")]
    Syntax(String),
    /// A value of another type than is needed.
    #[error("{wanted} is needed here, this is {found}")]
    Type {
        /// What is needed.
        wanted: String,
        /// What there is.
        found: String,
    },
    /// An attribute that a value does not have.
    #[error("this has no attribute {name:?}")]
    UnknownAttribute {
        /// The attribute.
        name: String,
        /// One that it has, with a similar name.
        similar: Option<String>,
    },
    /// A function that is nowhere defined.
    #[error("there is no function {name}")]
    UnknownFunction {
        /// The function.
        name: String,
        /// One with a similar name.
        similar: Option<String>,
    },
    /// A service that is nowhere defined.
    #[error("there is no service {name:?}")]
    UnknownService {
        /// The name.
        name: String,
        /// One with a similar name.
        similar: Option<String>,
    },
    /// A target or group that is nowhere defined.
    #[error("there is no target {name:?}")]
    UnknownTarget {
        /// The name, or a pattern.
        name: String,
        /// One with a similar name.
        similar: Option<String>,
    },
    /// A variable that is nowhere defined.
    #[error("there is no variable {name}")]
    UnknownVariable {
        /// The variable.
        name: String,
        /// One with a similar name.
        similar: Option<String>,
    },
    /// A value that the definition itself refuses.
    #[error("{variable} is not valid: {message}")]
    Validation {
        /// The variable.
        variable: String,
        /// Its `error_message`.
        message: String,
    },
    /// A value from outside that does not fit its variable.
    #[error("the value given for {name} is not {wanted}")]
    Variable {
        /// The variable.
        name: String,
        /// What it has to be.
        wanted: String,
    },
}

impl Problem {
    fn remedy(&self) -> Option<String> {
        match self {
            Self::UnknownAttribute { similar: Some(name), .. }
            | Self::UnknownFunction { similar: Some(name), .. }
            | Self::UnknownService { similar: Some(name), .. }
            | Self::UnknownTarget { similar: Some(name), .. }
            | Self::UnknownVariable { similar: Some(name), .. } => {
                Some(format!("did you mean {name}?"))
            }
            Self::UnknownVariable { name, .. } => {
                Some(format!("define it: variable \"{name}\" {{ default = \"…\" }}"))
            }
            Self::UnknownTarget { .. } => Some("--list=targets shows what there is".to_owned()),
            Self::Name { .. } => Some(
                "letters, digits, _ and - are allowed; sanitize() makes such a name".to_owned(),
            ),
            Self::Override { .. } => {
                Some("write --set TARGET.KEY=VALUE, as --set '*.args.VERSION=1'".to_owned())
            }
            Self::Variable { name, .. } => {
                Some(format!("correct {name} in the environment or in --var"))
            }
            Self::Cycle { .. } => Some("give one of them a value that needs no other".to_owned()),
            Self::UnknownAttribute { .. }
            | Self::UnknownFunction { .. }
            | Self::UnknownService { .. }
            | Self::Arguments { .. }
            | Self::Function { .. }
            | Self::Invalid(_)
            | Self::Syntax(_)
            | Self::Type { .. }
            | Self::Validation { .. } => None,
        }
    }

    /// This, said of a place.
    pub(crate) fn at(self, span: Span) -> Fault {
        Fault { span: Some(span), problem: self }
    }
}

/// A problem before its place is looked up.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) span: Option<Span>,
    pub(crate) problem: Problem,
}

impl Fault {
    /// The same, with its place, if it has none.
    pub(crate) fn or_at(self, span: Span) -> Self {
        Self { span: self.span.or(Some(span)), ..self }
    }

    pub(crate) fn told(self, sources: &Sources) -> BakeError {
        let place = self.span.map(|span| sources.place(span));
        BakeError { place, problem: self.problem }
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self { span: None, problem }
    }
}
