//! Layers that many steps have below them, mounted once.
//!
//! A mount costs a look at each of its layers, and so does a name that none of them has. Steps of a long
//! stage share nearly all of theirs. So the lowest are an overlay that nobody changes, which stays
//! mounted in no place and is one layer of each step's own; what was looked up in it is known to the kernel.
//! Only the lowest: what a layer removes of those below would not be gone there.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::getxattr;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsmount, fsopen,
};

use crate::overlay::{self, MOST_LOWERS};
use crate::step::Stacking;

/// What the directory of a layer says is short.
const LONGEST_NOTE: usize = 64;

/// So many layers are stacked for each step by itself: it costs half a millisecond to mount them, and
/// files of all of them are on one file system for the step.
const FEW: usize = 64;

/// The mount grows by so many layers at once: each of its versions looks at all of them, and each
/// step at those that are not in it yet.
const GROWTH: usize = 32;

/// The most that are in the mount, a multiple of [`GROWTH`].
const MOST: usize = MOST_LOWERS - MOST_LOWERS % GROWTH;

/// The most layers above the mount: a step's overlay has the mount and a layer of mount points, too.
const MOST_ABOVE: usize = MOST_LOWERS - 2;

/// How many of a step's lowest layers are worth a mount of their own: none, or as many for steps that
/// come soon after it in a stage.
pub fn shared(n_layers: usize) -> usize {
    if n_layers < FEW {
        return 0;
    }
    let whole = n_layers - n_layers % GROWTH;
    whole.min(MOST).max(n_layers.saturating_sub(MOST_ABOVE)).min(MOST_LOWERS)
}

/// An overlay of layers that can be a layer of others.
#[derive(Debug)]
pub struct MountedLayers {
    /// The layers, bottom first.
    directories: Vec<PathBuf>,
    mount: OwnedFd,
    /// By attributes, whether one of the directories has it. Layers stay what they are.
    notes: Mutex<BTreeMap<Vec<u8>, bool>>,
}

impl MountedLayers {
    /// Mounts the layers of these directories, bottom first. The process has to be in its namespaces.
    ///
    /// # Errors
    ///
    /// The kernel refuses it, or makes no layer of what is mounted in no place, as those before 6.15, or
    /// of an overlay over a file system that is stacked itself.
    pub fn mount(directories: &[PathBuf]) -> std::io::Result<Self> {
        let mount = mounted(directories)?;
        let layers = Self { directories: directories.to_vec(), mount, notes: Mutex::default() };
        layers.try_as_layer()?;
        Ok(layers)
    }

    /// Whether it is of the lowest of these layers, and of so many.
    pub fn is_of(&self, count: usize, layers: &[PathBuf]) -> bool {
        self.directories.len() == count && layers.starts_with(&self.directories)
    }

    /// Whether the directory of one of these layers has an extended attribute. Those of the mount are
    /// asked once.
    pub(crate) fn any_noted(&self, layers: &[PathBuf], attribute: &[u8]) -> bool {
        let Some(above) = layers.strip_prefix(self.directories.as_slice()) else {
            return any_noted(layers, attribute);
        };
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let of_mount = notes.get(attribute).copied().unwrap_or_else(|| {
            let found = any_noted(&self.directories, attribute);
            notes.insert(attribute.to_vec(), found);
            found
        });
        of_mount || any_noted(above, attribute)
    }

    /// These layers, with the mount in the place of those that it has; `None` where others are below, or
    /// too many above.
    pub(crate) fn in_place(&self, layers: &[PathBuf]) -> Option<Vec<PathBuf>> {
        let above = layers.strip_prefix(self.directories.as_slice())?;
        if above.len() > MOST_ABOVE {
            return None;
        }
        Some(std::iter::once(self.path()).chain(above.iter().cloned()).collect())
    }

    /// Where it is for this process, and for children that have its descriptors.
    fn path(&self) -> PathBuf {
        Path::new("/proc/self/fd").join(self.mount.as_raw_fd().to_string())
    }

    fn try_as_layer(&self) -> Result<(), Errno> {
        // A second layer, since one alone is no overlay.
        let pair = self.directories.first().cloned().into_iter().chain([self.path()]);
        mounted(&pair.collect::<Vec<_>>()).map(drop)
    }
}

/// Whether one of these directories has an extended attribute.
pub(crate) fn any_noted(layers: &[PathBuf], attribute: &[u8]) -> bool {
    let mut value = [0; LONGEST_NOTE];
    layers.iter().any(|layer| getxattr(layer, attribute, &mut value[..]).is_ok())
}

/// A detached overlay that takes no changes.
fn mounted(directories: &[PathBuf]) -> Result<OwnedFd, Errno> {
    if overlay::stacking() != Stacking::OneByOne {
        return Err(Errno::NOSYS);
    }
    let context = fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_flag(&context, c"userxattr")?;
    for directory in directories.iter().rev() {
        let path = CString::new(directory.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)?;
        overlay::add_path(context.as_fd(), c"lowerdir+", &path)?;
    }
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_layers_share_no_mount() {
        assert_eq!([0, 1, 63].map(shared), [0; 3]);
    }

    #[test]
    fn steps_that_follow_one_another_share_one() {
        assert_eq!([64, 65, 95].map(shared), [64; 3]);
        assert_eq!([96, 127].map(shared), [96; 2]);
    }

    #[test]
    fn neither_the_mount_nor_what_is_above_has_more_than_the_kernel_stacks() {
        for n_layers in 0..=998 {
            let below = shared(n_layers);
            assert!(below <= MOST_LOWERS && n_layers - below <= MOST_ABOVE, "{n_layers}");
        }
    }
}
