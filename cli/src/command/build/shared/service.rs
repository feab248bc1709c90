//! Caches that are services: with what flags leave open taken from the environment.

use std::sync::Arc;

use wythe_cache::gha::{GHA_BUDGET, GhaCache, GhaMode, GhaOptions, GhaService};
use wythe_cache::http::{HttpAccess, HttpCache, HttpOptions};
use wythe_registry::settings::SystemTiming;

use crate::args::cache::CachePlace;
use crate::args::cache::service::{ActionsPlace, ActionsVersion, WebPlace};
use crate::failure::Failure;
use crate::session::Session;
use crate::settings::Settings;

/// Who asks a web server where the flag does not say.
const USERNAME: &str = "WYTHE_CACHE_USERNAME";
const PASSWORD: &str = "WYTHE_CACHE_PASSWORD";
const TOKEN: &str = "WYTHE_CACHE_TOKEN";

/// What a job may do with the cache of GitHub Actions.
const MODE: &str = "ACTIONS_CACHE_MODE";

/// What is kept where no scope is given, as with BuildKit.
const SCOPE: &str = "buildkit";

pub(super) fn web(place: &WebPlace, session: &Session) -> Result<HttpCache, Failure> {
    let (url, scope) = (place.url.clone(), place.scope.clone());
    let options = HttpOptions { url, scope, access: access(place, &session.settings) };
    HttpCache::new(session.registry()?, Arc::new(SystemTiming), options)
        .map_err(|error| Failure::usage(format!("a cache of type=http: {error}")))
}

fn access(place: &WebPlace, settings: &Settings) -> HttpAccess {
    let or = |told: &Option<String>, variable| told.clone().or_else(|| set(settings, variable));
    if let Some(user) = or(&place.username, USERNAME) {
        return HttpAccess::Basic {
            user,
            password: or(&place.password, PASSWORD).unwrap_or_default(),
        };
    }
    or(&place.token, TOKEN).map_or(HttpAccess::Anonymous, HttpAccess::Bearer)
}

/// The cache of a job; none, with a remark, where this is no job, its variables were not handed on, or it may not use it.
pub(super) fn actions(
    place: &ActionsPlace,
    session: &Session,
) -> Result<Option<GhaCache>, Failure> {
    let (service, token) = match job(place, &session.settings) {
        Ok(found) => found,
        Err(lacking) => {
            session.remark(&format!(
                "the cache of GitHub Actions is not used: {lacking} is not set; an action has to hand it on to steps"
            ));
            return Ok(None);
        }
    };
    let mode = mode(&session.settings);
    let builds_on = if mode == GhaMode::WriteOnly {
        ", and what is written builds on what is read"
    } else {
        ""
    };
    if !mode.reads() {
        session.remark(&format!(
            "the cache of GitHub Actions is not used: {MODE} is {mode}{builds_on}"
        ));
        return Ok(None);
    }
    let scope = place.scope.clone().unwrap_or_else(|| SCOPE.to_owned());
    let options = GhaOptions { service, token, mode, scope, budget: GHA_BUDGET };
    Ok(Some(GhaCache::new(session.registry()?, Arc::new(SystemTiming), options)))
}

/// Whether a cache that is there to be read is to be written, too. A job that may not do so builds as ever: that is told,
/// and is no error.
pub(super) fn is_writable(place: &CachePlace, session: &Session) -> bool {
    let mode = mode(&session.settings);
    let is_writable = !matches!(place, CachePlace::Gha(_)) || !mode.reads() || mode.writes();
    if !is_writable {
        session.remark(&format!("the cache of GitHub Actions is not written: {MODE} is {mode}"));
    }
    is_writable
}

/// What the workflow of the job lets it do with the cache.
fn mode(settings: &Settings) -> GhaMode {
    GhaMode::of(&set(settings, MODE).unwrap_or_default())
}

/// The service and the token of the job, or the variable that is lacking.
fn job(place: &ActionsPlace, settings: &Settings) -> Result<(GhaService, String), &'static str> {
    let or = |told: &Option<String>, variable: &'static str| {
        told.clone().or_else(|| set(settings, variable)).ok_or(variable)
    };
    let token = or(&place.token, "ACTIONS_RUNTIME_TOKEN")?;
    let service = match place.version.unwrap_or_else(|| version(settings)) {
        ActionsVersion::V2 => GhaService::V2(or(&place.url_v2, "ACTIONS_RESULTS_URL")?),
        ActionsVersion::V1 => GhaService::V1(or(&place.url, "ACTIONS_CACHE_URL")?),
    };
    Ok((service, token))
}

/// As GitHub's own client decides: servers of companies have the older interface, whatever else is set.
fn version(settings: &Settings) -> ActionsVersion {
    let newer = set(settings, "ACTIONS_CACHE_SERVICE_V2");
    let newer = newer.is_some_and(|text| !matches!(&*text.to_lowercase(), "0" | "false"));
    let server = set(settings, "GITHUB_SERVER_URL").unwrap_or_default();
    let host = server.split("://").nth(1).unwrap_or_default().trim_end_matches('/').to_lowercase();
    let is_githubs = matches!(&*host, "" | "github.com")
        || host.ends_with(".ghe.com")
        || host.ends_with(".localhost");
    if newer && is_githubs { ActionsVersion::V2 } else { ActionsVersion::V1 }
}

/// A variable that is set and not empty.
fn set(settings: &Settings, variable: &str) -> Option<String> {
    settings.text(variable).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [(&str, &str); 3] = [
        ("ACTIONS_RUNTIME_TOKEN", "tok"),
        ("ACTIONS_RESULTS_URL", "https://new/"),
        ("ACTIONS_CACHE_URL", "https://old/"),
    ];

    fn found(more: &[(&str, &str)]) -> Result<GhaService, &'static str> {
        let settings = Settings::of(&[&BOTH[..], more].concat());
        job(&ActionsPlace::default(), &settings).map(|(service, _)| service)
    }

    #[test]
    fn the_newer_service_is_asked_where_github_says_so_and_is_githubs_own() {
        let new = Ok(GhaService::V2("https://new/".to_owned()));
        let old = Ok(GhaService::V1("https://old/".to_owned()));
        assert_eq!(found(&[]), old);
        assert_eq!(found(&[("ACTIONS_CACHE_SERVICE_V2", "True")]), new);
        assert_eq!(found(&[("ACTIONS_CACHE_SERVICE_V2", "false")]), old);
        for (server, expected) in [
            ("https://github.com", &new),
            ("https://team.ghe.com/", &new),
            ("https://github.example", &old),
        ] {
            let more = [("ACTIONS_CACHE_SERVICE_V2", "1"), ("GITHUB_SERVER_URL", server)];
            assert_eq!(&found(&more), expected, "{server}");
        }
    }

    #[test]
    fn the_variable_that_is_lacking_is_named() {
        let place = ActionsPlace::default();
        let lacking = |pairs: &[(&str, &str)]| job(&place, &Settings::of(pairs)).unwrap_err();
        assert_eq!(lacking(&[]), "ACTIONS_RUNTIME_TOKEN");
        assert_eq!(lacking(&BOTH[..2]), "ACTIONS_CACHE_URL");
    }

    #[test]
    fn who_asks_is_what_the_flag_says_before_the_environment() {
        let place = |username: Option<&str>, token: Option<&str>| {
            let [username, token] = [username, token].map(|text| text.map(str::to_owned));
            WebPlace { url: String::new(), username, password: None, token, scope: None }
        };
        let settings = Settings::of(&[(PASSWORD, "p"), (TOKEN, "env")]);
        let basic = access(&place(Some("u"), None), &settings);
        assert!(
            matches!(basic, HttpAccess::Basic { user, password } if (&*user, &*password) == ("u", "p"))
        );
        let told = access(&place(None, Some("flag")), &settings);
        assert!(matches!(told, HttpAccess::Bearer(token) if token == "flag"));
        let variable = access(&place(None, None), &settings);
        assert!(matches!(variable, HttpAccess::Bearer(token) if token == "env"));
    }
}
