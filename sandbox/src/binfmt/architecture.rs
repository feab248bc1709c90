//! Architectures that emulators exist for, and how the kernel tells their programs.

use std::fmt::Write;

/// An architecture whose programs an emulator can run.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Architecture {
    /// What image platforms call it.
    pub(super) name: &'static str,
    /// What qemu calls it.
    pub(super) qemu: &'static str,
    class: Class,
    order: Order,
    /// `e_machine` of its programs.
    machine: u16,
}

/// How wide addresses are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Class {
    Bits32 = 1,
    Bits64 = 2,
}

/// Which end of a number comes first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Order {
    Little = 1,
    Big = 2,
}

use Class::{Bits32, Bits64};
use Order::{Big, Little};

/// The Linux platforms of container images.
pub(super) const KNOWN: [Architecture; 10] = [
    Architecture { name: "amd64", qemu: "x86_64", class: Bits64, order: Little, machine: 62 },
    Architecture { name: "386", qemu: "i386", class: Bits32, order: Little, machine: 3 },
    Architecture { name: "arm64", qemu: "aarch64", class: Bits64, order: Little, machine: 183 },
    Architecture { name: "arm", qemu: "arm", class: Bits32, order: Little, machine: 40 },
    Architecture { name: "ppc64le", qemu: "ppc64le", class: Bits64, order: Little, machine: 21 },
    Architecture { name: "s390x", qemu: "s390x", class: Bits64, order: Big, machine: 22 },
    Architecture { name: "riscv64", qemu: "riscv64", class: Bits64, order: Little, machine: 243 },
    Architecture {
        name: "loong64",
        qemu: "loongarch64",
        class: Bits64,
        order: Little,
        machine: 258,
    },
    Architecture { name: "mips64le", qemu: "mips64el", class: Bits64, order: Little, machine: 8 },
    Architecture { name: "mips64", qemu: "mips64", class: Bits64, order: Big, machine: 8 },
];

/// The architecture that platforms call `name`.
pub(super) fn known(name: &str) -> Option<&'static Architecture> {
    KNOWN.iter().find(|one| one.name == name)
}

/// Whether this machine's processor runs programs of an architecture by itself.
pub(super) fn is_native(name: &str) -> bool {
    match std::env::consts::ARCH {
        "x86_64" => matches!(name, "amd64" | "386"),
        "aarch64" => name == "arm64",
        other => known(name).is_some_and(|one| one.qemu == other),
    }
}

impl Architecture {
    /// The line that has the kernel run its programs by the emulator at `interpreter`.
    ///
    /// The flags: `P` hands on how the program was called, `O` and `C` let set-user-id programs
    /// be what they are, `F` opens the emulator now, so that no image needs to have it.
    pub(super) fn registration(&self, interpreter: &str) -> String {
        let (name, magic, mask) = (self.qemu, escaped(&self.magic()), escaped(&self.mask()));
        format!(":qemu-{name}:M::{magic}:{mask}:{interpreter}:POCF")
    }

    /// The start of its programs: what an ELF header says up to the machine.
    fn magic(&self) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(b"\x7fELF");
        header[4] = self.class as u8;
        header[5] = self.order as u8;
        header[6] = 1;
        header[16..18].copy_from_slice(&self.bytes(EXECUTABLE));
        header[18..20].copy_from_slice(&self.bytes(self.machine));
        header
    }

    /// Which bits of the start count: any system's, and both kinds of executables.
    fn mask(&self) -> [u8; HEADER] {
        let mut mask = [0xff; HEADER];
        mask[7] = 0;
        mask[16..18].copy_from_slice(&self.bytes(!1));
        mask
    }

    fn bytes(&self, number: u16) -> [u8; 2] {
        match self.order {
            Little => number.to_le_bytes(),
            Big => number.to_be_bytes(),
        }
    }
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "\\x{byte:02x}");
        text
    })
}

/// How much of an ELF header is compared: up to `e_machine`.
const HEADER: usize = 20;

/// `ET_EXEC`; the shared objects that position-independent programs are differ in the lowest bit.
const EXECUTABLE: u16 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_known_by_class_order_kind_and_machine() {
        let arm64 = known("arm64").unwrap().registration("/e/aarch64");
        let expected = concat!(
            r":qemu-aarch64:M::\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00",
            r"\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff",
            r"\xfe\xff\xff\xff:/e/aarch64:POCF",
        );
        assert_eq!(arm64, expected);
    }

    #[test]
    fn big_ends_come_first_where_the_machine_has_it_so() {
        let s390x = known("s390x").unwrap();
        assert_eq!(s390x.magic()[16..], [0, 2, 0, 22]);
        assert_eq!(s390x.mask()[16..], [0xff, 0xfe, 0xff, 0xff]);
    }

    #[test]
    fn this_machine_needs_no_emulator_for_itself() {
        let native = KNOWN.iter().filter(|one| is_native(one.name));
        assert!(native.map(|one| one.qemu).any(|name| name == std::env::consts::ARCH));
        assert!(KNOWN.iter().any(|one| !is_native(one.name)));
    }
}
