//! Folders of certificates, as docker and podman have them: `HOST[:PORT]/*.crt` are authorities, `*.cert` and
//! `*.key` what this side shows.

use std::path::Path;

use wythe_registry::hosts::{Connection, HostConfig, Identity, Part};

use super::{Source, names};
use crate::failure::{Class, Failure};

/// What the folders for hosts in a folder hold.
pub(super) fn read(folder: &Path) -> Result<Source, Failure> {
    let mut source = Source::new();
    for host in names(folder)? {
        let connection = connection(&folder.join(&host))?;
        if connection != Connection::default() {
            let config = HostConfig { connection, ..HostConfig::default() };
            source.push((Part::parse(&host), config));
        }
    }
    Ok(source)
}

/// What the folder for a host holds.
pub(super) fn connection(folder: &Path) -> Result<Connection, Failure> {
    let names = names(folder)?;
    let ending = |end: &'static str| names.iter().filter_map(move |name| name.strip_suffix(end));
    let authorities = ending(".crt").map(|name| folder.join(format!("{name}.crt"))).collect();
    let identities = ending(".cert").map(|name| {
        let certificate = folder.join(format!("{name}.cert"));
        let key = format!("{name}.key");
        if !names.contains(&key) {
            let (certificate, class) = (certificate.display(), Class::Environment);
            let what = format!("cannot use {certificate}: {key} is not beside it");
            return Err(Failure::new(class, what));
        }
        Ok(Identity { certificate, key: folder.join(key) })
    });
    // Of several the first, by name.
    let identity = identities.take(1).next().transpose()?;
    Ok(Connection { security: None, authorities, identity })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use wythe_registry::hosts::Hosts;

    use super::*;

    #[test]
    fn a_folder_for_a_host_has_its_authorities_and_what_this_side_shows() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("r.example:5000");
        fs::create_dir(&own).unwrap();
        for name in ["ca.crt", "client.cert", "client.key", "notes"] {
            fs::write(own.join(name), "").unwrap();
        }
        let hosts = Hosts::default().with(read(folder.path()).unwrap());
        let found = hosts.of("r.example:5000", "app").connection;
        let identity =
            Identity { certificate: own.join("client.cert"), key: own.join("client.key") };
        assert_eq!((found.authorities, found.identity), (vec![own.join("ca.crt")], Some(identity)));
        assert_eq!(hosts.of("r.example", "app").connection, Connection::default());
        fs::remove_file(own.join("client.key")).unwrap();
        let told = read(folder.path()).unwrap_err().lines().join("\n");
        assert!(told.contains("client.cert") && told.contains("client.key"), "{told}");
    }

    #[test]
    fn a_folder_that_is_not_there_says_nothing() {
        assert_eq!(read(Path::new("/nowhere/certs.d")).unwrap(), []);
    }
}
