//! What changes a key, row by row.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use wythe_dockerfile::mount::{Access, Owner, Requirement, Sharing};
use wythe_sandbox::quota::Quota;
use wythe_store::oci::platform::Platform;

use super::*;
use crate::operation::copy::{Archives, CopySource, CopyStep};
use crate::operation::run::{CacheMount, MountKind, RunMount, RunStep, SecurityMode};
use crate::operation::{BaseSource, FileSource, RULES};
use crate::options::{HostEntry, NetworkMode};

#[derive(Debug, PartialEq)]
enum Verdict {
    Hit,
    Miss,
}
use Verdict::{Hit, Miss};

fn verdict(one: &Operation, two: &Operation, lookup: Lookup) -> Verdict {
    let inputs = [InputKey::Definition(CacheKey::of(b"base"))];
    if cache_key(one, lookup, &inputs) == cache_key(two, lookup, &inputs) { Hit } else { Miss }
}

fn mount(target: &str, kind: MountKind) -> RunMount {
    RunMount { target: target.to_owned(), kind }
}

fn run() -> RunStep {
    let owner = Owner { uid: 0, gid: 0, mode: 0o755 };
    let cache = CacheMount {
        from_name: String::new(),
        id: "/c".to_owned(),
        sharing: Sharing::Shared,
        from: FileSource::Nothing,
        path: "/".to_owned(),
        owner,
        access: Access::ReadWrite,
    };
    let secret = MountKind::Secret { id: "s".to_owned(), required: Requirement::Optional, owner };
    RunStep {
        platform: Platform::linux("amd64"),
        argv: ["/bin/sh", "-c", "true"].map(str::to_owned).to_vec(),
        env: vec![("A".to_owned(), "1".to_owned()), ("B".to_owned(), "2".to_owned())],
        proxies: Vec::new(),
        cwd: "/".to_owned(),
        user: String::new(),
        mounts: vec![
            mount("/c", MountKind::Cache(cache)),
            mount("/t", MountKind::Tmpfs { size: None }),
            mount("/s", secret),
        ],
        scripts: Vec::new(),
        network: NetworkMode::Default,
        security: SecurityMode::Sandbox,
        hosts: vec![HostEntry { name: "h".to_owned(), address: IpAddr::V4(Ipv4Addr::LOCALHOST) }],
        shm_size: 64 << 20,
        limits: Vec::new(),
        quota: Quota::default(),
        timeout: None,
        hostname: "h".to_owned(),
    }
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "expectations are written at the call")]
fn check_run(expected: Verdict, change: fn(&mut RunStep)) {
    let mut changed = run();
    change(&mut changed);
    let (one, two) = (Operation::Run(Box::new(run())), Operation::Run(Box::new(changed)));
    assert_eq!(verdict(&one, &two, Lookup::Definition), expected);
}

fn with_cache(run: &mut RunStep, change: impl FnOnce(&mut CacheMount)) {
    let MountKind::Cache(cache) = &mut run.mounts[0].kind else { panic!("the first is a cache") };
    change(cache);
}

#[test]
fn what_a_step_cannot_depend_on_is_left_out() {
    check_run(Hit, |_| {});
    check_run(Hit, |run| run.proxies.push(("HTTP_PROXY".to_owned(), "p".to_owned())));
    check_run(Hit, |run| run.quota.memory = Some(1 << 30));
    check_run(Hit, |run| run.timeout = Some(Duration::from_secs(1)));
    check_run(Hit, |run| run.hosts[0].address = IpAddr::V4(Ipv4Addr::BROADCAST));
    check_run(Hit, |run| with_cache(run, |cache| cache.id = "other".to_owned()));
}

#[test]
fn the_environment_and_its_order_count() {
    check_run(Miss, |run| run.env[0].1 = "3".to_owned());
    check_run(Miss, |run| run.env.swap(0, 1));
}

#[test]
fn words_and_settings_of_a_step_count() {
    check_run(Miss, |run| run.argv[2].push(' '));
    check_run(Miss, |run| run.user = "0".to_owned());
    check_run(Miss, |run| run.cwd = "/w".to_owned());
    check_run(Miss, |run| run.network = NetworkMode::None);
    check_run(Miss, |run| run.network = NetworkMode::Allow);
    check_run(Miss, |run| run.shm_size += 1);
    check_run(Miss, |run| run.hostname = "other".to_owned());
    check_run(Miss, |run| run.platform = Platform::linux("arm64"));
}

#[test]
fn the_shape_of_mounts_counts() {
    check_run(Miss, |run| with_cache(run, |cache| cache.owner.uid = 1));
    check_run(Miss, |run| run.mounts[1].kind = MountKind::Tmpfs { size: Some(1) });
    check_run(Miss, |run| {
        let MountKind::Secret { id, .. } = &mut run.mounts[2].kind else { panic!("a secret") };
        id.push('2');
    });
}

fn copy(source: &str) -> Operation {
    Operation::Copy(Box::new(CopyStep {
        from: FileSource::Context,
        from_name: "the build context".to_owned(),
        sources: vec![CopySource::Path(source.to_owned())],
        destination: "/d/".to_owned(),
        chown: None,
        chmod: None,
        layout: crate::copy::Layout::Flat,
        base: crate::copy::CopyTarget::Destination,
        excludes: Vec::new(),
        archives: Archives::Keep,
        checksum: None,
        epoch: None,
    }))
}

#[test]
fn by_content_the_directory_of_a_source_does_not_count_and_its_name_does() {
    assert_eq!(verdict(&copy("a/x"), &copy("b/x"), Lookup::Content), Hit);
    assert_eq!(verdict(&copy("a/x"), &copy("a/y"), Lookup::Content), Miss);
    assert_eq!(verdict(&copy("a/x"), &copy("b/x"), Lookup::Definition), Miss);
}

fn with_secrets(run: &mut RunStep, required: Requirement) {
    let secret =
        |id: &str| MountKind::SecretVariable { id: id.to_owned(), required, name: id.to_owned() };
    run.mounts = vec![mount("", secret("one")), mount("", secret("two"))];
}

#[test]
fn which_of_two_optional_secrets_is_there_counts() {
    let mut step = run();
    with_secrets(&mut step, Requirement::Optional);
    let absent = |given: &[&str]| absent_secrets(&step, |id| given.contains(&id));
    let all = [absent(&[]), absent(&["one"]), absent(&["two"]), absent(&["one", "two"])];
    for (at, one) in all.iter().enumerate() {
        assert!(all[..at].iter().all(|other| other != one), "{at}");
    }
    assert_eq!(absent(&["one", "two"]), None, "as though they were required");
}

#[test]
fn a_required_secret_is_never_told_absent() {
    let mut step = run();
    with_secrets(&mut step, Requirement::Required);
    assert_eq!(absent_secrets(&step, |_| false), None);
}

#[test]
fn whether_a_secret_may_be_absent_does_not_count() {
    let [mut one, mut two] = [run(), run()];
    with_secrets(&mut one, Requirement::Optional);
    with_secrets(&mut two, Requirement::Required);
    let [one, two] = [one, two].map(|step| Operation::Run(Box::new(step)));
    assert_eq!(verdict(&one, &two, Lookup::Definition), Hit);
}

#[test]
fn how_a_base_is_spelt_does_not_count_and_what_it_is_does() {
    let platform = Platform::linux("amd64");
    let [short, long] = ["alpine", "docker.io/library/alpine:latest"].map(|reference| {
        let reference = reference.parse().unwrap();
        Operation::Base(BaseSource::Image { reference, platform: platform.clone() })
    });
    let layout = Operation::Base(BaseSource::Layout { context: "mine".to_owned(), platform });
    for lookup in [Lookup::Definition, Lookup::Content] {
        assert_eq!(verdict(&short, &long, lookup), Hit);
        assert_eq!(verdict(&short, &layout, lookup), Hit);
        let of = |text: &[u8]| cache_key(&short, lookup, &[InputKey::Content(ContentId::of(text))]);
        assert_ne!(of(b"one configuration"), of(b"another"));
    }
}

#[test]
fn what_a_context_is_called_does_not_count() {
    let bind = |name: &str| {
        let from = FileSource::Directory(name.to_owned());
        let kind = MountKind::Bind { from, path: "/".to_owned(), access: Access::ReadOnly };
        let step = RunStep { mounts: vec![mount("/m", kind)], ..run() };
        Operation::Run(Box::new(step))
    };
    assert_eq!(verdict(&bind("one"), &bind("two"), Lookup::Definition), Hit);
}

/// A key that changes while its rules do not makes every store and every remote cache start anew.
#[test]
fn the_form_of_keys_is_as_it_was() {
    let operation = Operation::Run(Box::new(run()));
    let inputs =
        [InputKey::Definition(CacheKey::of(b"base")), InputKey::Content(ContentId::of(b"x"))];
    let key = cache_key(&operation, Lookup::Definition, &inputs);
    assert_eq!(
        (RULES, key.to_string().as_str()),
        (7, "d1c5e75c033beea7f94295ece2a4aa84188defbced762ca63775c20cfc8f3f4d")
    );
}

#[test]
fn no_name_of_the_code_is_in_a_key() {
    for text in [
        include_str!("../key.rs"),
        include_str!("../operation.rs"),
        include_str!("../operation/copy.rs"),
        include_str!("../operation/facts.rs"),
        include_str!("../operation/run.rs"),
    ] {
        assert!(!text.contains(":?}"), "{}", text.lines().next().unwrap());
    }
}

#[test]
fn keys_and_explanations_say_by_which_rules() {
    let base = Operation::Base(BaseSource::Directory { context: "c".to_owned() });
    for operation in [base, copy("x"), Operation::Run(Box::new(run()))] {
        for lookup in [Lookup::Definition, Lookup::Content] {
            let first = operation.facts(lookup).into_iter().next();
            assert_eq!(first, Some(("rules of this version".to_owned(), RULES.to_string())));
        }
    }
}

#[test]
fn the_two_ways_to_look_up_never_meet() {
    let operation = copy("x");
    let key = |lookup| cache_key(&operation, lookup, &[]);
    assert_ne!(key(Lookup::Definition), key(Lookup::Content));
}
