//! `--mount` fields as tables of cases.

use std::convert::Infallible;

use super::{Access, Mount, Owner, Requirement, Sharing, parse};
use crate::diagnostic::Diagnostic;
use crate::span::{Span, Spanned};

fn read(value: &str) -> Result<Mount, Diagnostic> {
    let word = Spanned::new(value.to_owned(), Span::new(0, value.len()));
    let expand = |text: &str| Ok::<_, Infallible>(text.replace("$x", "/from-x"));
    parse(&word)?.interpret(expand)
}

#[track_caller]
fn refused(value: &str, expected: &str) {
    let message = read(value).unwrap_err().message;
    assert!(message.contains(expected), "{value}: {message}");
}

#[test]
fn a_mount_is_a_read_only_bind_unless_it_says_otherwise() {
    let Ok(Mount::Bind(bind)) = read("target=/m,from=base,source=/s") else { panic!("no bind") };
    assert_eq!((bind.from.as_deref(), bind.source.as_deref()), (Some("base"), Some("/s")));
    assert_eq!((bind.target.as_str(), bind.access), ("/m", Access::ReadOnly));
    let Ok(Mount::Bind(bind)) = read("rw,dst=/m") else { panic!("no bind") };
    assert_eq!(bind.access, Access::ReadWrite);
}

#[test]
fn keys_are_free_in_case_and_order() {
    for text in
        ["type=secret,id=n,required", "required,id=n,type=secret", "ID=n,Required=true,TYPE=secret"]
    {
        let Ok(Mount::Secret(secret)) = read(text) else { panic!("{text}") };
        assert_eq!((secret.id.as_str(), secret.required), ("n", Requirement::Required), "{text}");
    }
    let Ok(Mount::Tmpfs(tmpfs)) = read("size=1m,type=tmpfs,target=/t") else { panic!("no tmpfs") };
    assert_eq!(tmpfs.size, Some(1 << 20));
}

#[test]
fn a_cache_is_writable_and_shared() {
    let Ok(Mount::Cache(cache)) = read("type=cache,target=/c,uid=5,mode=0700") else {
        panic!("no cache")
    };
    assert_eq!((cache.sharing, cache.access), (Sharing::Shared, Access::ReadWrite));
    assert_eq!(cache.owner, Owner { uid: 5, gid: 0, mode: 0o700 });
    let Ok(Mount::Cache(cache)) = read("type=cache,target=c,sharing=locked,ro") else {
        panic!("no cache")
    };
    assert_eq!((cache.sharing, cache.access), (Sharing::Locked, Access::ReadOnly));
}

#[test]
fn a_secret_is_a_file_unless_it_is_a_variable() {
    let targets = [
        ("type=secret,id=a", Some("/run/secrets/a")),
        ("type=secret,target=/etc/key", Some("/etc/key")),
        ("type=secret,id=a,env=A", None),
        ("type=secret,id=a,env=A,target=/k", Some("/k")),
    ];
    for (text, expected) in targets {
        let Ok(Mount::Secret(secret)) = read(text) else { panic!("{text}") };
        assert_eq!(secret.target.as_deref(), expected, "{text}");
    }
    let Ok(Mount::Secret(secret)) = read("type=secret,target=/etc/key") else {
        panic!("no secret")
    };
    assert_eq!((secret.id.as_str(), secret.owner.mode), ("key", 0o400));
}

#[test]
fn a_variable_without_a_name_is_an_error() {
    for text in
        ["id=a,env=", "id=a,env==", "target=/k,env=", "id=a,env=A,env=", "id=a,env=,required"]
    {
        refused(&format!("type=secret,{text}"), "environment variable: name cannot be empty");
    }
    let Ok(Mount::Secret(secret)) = read("type=secret,id=a,env=,env=A") else {
        panic!("no secret")
    };
    assert_eq!(secret.env.as_deref(), Some("A"));
}

#[test]
fn an_agent_has_the_name_default() {
    let Ok(Mount::Ssh(ssh)) = read("type=ssh") else { panic!("no ssh") };
    assert_eq!((ssh.id.as_str(), ssh.target, ssh.owner.mode), ("default", None, 0o600));
}

#[test]
fn every_value_but_from_is_expanded() {
    let Ok(Mount::Bind(bind)) = read("target=$x,source=$x/y") else { panic!("no bind") };
    assert_eq!((bind.target.as_str(), bind.source.as_deref()), ("/from-x", Some("/from-x/y")));
    refused("from=$x,target=/m", "variable expansion is not supported");
}

#[test]
fn the_root_is_no_target() {
    for text in ["type=cache,target=/", "target=/a/..", "type=tmpfs,target=//"] {
        refused(text, "invalid mount target");
    }
}

#[test]
fn a_mount_without_a_target_goes_to_the_working_directory() {
    let Ok(Mount::Bind(bind)) = read("from=stage") else { panic!("no bind") };
    assert_eq!(bind.target, "");
    let Ok(Mount::Tmpfs(tmpfs)) = read("type=tmpfs,target=") else { panic!("no tmpfs") };
    assert_eq!(tmpfs.target, "");
}

#[test]
fn keys_that_do_nothing_are_refused() {
    refused("target=/m,uid=1", "uid not allowed for \"bind\" type mounts");
    refused("type=cache,target=/c,required", "unexpected key 'required'");
    refused("type=bind,target=/c,sharing=locked", "invalid cache sharing set for bind mount");
    refused("type=secret,id=a,source=b", "both source and id");
    refused("type=secret", "invalid secret mount");
}

#[test]
fn bad_values_say_which() {
    refused("type=cahce,target=/c", "unsupported mount type \"cahce\"");
    refused("type=cache,target=/c,mode=rwx", "invalid value for mode: \"rwx\"");
    refused("type=cache,target=/c,sharing=no", "unsupported sharing value \"no\"");
    refused("target=/c,ro=perhaps", "invalid value for ro: \"perhaps\"");
    refused("type=tmpfs,target=/c,size=big", "invalid value for size");
}

#[test]
fn the_misspelt_type_gets_a_suggestion() {
    assert_eq!(
        read("type=cahce,target=/c").unwrap_err().help.as_deref(),
        Some("did you mean cache?")
    );
}
