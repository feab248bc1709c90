//! Tokens and repositories, against a control plane that answers as ECR's does.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::fake_service::{Asked, FakeService, Given, given};

const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

fn registry() -> RegistryHost {
    RegistryHost::parse(HOST).unwrap()
}

/// ECR at a service, with keys in variables.
fn ecr(service: &FakeService, folder: Option<PathBuf>, more: &[(&str, &str)]) -> Ecr {
    let keys = [("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "hush")];
    let url = [("AWS_ENDPOINT_URL", service.url.as_str())];
    let variables: Vec<(&str, &str)> =
        keys.into_iter().chain(url).chain(more.iter().copied()).collect();
    Ecr::new(Arc::new(Surroundings::bare(&variables)), folder)
}

/// The answer with a token that ends so many seconds after the moment of the tests.
fn token(seconds: i64) -> Given {
    let start: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
    let pair = STANDARD.encode("AWS:token-hush");
    let text = format!(
        r#"{{"authorizationData":[{{"authorizationToken":"{pair}","expiresAt":{}.5,"proxyEndpoint":"x"}}]}}"#,
        start.as_second() + seconds
    );
    given(200, &text)
}

#[test]
fn a_token_is_asked_for_as_ecr_wants_it_and_kept() {
    let service = FakeService::start(|_| token(43_200));
    let folder = tempfile::tempdir().unwrap();
    let at = || ecr(&service, Some(folder.path().to_owned()), &[]);
    assert_eq!(at().password(&registry()).unwrap(), Hidden::new("token-hush"));
    assert_eq!(at().password(&registry()).unwrap(), Hidden::new("token-hush"));
    let asked = service.asked();
    assert_eq!(asked.len(), 1);
    let target = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
    assert_eq!(asked[0].header("x-amz-target"), target);
    assert_eq!(asked[0].text(), r#"{"registryIds":["123456789012"]}"#);
    let signature = asked[0].header("authorization");
    assert!(
        signature.contains("Credential=AKID/20260301/eu-west-1/ecr/aws4_request"),
        "{signature}"
    );
}

#[test]
fn another_user_gets_a_token_of_their_own() {
    let service = FakeService::start(|_| token(43_200));
    let folder = tempfile::tempdir().unwrap();
    let at = |more: &[(&str, &str)]| ecr(&service, Some(folder.path().to_owned()), more);
    at(&[]).password(&registry()).unwrap();
    at(&[("AWS_SESSION_TOKEN", "another")]).password(&registry()).unwrap();
    assert_eq!(service.asked().len(), 2);
    at(&[("AWS_ECR_DISABLE_CACHE", "true")]).password(&registry()).unwrap();
    assert_eq!(service.asked().len(), 3);
}

#[test]
fn a_token_that_ends_soon_is_used_only_where_there_is_no_other() {
    let answers = AtomicU32::new(0);
    let service = FakeService::start(move |_| match answers.fetch_add(1, Ordering::Relaxed) {
        0 => token(600),
        _ => given(400, r#"{"__type":"ServerException","message":"down"}"#),
    });
    let folder = tempfile::tempdir().unwrap();
    let at = || ecr(&service, Some(folder.path().to_owned()), &[]);
    at().password(&registry()).unwrap();
    assert_eq!(at().password(&registry()).unwrap(), Hidden::new("token-hush"));
    assert_eq!(service.asked().len(), 2);
    let nothing_kept = ecr(&service, None, &[]).password(&registry()).unwrap_err();
    assert_eq!(nothing_kept.code(), Some("ServerException"));
}

#[test]
fn who_has_no_keys_is_told_so_for_a_private_registry_and_a_guest_of_the_public_one() {
    let around = Surroundings::bare(&[("AWS_EC2_METADATA_DISABLED", "true")]);
    let ecr = Ecr::new(Arc::new(around), None);
    assert_eq!(ecr.credential("public.ecr.aws").unwrap(), None);
    assert_eq!(ecr.credential("docker.io").unwrap(), None);
    let error = ecr.credential(HOST).unwrap_err();
    assert!(error.to_string().contains("AWS_ACCESS_KEY_ID"), "{error}");
}

#[test]
fn a_missing_permission_is_named() {
    let service = FakeService::start(|_| {
        let text = r#"{"__type":"AccessDeniedException","Message":"User: arn:aws:iam::1:user/ci is not authorized
            to perform: ecr:GetAuthorizationToken on resource: * because no identity-based policy allows it"}"#;
        given(400, &text.replace('\n', " "))
    });
    let error = ecr(&service, None, &[]).password(&registry()).unwrap_err();
    let AwsProblem::Denied { missing, .. } = error.problem else { panic!("not denied: {error}") };
    assert_eq!(missing.who.as_deref(), Some("arn:aws:iam::1:user/ci"));
    assert!(!format!("{:?}", ecr(&service, None, &[])).contains("hush"));
}

#[test]
fn the_public_registry_has_a_control_plane_of_its_own() {
    let service = FakeService::start(|_| {
        let pair = STANDARD.encode("AWS:public-hush");
        let text = format!(
            r#"{{"authorizationData":{{"authorizationToken":"{pair}","expiresAt":1.9E9}}}}"#
        );
        given(200, &text)
    });
    let ecr = ecr(&service, None, &[]);
    assert!(ecr.credential("public.ecr.aws").unwrap().is_some());
    let asked = &service.asked()[0];
    assert_eq!(asked.header("x-amz-target"), "SpencerFrontendService.GetAuthorizationToken");
    assert!(asked.header("authorization").contains("/us-east-1/ecr-public/"));
}

/// A control plane that knows who may do what.
#[expect(clippy::fn_params_excessive_bools, reason = "two facts, four cases")]
fn plane(may_create: bool, exists: bool) -> FakeService {
    let denied = r#"{"__type":"AccessDeniedException","Message":"User: u is not authorized to perform: ecr:CreateRepository on resource: r"}"#;
    FakeService::start(move |asked: &Asked| {
        let is_create = asked.header("x-amz-target").ends_with(".CreateRepository");
        match (is_create, may_create, exists) {
            (true, true, true) => {
                given(400, r#"{"__type":"RepositoryAlreadyExistsException","message":"there"}"#)
            }
            (true, true, false) | (false, _, true) => given(200, "{}"),
            (true, false, _) => given(400, denied),
            (false, _, false) => {
                given(400, r#"{"__type":"RepositoryNotFoundException","message":"no"}"#)
            }
        }
    })
}

#[test]
fn a_repository_is_made_unless_it_is_there() {
    let make = |service: &FakeService| {
        let options = RepositoryOptions { scan: Scan::OnPush, tags: Tags::Immutable };
        ecr(service, None, &[]).create_repository(&registry(), "team/app", options)
    };
    let empty = plane(true, false);
    assert_eq!(make(&empty).unwrap(), Made::Now);
    let body: Value = serde_json::from_slice(&empty.asked()[0].body).unwrap();
    let expected = json!({
        "registryId": "123456789012", "repositoryName": "team/app", "imageTagMutability": "IMMUTABLE",
        "imageScanningConfiguration": {"scanOnPush": true},
    });
    assert_eq!(body, expected);
    assert_eq!(make(&plane(true, true)).unwrap(), Made::Before);
    assert_eq!(make(&plane(false, true)).unwrap(), Made::Before);
    let error = make(&plane(false, false)).unwrap_err();
    assert!(matches!(error.problem, AwsProblem::Denied { .. }), "{error}");
}
