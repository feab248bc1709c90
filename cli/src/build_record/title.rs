//! What people call a build, as `buildx` has it: the directory it is of, the Dockerfile where that is not the usual
//! one, and the target.

use std::path::Path;

/// The build argument that says it.
pub(crate) const GIVEN: &str = "BUILDKIT_BUILD_NAME";

/// The name of the Dockerfile that goes without saying.
const USUAL: &str = "Dockerfile";

/// The name of a build of a directory, with the path of its Dockerfile; both are absolute.
pub(crate) fn of_directory(
    context: &Path,
    dockerfile: Option<&Path>,
    targets: &[String],
) -> String {
    let dockerfile = dockerfile.filter(|path| path.file_name().is_none_or(|name| name != USUAL));
    let elsewhere = || dockerfile.and_then(|path| path.strip_prefix(context).err().map(|_| path));
    let base = |path: &Path| {
        path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let name = match (dockerfile, elsewhere()) {
        (_, Some(path)) => {
            let folder = path.parent().map(base).unwrap_or_default();
            joined(&folder, &base(path))
        }
        (Some(path), None) => {
            let within = path.strip_prefix(context).unwrap_or(path).to_string_lossy();
            joined(&base(context), &within)
        }
        (None, None) => base(context),
    };
    with_targets(name, targets)
}

/// The name of a build of something else than a directory.
pub(crate) fn with_targets(name: String, targets: &[String]) -> String {
    match targets {
        [] => name,
        targets if name.is_empty() => targets.join(", "),
        targets => format!("{name} ({})", targets.join(", ")),
    }
}

fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(context: &str, dockerfile: &str, targets: &[&str], expected: &str) {
        let targets: Vec<String> = targets.iter().map(|name| (*name).to_owned()).collect();
        let found = of_directory(Path::new(context), Some(Path::new(dockerfile)), &targets);
        assert_eq!(found, expected);
    }

    #[test]
    fn a_build_is_called_by_its_directory_and_what_is_unusual_about_it() {
        check("/src/app", "/src/app/Dockerfile", &[], "app");
        check("/src/app", "/src/app/Dockerfile", &["test"], "app (test)");
        check("/src/app", "/src/app/docker/prod.Dockerfile", &[], "app/docker/prod.Dockerfile");
        check("/src/app", "/etc/ci/release.df", &["a", "b"], "ci/release.df (a, b)");
        assert_eq!(with_targets(String::new(), &["x".to_owned()]), "x");
    }
}
