//! Registries that speak TLS: whom they are believed by, and what they have to be shown.

use std::fs;

use crate::bench::{Bench, shared};

/// What is said of a push that is refused.
fn refused(bench: &Bench) -> String {
    let (store, _) = shared();
    let outcome = bench.run(store, &["push", "app:1", &bench.name("team/app:1")]);
    assert!(!outcome.works, "{}", outcome.output);
    assert!(bench.server.entries().is_empty(), "nothing was asked: {:?}", bench.server.entries());
    outcome.complaint
}

#[test]
fn a_registry_of_another_authority_is_shown_nothing() {
    let (first, second) = (Bench::new(&[("tls", "")]), Bench::new(&[("tls", "")]));
    let authority = |bench: &Bench| bench.certificates().join("ca.crt");
    fs::copy(authority(&second), authority(&first)).unwrap();
    let complaint = refused(&first);
    assert!(complaint.contains("not trusted"), "{complaint}");
    assert!(complaint.contains("code: E0304"), "{complaint}");
}

#[test]
fn a_registry_that_wants_a_certificate_is_named_where_there_is_none() {
    let bench = Bench::new(&[("client-certificates", "")]);
    for name in ["client.cert", "client.key"] {
        fs::remove_file(bench.certificates().join(name)).unwrap();
    }
    let complaint = refused(&bench);
    assert!(complaint.contains("certificate"), "{complaint}");
}
