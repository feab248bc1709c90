//! Sockets of 32-bit programs.

use std::process::Command;

use wythe_sandbox::step::{Identity, Network};

use crate::fixture::{Fixture, succeed};

/// Needs no C library for 32 bits, which machines that compile may lack.
const ALONE: [&str; 7] = [
    "-m32",
    "-nostdlib",
    "-static",
    "-ffreestanding",
    "-fno-stack-protector",
    "-fno-pic",
    "-no-pie",
];

pub(crate) fn programs_of_32_bits_open_the_sockets_of_others(fixture: &Fixture) {
    if cfg!(not(target_arch = "x86_64")) {
        return;
    }
    let layer = fixture.fresh();
    let source = layer.join("sockets.c");
    std::fs::write(&source, include_str!("sockets.c")).unwrap();
    let mut gcc = Command::new("gcc");
    gcc.args(ALONE).arg("-o").arg(layer.join("sockets")).arg(source);
    assert!(gcc.status().unwrap().success());
    let lowers = [fixture.path("base"), layer];
    // Unix, IPv4, netlink; kernel crypto, virtual machines, an unknown family; a raw socket, which
    // needs a network of one's own and privileges there; a pair; arguments that are nowhere.
    let cases = [
        (Network::Host, 0, "345PPFPyf\n"),
        (Network::None, 0, "345PPF6yf\n"),
        (Network::None, 1000, "345PPFPyf\n"),
    ];
    for (network, uid, expected) in cases {
        let mut step = fixture.step_on(&lowers, "exec /sockets");
        step.network = network;
        step.identity = Identity { uid, gid: uid, groups: vec![] };
        assert_eq!(succeed(&step).stdout, expected, "{network:?} {uid}");
    }
}
