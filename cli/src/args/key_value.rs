//! `KEY=VALUE` and `KEY`.

use std::convert::Infallible;
use std::str::FromStr;

/// A key, and a value where one was given.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct KeyValue {
    pub(crate) key: String,
    pub(crate) value: Option<String>,
}

impl FromStr for KeyValue {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (text, None),
        };
        Ok(Self { key: key.to_owned(), value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_equals_sign_separates() {
        let Ok(pair) = "A=b=c".parse::<KeyValue>();
        assert_eq!((pair.key.as_str(), pair.value.as_deref()), ("A", Some("b=c")));
    }

    #[test]
    fn an_empty_value_is_not_a_missing_one() {
        let Ok(empty) = "A=".parse::<KeyValue>();
        let Ok(missing) = "A".parse::<KeyValue>();
        assert_eq!((empty.value.as_deref(), missing.value), (Some(""), None));
    }
}
