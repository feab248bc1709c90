//! Which hosts are registries of ECR, and which account, region and addresses they stand for.

use crate::endpoint::{Flavour, Modules, Region, Service, Stack};

/// A registry of ECR.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RegistryHost {
    /// The registry of an account in a region.
    Private {
        /// Twelve digits.
        account: String,
        /// Where it is.
        region: Region,
        /// Which addresses it has.
        flavour: Flavour,
    },
    /// The public registry, which is one for all.
    Public(Flavour),
}

/// The ends of names of hosts of registries, beside the two of those with both versions of IP.
const SINGLE: [&str; 7] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "sc2s.sgov.gov",
    "c2s.ic.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
];
const DUAL: [&str; 3] = ["on.aws", "on.amazonwebservices.com.cn", "on.amazonwebservices.eu"];

impl RegistryHost {
    /// The registry that a host is: `ACCOUNT.dkr.ecr[-fips].REGION.amazonaws.com` and the like,
    /// `ACCOUNT.dkr-ecr[-fips].REGION.on.aws`, `public.ecr.aws`.
    pub fn parse(host: &str) -> Option<Self> {
        match host {
            "public.ecr.aws" => return Some(Self::Public(Flavour::default())),
            "ecr-public.aws.com" => {
                let flavour = Flavour { stack: Stack::Dual, ..Flavour::default() };
                return Some(Self::Public(flavour));
            }
            _ => {}
        }
        let (account, rest) = host.split_once('.')?;
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let rest = rest.strip_prefix("dkr.ecr").or_else(|| rest.strip_prefix("dkr-ecr"))?;
        let (modules, rest) = match rest.strip_prefix("-fips.") {
            Some(rest) => (Modules::Fips, rest),
            None => (Modules::Usual, rest.strip_prefix('.')?),
        };
        let (region, end) = rest.split_once('.')?;
        let stack = match end {
            end if SINGLE.contains(&end) => Stack::Single,
            end if DUAL.contains(&end) => Stack::Dual,
            _ => return None,
        };
        let (account, region) = (account.to_owned(), region.parse().ok()?);
        Some(Self::Private { account, region, flavour: Flavour { modules, stack } })
    }

    /// Where requests about it are signed for.
    pub fn region(&self) -> Region {
        match self {
            Self::Private { region, .. } => region.clone(),
            Self::Public(_) => Region::global(),
        }
    }

    /// Which of the addresses of its control plane.
    pub fn flavour(&self) -> Flavour {
        match self {
            Self::Private { flavour, .. } | Self::Public(flavour) => *flavour,
        }
    }

    /// Its control plane.
    pub fn service(&self) -> Service {
        match self {
            Self::Private { .. } => Service::Ecr,
            Self::Public(_) => Service::EcrPublic,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn private(host: &str, region: &str, (modules, stack): (Modules, Stack)) {
        let expected = RegistryHost::Private {
            account: "123456789012".to_owned(),
            region: region.parse().unwrap(),
            flavour: Flavour { modules, stack },
        };
        assert_eq!(RegistryHost::parse(host), Some(expected), "{host}");
    }

    #[test]
    fn a_host_says_whose_registry_it_is_and_where() {
        let usual = (Modules::Usual, Stack::Single);
        private("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "eu-west-1", usual);
        private("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1", usual);
        private("123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1", usual);
        private("123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov", "us-iso-east-1", usual);
        let fips = (Modules::Fips, Stack::Single);
        private("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1", fips);
        let dual = (Modules::Usual, Stack::Dual);
        private("123456789012.dkr-ecr.eu-west-1.on.aws", "eu-west-1", dual);
        private(
            "123456789012.dkr-ecr-fips.us-east-1.on.aws",
            "us-east-1",
            (Modules::Fips, Stack::Dual),
        );
        private("123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", "cn-north-1", dual);
    }

    #[test]
    fn the_public_registry_is_signed_for_in_one_region() {
        let public = RegistryHost::parse("public.ecr.aws").unwrap();
        assert_eq!((public.service(), public.region()), (Service::EcrPublic, Region::global()));
        assert!(RegistryHost::parse("ecr-public.aws.com").is_some());
    }

    #[test]
    fn hosts_that_only_look_like_it_get_no_keys() {
        for host in [
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.com",
            "123456789012.dkr.ecr.eu-west-1.evil.com",
            "12345678901.dkr.ecr.eu-west-1.amazonaws.com",
            "x123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            "evil.com/123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com:5000",
            "123456789012.dkr.ecrx.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr.amazonaws.com",
            "a.public.ecr.aws",
            "docker.io",
        ] {
            assert_eq!(RegistryHost::parse(host), None, "{host}");
        }
    }
}
