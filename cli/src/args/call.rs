//! `--call`: what is asked about a Dockerfile.

use std::str::FromStr;

use super::attributes::{AttributeError, Attributes};

/// What is asked, and how the answer is printed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) format: AnswerFormat,
    pub(crate) findings: OnFindings,
}

/// What findings of a check are to whoever called.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum OnFindings {
    /// A failure.
    #[default]
    Fail,
    /// Something to read.
    Tell,
}

/// What is asked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Method {
    /// Build it.
    #[default]
    Build,
    /// Apply the lint rules.
    Check,
    /// List the largest files of the context.
    Context,
    /// List what can be asked.
    Describe,
    /// List build arguments, secrets and caches of the target.
    Outline,
    /// List the stages.
    Targets,
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum AnswerFormat {
    Json,
    #[default]
    Text,
}

/// Why a `--call` cannot be answered.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CallError {
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    #[error("format {0:?} is neither json nor text")]
    Format(String),
    #[error("{0:?} is not one of build, check, context, outline, targets")]
    Method(String),
}

impl FromStr for Call {
    type Err = CallError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut attributes = Attributes::parse(text)?;
        let method = attributes.take_bare().into_iter().next();
        let method = method.or_else(|| attributes.take("method"));
        let format = attributes.take("format");
        let findings = match attributes.take_bool("ignorestatus")? {
            Some(true) => OnFindings::Tell,
            Some(false) | None => OnFindings::Fail,
        };
        attributes.finish(&["format", "ignorestatus"])?;
        let method = match method.as_deref().unwrap_or("build") {
            "build" => Method::Build,
            "check" | "lint" => Method::Check,
            "context" => Method::Context,
            "subrequests.describe" => Method::Describe,
            "outline" => Method::Outline,
            "targets" => Method::Targets,
            other => return Err(CallError::Method(other.to_owned())),
        };
        let format = match format.as_deref().unwrap_or("text") {
            "json" => AnswerFormat::Json,
            "text" => AnswerFormat::Text,
            other => return Err(CallError::Format(other.to_owned())),
        };
        Ok(Self { method, format, findings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, method: Method, format: AnswerFormat) {
        assert_eq!(text.parse(), Ok(Call { method, format, ..Call::default() }), "{text}");
    }

    #[test]
    fn a_method_may_have_a_format() {
        check("check", Method::Check, AnswerFormat::Text);
        check("check,format=json", Method::Check, AnswerFormat::Json);
        check("subrequests.describe", Method::Describe, AnswerFormat::Text);
        check("outline,format=text", Method::Outline, AnswerFormat::Text);
    }

    #[test]
    fn findings_are_a_failure_unless_their_status_is_ignored() {
        let findings = |text: &str| text.parse::<Call>().unwrap().findings;
        assert_eq!(findings("check"), OnFindings::Fail);
        assert_eq!(findings("check,ignorestatus=true,format=json"), OnFindings::Tell);
        assert_eq!(findings("lint,ignorestatus=false"), OnFindings::Fail);
    }

    #[test]
    fn what_is_unknown_is_named() {
        let error = "chekc".parse::<Call>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"chekc\" is not one of build, check, context, outline, targets"
        );
        assert!("check,format=xml".parse::<Call>().is_err());
    }
}
