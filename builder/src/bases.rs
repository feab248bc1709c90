//! Base images: resolved once a build, their layers fetched when a step needs bytes.

mod answer;
mod documents;

use std::sync::{Arc, Mutex, PoisonError};

use wythe_store::digest::{DiffId, Digest};
use wythe_store::id::{ContentId, LayerId};
use wythe_store::image::blob_origin::BlobOrigin;
use wythe_store::image::catalog::{StoredImage, open_image, read_image, ref_name};
use wythe_store::image::resolve::resolve;
use wythe_store::image::save::save_documents;
use wythe_store::journal::batch::Batch;
use wythe_store::layer::import::layer_id;
use wythe_store::layer::origin::remember_origin;
use wythe_store::oci::config::ImageConfig;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::{Document, RawDocument};
use wythe_store::oci::layout::{Layout, Selector};
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::{ImageSource, SourceError, SourceErrorClass, SourceProblem};
use wythe_store::side_by_side::side_by_side;

use self::answer::{Answer, Answers, Once};
use self::documents::WithDocuments;
use crate::environment::Environment;
use crate::lower::{BaseFacts, Bases};
use crate::operation::BaseSource;
use crate::options::{NamedContext, Options, PullPolicy};

/// A base image with everything but its layers' bytes.
#[derive(Debug)]
pub(crate) struct ResolvedBase {
    /// What its reference stood for.
    pub(crate) root: Digest,
    /// What tells this image from every other.
    pub(crate) identity: ContentId,
    /// Its configuration.
    pub(crate) config: ImageConfig,
    /// Its layers, bottom first.
    pub(crate) layers: Vec<BaseLayer>,
    /// The documents of an image of a registry, with what names them.
    pub(crate) documents: Vec<BaseDocument>,
}

/// A document, and its bytes.
pub(crate) type BaseDocument = (Descriptor, Vec<u8>);

/// A layer of a base image.
#[derive(Clone, Debug)]
pub(crate) struct BaseLayer {
    /// Its name in the store, where it may not be yet.
    pub(crate) id: LayerId,
    /// What the blob unpacks to.
    pub(crate) diff_id: DiffId,
    /// Its blob, and where that comes from.
    pub(crate) origin: BlobOrigin,
}

/// The base images of one build.
#[derive(Debug)]
pub(crate) struct ImageBases<'a> {
    env: Environment<'a>,
    options: &'a Options,
    images: Once<'a>,
    answers: Answers<Arc<ResolvedBase>>,
}

/// Registries that are asked at once. They answer in a moment, and limit how often they are asked.
const AT_ONCE: usize = 8;

impl<'a> ImageBases<'a> {
    pub(crate) fn new(env: Environment<'a>, options: &'a Options) -> Self {
        Self { env, options, images: Once::new(env.images), answers: Answers::default() }
    }

    /// Asks for several at once, so that nobody who resolves them waits for one after another. What
    /// goes wrong is told to who resolves it.
    pub(crate) fn prepare(&self, bases: &[BaseSource]) {
        side_by_side(bases, AT_ONCE, |base| {
            self.answer(base).prepare(|| self.ask(base));
        });
    }

    fn answer(&self, base: &BaseSource) -> Arc<Answer<Arc<ResolvedBase>>> {
        self.answers.of(format!("{base:?}"))
    }

    /// The image behind a base; an empty one for a directory.
    pub(crate) fn resolve(&self, base: &BaseSource) -> Result<Arc<ResolvedBase>, SourceError> {
        self.answer(base).get(|| self.ask(base))
    }

    fn ask(&self, base: &BaseSource) -> Result<Arc<ResolvedBase>, SourceError> {
        Ok(Arc::new(match base {
            BaseSource::Image { reference, platform } => self.image(reference, platform)?,
            BaseSource::Layout { context, platform } => self.layout(context, platform)?,
            BaseSource::Directory { .. } => empty(),
        }))
    }

    fn image(
        &self,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<ResolvedBase, SourceError> {
        if let Some(root) = self.given(reference) {
            return self.of_store(reference, root, platform);
        }
        if self.options.pull == PullPolicy::Missing
            && let Some(found) = self.stored(reference, platform)
        {
            return Ok(found);
        }
        let images = WithDocuments { images: &self.images, caches: self.env.caches };
        self.fetch(&images, reference, platform, None)
    }

    /// The image of the store that a named context stands for.
    fn given(&self, reference: &Reference) -> Option<&Descriptor> {
        let given = self.options.contexts.values().filter_map(|context| {
            if let NamedContext::Stored(image) = context { Some(&**image) } else { None }
        });
        given.filter(|image| image.name == *reference).map(|image| &image.root).next()
    }

    fn of_store(
        &self,
        reference: &Reference,
        root: &Descriptor,
        platform: &Platform,
    ) -> Result<ResolvedBase, SourceError> {
        let image = read_image(self.env.store, root.clone(), platform);
        let image = image.map_err(|problem| absent(reference, problem.to_string()))?;
        let found = self.usable(&image, reference, platform);
        found.ok_or_else(|| absent(reference, format!("it is not for {platform}")))
    }

    /// The image as the store has it. One that cannot be read there is fetched anew.
    fn stored(&self, reference: &Reference, platform: &Platform) -> Option<ResolvedBase> {
        let image = open_image(self.env.store, reference, platform).ok().flatten()?;
        self.usable(&image, reference, platform)
    }

    fn usable(
        &self,
        image: &StoredImage,
        reference: &Reference,
        platform: &Platform,
    ) -> Option<ResolvedBase> {
        let (manifest, config) = (image.manifest.value(), image.config.value());
        let fits = |config: &ImageConfig| {
            config.architecture.is_empty() || platform.accepts(&config.platform())
        };
        if !fits(config) || manifest.layers.len() != config.rootfs.diff_ids.len() {
            return None;
        }
        let pairs = manifest.layers.iter().zip(&config.rootfs.diff_ids);
        let layer = |(descriptor, diff_id): (&Descriptor, &DiffId)| {
            let (id, diff_id) = (self.layer_of(diff_id), *diff_id);
            let (descriptor, reference) = (descriptor.clone(), reference.clone());
            let origin = BlobOrigin::of_store(self.env.store, descriptor, reference).ok()?;
            Some(BaseLayer { id, diff_id, origin })
        };
        let layers = pairs.map(layer).collect::<Option<_>>()?;
        let identity = identity(config_digest(manifest));
        let (root, config) = (image.root.digest, config.clone());
        let documents = vec![document(&image.manifest), document(&image.config)];
        Some(ResolvedBase { root, identity, config, layers, documents })
    }

    fn layout(&self, context: &str, platform: &Platform) -> Result<ResolvedBase, SourceError> {
        let (name, layout) = open_layout(self.options, context)?;
        if let Err(SourceProblem::NotFound { detail }) = layout.selected() {
            return Err(absent(&name, format!("the layout has no image {detail}")));
        }
        let layout = Arc::new(layout);
        self.fetch(&*layout, &name, platform, Some(&layout))
    }

    fn fetch(
        &self,
        source: &dyn ImageSource,
        reference: &Reference,
        platform: &Platform,
        layout: Option<&Arc<Layout>>,
    ) -> Result<ResolvedBase, SourceError> {
        let image = resolve(source, reference, platform)?;
        if layout.is_none() {
            self.keep(reference, &image)?;
        }
        let origin = |layer: Descriptor| match layout.cloned() {
            Some(layout) => BlobOrigin::of_layout(layer, reference.clone(), layout),
            None => BlobOrigin::of_registry(layer, reference.clone()),
        };
        let layers = image.layers.iter().map(|layer| BaseLayer {
            id: self.layer_of(&layer.diff_id),
            diff_id: layer.diff_id,
            origin: origin(layer.descriptor.clone()),
        });
        let layers = layers.collect();
        let identity = identity(config_digest(image.manifest.value()));
        let (root, config) = (image.root.digest, image.config.value().clone());
        let mut documents: Vec<BaseDocument> = Vec::new();
        if layout.is_none() {
            documents.extend(image.indexes.iter().map(document));
            documents.extend([document(&image.manifest), document(&image.config)]);
        }
        Ok(ResolvedBase { root, identity, config, layers, documents })
    }

    /// Remembers an image under its name, so that the next build does not ask for it.
    fn keep(
        &self,
        reference: &Reference,
        image: &wythe_store::image::resolve::ResolvedImage,
    ) -> Result<(), SourceError> {
        let fail = |error: wythe_store::error::WriteError| {
            SourceError::new(reference, std::io::Error::other(error))
        };
        save_documents(self.env.lease, image).map_err(fail)?;
        let mut batch = Batch::new();
        batch.set_ref(&ref_name(reference), &image.root);
        for layer in &image.layers {
            let named = (&layer.descriptor, &layer.diff_id);
            remember_origin(self.env.store, named, &reference.name(), &mut batch)
                .map_err(|error| fail(error.into()))?;
        }
        let relaxed = wythe_store::journal::Durability::Relaxed;
        self.env.lease.commit(batch, relaxed).map(drop).map_err(fail)
    }

    /// The name of a layer: the one the store knows its stream under, else the one it would get.
    fn layer_of(&self, diff_id: &DiffId) -> LayerId {
        match self.env.store.layer_of_diff(diff_id) {
            Ok(Some(record)) => record.id,
            _ => layer_id(diff_id),
        }
    }
}

impl Bases for ImageBases<'_> {
    fn facts(&self, base: &BaseSource) -> Result<BaseFacts, SourceError> {
        self.resolve(base).map(|found| BaseFacts { config: found.config.clone() })
    }
}

/// Answers from what a build has already found out.
#[derive(Debug)]
pub(crate) struct Asked<'a>(pub(crate) &'a ImageBases<'a>);

impl Bases for Asked<'_> {
    fn facts(&self, base: &BaseSource) -> Result<BaseFacts, SourceError> {
        if let Some(found) = self.0.answer(base).known() {
            return Ok(BaseFacts { config: found.config.clone() });
        }
        let detail = "no step needs this image".to_owned();
        Err(SourceError::new(&layout_reference("unasked"), SourceProblem::NotFound { detail }))
    }
}

/// Answers at once, whether it knows the answer or not, and notes what it does not know.
#[derive(Debug)]
pub(crate) struct Unasked<'a> {
    bases: &'a ImageBases<'a>,
    noted: Mutex<Vec<BaseSource>>,
}

impl<'a> Unasked<'a> {
    pub(crate) fn new(bases: &'a ImageBases<'a>) -> Self {
        Self { bases, noted: Mutex::default() }
    }

    /// Asks for all that was noted. Says whether that may lead to more: triggers of an image may
    /// name other images.
    pub(crate) fn ask(self) -> bool {
        let noted = self.noted.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.bases.prepare(&noted);
        let found = noted.iter().filter_map(|base| self.bases.answer(base).known());
        found.into_iter().any(|found| !found.config.config.on_build.is_empty())
    }
}

impl Bases for Unasked<'_> {
    fn facts(&self, base: &BaseSource) -> Result<BaseFacts, SourceError> {
        let answer = self.bases.answer(base);
        if !answer.is_asked() {
            let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
            if !noted.contains(base) {
                noted.push(base.clone());
            }
        }
        let config = answer.known().map(|found| found.config.clone()).unwrap_or_default();
        Ok(BaseFacts { config })
    }
}

/// The layout behind a named context, and a reference that stands for it in messages.
pub(crate) fn open_layout(
    options: &Options,
    context: &str,
) -> Result<(Reference, Layout), SourceError> {
    let name = layout_reference(context);
    let Some(NamedContext::OciLayout { path, selector }) = options.contexts.get(context) else {
        let detail = format!("the named context {context:?}");
        return Err(SourceError::new(&name, SourceProblem::NotFound { detail }));
    };
    let selector = match selector.as_deref() {
        None => Selector::Default,
        // No tag has a colon: what is no digest that we can check must not pass for a name.
        Some(text) if text.contains(':') => {
            let digest =
                text.parse().map_err(|error| absent(&name, format!("{text:?}: {error}")))?;
            Selector::Digest(digest)
        }
        Some(text) => Selector::Name(text.to_owned()),
    };
    let layout = Layout::open(path, selector)
        .map_err(|error| absent(&name, format!("{error}: {}", error.problem)))?;
    Ok((name, layout))
}

/// The error of a layout that has not what was asked of it.
fn absent(name: &Reference, detail: String) -> SourceError {
    let (class, error) = (SourceErrorClass::Absent, detail.into());
    SourceError::new(name, SourceProblem::Other { class, error })
}

/// The configuration names every layer by content, so its digest tells images apart, however their
/// layers are compressed.
fn config_digest(manifest: &wythe_store::oci::manifest::Manifest) -> Digest {
    manifest.config.digest
}

fn identity(config: Digest) -> ContentId {
    ContentId::of(config.as_bytes())
}

fn empty() -> ResolvedBase {
    let config = ImageConfig::default();
    let (root, identity) = (Digest::of(b""), ContentId::of(b""));
    ResolvedBase { root, identity, config, layers: Vec::new(), documents: Vec::new() }
}

fn document<T: Document>(document: &RawDocument<T>) -> BaseDocument {
    (document.descriptor(), document.bytes().to_vec())
}

/// A reference that stands for a layout in messages.
fn layout_reference(context: &str) -> Reference {
    let plain: String = context
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
        .collect();
    let name = format!("layout/{}", plain.to_lowercase().trim_matches('-'));
    name.parse()
        .unwrap_or_else(|_| "layout/context".parse().expect("a literal that follows the grammar"))
}
