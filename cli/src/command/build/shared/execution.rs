//! Caches at servers of the remote execution API.

use std::sync::Arc;

use wythe_reapi::{ReapiAddress, ReapiCache, ReapiOptions};
use wythe_registry::settings::{SystemTiming, Timing as _};

use crate::args::cache::service::ExecutionPlace;
use crate::failure::{Class, Failure};
use crate::session::Session;

/// Who asks where the flag does not say.
const TOKEN: &str = "WYTHE_CACHE_TOKEN";

pub(super) fn cache(place: &ExecutionPlace, session: &Session) -> Result<ReapiCache, Failure> {
    let odd = |error| Failure::usage(format!("a cache of type=reapi: {error}"));
    let mut address: ReapiAddress = place.url.parse().map_err(odd)?;
    if let Some(instance) = &place.instance {
        address = address.with_instance(instance);
    }
    let token = place.token.clone().or_else(|| session.settings.text(TOKEN));
    let tls = session.registry()?.tls().map_err(|error| Failure::of(Class::Environment, &error))?;
    let options = ReapiOptions {
        address,
        token: token.filter(|token| !token.is_empty()),
        scope: place.scope.clone(),
        tls: Arc::new(tls),
        nonce: SystemTiming.random(),
    };
    ReapiCache::new(options).map_err(|error| Failure::of(Class::Environment, &error))
}
