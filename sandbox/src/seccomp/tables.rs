//! Which system calls Docker's default profile allows, by number.
//!
//! The facts are those of moby's `seccomp/default.json` (Apache-2.0) for a kernel of 5.14 or
//! later and Docker's default capabilities, with names resolved through the kernel's tables.

use crate::seccomp::{Check, OwnerCall, PathCall, looks, owners};

/// The profile for one architecture.
#[derive(Debug)]
pub(super) struct Table {
    /// What the kernel calls the architecture (`AUDIT_ARCH_*`).
    pub(super) architecture: u32,
    /// Allowed numbers as inclusive ranges, ascending.
    pub(super) allowed: &'static [(u32, u32)],
    /// Numbers that are allowed depending on an argument.
    pub(super) checks: &'static [(u32, Check)],
    /// The number of `bind`, where it is allowed.
    pub(super) binds: &'static [u32],
    /// Allowed numbers that are announced to who attends to looks.
    pub(super) looks: &'static [(u32, PathCall)],
    /// Numbers that are announced as well where owners are emulated.
    pub(super) owners: &'static [(u32, OwnerCall)],
}

/// The tables for programs this machine can execute, the native one first.
pub(super) fn native_tables() -> &'static [Table] {
    NATIVE
}

#[cfg(target_arch = "x86_64")]
const NATIVE: &[Table] = &[X86_64, I386];

#[cfg(target_arch = "aarch64")]
const NATIVE: &[Table] = &[AARCH64];

#[cfg(target_arch = "x86_64")]
const X86_64: Table = Table {
    architecture: 0xc000_003e,
    allowed: &[
        (0, 40),
        (42, 55),
        (57, 102),
        (104, 133),
        (137, 138),
        (140, 152),
        (154, 154),
        (157, 162),
        (186, 211),
        (213, 226),
        (228, 235),
        (240, 245),
        (247, 247),
        (251, 255),
        (257, 271),
        (273, 278),
        (280, 297),
        (299, 299),
        (301, 303),
        (305, 307),
        (309, 311),
        (314, 319),
        (322, 322),
        (324, 335),
        (424, 424),
        (434, 434),
        (436, 437),
        (439, 439),
        (441, 441),
        (444, 449),
        (451, 458),
        (462, 466),
    ],
    checks: &[
        (41, Check::Family),
        (135, Check::Personality),
        (56, Check::Namespaces),
        (133, Check::Device { mode: 1 }),
        (259, Check::Device { mode: 2 }),
    ],
    binds: &[49],
    looks: looks::X86_64,
    owners: owners::X86_64,
};

#[cfg(target_arch = "x86_64")]
const I386: Table = Table {
    architecture: 0x4000_0003,
    allowed: &[
        (0, 16),
        (19, 20),
        (23, 24),
        (26, 27),
        (29, 30),
        (33, 33),
        (36, 43),
        (45, 47),
        (49, 50),
        (54, 55),
        (57, 57),
        (60, 61),
        (63, 66),
        (70, 71),
        (75, 78),
        (80, 83),
        (85, 85),
        (90, 97),
        (99, 100),
        (104, 108),
        (114, 114),
        (116, 119),
        (122, 126),
        (132, 133),
        (138, 148),
        (150, 165),
        (168, 168),
        (170, 187),
        (190, 216),
        (218, 221),
        (224, 250),
        (252, 252),
        (254, 263),
        (265, 272),
        (277, 282),
        (284, 284),
        (289, 293),
        (295, 309),
        (311, 316),
        (318, 335),
        (337, 337),
        (339, 341),
        (343, 345),
        (347, 348),
        (351, 356),
        (358, 358),
        (360, 373),
        (375, 383),
        (385, 386),
        (393, 403),
        (405, 414),
        (416, 424),
        (434, 434),
        (436, 437),
        (439, 439),
        (441, 441),
        (444, 449),
        (451, 458),
        (462, 466),
    ],
    checks: &[
        (359, Check::Family),
        (102, Check::SocketCall),
        (136, Check::Personality),
        (120, Check::Namespaces),
        (14, Check::Device { mode: 1 }),
        (297, Check::Device { mode: 2 }),
    ],
    binds: &[361],
    looks: looks::I386,
    owners: owners::I386,
};

#[cfg(target_arch = "aarch64")]
const AARCH64: Table = Table {
    architecture: 0xc000_00b7,
    allowed: &[
        (0, 17),
        (19, 38),
        (43, 57),
        (59, 59),
        (61, 88),
        (90, 91),
        (93, 96),
        (98, 103),
        (107, 111),
        (113, 115),
        (117, 141),
        (143, 160),
        (163, 169),
        (171, 197),
        (199, 216),
        (221, 223),
        (226, 234),
        (240, 240),
        (242, 243),
        (260, 261),
        (263, 264),
        (266, 267),
        (269, 271),
        (274, 279),
        (281, 281),
        (283, 293),
        (424, 424),
        (434, 434),
        (436, 437),
        (439, 439),
        (441, 441),
        (444, 449),
        (451, 458),
        (462, 466),
    ],
    checks: &[
        (198, Check::Family),
        (92, Check::Personality),
        (220, Check::Namespaces),
        (33, Check::Device { mode: 2 }),
    ],
    binds: &[200],
    looks: looks::AARCH64,
    owners: owners::AARCH64,
};
