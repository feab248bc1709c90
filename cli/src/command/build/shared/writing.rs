//! The caches that a build writes to, while it runs.

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use wythe_builder::built::{BuiltStep, Maker, StepResults};
use wythe_cache::deferred::DeferredCache;
use wythe_cache::upload::{CACHE_ONLY, MadeStep, UPLOAD_TIME, Upload, UploadPlan, Uploaded};
use wythe_sandbox::Cancel;
use wythe_store::cache_backend::CacheBackend as _;
use wythe_store::layer::codec::Codec;
use wythe_store::lease::Lease;
use wythe_store::patience::Patience;
use wythe_store::record_origin::RecordOrigin;

use super::mounts::{self, MountsToSave};
use super::{OpenedCaches, origin, service, trust};
use crate::args::build::{BuildArgs, ResultArgs};
use crate::args::cache::{CacheTo, Extent, OnError};
use crate::args::image_attributes::ImageAttributes;
use crate::args::output::Output;
use crate::command::build::deliver::outputs;
use crate::command::build::resources::BuildResources;
use crate::failure::{Class, Failure};
use crate::render::quantity::Bytes;
use crate::session::Session;

/// How long an interrupted build waits for caches: GitHub and docker end a job ten seconds after they have asked it to
/// end, and people wait no longer.
const INTERRUPTED: Duration = Duration::from_secs(5);

/// Caches that take results from the moment when a step has made them.
pub(in crate::command::build) struct CacheWriters(Vec<CacheWriter>);

struct CacheWriter {
    upload: Upload,
    /// Cache mounts go there as well, and what makes both found is written once.
    cache: Arc<DeferredCache>,
    to: CacheTo,
    patience: Patience,
    cancel: Cancel,
    form: RecordForm,
}

/// What results become as records.
struct RecordForm {
    codecs: Codecs,
    /// Where this build runs and what it builds.
    origin: Option<RecordOrigin>,
}

/// How layers are compressed.
#[derive(Clone, Copy)]
struct Codecs {
    /// Those of images: as they leave in these.
    image: Codec,
    /// Those of no image.
    apart: Codec,
}

impl CacheWriters {
    /// Prepares to write. A cache that was opened to be read is not asked again what it has. A context that is no
    /// directory was `fetched` from there.
    pub(in crate::command::build) fn open(
        to: &[CacheTo],
        opened: &mut OpenedCaches,
        (lease, resources, args): (&Arc<Lease>, &BuildResources, &BuildArgs),
        fetched: Option<RecordOrigin>,
        session: &Session,
    ) -> Result<Self, Failure> {
        let mut writers = Vec::new();
        if to.is_empty() {
            return Ok(Self(writers));
        }
        let origin = origin::of(args, fetched, &session.settings);
        let waited = Arc::new(is_waited_for(resources.cancel().clone()));
        for to in to {
            let trust = trust::of_writing(to.sign.as_ref(), &args.cache.reuse, &session.settings)?;
            if !service::is_writable(&to.place, session) {
                continue;
            }
            let Some(backend) = opened.open(&to.place, &trust, session)? else { continue };
            let (cache, lease) = (Arc::new(DeferredCache::new(backend)), lease.clone());
            let (to, waited) = (to.clone(), waited.clone());
            let patience = Patience::of(to.time.unwrap_or(UPLOAD_TIME));
            let patience = patience.while_it_is_to(move || waited());
            let form = RecordForm { codecs: Codecs::of(&to, &args.result), origin: origin.clone() };
            let (backend, pool) = (cache.clone(), resources.pool().clone());
            let upload = UploadPlan { lease, backend, pool, patience: patience.clone() }.begin();
            let cancel = resources.cancel().clone();
            writers.push(CacheWriter { upload, cache, to, patience, cancel, form });
        }
        Ok(Self(writers))
    }

    /// Waits until the caches have what they want. One that cannot be written is a remark, unless it was
    /// asked to be more.
    pub(in crate::command::build) fn finish(
        self,
        what: MountsToSave<'_>,
        session: &Session,
    ) -> Result<(), Failure> {
        self.0.into_iter().try_for_each(|writer| writer.finish(what, session))
    }

    /// Sees to it that what steps have made is found, of a build that failed. The failure is what is told of the
    /// build, whatever comes of this.
    pub(in crate::command::build) fn salvage(self, session: &Session) {
        for CacheWriter { upload, cache, patience, .. } in self.0 {
            match upload.salvage() {
                Ok(uploaded) => match cache.settle(&patience) {
                    Ok(()) => tell(&cache, uploaded, session),
                    Err(error) => session.remark(&not_written(&error)),
                },
                Err(error) => session.remark(&not_written(&error)),
            }
        }
    }
}

/// Whether caches are waited for: as long as nobody has interrupted the build, and for a while afterwards.
fn is_waited_for(cancel: Cancel) -> impl Fn() -> bool + Send + Sync + 'static {
    let interrupted = OnceLock::new();
    move || {
        let since = || interrupted.get_or_init(Instant::now).elapsed();
        !cancel.is_cancelled() || since() < INTERRUPTED
    }
}

impl CacheWriter {
    fn finish(self, what: MountsToSave<'_>, session: &Session) -> Result<(), Failure> {
        let Self { upload, cache, to, patience, cancel, form } = self;
        let failed = |error: &(dyn Error + 'static)| {
            let is_interrupted = cancel.is_cancelled();
            if to.on_error == OnError::Fail && !is_interrupted {
                return Err(Failure::of(Class::Network, error));
            }
            session.remark(&not_written(error));
            if is_interrupted {
                return Err(Failure::new(Class::Cancelled, "interrupted"));
            }
            Ok(())
        };
        upload.add_documents(what.built.documents.clone());
        let wanted = what.built.steps.iter().filter(|step| to.extent.includes(step));
        let uploaded = match upload.finish(wanted.map(|step| form.made(step)).collect()) {
            Ok(uploaded) => uploaded,
            Err(error) => return failed(&error),
        };
        let mounts = mounts::save((&to.mounts, &patience), cache.clone(), what, session);
        if let Err(error) = cache.settle(&patience) {
            return failed(&error);
        }
        tell(&cache, uploaded, session);
        match mounts {
            Ok(saved) => {
                mounts::tell_saved(&*cache, &saved, session);
                Ok(())
            }
            Err(error) => failed(&error),
        }
    }
}

/// Says what a cache was sent, if it was anything.
fn tell(cache: &DeferredCache, uploaded: Uploaded, session: &Session) {
    let Uploaded { records, blobs, bytes } = uploaded;
    if records > 0 {
        let (name, bytes) = (cache.name(), Bytes(bytes));
        session.remark(&format!(
            "cache {name}: {records} results written, {blobs} layers sent ({bytes})"
        ));
    }
}

/// An error with its causes, in one line.
fn not_written(error: &(dyn Error + 'static)) -> String {
    let (mut told, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        let said = error.to_string();
        if !told.ends_with(&said) {
            told = format!("{told}: {said}");
        }
        cause = error.source();
    }
    format!("the cache was not written: {told}")
}

impl StepResults for CacheWriters {
    fn sealed(&self, step: &BuiltStep) {
        for CacheWriter { upload, to, form, .. } in &self.0 {
            if to.extent.includes(step) {
                upload.add(form.made(step));
            }
        }
    }

    fn is_wanted(&self) -> bool {
        !self.0.is_empty()
    }
}

impl Extent {
    fn includes(self, step: &BuiltStep) -> bool {
        self == Self::All || step.in_image
    }
}

impl Codecs {
    fn of(to: &CacheTo, args: &ResultArgs) -> Self {
        let image = to.codec.unwrap_or_else(|| codec(args));
        Self { image, apart: to.codec.unwrap_or(CACHE_ONLY) }
    }
}

impl RecordForm {
    fn made(&self, step: &BuiltStep) -> MadeStep {
        let BuiltStep { key, name, layer, created, duration, place, inputs, in_image, maker } =
            step.clone();
        let codec = if in_image { self.codecs.image } else { self.codecs.apart };
        let origin = match maker {
            Maker::Here => self.origin.clone(),
            Maker::Other(origin) => origin,
        };
        MadeStep { key, name, layer, codec, created, duration, place, inputs, origin }
    }
}

/// How layers leave for the first output that says so: the cache has the same blobs then.
fn codec(args: &ResultArgs) -> Codec {
    let outputs = outputs(args);
    let mut images = outputs.iter().filter_map(|asked| match &asked.output {
        Output::Archive { image, .. }
        | Output::Engine { image, .. }
        | Output::Image { image, .. } => Some(image),
        Output::CacheOnly | Output::Files { .. } | Output::Tar { .. } => None,
    });
    let said = images.find(|image| image.compression.is_some() || image.level.is_some());
    said.unwrap_or(&ImageAttributes::default()).layers(args).codec()
}
