//! `--emit`: files that hand an image on to what deploys it.

use std::path::PathBuf;
use std::str::FromStr;

use super::attributes::{AttributeError, Attributes};

/// A file for a deployment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct EmitArg {
    pub(crate) form: EmitForm,
    /// Where it is written.
    pub(crate) destination: PathBuf,
    /// The container that runs the image.
    pub(crate) container: Option<String>,
    /// The file that is taken, and filled.
    pub(crate) from: Option<PathBuf>,
    /// What manifests call the image.
    pub(crate) name: Option<String>,
}

/// What it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum EmitForm {
    /// What `CodePipeline` hands to ECS.
    ImageDefinitions,
    /// What `CodePipeline` hands to `CodeDeploy`.
    ImageDetail,
    /// A kustomization.
    Kustomize,
    /// A task definition of ECS, or the part of one that is about containers.
    TaskDefinition,
}

/// By the names they have in `type=`, with the names of their files.
const FORMS: [(&str, EmitForm, &str); 4] = [
    ("imagedefinitions", EmitForm::ImageDefinitions, "imagedefinitions.json"),
    ("imagedetail", EmitForm::ImageDetail, "imageDetail.json"),
    ("kustomize", EmitForm::Kustomize, "kustomization.yaml"),
    ("taskdef", EmitForm::TaskDefinition, "taskdef.json"),
];

const KNOWN: [&str; 5] = ["container", "dest", "from", "name", "type"];

/// Why an `--emit` cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum EmitError {
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    #[error("type {0:?} is not one of {known}", known = known())]
    Type(String),
    #[error("type={0} has no {1}")]
    Meaningless(&'static str, &'static str),
}

fn known() -> String {
    FORMS.map(|(name, ..)| name).join(", ")
}

impl FromStr for EmitArg {
    type Err = EmitError;

    fn from_str(text: &str) -> Result<Self, EmitError> {
        let mut attributes = Attributes::parse(text)?;
        let kind = match attributes.take("type") {
            Some(kind) => kind,
            None if attributes.is_bare() && !text.contains(',') => {
                attributes.take_bare();
                text.to_owned()
            }
            None => return Err(AttributeError::Missing("type").into()),
        };
        let form = FORMS.iter().find(|(name, ..)| *name == kind);
        let (name, form, file) = *form.ok_or(EmitError::Type(kind))?;
        let destination = attributes.take("dest").map_or_else(|| file.into(), PathBuf::from);
        let arg = Self {
            form,
            destination,
            container: attributes.take("container"),
            from: attributes.take("from").map(PathBuf::from),
            name: attributes.take("name"),
        };
        attributes.finish(&KNOWN)?;
        let has_container = matches!(form, EmitForm::ImageDefinitions | EmitForm::TaskDefinition);
        for (is_given, has, what) in [
            (arg.container.is_some(), has_container, "container"),
            (arg.from.is_some(), form == EmitForm::TaskDefinition, "from"),
            (arg.name.is_some(), form == EmitForm::Kustomize, "name"),
        ] {
            if is_given && !has {
                return Err(EmitError::Meaningless(name, what));
            }
        }
        Ok(arg)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_has_a_file_of_its_own() {
        for (name, form, file) in FORMS {
            let arg: EmitArg = name.parse().unwrap();
            assert_eq!((arg.form, arg.destination), (form, file.into()));
        }
        let arg: EmitArg = "type=taskdef,from=a.json,dest=b.json,container=web".parse().unwrap();
        assert_eq!((arg.from, arg.destination), (Some("a.json".into()), "b.json".into()));
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for (text, part) in [
            ("type=helm", "not one of imagedefinitions"),
            ("dest=x", "type is missing"),
            ("type=imagedetail,container=a", "has no container"),
            ("type=kustomize,from=a", "has no from"),
            ("type=taskdef,nmae=a", "not known"),
        ] {
            let error = text.parse::<EmitArg>().unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
