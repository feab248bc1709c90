//! Annotations: `--annotation manifest[linux/arm64]:KEY=VALUE`, and
//! `annotation-manifest[linux/arm64].KEY=VALUE` of an output.

use std::collections::BTreeMap;
use std::str::FromStr;

use wythe_store::oci::platform::Platform;

use super::attributes::Attributes;

/// What is said of images, and where, in the order it was given.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Annotations {
    said: Vec<Annotation>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Annotation {
    place: Place,
    /// The only platform it is about.
    platform: Option<Platform>,
    key: String,
    value: String,
}

/// Which document, or which entry that leads to it, says it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    Index,
    IndexDescriptor,
    Manifest,
    ManifestDescriptor,
}

const PLACES: [(&str, Place); 4] = [
    ("index", Place::Index),
    ("index-descriptor", Place::IndexDescriptor),
    ("manifest", Place::Manifest),
    ("manifest-descriptor", Place::ManifestDescriptor),
];

/// Why an annotation cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum AnnotationError {
    #[error("{0:?} is not of the form KEY=VALUE")]
    Form(String),
    #[error("unknown annotation type {0:?}: known are {known}", known = known())]
    Place(String),
    #[error("{0:?} is not a platform, such as linux/arm64")]
    Platform(String),
}

fn known() -> String {
    PLACES.map(|(name, _)| name).join(", ")
}

/// `TYPE[PLATFORM]`, the platform with its brackets as it may be left out.
fn place(text: &str) -> Result<(Place, Option<Platform>), AnnotationError> {
    let (name, platform) = match text.strip_suffix(']').and_then(|rest| rest.split_once('[')) {
        Some((name, platform)) => {
            let bad = |_| AnnotationError::Platform(platform.to_owned());
            (name, Some(platform.parse().map_err(bad)?))
        }
        None => (text, None),
    };
    let found = PLACES.iter().find(|(known, _)| *known == name);
    let (_, place) = found.ok_or_else(|| AnnotationError::Place(text.to_owned()))?;
    Ok((*place, platform))
}

impl FromStr for Annotations {
    type Err = AnnotationError;

    /// One `--annotation`; it is about the manifest unless it says something else.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || AnnotationError::Form(text.to_owned());
        let (key, value) = text.split_once('=').ok_or_else(bad)?;
        let (places, key) = key.split_once(':').unwrap_or(("manifest", key));
        if key.is_empty() {
            return Err(bad());
        }
        let one = |text| {
            let (place, platform) = place(text)?;
            Ok(Annotation { place, platform, key: key.to_owned(), value: value.to_owned() })
        };
        Ok(Self { said: places.split(',').map(one).collect::<Result<_, _>>()? })
    }
}

impl Annotations {
    /// Takes those of an output out of its attributes.
    pub(crate) fn take(attributes: &mut Attributes) -> Result<Self, AnnotationError> {
        let one = |(text, value): (String, String)| {
            let (before, key) = text.split_once('.').unwrap_or((&text, ""));
            let (place, platform) = match before.strip_prefix('-') {
                Some(before) => place(before)?,
                None => place(&format!("manifest{before}"))?,
            };
            Ok(Annotation { place, platform, key: key.to_owned(), value })
        };
        let found = attributes.take_prefixed("annotation").into_iter();
        Ok(Self { said: found.map(one).collect::<Result<_, _>>()? })
    }

    /// All of these; where two say the same, the later wins.
    pub(crate) fn all<'a>(several: impl IntoIterator<Item = &'a Self>) -> Self {
        Self { said: several.into_iter().flat_map(|one| one.said.clone()).collect() }
    }

    /// What is said at a place about a platform; what is only about that platform wins.
    pub(crate) fn of(&self, place: Place, platform: Option<&Platform>) -> BTreeMap<String, String> {
        let here = |one: &&Annotation| one.place == place;
        let general = self.said.iter().filter(here).filter(|one| one.platform.is_none());
        let special = self.said.iter().filter(here);
        let special =
            special.filter(|one| one.platform.is_some() && one.platform.as_ref() == platform);
        general.chain(special).map(|one| (one.key.clone(), one.value.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(texts: &[&str]) -> Annotations {
        let parsed: Vec<Annotations> = texts.iter().map(|text| text.parse().unwrap()).collect();
        Annotations::all(&parsed)
    }

    #[track_caller]
    fn check(found: &Annotations, place: Place, platform: Option<&str>, expected: &[(&str, &str)]) {
        let platform = platform.map(|text| text.parse().unwrap());
        let found = found.of(place, platform.as_ref());
        let found: Vec<_> = found.iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_flag_says_which_documents_it_is_about() {
        let found = flags(&[
            "a=1=2",
            "index,manifest:b=2",
            "manifest-descriptor:d=4",
            "index-descriptor:e=5",
        ]);
        check(&found, Place::Manifest, None, &[("a", "1=2"), ("b", "2")]);
        check(&found, Place::Index, None, &[("b", "2")]);
        check(&found, Place::ManifestDescriptor, None, &[("d", "4")]);
        check(&found, Place::IndexDescriptor, None, &[("e", "5")]);
    }

    #[test]
    fn what_is_about_one_platform_wins_there_and_is_nowhere_else() {
        let found = flags(&["manifest[linux/arm64]:a=2", "a=1"]);
        check(&found, Place::Manifest, Some("linux/amd64"), &[("a", "1")]);
        check(&found, Place::Manifest, Some("linux/arm64"), &[("a", "2")]);
    }

    #[test]
    fn attributes_of_an_output_say_the_same() {
        let text = "annotation.Some.Key=v,annotation-index.k=w,annotation[linux/arm64].a=1,\
            annotation-manifest-descriptor[linux/arm64].b=2";
        let found = Annotations::take(&mut Attributes::parse(text).unwrap()).unwrap();
        check(&found, Place::Manifest, None, &[("Some.Key", "v")]);
        check(&found, Place::Manifest, Some("linux/arm64"), &[("Some.Key", "v"), ("a", "1")]);
        check(&found, Place::ManifestDescriptor, Some("linux/arm64"), &[("b", "2")]);
        check(&found, Place::Index, None, &[("k", "w")]);
    }

    #[test]
    fn what_is_no_annotation_is_refused() {
        for bad in ["a", "foo:a=1", "manifest[x/y/z/w]:a=1", "manifest:=1", "index,foo:a=1"] {
            assert!(bad.parse::<Annotations>().is_err(), "{bad}");
        }
        for bad in ["annotation-foo.k=v", "annotations.k=v", "annotation-index[.k=v"] {
            assert!(Annotations::take(&mut Attributes::parse(bad).unwrap()).is_err(), "{bad}");
        }
    }
}
