//! Whether a registry accepts credentials, found by showing them.

use crate::auth::{Audience, basic, is_for_nobody};
use crate::client::Client;
use crate::credentials::Credential;
use crate::error::{RegistryError, RegistryProblem};
use crate::transport::Call;

/// What a registry made of credentials that it did not refuse.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Login {
    /// It accepted them.
    Accepted,
    /// It serves everybody, and looked at none.
    NotAsked,
}

impl Client {
    /// Shows the credentials that there are for `host` to it.
    ///
    /// # Errors
    ///
    /// If it cannot be reached or refuses them, or if its token service answers them with a token
    /// that is nobody's.
    pub fn login(&self, host: &str) -> Result<Login, RegistryError> {
        let (base, reach) = &self.inner.site(host)?;
        let audience = Audience { host, base, name: "", scope: "", reach };
        let credential = self.inner.auth.credential(&self.inner.settings, audience)?;
        let accepted = self.show(audience, credential.as_ref());
        accepted.map_err(|error| error.denied(|| audience.asker(credential.as_ref())))
    }

    fn show(
        &self,
        audience: Audience<'_>,
        credential: Option<&Credential>,
    ) -> Result<Login, RegistryError> {
        let inner = &self.inner;
        let call = Call::get(audience.base.clone());
        let Err(refused) = inner.send(audience, &call, None) else {
            // Who serves everybody may know a wrong password nevertheless.
            let header = credential.map(basic);
            inner.send(audience, &call, header.as_deref())?;
            return Ok(Login::NotAsked);
        };
        let RegistryProblem::Status { status: 401, challenge: Some(challenge), .. } =
            &refused.problem
        else {
            return Err(refused);
        };
        let challenged = (&**challenge, None);
        let answer = inner.auth.answer(&inner.transport, &inner.settings, audience, challenged)?;
        let Some(header) = answer else { return Err(refused) };
        inner.send(audience, &call, Some(&header))?;
        if is_for_nobody(&header) {
            return Err(refused);
        }
        Ok(Login::Accepted)
    }
}
