//! Where the services of AWS are: regions, partitions, and addresses that somebody else names.

use std::fmt;
use std::str::FromStr;

use crate::surroundings::Surroundings;

/// A region, such as `eu-west-1`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Region(String);

/// A text is not the name of a region.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is not the name of a region of AWS")]
pub struct ParseRegionError(String);

/// A service that is called.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Service {
    /// The control plane of private registries.
    Ecr,
    /// The control plane of the public registry.
    EcrPublic,
    /// Objects.
    S3,
    /// Keys for who has signed in through a browser.
    Sso,
    /// Keys for roles.
    Sts,
}

/// Which of the addresses of a service.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Flavour {
    /// Whose cryptography.
    pub modules: Modules,
    /// What the address resolves to.
    pub stack: Stack,
}

/// Whose cryptography a service uses.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Modules {
    /// Modules that are validated by FIPS 140.
    Fips,
    /// Whatever there is.
    #[default]
    Usual,
}

/// What an address resolves to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Stack {
    /// Addresses of both versions of IP.
    Dual,
    /// Version 4.
    #[default]
    Single,
}

/// Partitions by how the names of their regions begin: the ends of names of hosts there, and of those with both
/// versions of IP.
const PARTITIONS: [(&str, &str, &str); 8] = [
    ("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    ("us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
    ("eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    ("us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    ("us-gov-", "amazonaws.com", "api.aws"),
    ("", "amazonaws.com", "api.aws"),
];

impl FromStr for Region {
    type Err = ParseRegionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if text.is_empty() || 63 < text.len() || !text.bytes().all(plain) {
            return Err(ParseRegionError(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Region {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Region {
    /// The region of what is everywhere: the public registry signs for it.
    pub fn global() -> Self {
        Self("us-east-1".to_owned())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn partition(&self) -> (&'static str, &'static str) {
        let found = PARTITIONS.iter().find(|(start, ..)| self.0.starts_with(start));
        let (_, single, dual) = found.expect("every name begins with nothing");
        (single, dual)
    }
}

impl Service {
    /// The name by which it signs.
    pub(crate) fn signing_name(self) -> &'static str {
        match self {
            Self::Ecr => "ecr",
            Self::EcrPublic => "ecr-public",
            Self::S3 => "s3",
            Self::Sso => "awsssoportal",
            Self::Sts => "sts",
        }
    }

    /// The variable that names another address for it.
    fn variable(self) -> &'static str {
        match self {
            Self::Ecr => "AWS_ENDPOINT_URL_ECR",
            Self::EcrPublic => "AWS_ENDPOINT_URL_ECR_PUBLIC",
            Self::S3 => "AWS_ENDPOINT_URL_S3",
            Self::Sso => "AWS_ENDPOINT_URL_SSO",
            Self::Sts => "AWS_ENDPOINT_URL_STS",
        }
    }

    /// The host it is at.
    fn host(self, region: &Region, flavour: Flavour) -> String {
        let (single, dual) = region.partition();
        let fips = if flavour.modules == Modules::Fips { "-fips" } else { "" };
        match (self, flavour.stack) {
            (Self::Ecr, Stack::Dual) => format!("ecr{fips}.{region}.{dual}"),
            (Self::Ecr, Stack::Single) if fips.is_empty() => format!("api.ecr.{region}.{single}"),
            (Self::Ecr, Stack::Single) => format!("ecr{fips}.{region}.{single}"),
            (Self::EcrPublic, Stack::Dual) => format!("ecr-public.{region}.{dual}"),
            (Self::EcrPublic, Stack::Single) => format!("api.ecr-public.{region}.{single}"),
            (Self::S3, Stack::Dual) => format!("s3{fips}.dualstack.{region}.{single}"),
            (Self::S3, Stack::Single) => format!("s3{fips}.{region}.{single}"),
            (Self::Sso, _) => format!("portal.sso.{region}.{single}"),
            (Self::Sts, Stack::Dual) => format!("sts{fips}.{region}.{dual}"),
            (Self::Sts, Stack::Single) => format!("sts{fips}.{region}.{single}"),
        }
    }

    /// The address it is at, without a slash at the end: that which the surroundings name, as the SDKs of AWS do,
    /// or its own.
    pub fn url(self, region: &Region, flavour: Flavour, around: &Surroundings) -> String {
        let named = around.variable(self.variable()).or(around.variable("AWS_ENDPOINT_URL"));
        let ignored = around.is_on("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
        match named.filter(|_| !ignored) {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("https://{}", self.host(region, flavour)),
        }
    }
}

impl Flavour {
    /// That which the surroundings ask for.
    pub fn of(around: &Surroundings) -> Self {
        let fips = around.is_on("AWS_USE_FIPS_ENDPOINT");
        let dual = around.is_on("AWS_USE_DUALSTACK_ENDPOINT");
        Self {
            modules: if fips { Modules::Fips } else { Modules::Usual },
            stack: if dual { Stack::Dual } else { Stack::Single },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(service: Service, region: &str, (modules, stack): (Modules, Stack), expected: &str) {
        let region: Region = region.parse().unwrap();
        let url = service.url(&region, Flavour { modules, stack }, &Surroundings::bare(&[]));
        assert_eq!(url, format!("https://{expected}"));
    }

    #[test]
    fn services_are_where_their_partition_has_them() {
        let usual = (Modules::Usual, Stack::Single);
        check(Service::Ecr, "eu-west-1", usual, "api.ecr.eu-west-1.amazonaws.com");
        check(Service::Ecr, "cn-north-1", usual, "api.ecr.cn-north-1.amazonaws.com.cn");
        check(Service::Ecr, "us-gov-west-1", usual, "api.ecr.us-gov-west-1.amazonaws.com");
        check(Service::Ecr, "eusc-de-east-1", usual, "api.ecr.eusc-de-east-1.amazonaws.eu");
        check(Service::Sts, "us-iso-east-1", usual, "sts.us-iso-east-1.c2s.ic.gov");
        check(Service::S3, "eu-central-1", usual, "s3.eu-central-1.amazonaws.com");
        check(Service::Sso, "eu-north-1", usual, "portal.sso.eu-north-1.amazonaws.com");
    }

    #[test]
    fn other_addresses_have_other_names() {
        let (fips, dual) = ((Modules::Fips, Stack::Single), (Modules::Usual, Stack::Dual));
        check(Service::Ecr, "us-east-1", fips, "ecr-fips.us-east-1.amazonaws.com");
        check(Service::Ecr, "us-east-1", dual, "ecr.us-east-1.api.aws");
        check(
            Service::Ecr,
            "us-east-1",
            (Modules::Fips, Stack::Dual),
            "ecr-fips.us-east-1.api.aws",
        );
        check(Service::Ecr, "cn-north-1", dual, "ecr.cn-north-1.api.amazonwebservices.com.cn");
        check(Service::S3, "us-east-1", dual, "s3.dualstack.us-east-1.amazonaws.com");
        check(Service::Sts, "us-gov-east-1", fips, "sts-fips.us-gov-east-1.amazonaws.com");
    }

    #[test]
    fn the_address_of_a_service_comes_before_that_of_all() {
        let region = Region::global();
        let of = |service: Service, pairs: &[(&str, &str)]| {
            service.url(&region, Flavour::default(), &Surroundings::bare(pairs))
        };
        let all = ("AWS_ENDPOINT_URL", "http://127.0.0.1:5000/");
        let one = ("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:6000");
        assert_eq!(of(Service::Ecr, &[all, one]), "http://127.0.0.1:5000");
        assert_eq!(of(Service::Sts, &[all, one]), "http://127.0.0.1:6000");
        let ignored = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
        assert_eq!(of(Service::Sts, &[all, one, ignored]), "https://sts.us-east-1.amazonaws.com");
    }

    #[test]
    fn what_could_lead_elsewhere_is_no_region() {
        for text in ["", "eu-west-1.evil.com", "a/b", "EU", "a@b", "a b"] {
            assert!(text.parse::<Region>().is_err(), "{text:?}");
        }
    }
}
