//! What 32-bit programs are told, which have calls of their own.

use std::path::PathBuf;
use std::process::Command;

use wythe_sandbox::step::{Devices, Identity, Network};

use crate::apart::{open_directory, shared};
use crate::fixture::{Fixture, succeed};

/// Needs no C library for 32 bits, which machines that compile may lack; the kernel's headers for 64
/// bits are those for 32.
const ALONE: [&str; 9] = [
    "-m32",
    "-nostdlib",
    "-static",
    "-ffreestanding",
    "-fno-stack-protector",
    "-fno-pic",
    "-no-pie",
    "-idirafter",
    "/usr/include/x86_64-linux-gnu",
];

/// A program in a layer over the image, where this machine runs such programs.
pub(crate) fn layers(fixture: &Fixture, text: &str) -> Option<[PathBuf; 2]> {
    if cfg!(not(target_arch = "x86_64")) {
        return None;
    }
    let layer = fixture.fresh();
    let source = layer.join("program.c");
    std::fs::write(&source, text).unwrap();
    let mut gcc = Command::new("gcc");
    gcc.args(ALONE).arg("-o").arg(layer.join("program")).arg(source);
    assert!(gcc.status().unwrap().success());
    Some([fixture.path("base"), layer])
}

pub(crate) fn programs_of_32_bits_see_devices(fixture: &Fixture) {
    let Some(lowers) = layers(fixture, include_str!("looks.c")) else { return };
    let mut step = fixture.step_on(
        &lowers,
        "umask 0; mknod /work/null c 1 3; chown 7:8 /work/null; cd /bin; exec /program",
    );
    step.devices = Devices::Shown;
    // Octal: mode, device, links, owner, group, size, the same inode twice, a time.
    let looked = "0 20666 403 1 7 10 0 1 1\n".repeat(3);
    // No such file, and nowhere to put the answer.
    let expected = format!("{looked}0 20666 1 3 7 10\n0 0 11 10 2 16\n");
    assert_eq!(succeed(&step).stdout, expected);
}

pub(crate) fn programs_of_32_bits_open_the_sockets_of_others(fixture: &Fixture) {
    let Some(lowers) = layers(fixture, include_str!("sockets.c")) else { return };
    // Unix, IPv4, netlink; kernel crypto, virtual machines, an unknown family; a raw socket, which
    // needs a network of one's own and privileges there; a pair; arguments that are nowhere.
    let cases = [
        (Network::Host, 0, "345PPFPyf\n"),
        (Network::None, 0, "345PPF6yf\n"),
        (Network::None, 1000, "345PPFPyf\n"),
    ];
    for (network, uid, expected) in cases {
        let mut step = fixture.step_on(&lowers, "exec /program");
        step.network = network.clone();
        step.identity = Identity { uid, gid: uid, groups: vec![] };
        assert_eq!(succeed(&step).stdout, expected, "{network:?} {uid}");
    }
}

pub(crate) fn sockets_of_programs_of_32_bits_are_kept_apart(fixture: &Fixture) {
    let Some(lowers) = layers(fixture, include_str!("binds.c")) else { return };
    let script = "/program; test -L /c/first -a -L /c/second -a -S /c/first -a -S /c/second";
    let mut step = fixture.step_on(&lowers, script);
    step.mounts = vec![shared(&open_directory(fixture))];
    assert_eq!(succeed(&step).stdout, "ytyf\n");
}
