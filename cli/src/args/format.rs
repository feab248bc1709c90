//! `--format` of commands that list or show something.

use std::str::FromStr;

use crate::template::{Template, TemplateError};

/// How a list is printed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ListFormat {
    /// One JSON array.
    Json,
    /// A line for each, as a template makes it.
    Lines(Template),
    /// The usual table.
    Table,
    /// A table whose columns a template makes, between tabs.
    TableOf(Template),
}

/// Why a text is no format.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum FormatError {
    #[error("neither text, json nor a template such as {{{{.ID}}}}")]
    Unknown,
    #[error(transparent)]
    Template(#[from] TemplateError),
}

impl FromStr for ListFormat {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("table ") {
            Some(columns) => return Ok(Self::TableOf(template(columns)?)),
            None if text.contains("{{") => return Ok(Self::Lines(template(text)?)),
            None => {}
        }
        match text {
            "json" => Ok(Self::Json),
            "table" | "text" => Ok(Self::Table),
            _ => Err(FormatError::Unknown),
        }
    }
}

/// A template as it is typed in a shell: docker takes `\t` and `\n` for what they stand for.
pub(crate) fn template(text: &str) -> Result<Template, TemplateError> {
    text.replace("\\t", "\t").replace("\\n", "\n").parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_a_word_or_a_template() {
        let read = |text: &str| text.parse::<ListFormat>();
        assert_eq!(read("json"), Ok(ListFormat::Json));
        assert_eq!(read("table"), read("text"));
        assert!(matches!(read("{{.ID}}\\t{{.Tag}}"), Ok(ListFormat::Lines(_))));
        assert!(matches!(read("table {{.ID}}"), Ok(ListFormat::TableOf(_))));
        assert_eq!(read("jsn"), Err(FormatError::Unknown));
        assert!(matches!(read("{{.ID"), Err(FormatError::Template(_))));
        let said = FormatError::Unknown.to_string();
        assert!(said.ends_with("{{.ID}}"), "{said}");
    }
}
