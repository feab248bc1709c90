//! What refers to a manifest: signatures, statements, indexes of layers.
//!
//! Registries list it, or know nothing of it; then a tag of the repository stands for the list, by the
//! schema of the distribution specification.

use std::collections::BTreeSet;
use std::io::Read;

use reqwest::Method;
use reqwest::header::LINK;
use url::Url;
use wythe_store::digest::Digest;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::{MAX_DOCUMENT, RawDocument};
use wythe_store::oci::index::Index;
use wythe_store::oci::reference::Reference;

use crate::agent::Response;
use crate::client::{Client, Repository, Rights};
use crate::error::{RegistryError, RegistryProblem};
use crate::learned::Habit;
use crate::origin;
use crate::profile::Referrers;
use crate::retry::retry;
use crate::transport::{Body, Call};
use crate::web::decoded;

/// More pages than any list has: who links further goes in circles.
const MAX_PAGES: usize = 1000;

/// Why a list is not read on where it leads elsewhere.
const OF_ANOTHER: &str = "a list goes on where it began";
/// A list that breaks off.
const UNREADABLE: RegistryProblem = RegistryProblem::Answer { what: "page of a list" };
/// A list that has no end.
const ENDLESS: RegistryProblem = RegistryProblem::Answer { what: "end of a list" };

/// A part of the list of a registry.
struct Page {
    entries: Vec<Descriptor>,
    /// Where it goes on.
    next: Option<Url>,
}

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

    /// Whether the registry of a name was found to do so.
    pub fn is_known_to(&self, name: &Reference, habit: Habit) -> bool {
        self.inner.settings.learned.knows(name.host(), habit)
    }

    /// Remembers of a registry what whoever pushes has found, such as that it took in another form what it had refused
    /// with [`PushError::Subject`](crate::error::PushError::Subject).
    pub fn learn(&self, host: &str, habit: Habit) {
        self.inner.learn(host, habit);
    }

    /// The list of the registry itself.
    fn listed(&self, repository: &Repository, subject: &Digest) -> Result<Listed, RegistryError> {
        if self.inner.profile_of(repository).referrers == Referrers::Tag {
            return Ok(Listed::Unknown);
        }
        let url = repository.url(&format!("referrers/{subject}"));
        let (mut found, mut next) = match self.page(repository, url) {
            Ok(Some(Page { entries, next })) => (entries, next),
            Ok(None) => return Ok(Listed::Unknown),
            Err(error) if matches!(error.status(), Some(400 | 403..=406 | 501)) => {
                return Ok(Listed::Unknown);
            }
            Err(error) => return Err(error),
        };
        // A list that was begun is there: half of it would leave out what nobody misses.
        for _ in 1..MAX_PAGES {
            let Some(url) = next else { return Ok(Listed::Known(found)) };
            let nothing = || RegistryError::new("GET", &url, UNREADABLE);
            let page = self.page(repository, url.clone())?.ok_or_else(nothing)?;
            found.extend(page.entries);
            next = page.next;
        }
        Err(RegistryError::new("GET", &repository.base, ENDLESS))
    }

    /// A page of a list; `None` if what comes is none.
    fn page(&self, repository: &Repository, url: Url) -> Result<Option<Page>, RegistryError> {
        let call = Call::new(Method::GET, url, Body::Empty);
        let answer = retry(&*self.inner.settings.timing, || self.inner.call(repository, &call));
        let response = answer?;
        let next = following(&response);
        let Some(index) = index(response) else { return Ok(None) };
        if let Some(next) = &next
            && !origin::same_origin(next, &repository.base)
        {
            let problem = RegistryProblem::named("the list", next, OF_ANOTHER);
            return Err(RegistryError::new("GET", &call.url, problem));
        }
        Ok(Some(Page { entries: index.manifests, next }))
    }

    /// What the tag stands for that is in place of a list; nothing where there is none.
    fn tagged(&self, name: &Reference, subject: &Digest) -> Result<Index, RegistryError> {
        let empty = Index::new(Vec::new());
        let repository = self.inner.repository(name, Rights::Pull)?;
        let tag = tag(name, subject);
        let call = crate::manifest::call(&repository, Method::GET, &tag);
        let answer = retry(&*self.inner.settings.timing, || self.inner.call(&repository, &call));
        match answer {
            Ok(response) => Ok(index(response).unwrap_or(empty)),
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

/// What a page of a list holds; what is none is the page of somebody who knows no lists.
fn index(response: Response) -> Option<Index> {
    let mut bytes = Vec::new();
    let mut body = decoded(response).take(MAX_DOCUMENT as u64);
    body.read_to_end(&mut bytes).ok()?;
    Some(RawDocument::<Index>::read_unnamed(bytes).ok()?.into_parts().1)
}

/// The page that a `Link` leads to.
fn following(response: &Response) -> Option<Url> {
    let links = response.headers().get_all(LINK).iter();
    let next = links.filter_map(|value| value.to_str().ok()).find_map(next_of);
    response.url().join(next?).ok()
}

/// Of several links, which commas separate, the one to what comes next.
fn next_of(mut links: &str) -> Option<&str> {
    loop {
        let (target, rest) = links.split_once('<')?.1.split_once('>')?;
        let (said, others) = rest.split_at(rest.find('<').unwrap_or(rest.len()));
        let mut said = said.split([';', ',']).map(str::trim);
        if said.any(|one| {
            ["rel=\"next\"", "rel=next"].iter().any(|next| one.eq_ignore_ascii_case(next))
        }) {
            return Some(target);
        }
        links = others;
    }
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
        let several =
            "</v2/a>; rel=\"prev\", </v2/b?x=1,2>; REL=next; title=\"b\", </v2/c>; rel=last";
        assert_eq!(next_of(several), Some("/v2/b?x=1,2"));
        for other in ["", "</v2/a>; rel=\"prev\"", "/v2/a; rel=next", "</v2/a", "rel=next"] {
            assert_eq!(next_of(other), None, "{other}");
        }
    }
}
