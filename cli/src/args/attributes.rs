//! Lists of attributes: `type=oci,dest=out.tar,"name=a,b"`.
//!
//! The grammar is one record of comma-separated values, as Go's `encoding/csv` reads it: a field
//! may stand in double quotes, and a quote inside is doubled.

use std::collections::BTreeMap;

/// Attributes in the order of their keys; of a repeated key the last value stands.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Attributes {
    pairs: BTreeMap<String, String>,
    bare: Vec<String>,
}

/// Why a text is not a list of attributes.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum AttributeError {
    #[error("{key} is neither true nor false: {value:?}")]
    Bool { key: String, value: String },
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("a double quote is not closed")]
    Quote,
    #[error("{key:?} is not known; known are {}", known.join(", "))]
    Unknown { key: String, known: Vec<&'static str> },
}

/// A key in lower case, but for what is somebody else's: the key of an annotation.
fn lower(key: &str) -> String {
    match key.split_once('.') {
        Some((kind, rest)) => format!("{}.{rest}", kind.to_lowercase()),
        None => key.to_lowercase(),
    }
}

impl Attributes {
    /// Splits a text.
    pub(crate) fn parse(text: &str) -> Result<Self, AttributeError> {
        let mut found = Self::default();
        for field in fields(text)? {
            match field.split_once('=') {
                Some((key, value)) => {
                    found.pairs.insert(lower(key.trim()), value.to_owned());
                }
                None => found.bare.push(field),
            }
        }
        Ok(found)
    }

    /// Removes and returns the value of a key, so that what is left at the end is unknown.
    pub(crate) fn take(&mut self, key: &str) -> Option<String> {
        self.pairs.remove(key)
    }

    /// Whether there is a value of a key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.pairs.contains_key(key)
    }

    /// Removes and returns the value of the first of several spellings that is there.
    pub(crate) fn take_any(&mut self, keys: &[&str]) -> Option<String> {
        keys.iter().find_map(|key| self.take(key))
    }

    /// Removes and returns a truth value; a bare key is true.
    pub(crate) fn take_bool(&mut self, key: &str) -> Result<Option<bool>, AttributeError> {
        if let Some(at) = self.bare.iter().position(|bare| bare == key) {
            self.bare.remove(at);
            return Ok(Some(true));
        }
        let Some(value) = self.take(key) else { return Ok(None) };
        match value.parse::<super::switch::Switch>() {
            Ok(switch) => Ok(Some(switch.is_on())),
            Err(_) => Err(AttributeError::Bool { key: key.to_owned(), value }),
        }
    }

    /// Removes and returns the pairs whose key starts with `prefix`, which is cut off.
    pub(crate) fn take_prefixed(&mut self, prefix: &str) -> Vec<(String, String)> {
        let keys: Vec<String> =
            self.pairs.keys().filter(|key| key.starts_with(prefix)).cloned().collect();
        let pair = |key: String| {
            let value = self.pairs.remove(&key)?;
            Some((key[prefix.len()..].to_owned(), value))
        };
        keys.into_iter().filter_map(pair).collect()
    }

    /// Removes and returns the fields without an equals sign.
    pub(crate) fn take_bare(&mut self) -> Vec<String> {
        std::mem::take(&mut self.bare)
    }

    /// Whether there is nothing but fields without an equals sign.
    pub(crate) fn is_bare(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Refuses whatever was not taken.
    pub(crate) fn finish(self, known: &[&'static str]) -> Result<(), AttributeError> {
        let left = self.pairs.into_keys().chain(self.bare).next();
        left.map_or(Ok(()), |key| Err(AttributeError::Unknown { key, known: known.to_vec() }))
    }
}

fn fields(text: &str) -> Result<Vec<String>, AttributeError> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => plain_field(rest),
        };
        found.push(field);
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None if after.is_empty() => return Ok(found),
            None => return Err(AttributeError::Quote),
        }
    }
}

fn plain_field(text: &str) -> (String, &str) {
    let (field, after) = text.split_at(text.find(',').unwrap_or(text.len()));
    (field.to_owned(), after)
}

fn quoted_field(text: &str) -> Result<(String, &str), AttributeError> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"').ok_or(AttributeError::Quote)?;
        value.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                value.push('"');
                rest = more;
            }
            None => return Ok((value, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(fields(text).unwrap(), expected, "{text}");
    }

    #[test]
    fn a_comma_separates_unless_it_is_quoted() {
        check("a=1,b=2", &["a=1", "b=2"]);
        check("type=image,\"name=a,b\",push=true", &["type=image", "name=a,b", "push=true"]);
        check("\"a=say \"\"hi\"\"\"", &["a=say \"hi\""]);
    }

    #[test]
    fn an_open_quote_is_refused() {
        assert_eq!(fields("\"a"), Err(AttributeError::Quote));
        assert_eq!(fields("\"a\"b"), Err(AttributeError::Quote));
    }

    #[test]
    fn what_is_not_taken_is_named() {
        let mut attributes = Attributes::parse("type=oci,dest=x,tpye=y").unwrap();
        assert_eq!(attributes.take("type").as_deref(), Some("oci"));
        assert_eq!(attributes.take("dest").as_deref(), Some("x"));
        let error = attributes.finish(&["dest", "type"]).unwrap_err();
        assert_eq!(error.to_string(), "\"tpye\" is not known; known are dest, type");
    }
}
