//! What a command cannot see or do.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::thread;

use wythe_sandbox::network::OwnNetwork;
use wythe_sandbox::step::{Access, Identity, Mount, MountSource, Network, Security};

use crate::fixture::{Fixture, attempt, run, succeed};
use crate::lifetime::again;

pub(crate) fn capabilities_are_dockers_fourteen(fixture: &Fixture) {
    let status = fixture
        .sh("grep ^Cap /proc/self/status; grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status");
    for line in [
        "CapInh:\t0000000000000000",
        "CapPrm:\t00000000a80425fb",
        "CapEff:\t00000000a80425fb",
        "CapBnd:\t00000000a80425fb",
        "CapAmb:\t0000000000000000",
        "NoNewPrivs:\t0",
        "Seccomp:\t2",
    ] {
        assert!(status.lines().any(|it| it == line), "{line} in {status}");
    }
}

pub(crate) fn another_user_has_none_in_effect(fixture: &Fixture) {
    let mut step = fixture.step("grep -E '^Cap(Prm|Eff|Bnd)' /proc/self/status");
    step.identity = Identity { uid: 1000, gid: 1000, groups: vec![] };
    let zero = "0000000000000000";
    let expected = format!("CapPrm:\t{zero}\nCapEff:\t{zero}\nCapBnd:\t00000000a80425fb\n");
    assert_eq!(succeed(&step).stdout, expected);
}

pub(crate) fn the_filter_answers_eperm(fixture: &Fixture) {
    for script in ["unshare -U true", "mount -t tmpfs none /tmp"] {
        let ran = run(&fixture.step(script));
        assert!(!ran.outcome.is_success(), "{script}");
        let refused = ran.stderr.contains("not permitted") || ran.stderr.contains("denied");
        assert!(refused, "{script}: {}", ran.stderr);
    }
}

pub(crate) fn only_the_standard_descriptors_are_open(fixture: &Fixture) {
    // The fourth is the directory being listed.
    assert_eq!(fixture.sh("exec ls /proc/self/fd"), "0\n1\n2\n3\n");
    assert_eq!(fixture.sh("readlink /proc/1/fd/0"), "/dev/null\n");
}

pub(crate) fn sigpipe_is_default(fixture: &Fixture) {
    let status = fixture.sh("exec grep -E '^Sig(Ign|Blk)' /proc/self/status");
    for line in status.lines() {
        assert!(line.ends_with("0000000000000000"), "{status}");
    }
}

pub(crate) fn kernel_files_are_masked(fixture: &Fixture) {
    assert_eq!(fixture.sh("cat /proc/kcore /proc/keys /proc/timer_list | wc -c"), "0\n");
    assert_eq!(fixture.sh("ls /sys/firmware | wc -l"), "0\n");
    let ran = run(&fixture.step("echo 1 > /proc/sys/kernel/hostname"));
    assert!(ran.stderr.contains("Read-only"), "{}", ran.stderr);
}

pub(crate) fn entries_of_proc_cannot_be_changed(fixture: &Fixture) {
    // They are given the mode that they have: it is the one of the machine's /proc, too.
    let script = "for f in /proc/*; do test -L $f || case $f in /proc/[0-9]*) ;; *) \
        chmod $(stat -c %a $f) $f 2> /dev/null && echo $f;; esac; done; true";
    assert_eq!(fixture.sh(script), "");
}

pub(crate) fn root_of_a_step_is_not_root_of_the_machine(fixture: &Fixture) {
    let mut step = fixture.step(
        "touch /f; stat -c %u / /f /machine; for id in 65537 2147483648; do \
        chown $id /f || echo refused; done; cat /proc/self/uid_map",
    );
    let (path, subpath) = ("/etc/passwd".into(), Vec::new());
    let source = MountSource::Bind { path, subpath, access: Access::ReadWrite };
    step.mounts = vec![Mount { target: b"/machine".to_vec(), source }];
    let ran = succeed(&step);
    let expected = "0\n0\n65534\nrefused\nrefused\n";
    assert!(ran.stdout.starts_with(expected) || !has_apart(), "{}", ran.stdout);
    step.identity.uid = wythe_sandbox::enter::reserved().unwrap_or(u32::MAX - 1);
    step.root = fixture.root();
    assert!(attempt(&step).is_err() || !has_apart());
}

/// Whether root of a step is somebody else than root of the machine: everywhere but in containers
/// of a few ids that run this as their root.
fn has_apart() -> bool {
    wythe_sandbox::enter::entry().is_some_and(|it| it.ids.users[0].outside != 0)
}

pub(crate) fn sys_is_read_only(fixture: &Fixture) {
    let ran = run(&fixture.step("mkdir /sys/fs/cgroup/x || mkdir /sys/x"));
    assert!(!ran.outcome.is_success());
}

pub(crate) fn devices_work(fixture: &Fixture) {
    let script = "echo x > /dev/null; head -c 3 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; \
        ls /dev; stat -c %a /dev/shm; echo hi > /dev/stdout; df /dev/shm | grep -c 65536";
    let expected = "3\n4\ncore\nfd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\n\
        stdout\ntty\nurandom\nzero\n1777\nhi\n1\n";
    assert_eq!(fixture.sh(script), expected);
}

pub(crate) fn device_nodes_cannot_be_changed(fixture: &Fixture) {
    // They are given what they have, for should it be possible, it is done to this machine.
    let before = fs::metadata("/dev/null").unwrap();
    let nodes = "/dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/stdin";
    let changes = "chmod 666 $n; chown 0:0 $n; touch $n";
    let said = fixture.sh(&format!("for n in {nodes}; do ({changes}) 2>&1; done; true"));
    assert_eq!(said.matches("Read-only file system").count(), 7 * 3, "{said}");
    let after = fs::metadata("/dev/null").unwrap();
    let facts = |it: &fs::Metadata| (it.mode(), it.uid(), it.mtime(), it.ctime());
    assert_eq!(facts(&before), facts(&after));
}

pub(crate) fn a_device_that_a_step_is_fed_with_cannot_be_changed(_: &Fixture) {
    let mut command = again("role=fed");
    let ran = command.stdin(fs::File::open("/dev/null").unwrap()).output().unwrap();
    assert!(String::from_utf8_lossy(&ran.stdout).ends_with("\n0\n"), "{ran:?}");
    assert!(String::from_utf8_lossy(&ran.stderr).contains("Read-only file system"), "{ran:?}");
}

pub(crate) fn proc_shows_only_the_step(fixture: &Fixture) {
    assert_eq!(fixture.sh("echo $$; set -- /proc/[0-9]*; echo $#"), "1\n1\n");
}

pub(crate) fn a_descriptor_is_no_working_directory(fixture: &Fixture) {
    for number in 3..40 {
        let mut step = fixture.step("true");
        step.cwd = format!("/proc/self/fd/{number}").into_bytes();
        assert!(attempt(&step).is_err(), "{number}");
    }
}

pub(crate) fn without_network_only_loopback_is_up(fixture: &Fixture) {
    let mut step = fixture.step(
        "cat /proc/net/dev | wc -l; ip addr show lo | grep -c 127.0.0.1; wc -l < /proc/net/route; \
         ls /sys/class/net | wc -l",
    );
    step.network = Network::None;
    assert_eq!(succeed(&step).stdout, "3\n1\n1\n0\n");
}

pub(crate) fn a_network_of_its_own_has_what_the_builder_listens_with(fixture: &Fixture) {
    let network = Arc::new(OwnNetwork::new().unwrap());
    let listener = network.listen(PORT).unwrap();
    let answering = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        client.write_all(b"from the builder\n").unwrap();
    });
    let step = |script: &str, port: u16| {
        let mut step = fixture.step(&script.replace("PORT", &port.to_string()));
        step.network = Network::Own(network.clone());
        step
    };
    assert_eq!(succeed(&step("nc 127.0.0.1 PORT", PORT)).stdout, "from the builder\n");
    answering.join().unwrap();
    // What listens here is not there, nor is any way out: not over IPv6, nor to metadata of a cloud.
    let machine = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let script = "cat /etc/resolv.conf; grep -c : /proc/net/dev; wc -l < /proc/net/route; \
        grep -v -c lo$ /proc/net/ipv6_route; for host in 127.0.0.1 ::1 169.254.169.254 \
        169.254.170.2 fd00:ec2::254 192.0.2.1 2001:db8::1; do nc -w 1 $host PORT < /dev/null && \
        echo reached $host; done; nslookup x 192.0.2.1 2>&1 | grep -c unreachable";
    assert_eq!(succeed(&step(script, machine)).stdout, "1\n1\n0\n1\n");
    // Low ports are open to root of the step as they are elsewhere.
    assert_eq!(succeed(&step("timeout 1 nc -l -p 80; echo $?", 0)).stdout, "143\n");
}

/// A port that is free in a new network.
const PORT: u16 = 61_080;

pub(crate) fn only_with_a_network_are_name_servers_known(fixture: &Fixture) {
    for (network, expected) in [(Network::Host, "nameserver 192.0.2.1\n"), (Network::None, "")] {
        let mut step = fixture.step("cat /etc/resolv.conf");
        step.resolv_conf = b"nameserver 192.0.2.1\n".to_vec();
        step.network = network;
        assert_eq!(succeed(&step).stdout, expected);
    }
}

pub(crate) fn insecure_steps_have_every_capability(fixture: &Fixture) {
    let mut step = fixture.step("grep CapEff /proc/self/status; mount -t tmpfs none /tmp");
    step.security = Security::Insecure;
    assert_eq!(succeed(&step).stdout, "CapEff:\t000001ffffffffff\n");
}

pub(crate) fn the_old_root_is_gone(fixture: &Fixture) {
    assert_eq!(fixture.sh("ls /.. | grep -c -E 'home|usr|var' || true"), "0\n");
    assert_eq!(fixture.sh("grep -c / /proc/self/mountinfo | test $(cat) -lt 60; grep ' / / ' /proc/self/mountinfo | wc -l"), "1\n");
}

pub(crate) fn the_umask_is_0022(fixture: &Fixture) {
    assert_eq!(fixture.sh("umask"), "0022\n");
}

pub(crate) fn linked_kernel_directories_stay_inside(fixture: &Fixture) {
    let layer = fixture.fresh();
    for name in ["proc", "dev", "sys"] {
        std::fs::create_dir(layer.join(format!("real-{name}"))).unwrap();
        std::os::unix::fs::symlink(format!("../../real-{name}"), layer.join(name)).unwrap();
    }
    let lowers = [fixture.path("base"), layer];
    let ran = succeed(&fixture.step_on(&lowers, "cat /real-proc/kcore | wc -c; test -e /dev/null"));
    assert_eq!(ran.stdout, "0\n");
}

pub(crate) fn the_builders_program_cannot_be_written(_: &Fixture) {
    let mount = rustix::fs::statvfs("/proc/self/exe").unwrap();
    assert!(mount.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY));
}
