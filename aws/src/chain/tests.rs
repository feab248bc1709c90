//! The search for keys against services that answer as AWS's do.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::fake_service::{Asked, FakeService, given};

const ROLE_KEYS: &str = r#"{"Code":"Success","AccessKeyId":"ROLE","SecretAccessKey":"hush",
    "Token":"session-hush","Expiration":"2026-03-01T06:00:00Z"}"#;

/// What STS answers to whoever assumes a role.
fn sts_answer(id: &str) -> String {
    format!(
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>{id}</AccessKeyId>\
         <SecretAccessKey>hush</SecretAccessKey><SessionToken>session-hush</SessionToken>\
         <Expiration>2026-03-01T01:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
    )
}

/// Surroundings with these variables and files below `.aws`; no instance answers.
fn around(variables: &[(&str, &str)], files: &[(&str, &str)]) -> (Arc<Surroundings>, TempDir) {
    let home = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = home.path().join(".aws").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let off = [("AWS_EC2_METADATA_DISABLED", "true")];
    let off = off.into_iter().filter(|_| {
        !variables.iter().any(|(name, _)| *name == "AWS_EC2_METADATA_SERVICE_ENDPOINT")
    });
    let variables: Vec<(&str, &str)> = variables.iter().copied().chain(off).collect();
    let mut around = Surroundings::bare(&variables);
    around.home = Some(home.path().to_owned());
    (Arc::new(around), home)
}

fn search(around: &Arc<Surroundings>) -> Result<Keys, AwsError> {
    let region = "eu-west-1".parse().unwrap();
    Chain::new(around.clone(), Origin::Search(region)).keys()
}

/// The name of the key that is found.
#[track_caller]
fn found(variables: &[(&str, &str)], files: &[(&str, &str)]) -> String {
    let (around, _home) = around(variables, files);
    search(&around).unwrap().access_key_id
}

/// Why none is found.
#[track_caller]
fn refused(variables: &[(&str, &str)], files: &[(&str, &str)]) -> String {
    let (around, _home) = around(variables, files);
    let error = search(&around).unwrap_err().to_string();
    assert!(!error.contains("hush"), "{error}");
    error
}

const STATIC: (&str, &str) = (
    "credentials",
    "[default]\naws_access_key_id=DEFAULT\naws_secret_access_key=hush\n\
     [other]\naws_access_key_id=OTHER\naws_secret_access_key=hush\n",
);

#[test]
fn variables_come_first_then_the_profile_that_is_named_then_the_default() {
    let keys = [("AWS_ACCESS_KEY_ID", "VAR"), ("AWS_SECRET_ACCESS_KEY", "hush")];
    assert_eq!(found(&keys, &[STATIC]), "VAR");
    assert_eq!(found(&[("AWS_PROFILE", "other")], &[STATIC]), "OTHER");
    assert_eq!(found(&[], &[STATIC]), "DEFAULT");
}

#[test]
fn where_there_is_nothing_everything_that_was_looked_at_is_named() {
    let error = refused(&[], &[]);
    for word in ["AWS_ACCESS_KEY_ID", "~/.aws", "web identity", "AWS_EC2_METADATA_DISABLED"] {
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn what_is_named_and_not_to_be_had_is_no_reason_to_take_other_keys() {
    let error = refused(&[("AWS_PROFILE", "gone")], &[STATIC]);
    assert!(error.contains("profile gone") && error.contains("~/.aws/config"), "{error}");
    let error = refused(&[("AWS_ACCESS_KEY_ID", "VAR")], &[STATIC]);
    assert!(error.contains("AWS_SECRET_ACCESS_KEY"), "{error}");
    let identity = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/no/such/token"),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
    ];
    let error = refused(&identity, &[STATIC]);
    assert!(error.contains("/no/such/token"), "{error}");
}

#[test]
fn a_profile_assumes_its_role_with_the_keys_of_another() {
    let sts = FakeService::start(|_| given(200, &sts_answer("ASSUMED")));
    let config = "[profile deploy]\nrole_arn=arn:aws:iam::1:role/deploy\nsource_profile=other\n\
        external_id=x/1\nregion=eu-central-1\n";
    let variables = [("AWS_PROFILE", "deploy"), ("AWS_ENDPOINT_URL_STS", &sts.url)];
    assert_eq!(found(&variables, &[STATIC, ("config", config)]), "ASSUMED");
    let asked = &sts.asked()[0];
    let signature = asked.header("authorization");
    assert!(signature.contains("Credential=OTHER/20260301/eu-central-1/sts/"), "{signature}");
    let body = asked.text();
    assert!(body.contains("Action=AssumeRole&") && body.contains("ExternalId=x%2F1"), "{body}");
    assert!(body.contains("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fdeploy"), "{body}");
}

#[test]
fn profiles_that_lead_in_a_circle_are_an_error_and_one_may_lead_to_itself() {
    let circle =
        "[profile a]\nrole_arn=r\nsource_profile=b\n[profile b]\nrole_arn=r\nsource_profile=a\n";
    let error = refused(&[("AWS_PROFILE", "a")], &[("config", circle)]);
    assert!(error.contains("leads back to itself"), "{error}");
    let sts = FakeService::start(|_| given(200, &sts_answer("ASSUMED")));
    let own = "[profile a]\nrole_arn=r\nsource_profile=a\naws_access_key_id=OWN\naws_secret_access_key=s\n";
    let variables = [("AWS_PROFILE", "a"), ("AWS_ENDPOINT_URL", &sts.url)];
    assert_eq!(found(&variables, &[("config", own)]), "ASSUMED");
    assert!(sts.asked()[0].header("authorization").contains("Credential=OWN/"));
}

#[test]
fn a_role_that_may_not_be_assumed_is_told_with_the_permission_that_lacks() {
    let sts = FakeService::start(|_| {
        let text = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>User: arn:aws:iam::1:user/u is \
            not authorized to perform: sts:AssumeRole on resource: r</Message></Error></ErrorResponse>";
        given(403, text)
    });
    let config = "[default]\nrole_arn=r\nsource_profile=other\n";
    let files = [
        ("credentials", "[other]\naws_access_key_id=A\naws_secret_access_key=hush\n"),
        ("config", config),
    ];
    let (around, _home) = around(&[("AWS_ENDPOINT_URL", &sts.url)], &files);
    let AwsProblem::Denied { missing, .. } = search(&around).unwrap_err().problem else {
        panic!("not denied")
    };
    assert_eq!(missing.action.as_deref(), Some("sts:AssumeRole"));
}

#[test]
fn a_web_identity_is_shown_unsigned() {
    let sts = FakeService::start(|_| given(200, &sts_answer("WEB")));
    let (around, home) = around(&[], &[("token", "jwt-hush\n")]);
    let token = home.path().join(".aws/token");
    let mut variables = Arc::unwrap_or_clone(around);
    for (name, value) in [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/pod"),
        ("AWS_ENDPOINT_URL_STS", &sts.url),
    ] {
        variables.variables.insert(name.to_owned(), value.to_owned());
    }
    assert_eq!(search(&Arc::new(variables)).unwrap().access_key_id, "WEB");
    let asked = &sts.asked()[0];
    assert_eq!(asked.header("authorization"), "");
    assert!(asked.text().ends_with("&WebIdentityToken=jwt-hush"), "{}", asked.text());
}

#[test]
fn a_container_shows_its_token_to_its_endpoint() {
    let endpoint = FakeService::start(|asked: &Asked| match asked.header("authorization") {
        "pod-hush" => given(200, ROLE_KEYS),
        _ => given(403, "no"),
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "pod-hush\n").unwrap();
    let url = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/v1/credentials", endpoint.url));
    let url = (url.0, url.1.as_str());
    let by_file = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.to_str().unwrap());
    assert_eq!(found(&[url, by_file], &[]), "ROLE");
    assert_eq!(found(&[url, ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "pod-hush")], &[]), "ROLE");
    let error = refused(&[url, ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "other-hush")], &[]);
    assert!(error.contains("status 403"), "{error}");
}

#[test]
fn an_instance_wants_a_token_before_it_tells_of_its_role() {
    let service = FakeService::start(|asked: &Asked| {
        let shown = asked.header("x-aws-ec2-metadata-token") == "imds-hush";
        match (&*asked.method, &*asked.target, shown) {
            ("PUT", "/latest/api/token", _) => given(200, "imds-hush"),
            ("GET", "/latest/meta-data/iam/security-credentials/", true) => given(200, "builder\n"),
            ("GET", "/latest/meta-data/iam/security-credentials/builder", true) => {
                given(200, ROLE_KEYS)
            }
            _ => given(401, ""),
        }
    });
    let endpoint = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.url.as_str());
    assert_eq!(found(&[endpoint], &[]), "ROLE");
    let without = FakeService::start(|asked: &Asked| match &*asked.method {
        "PUT" => given(200, "t"),
        _ => given(404, ""),
    });
    let error = refused(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &without.url)], &[]);
    assert!(error.contains("has no role"), "{error}");
    let error = refused(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")], &[]);
    assert!(error.contains("hop limit"), "{error}");
}

#[test]
fn a_login_in_the_browser_gives_keys_until_it_ends() {
    let portal = FakeService::start(|asked: &Asked| {
        assert_eq!(asked.header("x-amz-sso_bearer_token"), "sso-hush");
        assert_eq!(asked.target, "/federation/credentials?account_id=1&role_name=dev");
        let keys = r#"{"roleCredentials":{"accessKeyId":"SSO","secretAccessKey":"hush",
            "sessionToken":"hush","expiration":1772330400000}}"#;
        given(200, keys)
    });
    let config = "[profile dev]\nsso_session=work\nsso_account_id=1\nsso_role_name=dev\n\
        [sso-session work]\nsso_region=eu-north-1\nsso_start_url=https://x.awsapps.com/start\n";
    // The name is the SHA-1 of `work`.
    let file = "sso/cache/e274eeff768c6396088ec6eb091f4bf4d47ab1e0.json";
    let login = |end: &str| format!(r#"{{"accessToken":"sso-hush","expiresAt":"{end}"}}"#);
    let variables = [("AWS_PROFILE", "dev"), ("AWS_ENDPOINT_URL_SSO", portal.url.as_str())];
    let good = login("2026-03-01T08:00:00Z");
    assert_eq!(found(&variables, &[("config", config), (file, &good)]), "SSO");
    let ended = login("2026-02-28T08:00:00UTC");
    let error = refused(&variables, &[("config", config), (file, &ended)]);
    assert!(error.contains("`aws sso login --profile dev`"), "{error}");
    assert!(refused(&variables, &[("config", config)]).contains("nobody has signed in"));
}

#[test]
fn a_program_of_the_profile_hands_out_keys() {
    let of = |command: &str| format!("[default]\ncredential_process = {command}\n");
    let good = of(
        r#"echo '{"Version":1,"AccessKeyId":"PROC","SecretAccessKey":"hush","SessionToken":"t"}'"#,
    );
    assert_eq!(found(&[], &[("config", &good)]), "PROC");
    assert!(refused(&[], &[("config", &of("echo hush; exit 3"))]).contains("exit status: 3"));
    assert!(refused(&[], &[("config", &of("echo hush"))]).contains("other than keys"));
}

#[test]
fn keys_are_searched_for_once_until_they_end() {
    let sts = FakeService::start(|_| given(200, &sts_answer("ASSUMED")));
    let config = "[default]\nrole_arn=r\nsource_profile=other\n";
    let files = [
        ("credentials", "[other]\naws_access_key_id=A\naws_secret_access_key=s\n"),
        ("config", config),
    ];
    let (around, _home) = around(&[("AWS_ENDPOINT_URL", &sts.url)], &files);
    let chain = Chain::new(around, Origin::Search("eu-west-1".parse().unwrap()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| chain.keys().unwrap());
        }
    });
    assert_eq!(sts.asked().len(), 1);
}

#[test]
fn keys_of_a_session_that_has_ended_are_replaced_once() {
    let (around, _home) = around(&[], &[STATIC]);
    let chain = Chain::new(around, Origin::Search("eu-west-1".parse().unwrap()));
    let calls = std::cell::Cell::new(0);
    let result: Result<(), _> = chain.with_keys(|_| {
        calls.set(calls.get() + 1);
        Err(AwsError::new("x", AwsProblem::refused(400, "ExpiredToken", "")))
    });
    assert!(result.is_err());
    assert_eq!(calls.get(), 2);
}
