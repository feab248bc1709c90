//! `scope=`: the parts of a cache that branches write, each its own.

use wythe_cache::scope::Scope;
use wythe_store::oci::reference::Reference;

use super::{CacheArgError, CachePlace};
use crate::args::attributes::Attributes;

/// The scope that is read after a branch's own, where nothing else is said.
const DEFAULT: &str = "main";

/// Which parts of a cache are meant: all of it, where nothing is said.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Scopes {
    own: Option<Scope>,
    other: Option<Scope>,
    naming: Naming,
}

/// What a part is called.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Naming {
    /// As its scope, for the cache has no name of its own.
    #[default]
    Scope,
    /// As the cache, and then its scope.
    Both,
}

impl Scopes {
    /// Takes what is said.
    pub(super) fn take(attributes: &mut Attributes, naming: Naming) -> Result<Self, CacheArgError> {
        let [own, other] = ["scope", "default-scope"].map(|key| match attributes.take(key) {
            Some(name) if name.is_empty() => Err(CacheArgError::Empty(key)),
            name => Ok(name),
        });
        let (own, other) = (own?, other?);
        let Some(own) = own else {
            return if other.is_some() {
                Err(CacheArgError::DefaultScope)
            } else {
                Ok(Self::default())
            };
        };
        let (own, other) = (Scope::of(&own), Scope::of(other.as_deref().unwrap_or(DEFAULT)));
        let other = Some(other).filter(|other| *other != own);
        Ok(Self { own: Some(own), other, naming })
    }

    /// What is read: a branch's own part, and then that of the default branch.
    pub(super) fn read(&self, place: &CachePlace) -> Result<Vec<CachePlace>, CacheArgError> {
        let other = self.other.iter().map(|scope| self.part(place, scope));
        [self.written(place)].into_iter().chain(other).collect()
    }

    /// What is written: a branch's own part.
    pub(super) fn written(&self, place: &CachePlace) -> Result<CachePlace, CacheArgError> {
        self.own.as_ref().map_or_else(|| Ok(place.clone()), |own| self.part(place, own))
    }

    fn part(&self, place: &CachePlace, scope: &Scope) -> Result<CachePlace, CacheArgError> {
        let named = |name: &str| match self.naming {
            Naming::Scope => scope.to_string(),
            Naming::Both => scope.of_named(name),
        };
        let mut part = place.clone();
        match &mut part {
            CachePlace::Local { tag, .. } => *tag = named(tag),
            CachePlace::Registry { name, .. } => *name = tag_of(name, scope)?,
            CachePlace::Http(web) => web.scope = Some(scope.to_string()),
            CachePlace::Reapi(server) => server.scope = Some(scope.to_string()),
            CachePlace::S3(bucket) => {
                bucket.names = bucket.names.iter().map(|name| named(name)).collect();
            }
            CachePlace::Gha(_) | CachePlace::Inline => {}
        }
        Ok(part)
    }
}

/// The tag of a scope: its name, behind the tag that the cache has, if it has one.
fn tag_of(name: &Reference, scope: &Scope) -> Result<Reference, CacheArgError> {
    let tag = name.tag().map_or_else(|| scope.to_string(), |tag| scope.of_named(tag));
    let text = format!("{}:{tag}", name.name());
    text.parse().map_err(|_| CacheArgError::Name(text))
}

#[cfg(test)]
mod tests {
    use crate::args::cache::{CacheFrom, CachePlace, CacheTo};

    /// What a cache is called where it is kept.
    fn called(place: &CachePlace) -> String {
        match place {
            CachePlace::Local { tag, .. } => tag.clone(),
            CachePlace::Registry { name, .. } => name.to_string(),
            CachePlace::Http(web) => web.scope.clone().unwrap_or_default(),
            CachePlace::Reapi(server) => server.scope.clone().unwrap_or_default(),
            CachePlace::S3(bucket) => bucket.names.join(";"),
            CachePlace::Gha(actions) => actions.scope.clone().unwrap_or_default(),
            CachePlace::Inline => String::new(),
        }
    }

    #[test]
    fn a_branch_reads_its_own_part_and_then_that_of_the_default_branch_and_writes_its_own() {
        for (text, read, written) in [
            (
                "type=registry,ref=r.example/c,scope=x",
                "r.example/c:x r.example/c:main",
                "r.example/c:x",
            ),
            (
                "type=registry,ref=r.example/a:cache,scope=x,default-scope=trunk",
                "r.example/a:cache-x r.example/a:cache-trunk",
                "r.example/a:cache-x",
            ),
            ("type=registry,ref=r.example/a:cache", "r.example/a:cache", "r.example/a:cache"),
            ("type=s3,bucket=b,scope=x", "x main", "x"),
            ("type=s3,bucket=b,name=app,scope=x", "app-x app-main", "app-x"),
            ("type=local,src=d,dest=d,scope=main", "main", "main"),
            ("type=local,src=d,dest=d,tag=t,scope=x", "t-x t-main", "t-x"),
            ("type=http,url=http://h/,scope=x", "x main", "x"),
            ("type=reapi,url=grpc://h,scope=x", "x main", "x"),
            ("type=gha,scope=x", "x", "x"),
        ] {
            let from = text.replace(",dest=d", "").parse::<CacheFrom>().unwrap();
            let places: Vec<String> = from.places.iter().map(called).collect();
            assert_eq!(places.join(" "), read, "{text}");
            let to = text.replace(",src=d", "").parse::<CacheTo>().unwrap();
            assert_eq!(called(&to.place), written, "{text}");
        }
    }
}
