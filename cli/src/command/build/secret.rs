//! The values of `--secret`, read before the build starts.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use wythe_builder::options::Secret;

use crate::args::secret::{SecretArg, SecretSource};
use crate::failure::{Class, Failure};
use crate::settings::Settings;

/// The longest secret, as `BuildKit` has it: what is larger is data, not a secret.
const MAX_SECRET: u64 = 500 * 1024;

/// Reads every secret, by id.
pub(crate) fn read_all(
    args: &[SecretArg],
    settings: &Settings,
) -> Result<BTreeMap<String, Secret>, Failure> {
    args.iter().map(|arg| Ok((arg.id.clone(), Secret::new(read(arg, settings)?)))).collect()
}

fn read(arg: &SecretArg, settings: &Settings) -> Result<Vec<u8>, Failure> {
    let variable = |name: &str| settings.raw(name).map(|value| value.as_bytes().to_vec());
    match &arg.source {
        SecretSource::Env(name) => variable(name).ok_or_else(|| {
            Failure::usage(format!("secret {}: the variable {name} is not set", arg.id))
        }),
        SecretSource::EnvOrFile(name) => {
            variable(name).map_or_else(|| file(arg, Path::new(name)), Ok)
        }
        SecretSource::EnvOrGiven { name, given } => {
            Ok(variable(name).unwrap_or_else(|| given.as_bytes().to_vec()))
        }
        SecretSource::File(path) => file(arg, path),
    }
}

fn file(arg: &SecretArg, path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read =
        fs::File::open(path).and_then(|file| file.take(MAX_SECRET + 1).read_to_end(&mut bytes));
    match read {
        Ok(length) if length as u64 > MAX_SECRET => {
            Err(Failure::usage(format!("secret {}: longer than {MAX_SECRET} bytes", arg.id)))
        }
        Ok(_) => Ok(bytes),
        Err(error) => {
            let text = format!("secret {}: cannot read {}: {error}", arg.id, path.display());
            Err(Failure::new(Class::Usage, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(arg: &str, environment: &[(&str, &str)]) -> Result<Vec<u8>, Failure> {
        read(&arg.parse().unwrap(), &Settings::of(environment))
    }

    #[test]
    fn an_id_alone_is_a_variable_before_it_is_a_file() {
        assert_eq!(value("id=TOKEN", &[("TOKEN", "x")]), Ok(b"x".to_vec()));
        assert!(value("id=/nowhere/TOKEN", &[]).is_err());
    }

    #[test]
    fn what_is_too_long_for_a_secret_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let length = usize::try_from(MAX_SECRET).unwrap();
        fs::write(&path, vec![b'x'; length]).unwrap();
        let arg = format!("id=s,src={}", path.display());
        assert_eq!(value(&arg, &[]).unwrap().len(), length);
        fs::write(&path, vec![b'x'; length + 1]).unwrap();
        assert!(value(&arg, &[]).is_err());
    }
}
