//! An authority of its own, and what it has signed: so that clients are shown a certificate that nobody knows.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};

/// The files that are written for clients, called as in a folder of docker's `certs.d`.
pub const FILES: [&str; 3] = ["ca.crt", "client.cert", "client.key"];

/// What handshakes of the two origins go by.
#[derive(Debug)]
pub(crate) struct Handshakes {
    pub(crate) registry: Arc<ServerConfig>,
    pub(crate) storage: Arc<ServerConfig>,
}

/// Whether clients show a certificate, too.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Clients {
    /// They are not asked for one.
    Unasked,
    /// The registry refuses who shows none. The storage takes whatever it is shown, which should be nothing.
    Asked,
}

/// Makes an authority, has it sign for these names, and writes what clients need into a directory.
pub(crate) fn make(
    names: Vec<String>,
    clients: Clients,
    directory: &Path,
) -> io::Result<Handshakes> {
    let authority = Authority::new().map_err(io::Error::other)?;
    let server = ExtendedKeyUsagePurpose::ServerAuth;
    let (server, server_key) = authority.sign(names, server).map_err(io::Error::other)?;
    let client = ExtendedKeyUsagePurpose::ClientAuth;
    let (client, client_key) = authority.sign(Vec::new(), client).map_err(io::Error::other)?;
    let texts = [authority.certificate.pem(), client.pem(), client_key.serialize_pem()];
    for (name, text) in FILES.iter().zip(texts) {
        fs::write(directory.join(name), text)?;
    }
    let config = |verifier| {
        let key = PrivateKeyDer::Pkcs8(server_key.serialize_der().into());
        config((&server, key), verifier).map(Arc::new).map_err(io::Error::other)
    };
    let (strict, lenient) = match clients {
        Clients::Unasked => (None, None),
        Clients::Asked => {
            (Some(authority.clients(Wanted::Always)?), Some(authority.clients(Wanted::IfAny)?))
        }
    };
    Ok(Handshakes { registry: config(strict)?, storage: config(lenient)? })
}

fn config(
    (certificate, key): (&Certificate, PrivateKeyDer<'static>),
    verifier: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    builder.with_single_cert(vec![certificate.der().clone()], key)
}

/// Who signs.
struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// Whether a certificate has to be shown.
#[derive(Clone, Copy)]
enum Wanted {
    Always,
    IfAny,
}

impl Authority {
    fn new() -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "wythe-quirks, an authority of nobody");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key)?;
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// A certificate for some names, and its key.
    fn sign(
        &self,
        names: Vec<String>,
        purpose: ExtendedKeyUsagePurpose,
    ) -> Result<(Certificate, KeyPair), rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "wythe-quirks");
        params.extended_key_usages = vec![purpose];
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok((certificate, key))
    }

    /// Who knows its clients.
    fn clients(&self, wanted: Wanted) -> io::Result<Arc<dyn ClientCertVerifier>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).map_err(io::Error::other)?;
        let provider = Arc::new(default_provider());
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = match wanted {
            Wanted::Always => builder,
            Wanted::IfAny => builder.allow_unauthenticated(),
        };
        builder.build().map_err(io::Error::other)
    }
}
