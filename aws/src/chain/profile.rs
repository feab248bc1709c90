//! Profiles: the files `~/.aws/config` and `~/.aws/credentials`, and the ways to keys that they name.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::sts::{AssumedRole, WebIdentity};
use super::{Search, process, sso};
use crate::error::AwsError;
use crate::keys::Keys;
use crate::surroundings::Surroundings;

/// The profiles of both files, and the sessions of SSO.
#[derive(Debug, Default)]
pub(super) struct Profiles {
    profiles: BTreeMap<String, Profile>,
    sessions: BTreeMap<String, Profile>,
}

/// The settings of a section, by their names in small letters.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Profile(BTreeMap<String, String>);

/// Which of the files a text is: the names of sections differ.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum FileKind {
    Config,
    Credentials,
}

impl Profile {
    /// A setting that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl Profiles {
    /// Reads both files; one that does not exist is empty.
    pub(super) fn read(around: &Surroundings) -> Result<Self, AwsError> {
        let mut profiles = Self::default();
        let config = around.file("AWS_CONFIG_FILE", "config");
        // What stands in both is taken from the second.
        let credentials = around.file("AWS_SHARED_CREDENTIALS_FILE", "credentials");
        for (path, kind) in [(config, FileKind::Config), (credentials, FileKind::Credentials)] {
            if let Some(path) = path {
                profiles.add(&text_of(&path)?, kind);
            }
        }
        Ok(profiles)
    }

    fn add(&mut self, text: &str, kind: FileKind) {
        let mut section: Option<&mut Profile> = None;
        for line in text.lines() {
            let trimmed = line.trim();
            let is_nested = line.starts_with([' ', '\t']);
            if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) = heading(trimmed).filter(|_| !is_nested) {
                section = self.section(&name, kind);
            } else if let (Some(section), Some((name, value)), false) =
                (&mut section, trimmed.split_once('='), is_nested)
            {
                // What is indented belongs to a setting of some service.
                let value = value.split(" #").next().unwrap_or_default();
                let value = value.split(" ;").next().unwrap_or_default();
                section.0.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
            }
        }
    }

    /// The section of a heading; `None` for one that is about something else.
    fn section(&mut self, heading: &str, kind: FileKind) -> Option<&mut Profile> {
        let mut words = heading.split_whitespace();
        let (first, second) = (words.next()?, words.next());
        match (kind, first, second) {
            (FileKind::Config, "profile", Some(name)) | (_, name, None) => {
                Some(self.profiles.entry(name.to_owned()).or_default())
            }
            (FileKind::Config, "sso-session", Some(name)) => {
                Some(self.sessions.entry(name.to_owned()).or_default())
            }
            _ => None,
        }
    }

    /// The keys of a profile; `None` where it names no way to any, or is the profile `default` and not there.
    pub(super) fn keys(&self, search: &Search<'_>, name: &str) -> Result<Option<Keys>, AwsError> {
        self.keys_beneath(search, name, &[])
    }

    /// As [`Self::keys`]; the profiles of `above` have led here.
    fn keys_beneath(
        &self,
        search: &Search<'_>,
        name: &str,
        above: &[&str],
    ) -> Result<Option<Keys>, AwsError> {
        let place = format!("profile {name}");
        let Some(profile) = self.profiles.get(name) else {
            let missing = "stands neither in ~/.aws/config nor in ~/.aws/credentials";
            return if name == "default" && above.is_empty() {
                Ok(None)
            } else {
                Err(AwsError::keys(place, missing))
            };
        };
        // A profile may assume a role with keys of its own.
        let returned = above.last() == Some(&name);
        if above.contains(&name) && !returned {
            return Err(AwsError::keys(place, "leads back to itself by source_profile"));
        }
        if !returned && let Some(role) = profile.get("role_arn") {
            return self.of_role(search, (name, role), above).map(Some);
        }
        if let Some(id) = profile.get("aws_access_key_id") {
            let secret = profile.get("aws_secret_access_key");
            let secret = secret.ok_or_else(|| {
                AwsError::keys(&*place, "has aws_access_key_id without its secret")
            })?;
            let token = profile.get("aws_session_token");
            return Ok(Some(Keys::new(id, secret).with_session(token)));
        }
        if profile.get("sso_account_id").is_some() {
            let session = profile.get("sso_session").map(|name| self.session(&place, name));
            return sso::keys(search.around, (&place, profile), session.transpose()?).map(Some);
        }
        let command = profile.get("credential_process");
        command.map(|command| process::keys(&place, command)).transpose()
    }

    fn session(&self, place: &str, name: &str) -> Result<(&str, &Profile), AwsError> {
        let found = self.sessions.get_key_value(name);
        let missing = || AwsError::keys(place, format!("there is no [sso-session {name}]"));
        found.map(|(name, session)| (name.as_str(), session)).ok_or_else(missing)
    }

    fn of_role(
        &self,
        search: &Search<'_>,
        (name, role): (&str, &str),
        above: &[&str],
    ) -> Result<Keys, AwsError> {
        let place = format!("profile {name}");
        let profile = &self.profiles[name];
        if profile.get("mfa_serial").is_some() {
            let detail = "assumes its role with a code of a device, which nobody is asked for here; \
                `aws configure export-credentials` hands out keys that a variable can hold";
            return Err(AwsError::keys(place, detail));
        }
        let region = search.role_region(profile.get("region"))?;
        let session = profile.get("role_session_name");
        if let Some(file) = profile.get("web_identity_token_file") {
            let (file, role) = (file.to_owned(), role.to_owned());
            let session = session.map(str::to_owned);
            let identity = WebIdentity { place, file, role, session };
            return search.with_web_identity(&identity);
        }
        let keys = match (profile.get("source_profile"), profile.get("credential_source")) {
            (Some(source), _) => {
                let path: Vec<&str> = above.iter().copied().chain([name]).collect();
                let found = self.keys_beneath(search, source, &path)?;
                found.ok_or_else(|| {
                    AwsError::keys(
                        format!("profile {source}"),
                        "names neither keys nor a way to them",
                    )
                })?
            }
            (None, Some("Environment")) => search.of_variables()?.ok_or_else(|| {
                AwsError::keys(&*place, "wants keys of the environment, which has none")
            })?,
            (None, Some("EcsContainer")) => search.of_container()?.ok_or_else(|| {
                AwsError::keys(&*place, "wants keys of a container's endpoint, which nothing names")
            })?,
            (None, Some("Ec2InstanceMetadata")) => search.of_instance()?.map_err(|why| {
                AwsError::keys(&*place, format!("wants keys of the instance; {why}"))
            })?,
            (None, _) => {
                let detail =
                    "has role_arn without a source_profile or credential_source to assume it with";
                return Err(AwsError::keys(place, detail));
            }
        };
        let assumed = AssumedRole {
            role,
            session,
            external_id: profile.get("external_id"),
            seconds: profile.get("duration_seconds"),
        };
        search.assume(&keys, &region, &assumed)
    }
}

/// The name of a section, if a line begins one.
fn heading(line: &str) -> Option<String> {
    let (name, _) = line.strip_prefix('[')?.split_once(']')?;
    Some(name.replace('"', "").trim().to_owned())
}

fn text_of(path: &Path) -> Result<String, AwsError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(String::new())
        }
        Err(error) => Err(AwsError::keys(path.display().to_string(), error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_are_read_by_their_own_rules() {
        let mut profiles = Profiles::default();
        let config = "# a comment\n[default]\nregion = eu-west-1 # here\n[profile \"dev\"]\nrole_arn=arn\n\
            s3 =\n  addressing_style = path\n[sso-session work]\nsso_region = eu-north-1\n[services x]\nregion = no\n";
        profiles.add(config, FileKind::Config);
        let credentials = "[default]\nAWS_ACCESS_KEY_ID = A\n[dev]\naws_access_key_id=B\nrole_arn=other\n[profile x]\na=b\n";
        profiles.add(credentials, FileKind::Credentials);
        let get = |name: &str, key: &str| profiles.profiles[name].get(key).map(str::to_owned);
        assert_eq!(get("default", "region").as_deref(), Some("eu-west-1"));
        assert_eq!(get("default", "aws_access_key_id").as_deref(), Some("A"));
        assert_eq!(get("dev", "role_arn").as_deref(), Some("other"));
        assert_eq!((get("dev", "addressing_style"), get("dev", "s3")), (None, None));
        assert_eq!(profiles.sessions["work"].get("sso_region"), Some("eu-north-1"));
        assert_eq!(profiles.profiles.keys().collect::<Vec<_>>(), ["default", "dev"]);
    }
}
