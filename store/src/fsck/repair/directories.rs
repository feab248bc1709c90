//! Directories that are not as their layers are.

use std::collections::BTreeSet;

use crate::closure::{has_blob, is_complete};
use crate::error::{At as _, ReadError, WriteError};
use crate::fsck::damage::Damage;
use crate::fsck::repair::cure::forget;
use crate::fsck::repair::{Repair, Repaired, attempt};
use crate::gc;
use crate::image::stacks::stacks;
use crate::journal::Durability;
use crate::journal::batch::Batch;
use crate::layers::LayerRecord;
use crate::lease::Lease;
use crate::live::compare::compare;
use crate::live::ensure::ensure;
use crate::live::gather;
use crate::live_record::LiveName;
use crate::store::Store;
use crate::tree::files::files;

impl Store {
    /// Compares the directories that are there for `idmap` with what their layers are, and unpacks
    /// anew what differs. Of a layer that is nowhere else the results of steps are forgotten. On a
    /// thread of a rayon pool, files are read by all of its threads.
    ///
    /// What uses such a directory keeps it; the next collection takes it away that finds nobody at work.
    ///
    /// # Errors
    ///
    /// If the store cannot be read or written. What was done so far stays.
    pub fn repair_directories(&self, idmap: &[u8]) -> Result<Repair, WriteError> {
        let _alone = self.vfs().lock(gc::LOCK).writing(gc::LOCK)?;
        let lease = self.lease()?;
        let stacks = stacks(self)?;
        let mut repair = Repair::default();
        let damage = compare(&lease, idmap, &stacks)?;
        let changed: BTreeSet<LiveName> = damage.iter().filter_map(directory).collect();
        for name in changed {
            replace(&lease, &name, idmap, &mut repair.done)?;
        }
        repair.left = compare(&lease, idmap, &stacks)?;
        Ok(repair)
    }
}

/// The directory that damage is of.
fn directory(damage: &Damage) -> Option<LiveName> {
    let (Damage::Directory { directory, .. } | Damage::UnreadableDirectory { directory, .. }) =
        damage
    else {
        return None;
    };
    directory.strip_prefix("live/").and_then(LiveName::new)
}

fn replace(
    lease: &Lease,
    name: &LiveName,
    idmap: &[u8],
    done: &mut Vec<Repaired>,
) -> Result<(), WriteError> {
    let (store, mut batch) = (lease.store(), Batch::new());
    let Some(live) = store.live(name)? else { return Ok(()) };
    let record = store.layer(&live.layer)?;
    let is_elsewhere = match &record {
        Some(record) => is_elsewhere(lease, record)?,
        None => false,
    };
    batch.remove_live(name);
    if let Some(record) = record.as_ref().filter(|_| !is_elsewhere) {
        forget(store, std::slice::from_ref(record), &mut batch)?;
        for action in store.actions()? {
            if action.layer == Some(record.id) {
                batch.remove_action(&action.key);
            }
        }
        done.push(Repaired::ForgottenLayer(record.id));
    }
    lease.commit(batch, Durability::Durable)?;
    if is_elsewhere && attempt("a directory", ensure(lease, &live.layer, idmap)).is_some() {
        done.push(Repaired::Directory { path: name.path() });
    }
    Ok(())
}

/// Whether a layer can be unpacked without its directory: what is whole in there is stored first.
fn is_elsewhere(lease: &Lease, record: &LayerRecord) -> Result<bool, ReadError> {
    let store = lease.store();
    if has_blob(store, record)? {
        return Ok(true);
    }
    let Some(id) = record.tree else { return Ok(false) };
    let Some(tree) = store.tree(&id)? else { return Ok(false) };
    let wanted = files(&tree.children).map(|(_, _, file)| file.body).collect();
    let gathered = gather::ensure(lease, &[record.id], &wanted);
    Ok(attempt("the files of a layer", gathered).is_some() || is_complete(store, &id)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::ensure::receive;
    use crate::live::materialise::unpack;
    use crate::live::scratch::{adopt, scratch};
    use crate::live::tests::{ONE, Pulled, Trial, bodies, ours, record_of};
    use crate::tree::sketch::sketch;
    use std::fs;
    use std::path::Path;

    /// Changes a file in a way that shows in nothing but its bytes.
    fn rewrite(path: &Path, text: &str) {
        let before = fs::metadata(path).unwrap().modified().unwrap();
        fs::write(path, text).unwrap();
        fs::File::options().write(true).open(path).unwrap().set_modified(before).unwrap();
    }

    fn received(trial: &Trial, pulled: &Pulled) -> std::path::PathBuf {
        let announced = (&pulled.descriptor, &pulled.diff_id);
        receive(&trial.lease, announced, b"map", &mut &pulled.blob[..]).unwrap()
    }

    #[test]
    fn what_differs_is_unpacked_anew_and_what_does_not_is_left() {
        let trial = Trial::new();
        let (pulled, other) = (Pulled::new("a=1 d/ d/c=2"), Pulled::new("a=1 b=3"));
        let (path, untouched) = (received(&trial, &pulled), received(&trial, &other));
        rewrite(&path.join("d/c"), "9");
        assert_eq!(received(&trial, &pulled), path, "use looks at no file");
        let repair = trial.lease.store().repair_directories(b"map").unwrap();
        assert!(matches!(&repair.done[..], [Repaired::Directory { .. }]), "{repair:?}");
        assert!(repair.left.is_empty(), "{repair:?}");
        let anew = received(&trial, &pulled);
        assert_ne!(anew, path);
        assert_eq!(fs::read(anew.join("d/c")).unwrap(), b"2");
        assert_eq!(received(&trial, &other), untouched);
    }

    #[test]
    fn what_only_the_directory_has_is_stored_before_it_goes() {
        let (trial, pulled) = (Trial::new(), Pulled::new("a=1 d/ d/c=2"));
        let path = received(&trial, &pulled);
        let store = trial.lease.store();
        fs::remove_file(store.path().join(pulled.descriptor.digest.blob_path())).unwrap();
        fs::write(path.join("d/more"), "").unwrap();
        let repair = store.repair_directories(b"map").unwrap();
        assert!(matches!(&repair.done[..], [Repaired::Directory { .. }]), "{repair:?}");
        assert!(!received(&trial, &pulled).join("d/more").exists());
    }

    #[test]
    fn a_layer_whose_bytes_are_nowhere_is_forgotten() {
        let (trial, pulled) = (Trial::new(), Pulled::new("a=1 d/ d/c=2"));
        let path = received(&trial, &pulled);
        let (store, layer) = (trial.lease.store(), record_of(&trial, &pulled).id);
        fs::remove_file(store.path().join(pulled.descriptor.digest.blob_path())).unwrap();
        rewrite(&path.join("d/c"), "9");
        let repair = store.repair_directories(b"map").unwrap();
        assert_eq!(repair.done, [Repaired::ForgottenLayer(layer)]);
        assert!(store.layer(&layer).unwrap().is_none() && repair.left.is_empty());
    }

    #[test]
    fn the_result_of_a_step_that_was_emptied_is_told_of_and_forgotten() {
        let trial = Trial::new();
        let made = scratch(&trial.lease, &[], b"map").unwrap();
        unpack(&ours(&sketch("a=1 b=2")), (&bodies("a=1 b=2"), ONE), &made.upper).unwrap();
        let mut batch = Batch::new();
        let layer = adopt(&trial.lease, &made, b"map", &mut batch).unwrap();
        trial.lease.commit(batch, Durability::Relaxed).unwrap();
        let store = trial.lease.store();
        assert!(store.repair_directories(b"map").unwrap().done.is_empty());
        std::thread::sleep(std::time::Duration::from_millis(20));
        let (name, _) = store.lives().unwrap().remove(0);
        fs::remove_file(store.path().join(name.path()).join("a")).unwrap();
        let repair = store.repair_directories(b"map").unwrap();
        assert_eq!(repair.done, [Repaired::ForgottenLayer(layer)]);
    }
}
