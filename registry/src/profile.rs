//! How registries differ where the protocol leaves them room, as data: what is known of their kinds before
//! anything was asked. What an answer shows comes before what is written here.

use std::num::NonZeroUsize;

const EIGHT: NonZeroUsize = NonZeroUsize::new(8).expect("eight is not zero");
const SIXTEEN: NonZeroUsize = NonZeroUsize::new(16).expect("sixteen is not zero");

/// What is known of a kind of registry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Profile {
    /// What people call it.
    pub name: &'static str,
    /// Hosts, and where it begins with a dot, all below a domain.
    hosts: &'static [&'static str],
    /// What its challenges call it, wherever it runs.
    service: Option<&'static str>,
    /// How many requests wait for its answer at a time, where nobody says: several builds of one process push four
    /// blobs each and pull as many.
    pub requests: NonZeroUsize,
    /// How repositories come into being.
    pub repositories: Repositories,
    /// How large a part of an upload it takes that says which part it is.
    pub chunks: Chunks,
    /// Where it lists what refers to a manifest.
    pub referrers: Referrers,
    /// When it takes a manifest that refers to another.
    pub subjects: Subjects,
}

/// How repositories come into being.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Repositories {
    /// By the first push.
    Pushed,
    /// Before: what to do for that.
    Made(&'static str),
}

/// How large a part of an upload may be that says which part it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Chunks {
    /// As large as one likes.
    Any,
    /// So many bytes.
    AtMost(u64),
    /// Nothing that is said of parts after the first can be gone by.
    Never,
}

/// Where a registry lists what refers to a manifest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Referrers {
    /// In its API.
    Api,
    /// In an index under a tag, which whoever pushes keeps.
    Tag,
    /// In one or the other: it has to be asked.
    Asked,
}

/// When a registry takes a manifest that refers to another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Subjects {
    /// Any time, as the specification has it.
    AnyTime,
    /// When the other is there.
    Afterwards,
}

/// The protocol, and nothing else.
pub const ANY: Profile = Profile {
    name: "a registry",
    hosts: &[],
    service: None,
    requests: SIXTEEN,
    repositories: Repositories::Pushed,
    chunks: Chunks::Any,
    referrers: Referrers::Asked,
    subjects: Subjects::AnyTime,
};

/// What is known. Names of hosts are matched to their ends: what only begins like one of them is somebody else's.
pub const PROFILES: [Profile; 9] = [
    Profile {
        name: "ECR",
        hosts: &[".amazonaws.com", ".amazonaws.com.cn", ".on.aws", ".on.amazonwebservices.com.cn"],
        repositories: Repositories::Made(
            "give --create-repo, or have a repository creation template with CREATE_ON_PUSH",
        ),
        // aws/containers-roadmap#2831: parts after the first arrive, and are answered as if they had been lost.
        chunks: Chunks::Never,
        ..ANY
    },
    Profile {
        name: "ECR Public",
        hosts: &["public.ecr.aws"],
        repositories: Repositories::Made(
            "give --create-repo, or make the repository in the console",
        ),
        chunks: Chunks::Never,
        // BatchCheckLayerAvailability has 200 a second here, CompleteLayerUpload 10.
        requests: EIGHT,
        ..ANY
    },
    Profile { name: "Docker Hub", hosts: &["docker.io"], referrers: Referrers::Api, ..ANY },
    Profile {
        name: "GHCR",
        hosts: &["ghcr.io"],
        // More is answered with 416.
        chunks: Chunks::AtMost(4 << 20),
        referrers: Referrers::Tag,
        ..ANY
    },
    Profile {
        name: "Artifact Registry",
        hosts: &[".pkg.dev", "gcr.io", ".gcr.io"],
        // A project has a quota for all who ask at once.
        requests: EIGHT,
        repositories: Repositories::Made(
            "make the repository: gcloud artifacts repositories create NAME --repository-format=docker",
        ),
        ..ANY
    },
    Profile {
        name: "ACR",
        hosts: &[".azurecr.io", ".azurecr.cn", ".azurecr.us"],
        referrers: Referrers::Api,
        ..ANY
    },
    Profile { name: "Quay", hosts: &["quay.io"], requests: EIGHT, ..ANY },
    Profile {
        name: "GitLab",
        hosts: &["registry.gitlab.com"],
        service: Some("container_registry"),
        repositories: Repositories::Made("make the project first: an image is named after it"),
        // What refers to a manifest that is not there is answered with MANIFEST_BLOB_UNKNOWN.
        subjects: Subjects::Afterwards,
        ..ANY
    },
    Profile {
        name: "Harbor",
        hosts: &[],
        service: Some("harbor-registry"),
        repositories: Repositories::Made("make the project first: an image is named after it"),
        ..ANY
    },
];

/// What is known of a registry by its host, and by what its challenge calls it, where it has made one.
pub fn of(host: &str, service: Option<&str>) -> &'static Profile {
    let by_host = PROFILES.iter().find(|profile| profile.has(host));
    let named = |profile: &&Profile| profile.service.is_some() && profile.service == service;
    by_host.or_else(|| PROFILES.iter().find(named)).unwrap_or(&ANY)
}

impl Profile {
    fn has(&self, host: &str) -> bool {
        let fits = |own: &&str| {
            host == *own || (own.starts_with('.') && own.len() < host.len() && host.ends_with(*own))
        };
        self.hosts.iter().any(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_a_row_for_each() {
        let page = include_str!("../../docs/registries.md");
        for profile in &PROFILES {
            let start = format!("| {} |", profile.name);
            let row = page.lines().find(|line| line.starts_with(&start)).unwrap_or(&start);
            let requests = format!("| {} |", profile.requests);
            assert!(row.contains(&requests), "{row}");
            assert_eq!(row.contains("made before"), is_made(profile) && profile.service.is_none());
        }
    }

    fn is_made(profile: &Profile) -> bool {
        matches!(profile.repositories, Repositories::Made(_))
    }

    #[test]
    fn a_registry_is_known_by_its_host_or_by_what_it_calls_itself() {
        for (host, service, name) in [
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", None, "ECR"),
            ("public.ecr.aws", None, "ECR Public"),
            ("docker.io", Some("registry.docker.io"), "Docker Hub"),
            ("ghcr.io", None, "GHCR"),
            ("europe-docker.pkg.dev", None, "Artifact Registry"),
            ("eu.gcr.io", None, "Artifact Registry"),
            ("own.azurecr.io", None, "ACR"),
            ("quay.io", None, "Quay"),
            ("registry.gitlab.com", None, "GitLab"),
            ("registry.example", Some("container_registry"), "GitLab"),
            ("hub.example", Some("harbor-registry"), "Harbor"),
        ] {
            assert_eq!(of(host, service).name, name, "{host}");
        }
        for host in
            ["localhost:5000", "quay.io.example", "evilquay.io", "azurecr.io", "ghcr.io:443"]
        {
            assert_eq!(of(host, None), &ANY, "{host}");
        }
    }
}
