//! The root and the mounts a step asks for.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::mount::MountAttrFlags;

use crate::error::StepError;
use crate::mounted_layers::MountedLayers;
use crate::nest::Ownership;
use crate::plan::board::Board;
use crate::plan::stack::Stack;
use crate::plan::{Absent, ContextOp, MountOp, NewFile, Op, Plan, Slot, c_string};
use crate::step::{Access, Mount, MountSource, RootFs, Scratch};
use crate::sys::{Depth, restricts_mounts};

/// A mount whose content is open and waits for its place.
#[derive(Debug)]
pub(super) struct Prepared {
    label: String,
    target: CString,
    source: Slot,
    depth: Depth,
    attributes: MountAttrFlags,
}

/// A root that is not mounted yet.
#[derive(Debug)]
pub(super) enum Root {
    /// Layers.
    Stack(Stack),
    /// A detached mount of the directory that has all.
    Whole(Slot),
}

impl Plan {
    /// Begins the root and makes the board.
    pub(super) fn begin_root(
        &mut self,
        root: &RootFs,
        mounted: Option<&MountedLayers>,
    ) -> Result<(Root, Board), StepError> {
        let label = "mounting the root";
        let begun = match root {
            RootFs::Layers { lowers, scratch } => {
                let fewer = mounted.and_then(|mounted| mounted.in_place(lowers));
                let lowers = fewer.as_deref().unwrap_or(lowers);
                Root::Stack(self.stack(label, lowers, Some(scratch))?)
            }
            RootFs::Whole(directory) => {
                let (of, mount) = (self.slot(), self.slot());
                self.push(label, MountOp::Open { path: path_string(label, directory)?, found: of });
                self.push(label, MountOp::Clone { of, depth: Depth::One, mount });
                Root::Whole(mount)
            }
        };
        // The directory is resolved by now, so that the board may cover it.
        let board = self.board(path_string(label, root.changed())?);
        Ok((begun, board))
    }

    /// Completes an overlay with the stub layer, and mounts the root.
    pub(super) fn finish_root(&mut self, root: Root, board: &Board) -> Slot {
        let label = "mounting the root";
        match root {
            Root::Stack(stack) => self.mount_stack(label, stack, (Some(board.stub), board)),
            Root::Whole(mount) => {
                let at = self.board_directory(board);
                self.push(label, MountOp::Attach { mount, at });
                mount
            }
        }
    }

    /// Opens what a mount shows and puts its mount point into the stub layer.
    pub(super) fn prepare(&mut self, mount: &Mount, board: &Board) -> Result<Prepared, StepError> {
        let label = format!("mounting {}", String::from_utf8_lossy(&mount.target));
        let target = c_string(&label, &mount.target)?;
        let (source, depth, attributes) = self.source(&label, &mount.source, board)?;
        self.stub(board, &target, source);
        Ok(Prepared { label, target, source, depth, attributes })
    }

    fn source(
        &mut self,
        label: &str,
        source: &MountSource,
        board: &Board,
    ) -> Result<(Slot, Depth, MountAttrFlags), StepError> {
        match source {
            MountSource::Bind { path, subpath, access } => {
                let top = self.slot();
                let path = path_string(label, path)?;
                self.push(label, MountOp::Open { path, found: top });
                let source = self.below(label, top, subpath)?;
                // What is below cannot be made read-only by kernels before 5.12.
                let is_whole = *access == Access::ReadWrite
                    || *access == Access::ReadOnly && restricts_mounts();
                let depth = if is_whole { Depth::All } else { Depth::One };
                Ok((source, depth, access.attributes()))
            }
            MountSource::Layers { lowers, scratch, subpath } => {
                let access = if scratch.is_some() { Access::ReadWrite } else { Access::ReadOnly };
                let top = self.layers(label, lowers, scratch.as_ref(), board)?;
                let source = self.below(label, top, subpath)?;
                Ok((source, Depth::One, access.attributes()))
            }
            MountSource::Tmpfs { size, mode } => {
                let at = self.board_directory(board);
                let source = self.tmpfs(label, *size, *mode);
                self.push(label, MountOp::Attach { mount: source, at });
                Ok((source, Depth::One, INERT))
            }
            MountSource::Secret { bytes, mode, uid, gid } => {
                // Nobody else is known there, and files in memory hold no attributes.
                let (uid, gid) =
                    if self.ownership == Ownership::Emulated { (0, 0) } else { (*uid, *gid) };
                let file = NewFile { content: bytes.clone(), mode: *mode, uid, gid };
                let source = self.board_file(board, file);
                Ok((source, Depth::One, if mode & EXECUTABLE == 0 { GENERATED } else { SCRIPT }))
            }
        }
    }

    /// Mounts a stack of layers on the board.
    fn layers(
        &mut self,
        label: &str,
        lowers: &[PathBuf],
        scratch: Option<&Scratch>,
        board: &Board,
    ) -> Result<Slot, StepError> {
        let stack = self.stack(label, lowers, scratch)?;
        // One layer alone is no overlay.
        let lowest = scratch.is_none().then_some(board.empty);
        Ok(self.mount_stack(label, stack, (lowest, board)))
    }

    fn tmpfs(&mut self, label: &str, size: Option<u64>, mode: u32) -> Slot {
        let (context, mount) = (self.slot(), self.slot());
        self.push(label, ContextOp::Open { kind: c"tmpfs", context });
        let digits = |text: String| CString::new(text).expect("digits hold no NUL");
        self.push(
            label,
            ContextOp::Text { context, key: c"mode", value: digits(format!("{mode:o}")) },
        );
        if let Some(size) = size {
            self.push(
                label,
                ContextOp::Text { context, key: c"size", value: digits(size.to_string()) },
            );
        }
        self.push(label, ContextOp::Create { context, attributes: INERT, mount });
        mount
    }

    fn below(&mut self, label: &str, top: Slot, subpath: &[u8]) -> Result<Slot, StepError> {
        if subpath.iter().all(|byte| *byte == b'/') {
            return Ok(top);
        }
        let found = self.slot();
        let path = c_string(label, subpath)?;
        self.push(label, Op::Find { root: top, path, absent: Absent::Fail, found });
        Ok(found)
    }

    /// Adds a mount point to the lowest layer, where it shows unless the image has something.
    pub(super) fn stub(&mut self, board: &Board, target: &CString, like: Slot) {
        let climbs = target.to_bytes().split(|byte| *byte == b'/').any(|name| name == b"..");
        if !climbs {
            let path = target.clone();
            self.push("preparing the mount points", Op::Stub { under: board.stub, path, like });
        }
    }

    /// Makes the places of mounts inside of what is shared, which can only be read once it is in its own place. There
    /// they stay, as with BuildKit.
    pub(super) fn inner_mount_points(&mut self, mounts: &[Mount], prepared: &[Prepared]) {
        for (number, inner) in prepared.iter().enumerate() {
            let around = mounts.iter().zip(prepared).take(number);
            let around = around.filter_map(|(mount, outer)| {
                let rest = inner.target.to_bytes().strip_prefix(outer.target.to_bytes())?;
                rest.starts_with(b"/").then_some((rest, mount, outer.source))
            });
            let Some((rest, mount, root)) = around.min_by_key(|(rest, ..)| rest.len()) else {
                continue;
            };
            if !matches!(mount.source, MountSource::Bind { access: Access::Shared, .. }) {
                continue;
            }
            let path = CString::new(rest).expect("a part of a C string");
            let (absent, found) = (Absent::Keep { like: inner.source }, self.slot());
            self.push(&inner.label, Op::Find { root, path, absent, found });
        }
    }

    /// Puts a prepared mount in its place, and returns it.
    pub(super) fn place(&mut self, root: Slot, mount: Prepared) -> Slot {
        let Prepared { label, target: path, source, depth, attributes } = mount;
        let (at, copy) = (self.slot(), self.slot());
        let absent = Absent::Make { like: source };
        self.push(&label, Op::Find { root, path, absent, found: at });
        self.push(&label, MountOp::Clone { of: source, depth, mount: copy });
        if !attributes.is_empty() {
            self.push(&label, MountOp::Restrict { mount: copy, attributes, depth });
        }
        self.push(&label, MountOp::Attach { mount: copy, at });
        copy
    }

    /// A generated file at a fixed path, read-only.
    pub(super) fn prepare_file(
        &mut self,
        board: &Board,
        target: CString,
        content: &[u8],
    ) -> Prepared {
        let label = format!("mounting {}", target.to_string_lossy());
        let source = self.board_file(board, NewFile::text(content));
        self.stub(board, &target, source);
        Prepared { label, target, source, depth: Depth::One, attributes: GENERATED }
    }
}

impl Access {
    fn attributes(self) -> MountAttrFlags {
        match self {
            // What is shared may be written to when the builder's copy of the mounts is made.
            Self::ReadOnly | Self::Shared => MountAttrFlags::MOUNT_ATTR_RDONLY,
            Self::ReadWrite => MountAttrFlags::empty(),
        }
    }
}

/// No devices and no set-user-id programs.
const INERT: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV);

/// The execute bits of a mode.
const EXECUTABLE: u32 = 0o111;

/// What we wrote, for running: a script that a step is given as a file.
const SCRIPT: MountAttrFlags = INERT.union(MountAttrFlags::MOUNT_ATTR_RDONLY);

/// What we wrote, for reading.
const GENERATED: MountAttrFlags =
    INERT.union(MountAttrFlags::MOUNT_ATTR_RDONLY).union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

pub(super) fn path_string(label: &str, path: &Path) -> Result<CString, StepError> {
    c_string(label, path.as_os_str().as_bytes())
}
