//! The caches that a build writes to, while it runs.

use std::sync::Arc;

use rayon::ThreadPool;
use wythe_builder::built::{Built, BuiltStep, StepResults};
use wythe_cache::upload::{MadeStep, UPLOAD_TIME, Upload, UploadPlan, Uploaded};
use wythe_store::layer::codec::Codec;
use wythe_store::lease::Lease;

use super::{OpenedCaches, trust};
use crate::args::build::{BuildArgs, ResultArgs};
use crate::args::cache::{CacheTo, Extent, OnError};
use crate::args::image_attributes::ImageAttributes;
use crate::args::output::Output;
use crate::command::build::deliver::outputs;
use crate::failure::{Class, Failure};
use crate::render::quantity::Bytes;
use crate::session::Session;

/// Caches that take results from the moment when a step has made them.
pub(in crate::command::build) struct CacheWriters(Vec<CacheWriter>);

struct CacheWriter {
    name: String,
    upload: Upload,
    extent: Extent,
    on_error: OnError,
}

impl CacheWriters {
    /// Prepares to write. A cache that was opened to be read is not asked again what it has.
    pub(in crate::command::build) fn open(
        to: &[CacheTo],
        opened: &mut OpenedCaches,
        (lease, pool, args): (&Arc<Lease>, &Arc<ThreadPool>, &BuildArgs),
        session: &Session,
    ) -> Result<Self, Failure> {
        let mut writers = Vec::new();
        for CacheTo { place, sign, extent, on_error, time, .. } in to {
            let trust = trust::of_writing(sign.as_ref(), &args.cache, &session.settings)?;
            let Some(backend) = opened.open(place, &trust, session)? else { continue };
            let (name, lease) = (backend.name().to_owned(), lease.clone());
            let time = time.unwrap_or(UPLOAD_TIME);
            let (pool, codec) = (pool.clone(), codec(&args.result));
            let upload = UploadPlan { lease, backend, pool, codec, time }.begin();
            let (extent, on_error) = (*extent, *on_error);
            writers.push(CacheWriter { name, upload, extent, on_error });
        }
        Ok(Self(writers))
    }

    /// Waits until the caches have what they want. One that cannot be written is a remark, unless it was
    /// asked to be more.
    pub(in crate::command::build) fn finish(
        self,
        built: &Built,
        session: &Session,
    ) -> Result<(), Failure> {
        for CacheWriter { name, upload, extent, on_error, .. } in self.0 {
            let wanted = built.steps.iter().filter(|step| extent.includes(step));
            match upload.finish(wanted.map(made).collect()) {
                Ok(Uploaded { records: 0, .. }) => {}
                Ok(Uploaded { records, blobs, bytes }) => {
                    session.remark(&format!(
                        "cache {name}: {records} results written, {blobs} layers sent ({})",
                        Bytes(bytes)
                    ));
                }
                Err(error) if on_error == OnError::Warn => {
                    session.remark(&format!("the cache was not written: {error}"));
                }
                Err(error) => return Err(Failure::of(Class::Network, &error)),
            }
        }
        Ok(())
    }
}

impl StepResults for CacheWriters {
    fn sealed(&self, step: &BuiltStep) {
        for CacheWriter { upload, extent, .. } in &self.0 {
            if extent.includes(step) {
                upload.add(made(step));
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

fn made(step: &BuiltStep) -> MadeStep {
    let BuiltStep { key, name, layer, created, duration, place, inputs, .. } = step.clone();
    MadeStep { key, name, layer, created, duration, place, inputs }
}

/// How layers leave for the first output that says so: the cache has the same blobs then.
fn codec(args: &ResultArgs) -> Codec {
    let outputs = outputs(args);
    let mut images = outputs.iter().filter_map(|asked| match &asked.output {
        Output::Archive { image, .. } | Output::Image { image, .. } => Some(image),
        Output::CacheOnly | Output::Files { .. } | Output::Tar { .. } => None,
    });
    let said = images.find(|image| image.compression.is_some() || image.level.is_some());
    said.unwrap_or(&ImageAttributes::default()).layers(args).codec()
}
