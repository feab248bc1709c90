//! What is to be built.

use std::io;
use std::path::Path;

use wythe_builder::input::Input;
use wythe_builder::options::Options;
use wythe_store::oci::platform::{Platform, host_architecture};
use wythe_store::oci::reference::Reference;

/// A Dockerfile, its context, and what is asked of it.
///
/// # Examples
///
/// ```
/// use wythe_api::BuildRequest;
///
/// let mut request = BuildRequest::of_text("FROM scratch\nARG V\nLABEL version=$V\n");
/// request.options.build_args.insert("V".to_owned(), "7".to_owned());
/// request.names.push("example.org/app:7".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct BuildRequest {
    /// The Dockerfile and its context.
    pub input: Input,
    /// Targets, arguments, platforms, and whatever else a build can be asked.
    pub options: Options,
    /// What the image is called in the store. One without a name stays for as long as the [`Wythe`](crate::Wythe) does.
    pub names: Vec<Reference>,
}

impl BuildRequest {
    /// What the Dockerfile of a directory says, or its Containerfile, for this machine.
    ///
    /// # Errors
    ///
    /// If there is neither, or it cannot be read.
    pub fn read(context: &Path) -> io::Result<Self> {
        let [first, second] = FILES.map(|name| context.join(name));
        let input = match Input::read(&first, context) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && second.exists() => {
                Input::read(&second, context)
            }
            read => read,
        };
        Ok(Self::of(input?))
    }

    /// What a text says, for this machine and without a context.
    pub fn of_text(dockerfile: &str) -> Self {
        let dockerfile = dockerfile.as_bytes().to_vec();
        Self::of(Input { dockerfile, name: FILES[0].to_owned(), ..Input::default() })
    }

    fn of(input: Input) -> Self {
        let options = Options::new(Platform::linux(host_architecture()));
        Self { input, options, names: Vec::new() }
    }
}

/// What is looked for in a directory.
const FILES: [&str; 2] = ["Dockerfile", "Containerfile"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dockerfile_goes_before_a_containerfile() {
        let directory = tempfile::tempdir().unwrap();
        let context = directory.path();
        assert_eq!(BuildRequest::read(context).unwrap_err().kind(), io::ErrorKind::NotFound);
        std::fs::write(context.join("Containerfile"), "FROM one").unwrap();
        assert_eq!(BuildRequest::read(context).unwrap().input.dockerfile, b"FROM one");
        std::fs::write(context.join("Dockerfile"), "FROM two").unwrap();
        let request = BuildRequest::read(context).unwrap();
        assert_eq!(request.input.dockerfile, b"FROM two");
        assert_eq!(request.input.context.as_deref(), Some(context));
    }
}
