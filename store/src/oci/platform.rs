//! Platforms: operating system, architecture and variant.

use std::fmt;
use std::str::FromStr;

/// A platform as in an index entry or an image configuration, normalised as containerd does.
#[derive(
    Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Serialize, serde::Deserialize,
)]
pub struct Platform {
    /// `amd64`, `arm64`, `arm`, …; empty where an index leaves it out.
    #[serde(default)]
    pub architecture: String,
    /// `linux`, …; empty where an index leaves it out.
    #[serde(default)]
    pub os: String,
    /// `os.version`, for Windows.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// `v7`, `v8`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// Why a string is not a [`Platform`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is not a platform such as linux/amd64 or linux/arm/v7")]
pub struct ParsePlatformError {
    /// What was given.
    pub text: String,
}

impl Platform {
    /// Linux on an architecture, normalised.
    pub fn linux(architecture: &str) -> Self {
        Self {
            architecture: architecture.to_owned(),
            os: "linux".to_owned(),
            os_version: None,
            variant: None,
        }
        .normalized()
    }

    /// The platform with the aliases of architecture and variant resolved: `x86_64` is `amd64`,
    /// `aarch64` and `arm64/v8` are `arm64`, `armhf` is `arm/v7`.
    #[must_use]
    pub fn normalized(mut self) -> Self {
        self.os = self.os.to_ascii_lowercase();
        let variant = self.variant.take().filter(|text| !text.is_empty());
        let (architecture, variant) = normalize(&self.architecture.to_ascii_lowercase(), variant);
        self.architecture = architecture;
        self.variant = variant;
        self
    }

    /// The platforms whose images run here, best first: the variant itself, then the older ones.
    pub fn compatible(&self) -> Vec<Self> {
        let wanted = self.clone().normalized();
        let older: &[Option<&str>] = match (wanted.architecture.as_str(), wanted.variant.as_deref())
        {
            ("amd64", Some("v4")) => &[Some("v3"), Some("v2"), None],
            ("amd64", Some("v3")) => &[Some("v2"), None],
            ("amd64" | "arm64", Some(_)) => &[None],
            ("arm", Some("v8")) => &[Some("v7"), Some("v6"), Some("v5")],
            ("arm", Some("v7")) => &[Some("v6"), Some("v5")],
            ("arm", Some("v6")) => &[Some("v5")],
            _ => &[],
        };
        let older = older
            .iter()
            .map(|variant| Self { variant: variant.map(str::to_owned), ..wanted.clone() });
        let older: Vec<Self> = older.collect();
        std::iter::once(wanted).chain(older).collect()
    }

    /// Whether an image for `other` runs where `self` is asked for; both are normalised first.
    pub fn accepts(&self, other: &Self) -> bool {
        let (wanted, found) = (self.clone().normalized(), other.clone().normalized());
        wanted.os == found.os
            && wanted.architecture == found.architecture
            && wanted.variant == found.variant
    }
}

fn normalize(architecture: &str, variant: Option<String>) -> (String, Option<String>) {
    let plain = |name: &str, variant| (name.to_owned(), variant);
    match (architecture, variant.as_deref()) {
        ("x86_64" | "x86-64" | "amd64", Some("v1") | None) => plain("amd64", None),
        ("x86_64" | "x86-64" | "amd64", _) => plain("amd64", variant),
        ("i386", _) => plain("386", None),
        ("aarch64" | "arm64", Some("8" | "v8") | None) => plain("arm64", None),
        ("aarch64" | "arm64", _) => plain("arm64", variant),
        ("armel", _) => plain("arm", Some("v6".to_owned())),
        ("armhf", _) | ("arm", None | Some("7")) => plain("arm", Some("v7".to_owned())),
        ("arm", Some(digit @ ("5" | "6" | "8"))) => plain("arm", Some(format!("v{digit}"))),
        _ => plain(architecture, variant),
    }
}

impl FromStr for Platform {
    type Err = ParsePlatformError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParsePlatformError { text: text.to_owned() };
        let parts: Vec<&str> = text.split('/').collect();
        let fine = |part: &&str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        };
        if !parts.iter().all(fine) {
            return Err(bad());
        }
        let (os, architecture, variant) = match parts.as_slice() {
            [os @ ("linux" | "windows" | "darwin" | "freebsd")] => (*os, host_architecture(), None),
            [architecture] if is_known(architecture) => ("linux", *architecture, None),
            [os, architecture] => (*os, *architecture, None),
            [os, architecture, variant] => (*os, *architecture, Some((*variant).to_owned())),
            _ => return Err(bad()),
        };
        let (os, architecture) = (os.to_owned(), architecture.to_owned());
        Ok(Self { architecture, os, os_version: None, variant }.normalized())
    }
}

/// Whether a word by itself can only be an architecture: those of Linux, and their aliases.
fn is_known(architecture: &str) -> bool {
    const KNOWN: [&str; 21] = [
        "386", "aarch64", "amd64", "arm", "arm64", "armbe", "armel", "armhf", "i386", "loong64",
        "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64", "s390x", "sparc64",
        "x86-64", "x86_64",
    ];
    KNOWN.contains(&architecture.to_ascii_lowercase().as_str())
}

/// The architecture this program was compiled for, in OCI's spelling.
pub fn host_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(out, "/{variant}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(text.parse::<Platform>().unwrap().to_string(), expected);
    }

    #[test]
    fn aliases_are_resolved() {
        check("linux/x86_64", "linux/amd64");
        check("linux/arm64/v8", "linux/arm64");
        check("linux/arm", "linux/arm/v7");
        check("arm64", "linux/arm64");
        check("linux/arm/v6", "linux/arm/v6");
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["", "linux/", "a/b/c/d", "linux/a b", "foo"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }
}
