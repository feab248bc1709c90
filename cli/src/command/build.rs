//! `wythe build`.

pub(crate) mod call;
pub(crate) mod deliver;
pub(crate) mod dockerfile;
pub(crate) mod options;
pub(crate) mod secret;

use self::dockerfile::Dockerfile;
use crate::args::build::BuildArgs;
use crate::args::call::Method;
use crate::failure::{Class, Failure};
use crate::session::Session;

/// Builds, or answers a question about the Dockerfile.
pub(crate) fn run(args: &BuildArgs, session: &Session) -> Result<(), Failure> {
    let dockerfile = Dockerfile::read(args)?;
    let call = args.question();
    if call.method != Method::Build {
        return call::answer(call, &dockerfile, args.input.target.as_deref(), session);
    }
    dockerfile.parse()?;
    options::options(args, &session.settings)?;
    Err(Failure::new(Class::Internal, "this version answers questions about Dockerfiles only"))
}
