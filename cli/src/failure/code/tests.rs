//! Every code has a page, and is raised.

use std::collections::BTreeSet;
use std::io;

use wythe_aws::error::{AwsError, AwsProblem};
use wythe_builder::error::{BuildError, StepFailure};
use wythe_registry::credentials::CredentialError;
use wythe_registry::error::RegistryError;
use wythe_sandbox::StepError;
use wythe_store::open::OpenError;
use wythe_store::place::PlaceError;

use super::*;
use crate::failure::{Class, Failure};

fn pages() -> BTreeSet<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors");
    let names = std::fs::read_dir(folder).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let expected: BTreeSet<String> = ErrorCode::names().map(|name| format!("{name}.md")).collect();
    assert_eq!(pages(), expected);
    for (code, name, page) in PAGES {
        assert_eq!(code.name(), name);
        assert!(page.starts_with(&format!("# {name}: ")), "{page}");
        assert!(page.contains("\n## What to do\n") && page.contains("\n## Example\n"), "{page}");
        assert!(is_code(name));
    }
    assert_eq!(ErrorCode::page("e0101"), ErrorCode::page("E0101"));
    assert!(!is_code("E010") && !is_code("eabcd") && !is_code("e0101b"));
}

/// The codes that a text names.
fn raised(text: &str) -> BTreeSet<&str> {
    ErrorCode::names().filter(|name| text.contains(name)).collect()
}

#[test]
fn every_code_is_raised_by_a_case() {
    let cases = concat!(
        include_str!("../../../tests/e2e/cases/error_codes.sh"),
        include_str!("../../../tests/quirks/handshakes.rs"),
        // Those below.
        include_str!("tests.rs"),
    );
    let expected: BTreeSet<&str> = ErrorCode::names().collect();
    assert_eq!(raised(cases), expected);
}

#[track_caller]
fn check(failure: &Failure, expected: &str) {
    let lines = failure.lines();
    let last = lines.last().unwrap();
    assert_eq!(last, &format!("code: {expected} (see `wythe explain {expected}`)"), "{lines:?}");
}

fn of_registry(problem: RegistryProblem) -> Failure {
    RegistryError { method: "GET".to_owned(), url: "https://r.io/v2/".to_owned(), problem }.into()
}

fn status(status: u16) -> RegistryProblem {
    RegistryProblem::Status { status, body: String::new(), retry_after: None, challenge: None }
}

#[test]
fn answers_of_registries_have_codes() {
    let detail = "no route".to_owned();
    check(&of_registry(RegistryProblem::Transport { detail }), "E0303");
    check(&of_registry(RegistryProblem::PlainHttp), "E0305");
    let (body, tag) = (String::new(), "v1".to_owned());
    check(&of_registry(RegistryProblem::Unchallenged { status: 401, body }), "E0302");
    check(&of_registry(RegistryProblem::TagTaken { tag, found: None }), "E0308");
    let name = "../x".to_owned();
    let credentials = CredentialError::HelperName { name };
    check(&of_registry(RegistryProblem::Credentials(credentials)), "E0405");
    let of_source = |problem| {
        let error = Box::new(AwsError { operation: "sts:AssumeRole".to_owned(), problem });
        of_registry(RegistryProblem::Credentials(CredentialError::Source { name: "ECR", error }))
    };
    let refused = |status, code: &str| {
        let (code, message) = (code.to_owned(), String::new());
        of_source(AwsProblem::Refused { status, code, message })
    };
    check(&refused(400, "InvalidIdentityToken"), "E0405");
    check(&refused(400, "ThrottlingException"), "E0306");
    check(&refused(503, "ServiceUnavailable"), "E0307");
    let (method, url) = ("POST".to_owned(), "https://sts.amazonaws.com/".to_owned());
    let problem = RegistryProblem::Transport { detail: "no route".to_owned() };
    let unanswered = RegistryError { method, url, problem };
    check(&of_source(AwsProblem::Request(Box::new(unanswered))), "E0303");
    check(&of_registry(status(429)), "E0306");
    check(&of_registry(status(503)), "E0307");
    let (found, expected) =
        (wythe_store::digest::Digest::of(b"x"), wythe_store::digest::Digest::of(b"y"));
    check(&of_registry(RegistryProblem::Digest { found, expected }), "E0602");
}

#[test]
fn stores_that_cannot_be_used_have_codes() {
    let of = |cause| Failure::from(OpenError { path: "/s".into(), cause });
    check(&of(OpenCause::Place(PlaceError::ReadOnly)), "E0403");
    check(&of(OpenCause::WritableByOthers { mode: 0o777 }), "E0404");
    check(&of(OpenCause::ForeignOwner { owner: 0 }), "E0404");
    check(&of(OpenCause::Format(FormatError::TooNew { found: 99 })), "E0402");
    check(&of(OpenCause::Format(FormatError::Malformed)), "E0601");
    let torn = ReadError { path: "packs/a".to_owned(), cause: ReadCause::Truncated };
    check(&torn.into(), "E0601");
}

#[test]
fn disks_that_are_full_or_broken_have_codes_whatever_was_done() {
    let of = |errno: rustix::io::Errno| {
        Failure::of(Class::Environment, &io::Error::from_raw_os_error(errno.raw_os_error()))
    };
    check(&of(rustix::io::Errno::NOSPC), "E0501");
    check(&of(rustix::io::Errno::IO), "E0603");
}

#[test]
fn ends_of_steps_have_codes() {
    let of = |cause| {
        let place = wythe_builder::error::SourceLocation::default();
        Failure::from(BuildError { place, step: None, cause })
    };
    let held = StepError { doing: "ending".to_owned(), cause: StepCause::HeldOpen };
    check(&of(BuildCause::Sandbox(held)), "E0203");
    let barred = StepError { doing: "starting".to_owned(), cause: StepCause::NotEntered };
    check(&of(BuildCause::Sandbox(barred)), "E0401");
    let step = StepFailure {
        command: "false".to_owned(),
        outcome: wythe_sandbox::Outcome::Exited(1),
        output: Vec::new(),
        elapsed: std::time::Duration::ZERO,
        full: None,
    };
    check(&of(BuildCause::Step(step)), "E0201");
}
