//! The search for keys, in the order of AWS's own programs: variables, a profile that is named, a web identity, the
//! profile `default`, the endpoint of a container, the metadata of the instance.

mod container;
mod metadata;
mod process;
mod profile;
mod session_keys;
mod sso;
mod sts;

use std::sync::{Arc, Mutex, PoisonError};

use crate::endpoint::Region;
use crate::error::{AwsError, AwsProblem, CREDENTIALS};
use crate::keys::Keys;
use crate::surroundings::Surroundings;

use self::profile::Profiles;
use self::sts::WebIdentity;

/// Where keys come from, and those that were found last.
#[derive(Debug)]
pub struct Chain {
    around: Arc<Surroundings>,
    origin: Origin,
    held: Mutex<Option<Keys>>,
}

/// Where keys come from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// They are given.
    Given(Keys),
    /// They are searched for; roles are assumed in this region where nothing names another.
    Search(Region),
}

impl Chain {
    /// A search that has not begun.
    pub fn new(around: Arc<Surroundings>, origin: Origin) -> Self {
        Self { around, origin, held: Mutex::default() }
    }

    /// Keys that last through a request. They are searched for once, by one thread, until they end.
    ///
    /// # Errors
    ///
    /// [`AwsProblem::NoKeys`] if nothing names any, [`AwsProblem::Keys`] and others if what is named is not to be
    /// had.
    pub fn keys(&self) -> Result<Keys, AwsError> {
        let region = match &self.origin {
            Origin::Given(keys) => return Ok(keys.clone()),
            Origin::Search(region) => region,
        };
        // A panic while they are held leaves the last ones.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.around.clock.moment();
        if let Some(keys) = held.as_ref().filter(|keys| keys.are_fresh(now)) {
            return Ok(keys.clone());
        }
        let found = Search { around: &self.around, region }.run();
        match (found, held.as_ref().filter(|keys| keys.are_valid(now))) {
            (Ok(keys), _) => Ok(held.insert(keys).clone()),
            (Err(_), Some(keys)) => Ok(keys.clone()),
            (Err(error), None) => Err(error),
        }
    }

    /// Forgets keys that were refused.
    pub(crate) fn forget(&self) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Calls with keys, and once more with others if they turn out to be of a session that has ended.
    pub(crate) fn with_keys<T>(
        &self,
        call: impl Fn(&Keys) -> Result<T, AwsError>,
    ) -> Result<T, AwsError> {
        match call(&self.keys()?) {
            Err(error) if error.is_of_old_keys() && matches!(self.origin, Origin::Search(_)) => {
                self.forget();
                call(&self.keys()?)
            }
            other => other,
        }
    }
}

/// One search.
#[derive(Clone, Copy, Debug)]
struct Search<'a> {
    around: &'a Surroundings,
    region: &'a Region,
}

impl Search<'_> {
    fn run(&self) -> Result<Keys, AwsError> {
        if let Some(keys) = self.of_variables()? {
            return Ok(keys);
        }
        let named = self.around.variable("AWS_PROFILE");
        if let Some(name) = named.or(self.around.variable("AWS_DEFAULT_PROFILE")) {
            let found = Profiles::read(self.around)?.keys(self, name)?;
            return found.ok_or_else(|| {
                AwsError::keys(format!("profile {name}"), "names neither keys nor a way to them")
            });
        }
        if let Some(identity) = WebIdentity::of_variables(self.around) {
            return self.with_web_identity(&identity);
        }
        let default = Profiles::read(self.around)?.keys(self, "default");
        // A file without the profile is none.
        if let Some(keys) = default? {
            return Ok(keys);
        }
        if let Some(keys) = self.of_container()? {
            return Ok(keys);
        }
        self.of_instance()?
            .map_err(|metadata| AwsError::new(CREDENTIALS, AwsProblem::NoKeys { metadata }))
    }

    fn of_variables(&self) -> Result<Option<Keys>, AwsError> {
        let of = |name| self.around.variable(name);
        let keys = match (of("AWS_ACCESS_KEY_ID"), of("AWS_SECRET_ACCESS_KEY")) {
            (Some(id), Some(secret)) => Keys::new(id, secret),
            (Some(_), None) => {
                let detail = "is set, and AWS_SECRET_ACCESS_KEY is not";
                return Err(AwsError::keys("AWS_ACCESS_KEY_ID", detail));
            }
            (None, _) => return Ok(None),
        };
        Ok(Some(keys.with_session(of("AWS_SESSION_TOKEN"))))
    }

    /// The region in which roles are assumed.
    fn role_region(&self, of_profile: Option<&str>) -> Result<Region, AwsError> {
        let wrong = |error: crate::endpoint::ParseRegionError| {
            AwsError::keys("the region of AWS", error.to_string())
        };
        if let Some(region) = self.around.region().map_err(wrong)? {
            return Ok(region);
        }
        of_profile.map_or_else(|| Ok(self.region.clone()), |text| text.parse().map_err(wrong))
    }
}

#[cfg(test)]
mod tests;
