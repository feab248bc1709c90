//! `type=s3`: a cache in a bucket, in the attributes that `docker buildx build` has for it.

use std::time::Duration;

use wythe_aws::endpoint::{ParseRegionError, Region};
use wythe_aws::keys::Keys;
use wythe_aws::s3::Addressing;

use super::attributes::{AttributeError, Attributes};

/// The attributes.
pub(crate) const KNOWN: [&str; 13] = [
    "access_key_id",
    "blobs_prefix",
    "bucket",
    "endpoint_url",
    "manifests_prefix",
    "name",
    "prefix",
    "region",
    "secret_access_key",
    "session_token",
    "touch_refresh",
    "upload_parallelism",
    "use_path_style",
];

/// Blobs older than this are made young again.
const REFRESH: Duration = Duration::from_hours(24);
/// Parts of a blob that are sent at once.
const PARALLEL: usize = 4;

/// Where in which bucket a cache is, as far as the attributes say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct S3Place {
    pub(crate) bucket: Option<String>,
    pub(crate) region: Option<Region>,
    pub(crate) endpoint: Option<String>,
    pub(crate) addressing: Addressing,
    pub(crate) keys: Option<Keys>,
    pub(crate) prefix: String,
    pub(crate) blobs: String,
    pub(crate) records: String,
    pub(crate) names: Vec<String>,
    pub(crate) parallel: usize,
    pub(crate) refresh: Duration,
}

/// Why attributes name no place in a bucket.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum S3PlaceError {
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    #[error(transparent)]
    Region(#[from] ParseRegionError),
    #[error("touch_refresh {0:?} is no time such as 24h, 30m or 90s")]
    Refresh(String),
    #[error("upload_parallelism {0:?} is not a number from 1 to 64")]
    Parallel(String),
    #[error("{0:?} cannot be a part of a key: a part between slashes is . or .., or there is none")]
    Key(String),
}

impl S3Place {
    /// Takes the attributes of a place in a bucket.
    pub(crate) fn take(attributes: &mut Attributes) -> Result<Self, S3PlaceError> {
        let id = attributes.take("access_key_id");
        let secret = attributes.take("secret_access_key");
        let token = attributes.take("session_token");
        let keys = match (id, secret) {
            (Some(id), Some(secret)) => {
                Some(Keys::new(&id, &secret).with_session(token.as_deref()))
            }
            (None, None) => None,
            (Some(_), None) => return Err(AttributeError::Missing("secret_access_key").into()),
            (None, Some(_)) => return Err(AttributeError::Missing("access_key_id").into()),
        };
        let in_path = attributes.take_bool("use_path_style")?.unwrap_or_default();
        let manifests = attributes.take("manifests_prefix").unwrap_or_default();
        let names = attributes.take("name").unwrap_or_else(|| "main".to_owned());
        let names: Vec<String> =
            names.split(';').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let place = Self {
            bucket: attributes.take("bucket"),
            region: attributes.take("region").map(|text| text.parse()).transpose()?,
            endpoint: attributes.take("endpoint_url"),
            addressing: if in_path { Addressing::Path } else { Addressing::Host },
            keys,
            prefix: attributes.take("prefix").unwrap_or_default(),
            blobs: attributes.take("blobs_prefix").unwrap_or_else(|| "blobs/".to_owned()),
            // Beside what BuildKit has there.
            records: format!("{manifests}wythe/"),
            names,
            parallel: attributes.take("upload_parallelism").map_or(Ok(PARALLEL), parallel)?,
            refresh: attributes.take("touch_refresh").map_or(Ok(REFRESH), refresh)?,
        };
        place.check()
    }

    fn check(self) -> Result<Self, S3PlaceError> {
        match self.odd_key() {
            Some(key) => Err(S3PlaceError::Key(key)),
            None => Ok(self),
        }
    }

    /// A part of a key that no address can have, if there is one.
    fn odd_key(&self) -> Option<String> {
        let parts = [&self.prefix, &self.blobs, &self.records];
        let mut keys = parts.into_iter().chain(&self.names);
        // An address would lead elsewhere with these.
        let odd = |key: &&String| key.split('/').any(|part| matches!(part, "." | ".."));
        keys.find(odd).cloned().or_else(|| self.names.is_empty().then(String::new))
    }
}

fn parallel(text: String) -> Result<usize, S3PlaceError> {
    let number = text.parse().ok().filter(|number| (1..=64).contains(number));
    number.ok_or(S3PlaceError::Parallel(text))
}

fn refresh(text: String) -> Result<Duration, S3PlaceError> {
    let units = [("h", 3600), ("m", 60), ("s", 1)];
    let found = units.into_iter().find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        Some(Duration::from_secs(number.checked_mul(seconds)?))
    });
    found.ok_or(S3PlaceError::Refresh(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(text: &str) -> Result<S3Place, S3PlaceError> {
        let mut attributes = Attributes::parse(text).unwrap();
        let place = S3Place::take(&mut attributes)?;
        attributes.finish(&[])?;
        Ok(place)
    }

    #[test]
    fn the_attributes_of_buildkit_are_understood() {
        let place = take(
            "bucket=b,region=eu-west-1,prefix=team/,name=main;pr-1,endpoint_url=http://m:9000,use_path_style=true,\
             access_key_id=A,secret_access_key=s,session_token=t,upload_parallelism=8,touch_refresh=12h,\
             blobs_prefix=bl/,manifests_prefix=manifests/",
        );
        let place = place.unwrap();
        assert_eq!(place.names, ["main", "pr-1"]);
        assert_eq!((place.addressing, place.parallel), (Addressing::Path, 8));
        assert_eq!((&*place.blobs, &*place.records), ("bl/", "manifests/wythe/"));
        assert_eq!(place.refresh, Duration::from_hours(12));
        assert!(place.keys.is_some());
        let plain = take("bucket=b").unwrap();
        assert_eq!((&*plain.records, plain.names.len(), plain.keys), ("wythe/", 1, None));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name_and_without_a_secret() {
        for (text, named) in [
            ("bucket=b,access_key_id=A", "secret_access_key"),
            ("bucket=b,secret_access_key=hush", "access_key_id"),
            ("bucket=b,region=a.evil.com", "region"),
            ("bucket=b,touch_refresh=soon", "soon"),
            ("bucket=b,upload_parallelism=0", "upload_parallelism"),
            ("bucket=b,prefix=../x/", "../x/"),
            ("bucket=b,name=;", "key"),
        ] {
            let error = take(text).unwrap_err().to_string();
            assert!(error.contains(named) && !error.contains("hush"), "{text}: {error}");
        }
    }
}
