//! `KEY=VALUE` and `KEY`.

use std::str::FromStr;

/// A key, and a value where one was given.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct KeyValue {
    pub(crate) key: String,
    pub(crate) value: Option<String>,
}

/// Why a text is not a key with or without a value.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there is no name before the equals sign")]
pub(crate) struct KeyValueError;

impl FromStr for KeyValue {
    type Err = KeyValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (text, None),
        };
        if key.is_empty() {
            return Err(KeyValueError);
        }
        Ok(Self { key: key.to_owned(), value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_equals_sign_separates() {
        let pair: KeyValue = "A=b=c".parse().unwrap();
        assert_eq!((pair.key.as_str(), pair.value.as_deref()), ("A", Some("b=c")));
    }

    #[test]
    fn an_empty_value_is_not_a_missing_one() {
        let [empty, missing] = ["A=", "A"].map(|text| text.parse::<KeyValue>().unwrap());
        assert_eq!((empty.value.as_deref(), missing.value), (Some(""), None));
    }

    #[test]
    fn a_key_is_not_empty() {
        assert_eq!("=x".parse::<KeyValue>(), Err(KeyValueError));
        assert_eq!("".parse::<KeyValue>(), Err(KeyValueError));
    }
}
