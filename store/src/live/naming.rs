//! What a layer that a step made is called, once its files are known.
//!
//! A step's directory is adopted under a name of chance, since later steps run on it before anybody
//! has read it. Sealed, the layer is named by what it is: its tree, and the layers that it was made
//! over. Those count because its directory shows them too: what a step copied up and left as it was is
//! there and not in its tree, and would hide what another chain has in its place.

use crate::error::ReadError;
use crate::id::{LayerId, TreeId};
use crate::journal::batch::Batch;
use crate::layers::LayerRecord;
use crate::lease::Lease;
use crate::live::found::is_usable;
use crate::live_record::LiveRecord;

/// The name of the layer with this tree over the layers of `below`, the lowest first. It is the same on
/// every machine that names those the same.
pub fn name_over(tree: &TreeId, below: &[LayerId]) -> LayerId {
    let mut hasher = LayerId::hasher();
    hasher.update(b"made over").update(tree.as_bytes());
    for layer in below {
        hasher.update(layer.as_bytes());
    }
    LayerId::from_hasher(&hasher)
}

/// Whether the directory of a layer shows what is below it where it is looked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Directory {
    /// It was made over these layers.
    Here,
    /// It was made over others, which are the same but for times.
    Elsewhere,
}

/// Adds the record of a sealed layer to `batch` under the name that it has over the layers of `below`,
/// together with its directory, if that is one of there and there is none yet. Who knows the layer by
/// its old name still finds it there.
///
/// # Errors
///
/// If a file of the store cannot be read, or is damaged.
pub fn name_layer(
    lease: &Lease,
    record: &LayerRecord,
    (below, directory): (&[LayerId], Directory),
    batch: &mut Batch,
) -> Result<LayerId, ReadError> {
    let Some(tree) = record.tree else { return Ok(record.id) };
    let (store, id) = (lease.store(), name_over(&tree, below));
    if id == record.id {
        return Ok(id);
    }
    let known = store.layer(&id)?.and_then(|known| known.live);
    let has_one = match &known {
        Some(name) => is_usable(store, name, &id, None)?,
        None => false,
    };
    let mut live = None;
    if let Some(name) = record.live.as_ref().filter(|_| directory == Directory::Here && !has_one)
        && let Some(found) = store.live(name)?.filter(|found| found.layer == record.id)
    {
        batch.put_live(name, &LiveRecord { layer: id, ..found });
        live = Some(name.clone());
    }
    batch.put_layer(&LayerRecord { id, live, ..record.clone() });
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Durability;
    use crate::live::ensure::ensure;
    use crate::live::materialise::unpack;
    use crate::live::scratch::{adopt, scratch};
    use crate::live::seal::seal;
    use crate::live::tests::{ONE, Trial, bodies, ours};
    use crate::tree::entry::Tree;
    use crate::tree::sketch::sketch;

    /// A step that wrote `words`, adopted and sealed.
    fn sealed(trial: &Trial, words: &str) -> LayerRecord {
        let made = scratch(&trial.lease, &[], b"map").unwrap();
        unpack(&ours(&sketch(words)), (&bodies(words), ONE), &made.upper).unwrap();
        let mut batch = Batch::new();
        let layer = adopt(&trial.lease, &made, b"map", &mut batch).unwrap();
        trial.lease.commit(batch, Durability::Relaxed).unwrap();
        let mut record = trial.lease.store().layer(&layer).unwrap().unwrap();
        seal(&trial.lease, &mut record, &Tree::default()).unwrap();
        record
    }

    fn named(trial: &Trial, record: &LayerRecord, place: (&[LayerId], Directory)) -> LayerId {
        let mut batch = Batch::new();
        batch.put_layer(record);
        let id = name_layer(&trial.lease, record, place, &mut batch).unwrap();
        trial.lease.commit(batch, Durability::Relaxed).unwrap();
        id
    }

    #[test]
    fn layers_with_the_same_files_over_the_same_layers_have_one_name() {
        let trial = Trial::new();
        let below = [LayerId::of(b"base")];
        let [one, two] = [sealed(&trial, "a=1"), sealed(&trial, "a=1")];
        assert_ne!(one.id, two.id);
        let here = (&below[..], Directory::Here);
        let id = named(&trial, &one, here);
        let first = ensure(&trial.lease, &id, b"map").unwrap();
        assert_eq!(named(&trial, &two, here), id);
        assert_eq!(ensure(&trial.lease, &id, b"map").unwrap(), first, "it keeps its directory");
        assert_ne!(named(&trial, &sealed(&trial, "a=2"), here), id);
        assert_ne!(named(&trial, &one, (&[], Directory::Here)), id);
    }

    #[test]
    fn a_named_layer_takes_its_directory_along_and_is_found_by_its_old_name_too() {
        let trial = Trial::new();
        let record = sealed(&trial, "a=1 d/ d/b=2");
        let before = ensure(&trial.lease, &record.id, b"map").unwrap();
        let id = named(&trial, &record, (&[], Directory::Here));
        assert_eq!(ensure(&trial.lease, &id, b"map").unwrap(), before);
        assert_eq!(ensure(&trial.lease, &record.id, b"map").unwrap(), before);
        assert_eq!(std::fs::read_dir(before.parent().unwrap()).unwrap().count(), 1);
        let store = trial.lease.store();
        let found = store.layer_of_diff(&record.diff_id.unwrap()).unwrap().unwrap();
        assert_eq!((found.id, found.tree), (id, record.tree));
    }

    #[test]
    fn a_directory_that_was_made_over_other_layers_stays_with_them() {
        let trial = Trial::new();
        let record = sealed(&trial, "a=1");
        let before = ensure(&trial.lease, &record.id, b"map").unwrap();
        let id = named(&trial, &record, (&[LayerId::of(b"base")], Directory::Elsewhere));
        assert_ne!(ensure(&trial.lease, &id, b"map").unwrap(), before);
    }
}
