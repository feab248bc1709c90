//! What images and layers lack is made of what else there is, or fetched.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use crate::closure::{is_complete, without_bodies};
use crate::digest::Digest;
use crate::error::{ReadError, WriteError};
use crate::fsck::damage::{Damage, ImageDamage, ImagePart};
use crate::fsck::images;
use crate::fsck::repair::{Repaired, Unasked, attempt};
use crate::image::save::{SaveError, fetch_blob};
use crate::journal::Durability;
use crate::journal::batch::Batch;
use crate::layer::codec::Codec;
use crate::layer::export::export;
use crate::layer::import::import;
use crate::layers::LayerRecord;
use crate::lease::Lease;
use crate::live::found::is_usable;
use crate::live::gather;
use crate::oci::descriptor::Descriptor;
use crate::oci::document::{MAX_DOCUMENT, verify};
use crate::oci::reference::Reference;
use crate::oci::source::{ImageSource, SourceError, SourceErrorClass};
use crate::store::Store;
use crate::tree::files::files;

/// Ways to compress that a blob of ours may have been made by.
const CODECS: [Codec; 2] = [Codec::GZIP, Codec::ZSTD];

/// How often images are followed again after something of them was had: an index leads to a
/// manifest, that to a configuration, and these to layers.
const ROUNDS: usize = 6;

/// What a place says that was asked for something.
enum Answer {
    /// It has given it.
    Here,
    /// It does not have it.
    No,
    /// It could not be asked, for a reason.
    Unknown(String),
}

/// A repair of what the images and layers of a store consist of.
pub(super) struct Cure<'a> {
    lease: &'a Lease,
    source: Option<&'a dyn ImageSource>,
    done: &'a mut Vec<Repaired>,
    /// What somebody may have who could not be asked: nothing is dropped for want of it.
    unknown: BTreeMap<Digest, Unasked>,
    tried: BTreeSet<Digest>,
}

impl<'a> Cure<'a> {
    pub(super) fn new(
        lease: &'a Lease,
        source: Option<&'a dyn ImageSource>,
        done: &'a mut Vec<Repaired>,
    ) -> Self {
        Self { lease, source, done, unknown: BTreeMap::new(), tried: BTreeSet::new() }
    }

    fn store(&self) -> &'a Store {
        self.lease.store()
    }

    /// Gets what images lack, until there is nothing more to be had.
    pub(super) fn images(&mut self) -> Result<(), WriteError> {
        for _ in 0..ROUNDS {
            let (lost, parts) = images::lost(self.store())?;
            let mut any = false;
            for damage in lost {
                let digest = *damage.part.digest();
                if self.tried.insert(digest) {
                    any |= self.part(&damage, parts.get(&digest))?;
                }
            }
            if !any {
                return Ok(());
            }
            self.lease.commit(Batch::new(), Durability::Durable)?;
        }
        Ok(())
    }

    fn part(
        &mut self,
        damage: &ImageDamage,
        known: Option<&Descriptor>,
    ) -> Result<bool, WriteError> {
        let Some(descriptor) = known else { return Ok(false) };
        if let ImagePart::Layer { .. } = damage.part
            && self.remade(descriptor)?
        {
            return Ok(true);
        }
        self.fetched(damage, descriptor)
    }

    /// Makes a layer's blob of what the store has of the layer.
    fn remade(&mut self, descriptor: &Descriptor) -> Result<bool, WriteError> {
        let store = self.store();
        let by_diff = || store.layer_of_diff(&crate::digest::DiffId(descriptor.digest));
        let record = match store.layer_of_blob(&descriptor.digest)? {
            Some(record) => Some(record),
            None => by_diff()?,
        };
        let Some(mut record) = record else { return Ok(false) };
        if !self.regain(&mut record)? {
            return Ok(false);
        }
        let ours = record.blobs.iter().find(|blob| blob.descriptor.digest == descriptor.digest);
        let Some(codec) = ours.map(|blob| blob.codec.clone()) else {
            // The tar stream of its tree is the blob.
            return Ok(record.diff_id.is_some_and(|diff_id| diff_id.0 == descriptor.digest));
        };
        let codecs = CODECS.into_iter().chain((0..=9).map(|level| Codec::Gzip { level }));
        let same = |way: &Codec| way.id().is_ok_and(|id| id == codec);
        let Some(way) = codecs.into_iter().find(same) else { return Ok(false) };
        record.blobs.retain(|blob| blob.descriptor.digest != descriptor.digest);
        let made = attempt("a compressed layer", export(self.lease, &mut record, way));
        Ok(made.is_some_and(|made| made.digest == descriptor.digest))
    }

    /// Sees to it that a layer's tree and the bytes of its files are in packs.
    fn regain(&mut self, record: &mut LayerRecord) -> Result<bool, WriteError> {
        let store = self.store();
        let Some(id) = record.tree else { return Ok(false) };
        if store.tree(&id).is_ok_and(|tree| tree.is_none()) && !self.tree_again(record)? {
            return Ok(false);
        }
        let Some(tree) = store.tree(&id)? else { return Ok(false) };
        if without_bodies(store, &tree)?.is_empty() {
            return Ok(true);
        }
        let wanted = files(&tree.children).map(|(_, _, file)| file.body).collect();
        let gathered = gather::ensure(self.lease, &[record.id], &wanted);
        if attempt("the files of a layer", gathered).is_none() {
            return Ok(false);
        }
        self.done.push(Repaired::Layer(record.id));
        Ok(true)
    }

    /// Reads the tree out of a blob that the layer was pulled as.
    fn tree_again(&mut self, record: &LayerRecord) -> Result<bool, WriteError> {
        let (store, Some(diff_id)) = (self.store(), record.diff_id) else { return Ok(false) };
        for blob in &record.blobs {
            let Some(mut file) = store.foreign_blob(&blob.descriptor.digest)? else { continue };
            let read = import(self.lease, &blob.descriptor, &diff_id, &mut file);
            if attempt("the tree of a layer", read).is_some_and(|read| read.tree == record.tree) {
                self.done.push(Repaired::Layer(record.id));
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Fetches what has this digest from wherever it may be.
    fn fetched(
        &mut self,
        damage: &ImageDamage,
        descriptor: &Descriptor,
    ) -> Result<bool, WriteError> {
        let origins = self.origins(&damage.name, &descriptor.digest)?;
        let Some(source) = self.source else {
            if !origins.is_empty() {
                self.not_asked(damage, "none was to be asked".to_owned());
            }
            return Ok(false);
        };
        for origin in origins {
            let answer = match damage.part {
                ImagePart::Index(_) | ImagePart::Manifest(_) => {
                    self.manifest(source, &origin, descriptor)?
                }
                ImagePart::Configuration(_) => self.document(source, &origin, descriptor)?,
                ImagePart::Layer { .. } => self.blob(source, &origin, descriptor)?,
            };
            match answer {
                Answer::Here => {
                    let (digest, from) = (descriptor.digest, origin.name());
                    self.done.push(Repaired::Fetched { digest, from });
                    return Ok(true);
                }
                Answer::No => {}
                Answer::Unknown(why) => self.not_asked(damage, why),
            }
        }
        Ok(false)
    }

    fn not_asked(&mut self, damage: &ImageDamage, why: String) {
        let (name, digest) = (damage.name.clone(), *damage.part.digest());
        self.unknown.entry(digest).or_insert(Unasked { name, digest, why });
    }

    /// What was not had because somebody could not be asked.
    pub(super) fn unasked(self) -> Vec<Unasked> {
        self.unknown.into_values().collect()
    }

    /// Where something may be: where its layer is recorded to come from, and where the image's name
    /// leads.
    fn origins(&self, name: &str, digest: &Digest) -> Result<Vec<Reference>, ReadError> {
        let record = self.store().layer_of_blob(digest)?;
        let recorded = record.into_iter().flat_map(|record| record.origins);
        let texts = recorded.chain([name.to_owned()]);
        let mut found: Vec<Reference> = texts.filter_map(|text| text.parse().ok()).collect();
        found.dedup();
        Ok(found)
    }

    fn manifest(
        &self,
        source: &dyn ImageSource,
        origin: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Answer, WriteError> {
        match source.manifest(&origin.clone().with_digest(descriptor.digest)) {
            Ok((_, bytes)) => self.keep(descriptor, &bytes),
            Err(error) => Ok(answer(&error)),
        }
    }

    fn document(
        &self,
        source: &dyn ImageSource,
        origin: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Answer, WriteError> {
        let reader = match source.blob(origin, descriptor) {
            Ok(reader) => reader,
            Err(error) => return Ok(answer(&error)),
        };
        let mut bytes = Vec::new();
        match reader.take(MAX_DOCUMENT as u64 + 1).read_to_end(&mut bytes) {
            Ok(_) => self.keep(descriptor, &bytes),
            Err(error) => Ok(Answer::Unknown(error.to_string())),
        }
    }

    fn keep(&self, descriptor: &Descriptor, bytes: &[u8]) -> Result<Answer, WriteError> {
        if verify(descriptor, bytes).is_err() {
            return Ok(Answer::No);
        }
        self.lease.put_document(bytes)?;
        Ok(Answer::Here)
    }

    fn blob(
        &self,
        source: &dyn ImageSource,
        origin: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Answer, WriteError> {
        match fetch_blob(self.lease, source, origin, descriptor) {
            Ok(()) => Ok(Answer::Here),
            Err(SaveError::Source(error)) => Ok(answer(&error)),
            Err(SaveError::Write(error)) => Err(error),
            Err(error) => Ok(Answer::Unknown(error.to_string())),
        }
    }

    /// Forgets layers that cannot be had any more, and the results of steps that made them. What
    /// somebody may have who could not be asked stays on record: with it the layer comes again. Until it
    /// does, the steps that made it are to run again.
    pub(super) fn layers(&mut self) -> Result<(), WriteError> {
        let (store, mut batch, mut lost) = (self.store(), Batch::new(), BTreeSet::new());
        let mut gone = Vec::new();
        for damage in store.missing_of_layers()? {
            let (Damage::MissingBodies { layer, .. } | Damage::MissingTree { layer }) = damage
            else {
                continue;
            };
            let Some(mut record) = store.layer(&layer)? else { continue };
            if self.regain(&mut record)? || self.has_other_form(&record)? {
                continue;
            }
            lost.insert(layer);
            if self.may_come(&record) {
                continue;
            }
            self.done.push(Repaired::ForgottenLayer(layer));
            gone.push(record);
        }
        forget(store, &gone, &mut batch)?;
        for action in store.actions()? {
            if action.layer.is_some_and(|layer| lost.contains(&layer)) {
                batch.remove_action(&action.key);
            }
        }
        self.lease.commit(batch, Durability::Durable)?;
        Ok(())
    }

    /// Whether somebody may have a blob of a layer who could not be asked.
    fn may_come(&self, record: &LayerRecord) -> bool {
        let blobs = record.blobs.iter().map(|blob| blob.descriptor.digest);
        blobs
            .chain(record.diff_id.map(|diff_id| diff_id.0))
            .any(|it| self.unknown.contains_key(&it))
    }

    /// Whether a layer without its tree is still its directory.
    fn has_other_form(&self, record: &LayerRecord) -> Result<bool, ReadError> {
        let complete = record.tree.map(|tree| is_complete(self.store(), &tree)).transpose()?;
        match &record.live {
            Some(name) if record.tree.is_some_and(|tree| self.store().tree(&tree).is_ok()) => {
                is_usable(self.store(), name, &record.id, None)
            }
            Some(_) | None => Ok(complete == Some(true)),
        }
    }

    /// Drops the names of images that are beyond help.
    pub(super) fn names(&mut self) -> Result<(), WriteError> {
        let (lost, _) = images::lost(self.store())?;
        let mut by_name: BTreeMap<String, Vec<ImageDamage>> = BTreeMap::new();
        for damage in lost {
            by_name.entry(damage.name.clone()).or_default().push(damage);
        }
        let mut batch = Batch::new();
        for (name, damages) in by_name {
            let is_final = |one: &&ImageDamage| !self.unknown.contains_key(one.part.digest());
            if let Some(damage) = damages.iter().find(is_final) {
                batch.remove_ref(&name);
                self.done.push(Repaired::DroppedName { name, damage: damage.clone() });
            }
        }
        if !batch.is_empty() {
            self.lease.commit(batch, Durability::Durable)?;
        }
        Ok(())
    }
}

/// Forgets layers. What is known of where one comes from stays: it may be fetched from there.
pub(super) fn forget(
    store: &Store,
    lost: &[LayerRecord],
    batch: &mut Batch,
) -> Result<(), ReadError> {
    let is_kept = |record: &LayerRecord| lost.iter().all(|one| one.id != record.id);
    let kept: Vec<_> = store.layers()?.into_iter().filter(is_kept).collect();
    batch.remove_layers(store.journal(), lost, &kept);
    for record in lost.iter().filter(|record| !record.origins.is_empty()) {
        batch.put_layer(&LayerRecord { tree: None, live: None, ..record.clone() });
    }
    Ok(())
}

/// What a failure says about whether the other side has something. A registry that says nothing
/// about what is private says the same of what it does not have.
fn answer(error: &SourceError) -> Answer {
    match error.class() {
        SourceErrorClass::NotFound
        | SourceErrorClass::Absent
        | SourceErrorClass::Refused
        | SourceErrorClass::Unsupported => Answer::No,
        SourceErrorClass::Unauthorized | SourceErrorClass::Network | SourceErrorClass::Local => {
            Answer::Unknown(error.to_string())
        }
    }
}
