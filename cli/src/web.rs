//! Files of a build that lie behind `http` and `https`, through the registry client's transport.

use wythe_builder::remote::{HttpRequest, HttpResponse, Remote, RemoteError, RemoteProblem};
use wythe_registry::client::Client;
use wythe_registry::error::{RegistryError, RegistryProblem};
use wythe_registry::web::WebRequest;

/// The client as builds see it.
#[derive(Clone, Debug)]
pub(crate) struct Web(pub(crate) Client);

impl Remote for Web {
    fn get(&self, request: &HttpRequest) -> Result<HttpResponse, RemoteError> {
        let response = self.0.get(WebRequest {
            url: &request.url,
            authorization: request.authorization.as_deref(),
            if_none_match: request.if_none_match.as_deref(),
            if_modified_since: request.if_modified_since.as_deref(),
        });
        let response = response.map_err(|error| RemoteError::new(&request.url, problem(&error)))?;
        Ok(HttpResponse {
            status: response.status,
            etag: response.etag,
            last_modified: response.last_modified,
            body: response.body,
        })
    }
}

fn problem(error: &RegistryError) -> RemoteProblem {
    if let RegistryProblem::Status { status, .. } = error.problem {
        return RemoteProblem::Status(status);
    }
    RemoteProblem::Network { detail: error.problem.to_string() }
}
