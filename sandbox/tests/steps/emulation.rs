//! Programs of another architecture. They are written here instruction by instruction, so that no
//! compiler for it is needed; an emulator (Debian's `qemu-user-static`) is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use wythe_sandbox::{Emulators, Outcome};

use crate::fixture::{Fixture, run};

/// An architecture that is not this machine's, as platforms name it, and `e_machine` of its
/// programs.
#[cfg(not(target_arch = "aarch64"))]
const FOREIGN: (&str, u16) = ("arm64", 183);
#[cfg(target_arch = "aarch64")]
const FOREIGN: (&str, u16) = ("riscv64", 243);

/// `exit(42)`
#[cfg(not(target_arch = "aarch64"))]
const EXIT: &[u32] = &[0xd280_0540, 0xd280_0ba8, 0xd400_0001];
#[cfg(target_arch = "aarch64")]
const EXIT: &[u32] = &[0x02a0_0513, 0x05d0_0893, 0x0000_0073];

/// `ppoll(NULL, 0, NULL, NULL)`, which waits for ever.
#[cfg(not(target_arch = "aarch64"))]
const WAIT: &[u32] =
    &[0xd280_0000, 0xd280_0001, 0xd280_0002, 0xd280_0003, 0xd280_0928, 0xd400_0001];
#[cfg(target_arch = "aarch64")]
const WAIT: &[u32] =
    &[0x0000_0513, 0x0000_0593, 0x0000_0613, 0x0000_0693, 0x0490_0893, 0x0000_0073];

/// Both programs in a layer over the image.
fn layers(fixture: &Fixture) -> [PathBuf; 2] {
    let layer = fixture.fresh();
    for (name, code) in [("exits", EXIT), ("waits", WAIT)] {
        let path = layer.join(name);
        fs::write(&path, program(code)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    [fixture.path("base"), layer]
}

/// An ELF program that consists of `code` alone.
fn program(code: &[u32]) -> Vec<u8> {
    let (base, headers) = (0x1_0000_u64, 64 + 56_u64);
    let size = headers + 4 * u64::try_from(code.len()).unwrap();
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0".to_vec();
    bytes.extend(FOREIGN.1.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    for word in [base + headers, 64, 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 0, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    // One segment to be loaded, readable and executable, that is the whole file.
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(5_u32.to_le_bytes());
    for word in [0, base, base, size, size, 0x1000] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(code.iter().flat_map(|word| word.to_le_bytes()));
    bytes
}

fn emulators() -> Emulators {
    let emulators = Emulators::in_folders(["/usr/local/bin".into(), "/usr/bin".into()]);
    emulators.enable(FOREIGN.0).unwrap();
    emulators
}

pub(crate) fn programs_of_another_architecture_run(fixture: &Fixture) {
    // Not by way of a shell, which takes what the kernel refuses for a script.
    let step = || {
        let mut step = fixture.step_on(&layers(fixture), "");
        step.argv = vec![b"/exits".to_vec()];
        step
    };
    let emulators = emulators();
    // Asked twice, registered once.
    emulators.enable(FOREIGN.0).unwrap();
    assert_eq!(run(&step()).outcome, Outcome::Exited(42));
    drop(emulators);
    assert_eq!(run(&step()).outcome, Outcome::Exited(126), "what was registered stays behind");
}

pub(crate) fn an_emulator_cannot_be_written_by_a_step(fixture: &Fixture) {
    let script = "/waits & \
        while readlink /proc/$!/exe | grep -q busybox; do sleep 0.01; done; \
        exec 3</proc/$!/exe; kill -9 $!; wait; \
        (exec 4>>/proc/self/fd/3) 2>/dev/null && echo opened; echo refused";
    let _emulators = emulators();
    let mut step = fixture.step_on(&layers(fixture), script);
    step.timeout = Some(Duration::from_mins(1));
    let ran = run(&step);
    assert_eq!(ran.stdout, "refused\n");
}
