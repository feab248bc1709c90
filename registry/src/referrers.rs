//! What refers to a manifest: signatures, statements, indexes of layers.
//!
//! Registries list it, or know nothing of it; then a tag of the repository stands for the list, by the
//! schema of the distribution specification.

use std::collections::BTreeSet;
use std::io::Read;

use reqwest::Method;
use reqwest::blocking::Response;
use reqwest::header::LINK;
use url::Url;
use wythe_store::digest::Digest;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::{MAX_DOCUMENT, RawDocument};
use wythe_store::oci::index::Index;
use wythe_store::oci::reference::Reference;

use crate::client::{Client, Repository, Rights};
use crate::error::RegistryError;
use crate::learned::Habit;
use crate::origin;
use crate::profile::Referrers;
use crate::retry::retry;
use crate::transport::{Body, Call};
use crate::web::decoded;

/// More pages than any list has: who links further goes in circles.
const MAX_PAGES: usize = 1000;

/// The list of a registry.
enum Listed {
    /// It has such lists.
    Known(Vec<Descriptor>),
    /// It has none.
    Unknown,
}

impl Client {
    /// What refers to a manifest in the repository of a name, as far as the registry knows, or the tag says
    /// that stands for the list elsewhere.
    ///
    /// # Errors
    ///
    /// If the registry cannot be reached or refuses.
    pub fn referrers(
        &self,
        name: &Reference,
        subject: &Digest,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        let repository = self.inner.repository(name, Rights::Pull)?;
        match self.listed(&repository, subject)? {
            Listed::Known(entries) => Ok(entries),
            Listed::Unknown => Ok(self.tagged(name, subject)?.manifests),
        }
    }

    /// Sees to it that some manifests, which are in the repository of a name already, are found by what they refer
    /// to: where the registry keeps no lists, or keeps them without these, the tag lists them. What it says of
    /// itself when a manifest is written is no proof: some say that they know, and do not.
    ///
    /// # Errors
    ///
    /// If the registry cannot be reached or refuses.
    pub fn list_referrers(
        &self,
        name: &Reference,
        subject: &Digest,
        referrers: &[Descriptor],
    ) -> Result<(), RegistryError> {
        let repository = self.inner.repository(name, Rights::Push)?;
        if let Listed::Known(entries) = self.listed(&repository, subject)? {
            let known: BTreeSet<Digest> = entries.iter().map(|entry| entry.digest).collect();
            if referrers.iter().all(|referrer| known.contains(&referrer.digest)) {
                return Ok(());
            }
        }
        let mut index = self.tagged(name, subject)?;
        let known: BTreeSet<Digest> = index.manifests.iter().map(|entry| entry.digest).collect();
        let new = referrers.iter().filter(|referrer| !known.contains(&referrer.digest));
        let before = index.manifests.len();
        index.manifests.extend(new.cloned());
        if index.manifests.len() == before {
            return Ok(());
        }
        let index = RawDocument::new(index);
        self.put_manifest(&tag(name, subject), &index.descriptor().media_type, index.bytes())
    }

    /// Whether the registry of a name was found to take no manifest that refers to another.
    pub fn refuses_subjects(&self, name: &Reference) -> bool {
        self.inner.settings.learned.knows(name.host(), Habit::RefusesSubjects)
    }

    /// Remembers that of a registry: what it refused with [`PushError::Subject`](crate::error::PushError::Subject)
    /// it took in another form.
    pub fn learn_to_refuse_subjects(&self, host: &str) {
        self.inner.learn(host, Habit::RefusesSubjects);
    }

    /// The list of the registry itself.
    fn listed(&self, repository: &Repository, subject: &Digest) -> Result<Listed, RegistryError> {
        if self.inner.profile_of(repository).referrers == Referrers::Tag {
            return Ok(Listed::Unknown);
        }
        let mut next = Some(repository.url(&format!("referrers/{subject}")));
        let mut found = Vec::new();
        for _ in 0..MAX_PAGES {
            let Some(url) = next else { break };
            let call = Call::new(Method::GET, url, Body::Empty);
            let answer = retry(&*self.inner.settings.timing, || self.inner.call(repository, &call));
            let response = match answer {
                Ok(response) => response,
                Err(error) if matches!(error.status(), Some(400 | 403..=406 | 501)) => {
                    return Ok(Listed::Unknown);
                }
                Err(error) => return Err(error),
            };
            next = following(&response).filter(|url| origin::same_origin(url, &repository.base));
            let Some(page) = page(response) else { return Ok(Listed::Unknown) };
            found.extend(page.manifests);
        }
        Ok(Listed::Known(found))
    }

    /// What the tag stands for that is in place of a list; nothing where there is none.
    fn tagged(&self, name: &Reference, subject: &Digest) -> Result<Index, RegistryError> {
        let empty = Index::new(Vec::new());
        let repository = self.inner.repository(name, Rights::Pull)?;
        let tag = tag(name, subject);
        let call = crate::manifest::call(&repository, Method::GET, &tag);
        let answer = retry(&*self.inner.settings.timing, || self.inner.call(&repository, &call));
        match answer {
            Ok(response) => Ok(page(response).unwrap_or(empty)),
            Err(error) if error.status() == Some(404) => Ok(empty),
            Err(error) => Err(error),
        }
    }
}

/// The tag that stands for the list of what refers to a manifest.
fn tag(name: &Reference, subject: &Digest) -> Reference {
    let text = subject.to_string().replace(':', "-");
    // A name of a repository with a tag of hexadecimal digits is a reference.
    let tagged = format!("{}:{text}", name.name()).parse();
    tagged.unwrap_or_else(|_| name.clone())
}

/// A page of a list; what is none is the page of somebody who knows no lists.
fn page(response: Response) -> Option<Index> {
    let mut bytes = Vec::new();
    let mut body = decoded(response).take(MAX_DOCUMENT as u64);
    body.read_to_end(&mut bytes).ok()?;
    Some(RawDocument::<Index>::read_unnamed(bytes).ok()?.into_parts().1)
}

/// The page that a `Link` leads to.
fn following(response: &Response) -> Option<Url> {
    let text = response.headers().get(LINK)?.to_str().ok()?;
    response.url().join(next_of(text)?).ok()
}

fn next_of(link: &str) -> Option<&str> {
    let (target, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    let is_next = rest.split(';').any(|part| matches!(part.trim(), "rel=\"next\"" | "rel=next"));
    is_next.then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_of_a_list_is_its_subject() {
        let name: Reference = "r.io/team/app:1".parse().unwrap();
        let tag = tag(&name, &Digest::of(b""));
        let hex = Digest::of(b"").hex();
        assert_eq!(tag.canonical(), format!("r.io/team/app:sha256-{hex}"));
    }

    #[test]
    fn only_a_link_to_the_next_page_is_one() {
        assert_eq!(next_of("</v2/a?n=1>; rel=\"next\""), Some("/v2/a?n=1"));
        assert_eq!(next_of("</v2/a>; rel=next"), Some("/v2/a"));
        for other in ["", "</v2/a>; rel=\"prev\"", "/v2/a; rel=next"] {
            assert_eq!(next_of(other), None, "{other}");
        }
    }
}
