//! Annotations: `--annotation manifest[linux/arm64]:KEY=VALUE`, and
//! `annotation-manifest[linux/arm64].KEY=VALUE` of an output.

use wythe_delivery::annotation::{Annotation, AnnotationTarget, Annotations};
use wythe_store::oci::platform::Platform;

use super::attributes::Attributes;

const TARGETS: [(&str, AnnotationTarget); 4] = [
    ("index", AnnotationTarget::Index),
    ("index-descriptor", AnnotationTarget::IndexDescriptor),
    ("manifest", AnnotationTarget::Manifest),
    ("manifest-descriptor", AnnotationTarget::ManifestDescriptor),
];

/// Why an annotation cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum AnnotationError {
    #[error("{0:?} is not of the form KEY=VALUE")]
    Form(String),
    #[error("unknown annotation type {0:?}: known are {known}", known = known())]
    Target(String),
    #[error("{0:?} is not a platform, such as linux/arm64")]
    Platform(String),
}

fn known() -> String {
    TARGETS.map(|(name, _)| name).join(", ")
}

/// `TYPE[PLATFORM]`, the platform with its brackets as it may be left out.
fn target(text: &str) -> Result<(AnnotationTarget, Option<Platform>), AnnotationError> {
    let (name, platform) = match text.strip_suffix(']').and_then(|rest| rest.split_once('[')) {
        Some((name, platform)) => {
            let bad = |_| AnnotationError::Platform(platform.to_owned());
            (name, Some(platform.parse().map_err(bad)?))
        }
        None => (text, None),
    };
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, target) = found.ok_or_else(|| AnnotationError::Target(text.to_owned()))?;
    Ok((*target, platform))
}

/// One `--annotation`; it is about the manifest unless it says something else.
pub(crate) fn parse(text: &str) -> Result<Annotations, AnnotationError> {
    let bad = || AnnotationError::Form(text.to_owned());
    let (key, value) = text.split_once('=').ok_or_else(bad)?;
    let (targets, key) = key.split_once(':').unwrap_or(("manifest", key));
    if key.is_empty() {
        return Err(bad());
    }
    let one = |text| {
        let (target, platform) = target(text)?;
        Ok(Annotation { target, platform, key: key.to_owned(), value: value.to_owned() })
    };
    targets.split(',').map(one).collect()
}

/// Takes the annotations of an output out of its attributes.
pub(crate) fn take(attributes: &mut Attributes) -> Result<Annotations, AnnotationError> {
    let one = |(text, value): (String, String)| {
        let (before, key) = text.split_once('.').unwrap_or((&text, ""));
        let (target, platform) = match before.strip_prefix('-') {
            Some(before) => target(before)?,
            None => target(&format!("manifest{before}"))?,
        };
        Ok(Annotation { target, platform, key: key.to_owned(), value })
    };
    attributes.take_prefixed("annotation").into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(texts: &[&str]) -> Annotations {
        let parsed: Vec<Annotations> = texts.iter().map(|text| parse(text).unwrap()).collect();
        Annotations::all(&parsed)
    }

    #[track_caller]
    fn check(
        found: &Annotations,
        target: AnnotationTarget,
        platform: Option<&str>,
        expected: &[(&str, &str)],
    ) {
        let platform = platform.map(|text| text.parse().unwrap());
        let found = found.of(target, platform.as_ref());
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
        check(&found, AnnotationTarget::Manifest, None, &[("a", "1=2"), ("b", "2")]);
        check(&found, AnnotationTarget::Index, None, &[("b", "2")]);
        check(&found, AnnotationTarget::ManifestDescriptor, None, &[("d", "4")]);
        check(&found, AnnotationTarget::IndexDescriptor, None, &[("e", "5")]);
    }

    #[test]
    fn what_is_about_one_platform_wins_there_and_is_nowhere_else() {
        let found = flags(&["manifest[linux/arm64]:a=2", "a=1"]);
        check(&found, AnnotationTarget::Manifest, Some("linux/amd64"), &[("a", "1")]);
        check(&found, AnnotationTarget::Manifest, Some("linux/arm64"), &[("a", "2")]);
    }

    #[test]
    fn attributes_of_an_output_say_the_same() {
        let text = "annotation.Some.Key=v,annotation-index.k=w,annotation[linux/arm64].a=1,\
            annotation-manifest-descriptor[linux/arm64].b=2";
        let found = take(&mut Attributes::parse(text).unwrap()).unwrap();
        check(&found, AnnotationTarget::Manifest, None, &[("Some.Key", "v")]);
        check(
            &found,
            AnnotationTarget::Manifest,
            Some("linux/arm64"),
            &[("Some.Key", "v"), ("a", "1")],
        );
        check(&found, AnnotationTarget::ManifestDescriptor, Some("linux/arm64"), &[("b", "2")]);
        check(&found, AnnotationTarget::Index, None, &[("k", "w")]);
    }

    #[test]
    fn what_is_no_annotation_is_refused() {
        for bad in ["a", "foo:a=1", "manifest[x/y/z/w]:a=1", "manifest:=1", "index,foo:a=1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        for bad in ["annotation-foo.k=v", "annotations.k=v", "annotation-index[.k=v"] {
            assert!(take(&mut Attributes::parse(bad).unwrap()).is_err(), "{bad}");
        }
    }
}
