//! The names that images of a build are pushed under.

use wythe_store::oci::reference::Reference;

use crate::args::build::ResultArgs;
use crate::args::image_name::ImageName;
use crate::args::output::{Output, OutputArg, Push};
use crate::failure::Failure;

/// All of them, with any target's in the place of its name.
pub(super) fn names(args: &ResultArgs, outputs: &[OutputArg]) -> Result<Vec<Reference>, Failure> {
    pushed(args, outputs).into_iter().map(|(name, _)| name.reference("x")).collect()
}

/// Those of a target.
pub(super) fn names_of(
    target: &str,
    (args, outputs): (&ResultArgs, &[OutputArg]),
) -> Result<Vec<Reference>, Failure> {
    let meant = |only: Option<&str>| only.is_none_or(|only| only == target);
    let all = pushed(args, outputs).into_iter();
    let own = all.filter(|(name, only)| name.is_of(target) && meant(*only));
    own.map(|(name, _)| name.reference(target)).collect()
}

/// Each with the only target of the output that says so.
fn pushed<'a>(
    args: &'a ResultArgs,
    outputs: &'a [OutputArg],
) -> Vec<(&'a ImageName, Option<&'a str>)> {
    let mut names = Vec::new();
    for asked in outputs {
        if let Output::Image { push: Push::ByDigest | Push::ByName, image } = &asked.output {
            let all = args.tag.iter().chain(&image.names);
            names.extend(all.map(|name| (name, asked.target.as_deref())));
        }
    }
    names
}
