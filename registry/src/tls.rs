//! Whose certificates are believed.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};

use crate::error::RegistryProblem;
use crate::hosts::Identity;
use crate::settings::Settings;

/// Where the systems we know keep the certificates they trust.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// How a server has to show that it is who it says.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Trust {
    /// By a certificate of an authority that is trusted.
    #[default]
    Authorities,
    /// By any certificate.
    Anybody,
}

/// What both sides of a handshake show.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Tls {
    pub(crate) trust: Trust,
    /// Authorities that are trusted beside those of all servers.
    pub(crate) authorities: Vec<PathBuf>,
    /// What this side shows.
    pub(crate) identity: Option<Identity>,
}

/// What the handshakes of a client go by.
pub(crate) fn config(settings: &Settings, tls: &Tls) -> Result<ClientConfig, RegistryProblem> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?;
    let verifier: Arc<dyn ServerCertVerifier> = match tls.trust {
        Trust::Anybody => Arc::new(AnyCertificate { provider }),
        Trust::Authorities => {
            let (roots, named) = authorities(settings, &tls.authorities)?;
            if roots.is_empty() {
                // No server is believed, which is for the first handshake to say.
                return Ok(builder.with_root_certificates(roots).with_no_client_auth());
            }
            let roots = Arc::new(roots);
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
            let verifier = verifier.map_err(|error| rustls::Error::General(error.to_string()))?;
            Arc::new(Authorities { verifier, named })
        }
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let Some(identity) = &tls.identity else { return Ok(builder.with_no_client_auth()) };
    let (chain, key) = shown(identity)?;
    let config = builder.with_client_auth_cert(chain, key);
    config.map_err(|error| unusable(&identity.certificate, &error))
}

/// The certificates and the key of an identity.
fn shown(
    identity: &Identity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), RegistryProblem> {
    let Identity { certificate, key } = identity;
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
    let chain: Vec<_> = chain.map_err(|error| unusable(certificate, &error))?;
    if chain.is_empty() {
        return Err(unusable(certificate, &"there is no certificate in it"));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, &error))?;
    Ok((chain, key))
}

fn unusable(path: &Path, why: &dyn Display) -> RegistryProblem {
    RegistryProblem::Identity { path: path.to_owned(), detail: why.to_string() }
}

/// Who is trusted, and the certificates that somebody named among them.
fn authorities(
    settings: &Settings,
    own: &[PathBuf],
) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), RegistryProblem> {
    let mut roots = RootCertStore::empty();
    if let Some(system) = SYSTEM_ROOTS.iter().map(Path::new).find(|path| path.exists()) {
        // What a distribution ships and we cannot read is no reason to reach nothing.
        let found = rustls_native_certs::load_certs_from_paths(Some(system), None);
        roots.add_parsable_certificates(found.certs);
    } else {
        // An empty container has none. Whoever has removed all of theirs has left the file.
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let mut named = Vec::new();
    for path in settings.certificate_authorities.iter().chain(own) {
        named.extend(read(path)?);
    }
    roots.add_parsable_certificates(named.iter().cloned());
    Ok((roots, named))
}

/// The certificates of a file or directory that somebody named: none in a file is a mistake.
fn read(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, RegistryProblem> {
    let fail = |detail: String| RegistryProblem::Authorities { path: path.clone(), detail };
    let metadata = std::fs::metadata(path).map_err(|error| fail(error.to_string()))?;
    let (file, directory) = if metadata.is_dir() { (None, Some(path)) } else { (Some(path), None) };
    let found = rustls_native_certs::load_certs_from_paths(
        file.map(PathBuf::as_path),
        directory.map(PathBuf::as_path),
    );
    if !found.certs.is_empty() || metadata.is_dir() {
        return Ok(found.certs);
    }
    let error = found.errors.first().map(ToString::to_string);
    Err(fail(error.unwrap_or_else(|| "there is no certificate in it".to_owned())))
}

/// Why a certificate is not believed.
pub(crate) fn words(problem: &CertificateError) -> String {
    if *problem == CertificateError::UnknownIssuer {
        "no authority that is trusted has signed it".to_owned()
    } else if is_own_authority(problem) {
        "it is signed by itself alone".to_owned()
    } else {
        problem.to_string()
    }
}

/// Whether the certificate is one of an authority, as one is that `openssl req -x509` makes for a
/// server. Its time is right then: that is looked at before.
fn is_own_authority(problem: &CertificateError) -> bool {
    let CertificateError::Other(OtherError(problem)) = problem else { return false };
    matches!(problem.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

/// Believes what authorities have signed, and certificates that somebody named themselves.
#[derive(Debug)]
struct Authorities {
    verifier: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Authorities {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified =
            self.verifier.verify_server_cert(certificate, intermediates, name, ocsp, now);
        match verified {
            Err(rustls::Error::InvalidCertificate(problem))
                if is_own_authority(&problem) && self.named.contains(certificate) =>
            {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Believes every certificate, and still holds the server to the key in it.
#[derive(Debug)]
struct AnyCertificate {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_that_somebody_named_have_to_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let (missing, empty) = (folder.path().join("missing"), folder.path().join("empty"));
        std::fs::write(&empty, "no certificate").unwrap();
        for path in [missing, empty] {
            let certificate_authorities = vec![path.clone()];
            let settings = Settings { certificate_authorities, ..Settings::default() };
            let error = config(&settings, &Tls::default()).unwrap_err();
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
            let tls = Tls { authorities: vec![path.clone()], ..Tls::default() };
            let error = config(&Settings::default(), &tls).unwrap_err();
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        }
    }

    #[test]
    fn an_identity_has_a_certificate_and_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let (missing, empty) = (folder.path().join("missing"), folder.path().join("empty"));
        std::fs::write(&empty, "no certificate").unwrap();
        for certificate in [missing, empty] {
            let identity = Some(Identity { certificate: certificate.clone(), key: certificate });
            let error = config(&Settings::default(), &Tls { identity, ..Tls::default() });
            let error = error.unwrap_err().to_string();
            assert!(error.contains("client certificate"), "{error}");
        }
    }
}
