//! Image configurations: how to run an image, and where its layers came from.
//!
//! The types are ours, because a field that this crate does not know must survive a build on top of
//! the image that carries it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::DiffId;
use crate::oci::document::{Document, DocumentError, DocumentKind, MAX_DOCUMENT};
use crate::oci::json::{self, null_as_default};
use crate::oci::media_type::MediaType;
use crate::oci::platform::Platform;

/// An image configuration.
///
/// [Image spec, "Image Configuration"](https://github.com/opencontainers/image-spec/blob/main/config.md).
/// Times are text: those of other tools are kept as they were written.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// `amd64`, `arm64`, …
    #[serde(default, deserialize_with = "null_as_default")]
    pub architecture: String,
    /// `linux`, …
    #[serde(default, deserialize_with = "null_as_default")]
    pub os: String,
    /// `v7`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// When the image was made, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// How to run it.
    #[serde(default, deserialize_with = "null_as_default")]
    pub config: RunConfig,
    /// What its layers unpack to.
    #[serde(default)]
    pub rootfs: RootFs,
    /// What each layer, and each instruction without one, did.
    #[serde(default, deserialize_with = "null_as_default")]
    pub history: Vec<HistoryEntry>,
    /// Whatever else it says.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// How a container of an image runs unless it is told otherwise.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RunConfig {
    /// User and group, by name or number.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub user: String,
    /// Ports such as `80/tcp`.
    #[serde(default, with = "set_as_map", skip_serializing_if = "BTreeSet::is_empty")]
    pub exposed_ports: BTreeSet<String>,
    /// `NAME=value`, in the order they were set.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// What is run.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// Its default arguments, or what is run where there is no entry point.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    /// Paths that are to be volumes.
    #[serde(default, with = "set_as_map", skip_serializing_if = "BTreeSet::is_empty")]
    pub volumes: BTreeSet<String>,
    /// Where it is run.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub working_dir: String,
    /// Labels.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub labels: BTreeMap<String, String>,
    /// The signal that ends it.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub stop_signal: String,
    /// Whether the command was escaped already; Windows only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args_escaped: Option<bool>,
    /// How to tell whether it is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// Instructions that wait for a build on top of this image.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub on_build: Vec<String>,
    /// What the shell form of an instruction runs in.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub shell: Vec<String>,
    /// Whatever else it says.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// A health check; durations in nanoseconds, zero where the runtime decides.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", line]`.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    /// Time between two checks.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub interval: i64,
    /// Time after which a check has failed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub timeout: i64,
    /// Time the program has to start.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start_period: i64,
    /// Time between two checks while it starts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    /// How many failures in a row make it unhealthy.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: i64,
    /// Whatever else it says.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// The layers as their uncompressed archives.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type", default = "layers")]
    pub kind: String,
    /// One for each layer, bottom first.
    #[serde(default, deserialize_with = "null_as_default")]
    pub diff_ids: Vec<DiffId>,
}

/// What one instruction did.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The instruction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Which tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether there is no layer for it.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub empty_layer: bool,
    /// Whatever else it says.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl ImageConfig {
    /// The platform the image is for.
    pub fn platform(&self) -> Platform {
        let os_version = self.other.get("os.version").and_then(Value::as_str).map(str::to_owned);
        let (architecture, os) = (self.architecture.clone(), self.os.clone());
        Platform { architecture, os, os_version, variant: self.variant.clone() }.normalized()
    }
}

impl Default for RootFs {
    fn default() -> Self {
        Self { kind: layers(), diff_ids: Vec::new() }
    }
}

impl Document for ImageConfig {
    const KIND: DocumentKind = DocumentKind::Config;

    fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        json::parse(bytes, MAX_DOCUMENT)
            .map_err(|error| DocumentError { kind: Self::KIND, problem: error.into() })
    }

    fn media_type(&self) -> MediaType {
        MediaType::CONFIG
    }

    /// A configuration does not name its own type: OCI's and Docker's are the same document.
    fn is_called(&self, media_type: &MediaType) -> bool {
        *media_type == MediaType::CONFIG || *media_type == MediaType::DOCKER_CONFIG
    }

    fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings, integers and parsed values always serialise")
    }
}

fn layers() -> String {
    "layers".to_owned()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// A set as Go writes one: `{"80/tcp":{}}`.
mod set_as_map {
    use std::collections::{BTreeMap, BTreeSet};

    use serde::de::IgnoredAny;
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(serde::Serialize)]
    struct Empty {}

    pub(super) fn serialize<S: Serializer>(
        set: &BTreeSet<String>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.collect_map(set.iter().map(|name| (name, Empty {})))
    }

    #[expect(clippy::zero_sized_map_values, reason = "only the names of the object count")]
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeSet<String>, D::Error> {
        let map = Option::<BTreeMap<String, IgnoredAny>>::deserialize(deserializer)?;
        Ok(map.unwrap_or_default().into_keys().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let config = ImageConfig::parse(text.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(config.to_bytes()).unwrap(), expected);
    }

    #[test]
    fn unknown_fields_survive() {
        check(
            r#"{"architecture":"amd64","os":"linux","config":{"Hostname":"h","Env":["A=1"]},"rootfs":{"type":"layers","diff_ids":[]},"history":[{"x":1}],"docker_version":"1.2"}"#,
            r#"{"architecture":"amd64","os":"linux","config":{"Env":["A=1"],"Hostname":"h"},"rootfs":{"type":"layers","diff_ids":[]},"history":[{"x":1}],"docker_version":"1.2"}"#,
        );
    }

    #[test]
    fn null_lists_are_empty_lists() {
        check(
            r#"{"config":{"Env":null,"Cmd":null,"Volumes":null,"Labels":null,"OnBuild":null},"rootfs":{"type":"layers","diff_ids":null},"history":null}"#,
            r#"{"architecture":"","os":"","config":{},"rootfs":{"type":"layers","diff_ids":[]},"history":[]}"#,
        );
        check(
            r#"{"config":null}"#,
            r#"{"architecture":"","os":"","config":{},"rootfs":{"type":"layers","diff_ids":[]},"history":[]}"#,
        );
    }

    #[test]
    fn sets_are_sorted() {
        check(
            r#"{"config":{"ExposedPorts":{"80/tcp":{},"53/udp":{}},"Labels":{"b":"1","a":"2"}}}"#,
            r#"{"architecture":"","os":"","config":{"ExposedPorts":{"53/udp":{},"80/tcp":{}},"Labels":{"a":"2","b":"1"}},"rootfs":{"type":"layers","diff_ids":[]},"history":[]}"#,
        );
    }

    #[test]
    fn a_health_check_leaves_out_what_the_runtime_decides() {
        let healthcheck = Healthcheck { interval: 5, retries: 2, ..Healthcheck::default() };
        let text = serde_json::to_string(&healthcheck).unwrap();
        assert_eq!(text, r#"{"Interval":5,"Retries":2}"#);
    }

    #[test]
    fn what_we_write_is_valid_by_the_types_of_the_specification() {
        let mut config = ImageConfig {
            architecture: "amd64".to_owned(),
            os: "linux".to_owned(),
            created: Some("2024-01-02T03:04:05Z".to_owned()),
            ..ImageConfig::default()
        };
        config.config.exposed_ports.insert("80/tcp".to_owned());
        config.config.env.push("PATH=/bin".to_owned());
        config.history.push(HistoryEntry { empty_layer: true, ..HistoryEntry::default() });
        config.rootfs.diff_ids.push(DiffId(crate::digest::Digest::of(b"")));
        let bytes = config.to_bytes();
        let read = oci_spec::image::ImageConfiguration::from_reader(bytes.as_slice()).unwrap();
        assert_eq!(read.rootfs().diff_ids().len(), 1);
        assert_eq!(read.history().as_ref().unwrap().len(), 1);
        assert_eq!(ImageConfig::parse(&bytes).unwrap(), config);
    }
}
