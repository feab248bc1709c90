//! The caches that a build shares with other machines: opened, written, and told of.

mod service;
mod trust;

use std::sync::Arc;

use rayon::ThreadPool;
use wythe_builder::built::Built;
use wythe_builder::caches::{CacheSource, Caches, LOOKUP_TIME};
use wythe_builder::options::InlineCache;
use wythe_cache::local::LocalCache;
use wythe_cache::registry::RegistryCache;
use wythe_cache::signed::{SignedCache, Trust};
use wythe_cache::upload::{MadeStep, UPLOAD_TIME, Upload, Uploaded};
use wythe_store::cache_backend::CacheBackend;
use wythe_store::layer::codec::Codec;
use wythe_store::lease::Lease;

use super::deliver::outputs;
use crate::args::build::{BuildArgs, ResultArgs};
use crate::args::cache::{CacheFrom, CachePlace, CacheTo, Extent, OnError, Transport};
use crate::args::image_attributes::CompressionArg;
use crate::args::output::Output;
use crate::aws;
use crate::failure::{Class, Failure};
use crate::render::quantity::{Bytes, Elapsed};
use crate::session::Session;

/// The variables that name caches where no flag does.
const CACHE_FROM: &str = "WYTHE_CACHE_FROM";
const CACHE_TO: &str = "WYTHE_CACHE_TO";

/// The caches to read from.
pub(super) fn sources(args: &BuildArgs, session: &Session) -> Result<Caches, Failure> {
    let mut sources = Vec::new();
    for CacheFrom { places, verify, time } in named(&args.cache.cache_from, CACHE_FROM, session)? {
        let trust = trust::of_reading(verify.as_ref(), &args.cache, &session.settings)?;
        for place in places {
            if let Some(backend) = open(&place, &trust, session)? {
                sources.push(CacheSource { backend, time: time.unwrap_or(LOOKUP_TIME) });
            }
        }
    }
    Ok(Caches::new(sources))
}

/// The caches to write to. A key that cannot sign is told of before anything is built.
pub(super) fn targets(args: &BuildArgs, session: &Session) -> Result<Vec<CacheTo>, Failure> {
    let targets = named(&args.cache.cache_to, CACHE_TO, session)?;
    for to in &targets {
        trust::of_writing(to.sign.as_ref(), &args.cache, &session.settings)?;
    }
    Ok(targets)
}

/// Whether images are to carry records.
pub(super) fn inline(targets: &[CacheTo]) -> InlineCache {
    let is_wanted = targets.iter().any(|to| to.place == CachePlace::Inline);
    if is_wanted { InlineCache::Carried } else { InlineCache::Absent }
}

/// What the flags say, or else a variable: one cache, or several with blanks between them.
fn named<T: Clone + std::str::FromStr<Err = crate::args::cache::CacheArgError>>(
    flags: &[T],
    variable: &str,
    session: &Session,
) -> Result<Vec<T>, Failure> {
    if !flags.is_empty() {
        return Ok(flags.to_vec());
    }
    let text = session.settings.text(variable).unwrap_or_default();
    let parse =
        |word: &str| word.parse().map_err(|error| Failure::usage(format!("{variable}: {error}")));
    text.split_whitespace().map(parse).collect()
}

/// A client of a cache that is used as `trust` says; none where it is an image, or there is none here.
fn open(
    place: &CachePlace,
    trust: &Trust,
    session: &Session,
) -> Result<Option<Arc<dyn CacheBackend>>, Failure> {
    let signed = |inner| -> Arc<dyn CacheBackend> {
        if trust.is_indifferent() {
            inner
        } else {
            Arc::new(SignedCache::new(inner, trust.clone()))
        }
    };
    Ok(client(place, session)?.map(signed))
}

fn client(place: &CachePlace, session: &Session) -> Result<Option<Arc<dyn CacheBackend>>, Failure> {
    Ok(Some(match place {
        CachePlace::Inline => return Ok(None),
        CachePlace::Local { directory, tag } => Arc::new(LocalCache::new(directory, tag)),
        CachePlace::Registry { name, transport } => {
            let client = match transport {
                Transport::Configured => session.registry()?,
                Transport::Insecure => session.registry_over_http(std::slice::from_ref(name))?,
            };
            Arc::new(RegistryCache::new(client, name.clone()))
        }
        CachePlace::Http(place) => Arc::new(service::web(place, session)?),
        CachePlace::Gha(place) => match service::actions(place, session)? {
            Some(cache) => Arc::new(cache),
            None => return Ok(None),
        },
        CachePlace::S3(place) => Arc::new(aws::s3_cache(place, session)?),
    }))
}

/// Writes what a build made to the caches that want it. A cache that cannot be written is a remark,
/// unless it was asked to be more.
pub(super) fn write(
    to: &[CacheTo],
    (built, lease, pool): (&Built, &Lease, &ThreadPool),
    args: &BuildArgs,
    session: &Session,
) -> Result<(), Failure> {
    for CacheTo { place, sign, extent, on_error, time } in to {
        let trust = trust::of_writing(sign.as_ref(), &args.cache, &session.settings)?;
        let Some(backend) = open(place, &trust, session)? else { continue };
        let wanted = built.steps.iter().filter(|step| *extent == Extent::All || step.in_image);
        let steps: Vec<MadeStep> = wanted.cloned().map(made).collect();
        let name = backend.name().to_owned();
        let (codec, time) = (codec(&args.result), time.unwrap_or(UPLOAD_TIME));
        match (Upload { lease, pool, backend, codec, time }).run(&steps) {
            Ok(Uploaded { records: 0, .. }) => {}
            Ok(Uploaded { records, blobs, bytes }) => session.remark(&format!(
                "cache {name}: {records} results written, {blobs} layers sent ({})",
                Bytes(bytes)
            )),
            Err(error) if *on_error == OnError::Warn => {
                session.remark(&format!("the cache was not written: {error}"));
            }
            Err(error) => return Err(Failure::of(Class::Network, &error)),
        }
    }
    Ok(())
}

fn made(step: wythe_builder::built::BuiltStep) -> MadeStep {
    let wythe_builder::built::BuiltStep { key, name, layer, created, duration, inputs, .. } = step;
    MadeStep { key, name, layer, created, duration, inputs }
}

/// How layers leave for the first output that says so: the cache has the same blobs then.
fn codec(args: &ResultArgs) -> Codec {
    let outputs = outputs(args);
    let mut said = outputs.iter().filter_map(|asked| match &asked.output {
        Output::Archive { image, .. } | Output::Image { image, .. } => image.compression,
        Output::CacheOnly | Output::Files { .. } | Output::Tar { .. } => None,
    });
    match said.next().or(args.compression) {
        None | Some(CompressionArg::Gzip | CompressionArg::Estargz) => Codec::GZIP,
        Some(CompressionArg::Uncompressed) => Codec::None,
        Some(CompressionArg::Zstd) => Codec::ZSTD,
    }
}

/// Says what the caches spared.
pub(super) fn summarise(caches: &Caches, session: &Session) {
    for (name, hits, time) in caches.savings().into_iter().filter(|(_, hits, _)| *hits > 0) {
        let saved =
            if time.is_zero() { String::new() } else { format!(", {} saved", Elapsed(time)) };
        session.remark(&format!("cache {name}: {hits} results found{saved}"));
    }
}
