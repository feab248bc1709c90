//! The board: a small file system in memory, made new for each step, never swapped.
//!
//! It holds the places later operations need: where the new root is attached, the stub layer
//! whose mount points lie below the image, an empty directory, the generated files, secrets.

use std::ffi::{CStr, CString};

use rustix::mount::MountAttrFlags;

use crate::plan::{Absent, ContextOp, MakeOp, MountOp, NewFile, Op, Plan, Slot, c_string};

/// The board and its fixed places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Board {
    /// The board itself.
    pub(super) top: Slot,
    /// The lowest layer of the root: nothing but mount points.
    pub(super) stub: Slot,
    /// An empty directory.
    pub(super) empty: Slot,
}

impl Plan {
    /// Makes the board and attaches it at `place`, a directory of this machine the child's mount
    /// namespace can do without.
    pub(super) fn board(&mut self, place: CString) -> Board {
        let label = "preparing the mount points";
        let (context, top, at) = (self.slot(), self.slot(), self.slot());
        self.push(label, ContextOp::Open { kind: c"ramfs", context });
        self.push(label, ContextOp::Text { context, key: c"mode", value: c"0755".into() });
        let attributes = MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID;
        self.push(label, ContextOp::Create { context, attributes, mount: top });
        self.push(label, MountOp::Open { path: place, found: at });
        self.push(label, MountOp::Attach { mount: top, at });
        for name in [STUB, c"empty"] {
            self.push(label, MakeOp::Directory { under: top, path: name.into() });
        }
        let [stub, empty] = [STUB, c"empty"].map(|name| self.on_board(top, name));
        Board { top, stub, empty }
    }

    /// Opens a place on the board.
    pub(super) fn on_board(&mut self, top: Slot, name: &CStr) -> Slot {
        let found = self.slot();
        let (path, absent) = (name.into(), Absent::Fail);
        self.push("preparing the mount points", Op::Find { root: top, path, absent, found });
        found
    }

    /// Makes a file on the board and returns it opened.
    pub(super) fn board_file(&mut self, board: &Board, file: NewFile) -> Slot {
        let name = self.fresh_name();
        let label = "writing a generated file";
        self.push(label, MakeOp::File { under: board.top, path: name.clone(), file });
        self.on_board(board.top, &name)
    }

    /// Makes a directory on the board and returns it opened.
    pub(super) fn board_directory(&mut self, board: &Board) -> Slot {
        self.board_place(board).1
    }

    /// As [`Self::board_directory`], with its name on the board.
    pub(super) fn board_place(&mut self, board: &Board) -> (CString, Slot) {
        let name = self.fresh_name();
        let label = "preparing the mount points";
        self.push(label, MakeOp::Directory { under: board.top, path: name.clone() });
        let found = self.on_board(board.top, &name);
        (name, found)
    }

    fn fresh_name(&self) -> CString {
        c_string("", self.ops.len().to_string().as_bytes()).expect("digits hold no NUL")
    }
}

impl NewFile {
    /// A file everybody may read.
    pub(super) fn text(content: &[u8]) -> Self {
        Self { content: content.to_vec(), mode: 0o644, uid: 0, gid: 0 }
    }
}

/// The stub layer.
const STUB: &CStr = c"stub";
