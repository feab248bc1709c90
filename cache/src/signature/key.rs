//! Keys, as `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` write them.

use std::fmt;

use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rustls_pki_types::pem::{PemObject as _, SectionKind};
use wythe_store::digest::Digest;

/// What precedes the 32 bytes of an Ed25519 key in a `SubjectPublicKeyInfo` (RFC 8410).
const PUBLIC: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// How many bytes of a hash name a key: enough that two keys of one team never share a name.
const ID: usize = 8;

/// A key that signs. It is never shown.
pub struct SigningKey(Ed25519KeyPair);

/// A key that tells whether its other half has signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct VerifyKey([u8; 32]);

/// Why something is not a key. It says nothing of what is in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is no such key in it.
    #[error("there is no {0} in it")]
    None(&'static str),
    /// It can only be read with a password.
    #[error("it is encrypted; openssl pkey -in FILE writes it without its password")]
    Encrypted,
    /// It is a key of another kind.
    #[error("it is not an Ed25519 key; openssl genpkey -algorithm ed25519 makes one")]
    Kind,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("SigningKey").field(&self.verify_key().id()).finish()
    }
}

impl SigningKey {
    /// The private key in a text in PEM.
    ///
    /// # Errors
    ///
    /// If there is none that can be used.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        if pem.windows(ENCRYPTED.len()).any(|part| part == ENCRYPTED) {
            return Err(KeyError::Encrypted);
        }
        let private = sections(pem).find(|(kind, _)| {
            use SectionKind::{EcPrivateKey, PrivateKey, RsaPrivateKey};
            matches!(kind, PrivateKey | EcPrivateKey | RsaPrivateKey)
        });
        let (_, der) = private.ok_or(KeyError::None("private key in PEM"))?;
        // The form without the public half is what OpenSSL writes.
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der);
        pair.map(Self).map_err(|_| KeyError::Kind)
    }

    /// The half that others need.
    pub fn verify_key(&self) -> VerifyKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        VerifyKey(bytes)
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes.copy_from_slice(self.0.sign(message).as_ref());
        bytes
    }

    #[cfg(test)]
    pub(crate) fn of_seed(seed: [u8; 32]) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&seed).expect("a seed has 32 bytes"))
    }
}

/// What a key that is encrypted begins with.
const ENCRYPTED: &[u8] = b"-----BEGIN ENCRYPTED";

impl VerifyKey {
    /// All public keys in a text in PEM; where old and new ones are in use, several.
    ///
    /// # Errors
    ///
    /// If there is none, or one of another kind.
    pub fn all_from_pem(pem: &[u8]) -> Result<Vec<Self>, KeyError> {
        let public = sections(pem).filter(|(kind, _)| *kind == SectionKind::PublicKey);
        let keys: Vec<Self> =
            public.map(|(_, der)| Self::of_der(&der)).collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(KeyError::None("public key in PEM")) } else { Ok(keys) }
    }

    fn of_der(der: &[u8]) -> Result<Self, KeyError> {
        let key = der.strip_prefix(&PUBLIC).and_then(|key| key.try_into().ok());
        key.map(Self).ok_or(KeyError::Kind)
    }

    /// What records call it: 16 hexadecimal digits of the SHA-256 of its `SubjectPublicKeyInfo`.
    pub fn id(&self) -> String {
        let digest = Digest::of(&[&PUBLIC[..], &self.0].concat());
        digest.hex()[..2 * ID].to_owned()
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// What is in a text in PEM, as far as that can be read.
fn sections(pem: &[u8]) -> impl Iterator<Item = (SectionKind, Vec<u8>)> + '_ {
    <(SectionKind, Vec<u8>)>::pem_slice_iter(pem).map_while(Result::ok)
}
