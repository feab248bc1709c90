//! `--secret`: an id, and the file or variable that holds the value.

use std::path::PathBuf;
use std::str::FromStr;

use super::attributes::{AttributeError, Attributes};

/// One `--secret`; the value is read when the build starts, and never shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SecretArg {
    pub(crate) id: String,
    pub(crate) source: SecretSource,
}

/// Where the value of a secret is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum SecretSource {
    /// In an environment variable.
    Env(String),
    /// In an environment variable if there is one of that name, otherwise in a file of that name.
    EnvOrFile(String),
    File(PathBuf),
    /// In an environment variable if there is one of that name, and else this: what a file of variables has.
    EnvOrGiven {
        name: String,
        given: String,
    },
}

impl FromStr for SecretArg {
    type Err = AttributeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut attributes = Attributes::parse(text)?;
        let id = attributes.take("id").ok_or(AttributeError::Missing("id"))?;
        let kind = attributes.take("type").unwrap_or_default();
        let file = attributes.take_any(&["src", "source"]);
        let variable = attributes.take("env");
        attributes.finish(&["env", "id", "src", "type"])?;
        let source = match (file, variable, kind.as_str()) {
            // As docker has it: `type=env,src=NAME` names a variable, too.
            (Some(name), None, "env") | (None, Some(name), _) => SecretSource::Env(name),
            (Some(path), _, _) => SecretSource::File(path.into()),
            (None, None, "file") => SecretSource::File(id.clone().into()),
            (None, None, "env") => SecretSource::Env(id.clone()),
            (None, None, _) => SecretSource::EnvOrFile(id.clone()),
        };
        Ok(Self { id, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, id: &str, source: SecretSource) {
        assert_eq!(text.parse(), Ok(SecretArg { id: id.to_owned(), source }), "{text}");
    }

    #[test]
    fn a_source_is_a_file_and_env_a_variable() {
        check("id=npm,src=/run/npmrc", "npm", SecretSource::File("/run/npmrc".into()));
        check("id=npm,source=npmrc", "npm", SecretSource::File("npmrc".into()));
        check("id=npm,env=NPM", "npm", SecretSource::Env("NPM".to_owned()));
        check("type=env,id=npm,src=NPM", "npm", SecretSource::Env("NPM".to_owned()));
    }

    #[test]
    fn an_id_alone_names_a_variable_or_a_file() {
        check("id=NPM", "NPM", SecretSource::EnvOrFile("NPM".to_owned()));
        check("type=file,id=NPM", "NPM", SecretSource::File("NPM".into()));
    }

    #[test]
    fn an_id_is_needed() {
        assert_eq!("src=x".parse::<SecretArg>(), Err(AttributeError::Missing("id")));
    }
}
