//! Who may do what: passwords and tokens.

use std::collections::BTreeSet;
use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use crate::answer::Answer;
use crate::contents::Token;
use crate::journal::Origin;
use crate::quirks::{Door, Flag};
use crate::request::pairs;
use crate::routes::{Exchange, Place, unsupported};
use crate::server::IDENTITY_TOKEN;
use crate::step::Step;

/// Why a request is not let in.
pub(crate) fn objection(exchange: &Exchange<'_>, place: &Place<'_>, step: Step) -> Option<Answer> {
    if exchange.origin == Origin::Storage {
        let shown = exchange.request.header("authorization").is_some();
        // As S3 answers a signed address that comes with another credential.
        return shown
            .then(|| Answer::error(400, "InvalidArgument", "Only one auth mechanism allowed"));
    }
    unknown(exchange, place, step).or_else(|| denied(exchange, place, step))
}

/// Why somebody is not let in who has not said well enough who they are.
fn unknown(exchange: &Exchange<'_>, place: &Place<'_>, step: Step) -> Option<Answer> {
    let wanted = wanted(place, step);
    match exchange.shared.quirks.door {
        Door::Open => None,
        _ if step == Step::Token => None,
        Door::Basic if is_user(exchange) => None,
        Door::Basic => Some(challenge("Basic realm=\"quirks\"".to_owned())),
        Door::Bearer | Door::Oauth => {
            if has_token(exchange, &wanted) {
                return None;
            }
            let quirks = &exchange.shared.quirks;
            let realm = match &quirks.realm {
                Some(url) => url.clone(),
                None if quirks.has(Flag::RelativeRealm) => "/token".to_owned(),
                None => exchange.shared.url(Origin::Registry, "/token"),
            };
            let mut text = format!("Bearer realm=\"{realm}\",service=\"quirks\"");
            if let Some(scope) = scope(&wanted) {
                text = format!("{text},scope=\"{scope}\"");
            }
            Some(challenge(text))
        }
    }
}

/// Why somebody who is known may not do this: an action of ECR, and its words.
fn denied(exchange: &Exchange<'_>, place: &Place<'_>, step: Step) -> Option<Answer> {
    let name = repository(place)?;
    let denied = |action: &&str| exchange.shared.quirks.denied.iter().any(|one| one == action);
    let action = step.actions().iter().copied().find(denied)?;
    let text = format!(
        "User: arn:aws:iam::123456789012:user/{} is not authorized to perform: {action} on resource: \
         arn:aws:ecr:eu-west-1:123456789012:repository/{name} because no identity-based policy allows the {action} action",
        exchange.shared.user.0
    );
    Some(Answer::error(403, "DENIED", &text))
}

fn challenge(text: String) -> Answer {
    Answer::error(401, "UNAUTHORIZED", "authentication required").with("WWW-Authenticate", text)
}

/// The repository that a request is about.
fn repository<'a>(place: &Place<'a>) -> Option<&'a str> {
    match *place {
        Place::Manifest(name, _)
        | Place::Blob(name, _)
        | Place::Uploads(name)
        | Place::Upload(name, _)
        | Place::Referrers(name, _)
        | Place::Tags(name) => Some(name),
        Place::Ping
        | Place::Token
        | Place::Counts
        | Place::Made(_)
        | Place::SignIn
        | Place::Unknown => None,
    }
}

/// The rights that a request needs, each as `name:action`.
fn wanted(place: &Place<'_>, step: Step) -> Vec<String> {
    let Some(name) = repository(place) else { return Vec::new() };
    let reads = matches!(
        step,
        Step::HeadManifest
            | Step::GetManifest
            | Step::HeadBlob
            | Step::GetBlob
            | Step::Referrers
            | Step::Tags
    );
    let actions: &[&str] = if reads {
        &["pull"]
    } else if step == Step::Delete {
        &["delete"]
    } else {
        &["pull", "push"]
    };
    actions.iter().map(|action| format!("{name}:{action}")).collect()
}

/// The rights as a challenge names them.
fn scope(wanted: &[String]) -> Option<String> {
    let (name, _) = wanted.first()?.rsplit_once(':')?;
    let actions: Vec<&str> =
        wanted.iter().filter_map(|right| Some(right.rsplit_once(':')?.1)).collect();
    Some(format!("repository:{name}:{}", actions.join(",")))
}

fn is_user(exchange: &Exchange<'_>) -> bool {
    let given = exchange.request.header("authorization").unwrap_or_default();
    let text = given.strip_prefix("Basic ").and_then(|text| BASE64_STANDARD.decode(text).ok());
    let (user, password) = &exchange.shared.user;
    text.is_some_and(|text| text == format!("{user}:{password}").into_bytes())
}

/// Whether a token is shown that is still good for all of this; that is one use of it.
fn has_token(exchange: &Exchange<'_>, wanted: &[String]) -> bool {
    let given = exchange.request.header("authorization").unwrap_or_default();
    let Some(name) = given.strip_prefix("Bearer ") else { return false };
    let mut contents = exchange.shared.contents();
    let Some(token) = contents.tokens.get_mut(name) else { return false };
    let expired = token.until.is_some_and(|until| until < Instant::now());
    if expired || token.uses == 0 || !wanted.iter().all(|right| token.rights.contains(right)) {
        return false;
    }
    token.uses -= 1;
    true
}

/// Whether the token of a request has a right of its own, for what a request may do beside its purpose.
pub(crate) fn may(exchange: &Exchange<'_>, right: &str) -> bool {
    if !matches!(exchange.shared.quirks.door, Door::Bearer | Door::Oauth) {
        return true;
    }
    let given = exchange.request.header("authorization").unwrap_or_default();
    let name = given.strip_prefix("Bearer ").unwrap_or_default();
    let contents = exchange.shared.contents();
    contents.tokens.get(name).is_some_and(|token| token.rights.contains(right))
}

/// The answer of the token service.
pub(crate) fn token(exchange: &Exchange<'_>, form: &str) -> Answer {
    let quirks = &exchange.shared.quirks;
    let form: Vec<(String, String)> = pairs(form).collect();
    let field = |name: &str| {
        form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    };
    let posted = exchange.request.method == "POST";
    let known = match quirks.door {
        Door::Oauth if !posted => return unsupported(405),
        Door::Oauth => {
            field("refresh_token") == IDENTITY_TOKEN
                || (field("username"), field("password"))
                    == (&*exchange.shared.user.0, &*exchange.shared.user.1)
        }
        Door::Bearer if posted => return unsupported(405),
        Door::Bearer => is_user(exchange),
        Door::Open | Door::Basic => return unsupported(404),
    };
    let shown = exchange.request.header("authorization").is_some() || posted;
    let is_guest = !known && !shown && quirks.has(Flag::Guests);
    if !known && !is_guest {
        return Answer::error(401, "UNAUTHORIZED", "incorrect username or password");
    }
    let mut scopes = exchange.request.query("scope");
    scopes.extend(form.iter().filter(|(key, _)| key == "scope").map(|(_, value)| value.clone()));
    let mut scopes: Vec<&str> = scopes.iter().flat_map(|scope| scope.split(' ')).collect();
    if quirks.has(Flag::FirstScopeOnly) {
        scopes.truncate(1);
    }
    let rights = scopes.into_iter().flat_map(rights);
    let rights: BTreeSet<String> =
        rights.filter(|right| !is_guest || right.ends_with(":pull")).collect();
    let until = quirks.token_ttl.map(|ttl| Instant::now() + ttl);
    let uses = quirks.token_uses.unwrap_or(u64::MAX);
    let mut contents = exchange.shared.contents();
    let name = format!("quirks-token-{}", contents.number());
    contents.tokens.insert(name.clone(), Token { until, uses, rights });
    let ttl = quirks.token_ttl.map_or(300, |ttl| ttl.as_secs());
    Answer::json(&json!({"token": name, "access_token": name, "expires_in": ttl}))
}

/// The rights of a scope. The name of a repository may have a colon, that of a port.
fn rights(scope: &str) -> Vec<String> {
    let parts = scope.strip_prefix("repository:").and_then(|rest| rest.rsplit_once(':'));
    let Some((name, actions)) = parts else { return Vec::new() };
    let all = if actions == "*" { "pull,push,delete" } else { actions };
    all.split(',').map(|action| format!("{name}:{action}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_what_a_challenge_asks_for() {
        let wanted = wanted(&Place::Uploads("a/b"), Step::BeginUpload);
        let scope = scope(&wanted).unwrap();
        assert_eq!(scope, "repository:a/b:pull,push");
        assert_eq!(rights(&scope), wanted);
        assert_eq!(rights("registry:catalog:*"), [""; 0]);
    }
}
