//! The signatures that AWS publishes (the suite `aws-signing-test-suite/v4`, for headers), and one of S3's
//! documentation.

use super::*;

const TOKEN: &str = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";

/// A case: its name there; method, path, parameters, headers, body; and the signature.
struct Case {
    name: &'static str,
    request: &'static str,
    query: &'static [(&'static str, &'static str)],
    headers: &'static [(&'static str, &'static str)],
    signature: &'static str,
}

const fn case(
    name: &'static str,
    request: &'static str,
    query: &'static [(&'static str, &'static str)],
    headers: &'static [(&'static str, &'static str)],
    signature: &'static str,
) -> Case {
    Case { name, request, query, headers, signature }
}

const UNRESERVED: &str = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

const CASES: &[Case] = &[
    case(
        "get-vanilla",
        "GET /",
        &[],
        &[],
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    case(
        "post-vanilla",
        "POST /",
        &[],
        &[],
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ),
    case(
        "post-vanilla-query",
        "POST /",
        &[("Param1", "value1")],
        &[],
        "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
    ),
    case(
        "get-vanilla-empty-query-key",
        "GET /",
        &[("Param1", "value1")],
        &[],
        "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
    ),
    case(
        "get-vanilla-query-order-encoded",
        "GET /",
        &[("Param-3", "Value3"), ("Param", "Value2"), ("ሴ", "Value1")],
        &[],
        "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
    ),
    case(
        "get-vanilla-query-order-key-case",
        "GET /",
        &[("Param2", "value2"), ("Param1", "value1")],
        &[],
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    case(
        "get-vanilla-query-unreserved",
        "GET /",
        &[(UNRESERVED, UNRESERVED)],
        &[],
        "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
    ),
    case(
        "get-vanilla-utf8-query",
        "GET /",
        &[("ሴ", "bar")],
        &[],
        "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
    ),
    case(
        "get-utf8",
        "GET /ሴ",
        &[],
        &[],
        "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
    ),
    case(
        "get-space-unnormalized",
        "GET /example space/",
        &[],
        &[],
        "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
    ),
    case(
        "get-slashes-unnormalized",
        "GET //example//",
        &[],
        &[],
        "87cca117541a147f6df867677d98a7d80dff226d2bfca9e4ffa899665623c7e5",
    ),
    case(
        "get-slash-dot-slash-unnormalized",
        "GET /./",
        &[],
        &[],
        "68714168e6557f8f2de0ef956fc24dc2593a4bd2961f8df51898d8a134695145",
    ),
    case(
        "get-unreserved",
        "GET /-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        &[],
        &[],
        "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
    ),
    case(
        "get-header-key-duplicate",
        "GET /",
        &[],
        &[("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")],
        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
    ),
    case(
        "get-header-value-order",
        "GET /",
        &[],
        &[
            ("My-Header1", "value4"),
            ("My-Header1", "value1"),
            ("My-Header1", "value3"),
            ("My-Header1", "value2"),
        ],
        "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
    ),
    case(
        "get-header-value-trim",
        "GET /",
        &[],
        &[("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")],
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
    case(
        "post-header-key-sort",
        "POST /",
        &[],
        &[("My-Header1", "value1")],
        "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
    ),
    case(
        "post-header-value-case",
        "POST /",
        &[],
        &[("My-Header1", "VALUE1")],
        "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
    ),
];

fn keys() -> Keys {
    Keys::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn authorization(
    request: &str,
    query: &[(String, String)],
    headers: &[(String, String)],
    payload: Payload<'_>,
    keys: &Keys,
) -> String {
    let (method, path) = request.split_once(' ').unwrap();
    let host = "example.amazonaws.com";
    let path_form = PathForm::Encoded;
    let request = Unsigned { method, host, path, path_form, query, headers, payload };
    let scope = Scope { region: "us-east-1", service: "service" };
    let now = "2015-08-30T12:36:00Z".parse().unwrap();
    sign(&request, scope, keys, now).pop().unwrap().1
}

#[test]
fn signatures_are_those_that_aws_publishes() {
    let empty = sha256(b"");
    for case in CASES {
        let (query, headers) = (owned(case.query), owned(case.headers));
        let payload = Payload::Hashed(&empty);
        let found = authorization(case.request, &query, &headers, payload, &keys());
        let expected = format!("Signature={}", case.signature);
        assert!(found.ends_with(&expected), "{}: {found}", case.name);
    }
}

#[test]
fn a_session_is_signed_as_aws_publishes_it() {
    let keys = keys().with_session(Some(TOKEN));
    let empty = sha256(b"");
    let found = authorization("GET /", &[], &[], Payload::Hashed(&empty), &keys);
    assert_eq!(
        found,
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
         SignedHeaders=host;x-amz-date;x-amz-security-token, \
         Signature=07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"
    );
}

#[test]
fn a_body_is_signed_as_aws_publishes_it() {
    let digest = sha256(b"Param1=value1");
    for (kind, signature) in [
        (
            "application/x-www-form-urlencoded",
            "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
        ),
        (
            "application/x-www-form-urlencoded; charset=utf-8",
            "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422",
        ),
    ] {
        let headers = owned(&[("Content-Type", kind), ("Content-Length", "13")]);
        let payload = Payload::Announced(&digest);
        let found = authorization("POST /", &[], &headers, payload, &keys());
        assert!(found.ends_with(&format!("Signature={signature}")), "{kind}: {found}");
    }
}

/// "Example: GET Object" of "Signature calculations for the Authorization header", Amazon S3 API reference.
#[test]
fn an_object_is_got_as_the_documentation_of_s3_signs_it() {
    let keys = Keys::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    let (empty, headers) = (sha256(b""), owned(&[("range", "bytes=0-9")]));
    let request = Unsigned {
        method: "GET",
        host: "examplebucket.s3.amazonaws.com",
        path: "/test.txt",
        path_form: PathForm::AsSent,
        query: &[],
        headers: &headers,
        payload: Payload::Announced(&empty),
    };
    let scope = Scope { region: "us-east-1", service: "s3" };
    let found = sign(&request, scope, &keys, "2013-05-24T00:00:00Z".parse().unwrap());
    let expected = "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
    assert!(found.last().unwrap().1.ends_with(expected), "{found:?}");
}

#[test]
fn what_is_not_plain_is_encoded() {
    assert_eq!(encode("a/b c+~ä", "/"), "a/b%20c%2B~%C3%A4");
    assert_eq!(query(&owned(&[("b", ""), ("a", "/"), ("a", "&")])), "a=%26&a=%2F&b=");
}
