//! `--filter` of `wythe images`.

use std::str::FromStr;

use super::key_value::{KeyValue, KeyValueError};

/// Which images are listed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ImageFilter {
    /// Those that were made before another.
    Before(String),
    /// Those without a name, of which none are listed, or those that have one.
    Dangling(bool),
    /// Those with a label, of a value where one is given.
    Label(KeyValue),
    /// Those whose name is of a pattern.
    Reference(Pattern),
    /// Those that were made after another.
    Since(String),
}

/// A pattern of names: `*` is anything without a slash, `?` one sign.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Pattern(String);

/// Why a text is no filter.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum ImageFilterError {
    #[error("there is no filter {0:?}, only before, dangling, label, reference and since")]
    Key(String),
    #[error(transparent)]
    Label(#[from] KeyValueError),
    #[error("dangling is true or false")]
    Dangling,
    #[error("{0:?} is no filter such as reference=app:*")]
    Form(String),
    #[error("patterns have * and ?, and no brackets")]
    Brackets,
}

impl FromStr for ImageFilter {
    type Err = ImageFilterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || ImageFilterError::Form(text.to_owned());
        let (key, value) = text.split_once('=').ok_or_else(form)?;
        match key {
            "before" => Ok(Self::Before(value.to_owned())),
            "dangling" => match value {
                "true" | "1" => Ok(Self::Dangling(true)),
                "false" | "0" => Ok(Self::Dangling(false)),
                _ => Err(ImageFilterError::Dangling),
            },
            "label" => Ok(Self::Label(value.parse()?)),
            "reference" => Pattern::new(value).map(Self::Reference),
            "since" => Ok(Self::Since(value.to_owned())),
            _ => Err(ImageFilterError::Key(key.to_owned())),
        }
    }
}

impl Pattern {
    /// A pattern; brackets, of which nobody makes use in names, are refused.
    pub(crate) fn new(text: &str) -> Result<Self, ImageFilterError> {
        if text.contains(['[', ']', '\\']) {
            return Err(ImageFilterError::Brackets);
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether a name is of it: all of it, or without its tag.
    pub(crate) fn takes(&self, repository: &str, tag: &str) -> bool {
        let whole = format!("{repository}:{tag}");
        matches(self.0.as_bytes(), whole.as_bytes())
            || matches(self.0.as_bytes(), repository.as_bytes())
    }
}

/// Whether a text is of a pattern. A star that turns out to be too short is taken up again where the last
/// one began, so that the time is the product of the lengths at most.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(b'?') if text[read] != b'/' => (at, read) = (at + 1, read + 1),
            Some(sign) if *sign == text[read] && *sign != b'?' => (at, read) = (at + 1, read + 1),
            _ => {
                let Some((begin, taken)) = star.filter(|(_, taken)| text[*taken] != b'/') else {
                    return false;
                };
                star = Some((begin, taken + 1));
                (at, read) = (begin + 1, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|sign| *sign == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_refused_by_name() {
        assert!("label=a=b".parse::<ImageFilter>().is_ok());
        assert_eq!("dangling=true".parse(), Ok(ImageFilter::Dangling(true)));
        let told = "until=1h".parse::<ImageFilter>().unwrap_err().to_string();
        assert!(told.contains("until"), "{told}");
        assert!("reference".parse::<ImageFilter>().is_err());
        assert!("reference=[a]".parse::<ImageFilter>().is_err());
    }

    #[test]
    fn a_pattern_is_of_the_whole_name_or_of_the_repository() {
        let takes = |pattern: &str| Pattern::new(pattern).unwrap().takes("team/app", "1.2");
        for pattern in ["team/app", "team/*", "*/app", "team/app:1*", "*/*:*", "team/ap?"] {
            assert!(takes(pattern), "{pattern}");
        }
        for pattern in ["app", "*", "team/app:2*", "team?app", "team/apple*", ""] {
            assert!(!takes(pattern), "{pattern}");
        }
    }
}
