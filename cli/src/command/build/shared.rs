//! The caches that a build shares with other machines: opened, written, and told of.

#[cfg(feature = "reapi")]
mod execution;
pub(super) mod mounts;
mod origin;
mod service;
mod trust;
pub(super) mod writing;

use std::str::FromStr;
use std::sync::Arc;

use wythe_builder::caches::{CacheSource, Caches, LOOKUP_TIME};
use wythe_builder::options::InlineCache;
use wythe_cache::counted::CountedCache;
use wythe_cache::local::LocalCache;
use wythe_cache::registry::RegistryCache;
use wythe_cache::signed::{SignedCache, Trust};
use wythe_registry::delivered::Delivered;
use wythe_sandbox::Cancel;
use wythe_store::cache_backend::CacheBackend;
use wythe_store::patience::Patience;

use crate::args::build::BuildArgs;
use crate::args::cache::{CacheArgError, CacheFrom, CachePlace, CacheTo, Transport};
use crate::aws;
use crate::failure::Failure;
use crate::render::summary::BuildSummary;
use crate::session::Session;
use crate::settings::cache_table::CacheDefaults;

/// The variables that name caches where no flag does.
const CACHE_FROM: &str = "WYTHE_CACHE_FROM";
const CACHE_TO: &str = "WYTHE_CACHE_TO";

/// The caches that a build has to do with, each once.
pub(super) struct OpenedCaches {
    opened: Vec<(CachePlace, Option<Arc<CountedCache>>)>,
    /// What was seen to at registries, by caches and pushes alike.
    pub(super) delivered: Arc<Delivered>,
}

/// The caches to read from.
pub(super) fn sources(
    args: &BuildArgs,
    opened: &mut OpenedCaches,
    cancel: &Cancel,
    session: &Session,
) -> Result<Caches, Failure> {
    let mut sources = Vec::new();
    let from = named((&args.cache.cache_from, CACHE_FROM, |file| file.from.clone()), session)?;
    for CacheFrom { places, verify, time } in from {
        let trust = trust::of_reading(verify.as_ref(), &args.cache.reuse, &session.settings)?;
        for place in places {
            if let Some(backend) = opened.open(&place, &trust, session)? {
                let cancel = cancel.clone();
                let patience = Patience::of(time.unwrap_or(LOOKUP_TIME));
                let patience = patience.while_it_is_to(move || !cancel.is_cancelled());
                sources.push(CacheSource { backend, patience });
            }
        }
    }
    Ok(Caches::new(sources))
}

/// The caches to write to. A key that cannot sign is told of before anything is built.
pub(super) fn targets(args: &BuildArgs, session: &Session) -> Result<Vec<CacheTo>, Failure> {
    let targets = named((&args.cache.cache_to, CACHE_TO, |file| file.to.clone()), session)?;
    for to in &targets {
        let trust = trust::of_writing(to.sign.as_ref(), &args.cache.reuse, &session.settings)?;
        if to.place == CachePlace::Inline && trust.sign.is_some() {
            let why =
                "type=inline: the records that an image carries are not signed, and a key is given";
            return Err(Failure::usage(why).remedy("type=inline,sign-key=none keeps them unsigned"));
        }
    }
    Ok(targets)
}

/// Whether images are to carry records.
pub(super) fn inline(targets: &[CacheTo]) -> InlineCache {
    let is_wanted = targets.iter().any(|to| to.place == CachePlace::Inline);
    if is_wanted { InlineCache::Carried } else { InlineCache::Absent }
}

/// What the flags say, or else a variable, one cache or several with blanks between them, or else a configuration
/// file. A variable that is set and empty says that there is none.
fn named<T: Clone + FromStr<Err = CacheArgError>>(
    (flags, variable, in_file): (&[T], &str, impl Fn(&CacheDefaults) -> Option<Vec<T>>),
    session: &Session,
) -> Result<Vec<T>, Failure> {
    if !flags.is_empty() {
        return Ok(flags.to_vec());
    }
    if let Some(text) = session.settings.text(variable) {
        let parse = |word: &str| {
            word.parse().map_err(|error| Failure::usage(format!("{variable}: {error}")))
        };
        return text.split_whitespace().map(parse).collect();
    }
    let files = session.settings.configurations()?;
    Ok(files.iter().find_map(|(_, file)| in_file(&file.cache)).unwrap_or_default())
}

impl OpenedCaches {
    /// None yet, beside others who see to the same blobs, if there are any.
    pub(super) fn sharing(delivered: Option<&Arc<Delivered>>) -> Self {
        Self { opened: Vec::new(), delivered: delivered.cloned().unwrap_or_default() }
    }

    /// A client of a cache that is used as `trust` says; none where it is an image, or there is none here.
    /// Below it is one for those who read and who write.
    fn open(
        &mut self,
        place: &CachePlace,
        trust: &Trust,
        session: &Session,
    ) -> Result<Option<Arc<dyn CacheBackend>>, Failure> {
        let signed = |inner: Arc<CountedCache>| -> Arc<dyn CacheBackend> {
            if trust.is_indifferent() {
                inner
            } else {
                Arc::new(SignedCache::new(inner, trust.clone()))
            }
        };
        if let Some((_, opened)) = self.opened.iter().find(|(known, _)| known == place) {
            return Ok(opened.clone().map(signed));
        }
        let opened = client(place, &self.delivered, session)?;
        let opened = opened.map(|cache| Arc::new(CountedCache::new(cache)));
        self.opened.push((place.clone(), opened.clone()));
        Ok(opened.map(signed))
    }
}

fn client(
    place: &CachePlace,
    delivered: &Arc<Delivered>,
    session: &Session,
) -> Result<Option<Arc<dyn CacheBackend>>, Failure> {
    Ok(Some(match place {
        CachePlace::Inline => return Ok(None),
        CachePlace::Local { directory, tag } => Arc::new(LocalCache::new(directory, tag)),
        CachePlace::Registry { name, transport } => {
            let client = match transport {
                Transport::Configured => session.registry()?,
                Transport::Insecure => session.registry_over_http(std::slice::from_ref(name))?,
            };
            // What a mirror took an hour ago is not what others have put there since.
            let cache = RegistryCache::new(client.without_mirrors(), name.clone());
            Arc::new(cache.sharing(delivered.clone()))
        }
        CachePlace::Http(place) => Arc::new(service::web(place, session)?),
        #[cfg(feature = "reapi")]
        CachePlace::Reapi(place) => Arc::new(execution::cache(place, session)?),
        #[cfg(not(feature = "reapi"))]
        CachePlace::Reapi(_) => {
            let why =
                "type=reapi: this program was built without it (cargo build --features reapi)";
            return Err(Failure::usage(why));
        }
        CachePlace::Gha(place) => match service::actions(place, session)? {
            Some(cache) => Arc::new(cache),
            None => return Ok(None),
        },
        CachePlace::S3(place) => Arc::new(aws::s3_cache(place, session)?),
    }))
}

/// Adds to what was counted of a build what its caches have to say.
pub(super) fn summary(
    counted: BuildSummary,
    caches: &Caches,
    opened: &OpenedCaches,
) -> BuildSummary {
    let mut summary = counted;
    for (name, hits, saved) in caches.savings().into_iter().filter(|(_, hits, _)| *hits > 0) {
        summary.cached.push((name, hits));
        summary.saved += saved;
    }
    for cache in opened.opened.iter().filter_map(|(_, cache)| cache.as_ref()) {
        summary.fetched += cache.fetched();
        summary.sent += cache.sent();
    }
    summary
}
