//! Overlays: how layers are stacked.
//!
//! The kernel stacks 500 directories. Of more layers the lowest are an overlay of their own, that is
//! the lowest directory of the other one. Only the lowest: what a layer removes of those below would
//! not be gone there.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use rustix::mount::MountAttrFlags;

use crate::error::{StepCause, StepError};
use crate::overlay::MOST_LOWERS;
use crate::plan::board::Board;
use crate::plan::mounts::path_string;
use crate::plan::{ContextOp, MountOp, Plan, Slot};
use crate::step::{Scratch, Stacking};

/// Layers that are to be stacked, one or two overlays that lack what is below all of them.
#[derive(Debug)]
pub(super) struct Stack {
    top: Overlay,
    bottom: Option<Overlay>,
}

/// What an overlay is made of.
#[derive(Debug)]
enum Overlay {
    /// The kernel knows its layers.
    Configured { context: Slot },
    /// The kernel is told them when it is mounted: lower ones, the topmost first, with what opening
    /// them is called; the upper and the work directory.
    Unconfigured { lowers: Vec<(String, CString)>, scratch: Option<[Slot; 2]> },
}

impl Plan {
    /// Begins to stack layers, the bottom first. The directories of `scratch` are open then.
    pub(super) fn stack(
        &mut self,
        label: &str,
        lowers: &[PathBuf],
        scratch: Option<&Scratch>,
    ) -> Result<Stack, StepError> {
        let n_below = n_below(lowers.len()).map_err(|cause| {
            let doing = label.to_owned();
            StepError { doing, cause }
        })?;
        let (below, above) = lowers.split_at(n_below);
        let top = self.overlay(label, above, scratch)?;
        let bottom = (n_below > 0).then(|| self.overlay(label, below, None)).transpose()?;
        Ok(Stack { top, bottom })
    }

    /// Mounts what is stacked, with `lowest` below all of it, on the board.
    pub(super) fn mount_stack(
        &mut self,
        label: &str,
        Stack { top, bottom }: Stack,
        (lowest, board): (Option<Slot>, &Board),
    ) -> Slot {
        let lowest = match bottom {
            // One layer alone is no overlay.
            Some(bottom) => {
                Some(self.mount_overlay(label, bottom, (lowest.or(Some(board.empty)), board)))
            }
            None => lowest,
        };
        self.mount_overlay(label, top, (lowest, board))
    }

    fn overlay(
        &mut self,
        label: &str,
        lowers: &[PathBuf],
        scratch: Option<&Scratch>,
    ) -> Result<Overlay, StepError> {
        match self.stacking {
            Stacking::OneByOne => self.told(label, lowers, scratch),
            Stacking::AtOnce => {
                let scratch = scratch.map(|Scratch { upper, work }| {
                    Ok([self.directory(label, upper)?, self.directory(label, work)?])
                });
                let lowers = lowers.iter().rev().map(|lower| named(label, lower));
                let lowers = lowers.collect::<Result<_, _>>()?;
                Ok(Overlay::Unconfigured { lowers, scratch: scratch.transpose()? })
            }
        }
    }

    fn told(
        &mut self,
        label: &str,
        lowers: &[PathBuf],
        scratch: Option<&Scratch>,
    ) -> Result<Overlay, StepError> {
        let context = self.slot();
        self.push(label, ContextOp::Open { kind: c"overlay", context });
        self.push(label, ContextOp::Flag { context, key: c"userxattr" });
        let mut layers = Vec::new();
        if let Some(Scratch { upper, work }) = scratch {
            self.push(label, ContextOp::Flag { context, key: c"volatile" });
            layers.extend([(c"upperdir", upper), (c"workdir", work)]);
        }
        layers.extend(lowers.iter().rev().map(|lower| (c"lowerdir+", lower)));
        for (key, directory) in layers {
            let (label, path) = named(label, directory)?;
            self.push(&label, ContextOp::Directory { context, key, path });
        }
        Ok(Overlay::Configured { context })
    }

    /// Opens a directory of the machine.
    fn directory(&mut self, label: &str, directory: &Path) -> Result<Slot, StepError> {
        let (label, path) = named(label, directory)?;
        Ok(self.open(&label, path))
    }

    fn open(&mut self, label: &str, path: CString) -> Slot {
        let found = self.slot();
        self.push(label, MountOp::Open { path, found });
        found
    }

    fn mount_overlay(
        &mut self,
        label: &str,
        overlay: Overlay,
        (lowest, board): (Option<Slot>, &Board),
    ) -> Slot {
        let (name, at) = self.board_place(board);
        match overlay {
            Overlay::Configured { context } => {
                if let Some(directory) = lowest {
                    self.push(label, ContextOp::Layer { context, key: c"lowerdir+", directory });
                }
                let (mount, attributes) = (self.slot(), MountAttrFlags::empty());
                self.push(label, ContextOp::Create { context, attributes, mount });
                self.push(label, MountOp::Attach { mount, at });
                mount
            }
            Overlay::Unconfigured { lowers, scratch } => {
                let lowers = lowers.into_iter().map(|(label, path)| self.open(&label, path));
                let lowers = lowers.collect();
                self.push(label, MountOp::Overlay { lowers, lowest, scratch, at });
                // What is there now.
                self.on_board(board.top, &name)
            }
        }
    }
}

/// How many of so many layers are an overlay below the other one.
fn n_below(n_layers: usize) -> Result<usize, StepCause> {
    // Both have one more.
    let most = MOST_LOWERS - 1;
    if n_layers > 2 * most {
        return Err(StepCause::TooManyLayers { count: n_layers, most: 2 * most });
    }
    Ok(n_layers.saturating_sub(most))
}

/// The path of a directory, with what opening it is called: for a missing one the kernel has a
/// number only.
fn named(label: &str, directory: &Path) -> Result<(String, CString), StepError> {
    let path = path_string(label, directory)?;
    Ok((format!("{label}, opening {}", directory.display()), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_overlay_has_room_for_what_is_below() {
        assert_eq!(n_below(499).unwrap(), 0);
        assert_eq!(n_below(500).unwrap(), 1);
        assert_eq!(n_below(998).unwrap(), 499);
        assert!(n_below(999).unwrap_err().to_string().contains("at most 998"));
    }
}
