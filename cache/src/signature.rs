//! Signatures of records: who may say what a step makes, where others can write to a cache as well.
//!
//! A record that is signed has a member `signature` with the id of the key and an Ed25519 signature over its
//! statement: what it says, and under which key it says so. Blobs need none, for a record
//! names them by their digests.

mod key;
mod statement;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Map, Value, json};
use wythe_store::id::CacheKey;

pub use self::key::{KeyError, SigningKey, VerifyKey};
use self::statement::{SIGNATURE, statement};

/// Why a record is not believed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, thiserror::Error)]
#[non_exhaustive]
pub enum Distrust {
    /// Nobody has signed it.
    #[error("not signed")]
    Unsigned,
    /// It is signed with a key that is not among those to believe.
    #[error("signed with another key")]
    OtherKey,
    /// The signature is not one of what it says.
    #[error("wrongly signed")]
    Wrong,
}

/// The record with a signature in place of any that it has; as it is, where it is no object of whole
/// numbers, texts, lists and objects.
pub fn sign(key: &CacheKey, record: &[u8], with: &SigningKey) -> Vec<u8> {
    let signed = || {
        let mut members = members(record)?;
        let signature = STANDARD.encode(with.sign(&statement(key, &members)?));
        let value = json!({ "keyid": with.verify_key().id(), "sig": signature });
        members.insert(SIGNATURE.to_owned(), value);
        serde_json::to_vec(&members).ok()
    };
    signed().unwrap_or_else(|| record.to_vec())
}

/// The record, if one of `keys` has signed it to be what `key` stands for. What comes back was written from
/// what was verified, so that nobody reads more or other things in it.
///
/// # Errors
///
/// If it is not to be believed.
pub fn verify(key: &CacheKey, record: &[u8], keys: &[VerifyKey]) -> Result<Vec<u8>, Distrust> {
    let members = members(record).ok_or(Distrust::Unsigned)?;
    let (id, signature) = signature_of(&members).ok_or(Distrust::Unsigned)?;
    let by = keys.iter().find(|known| known.id() == id).ok_or(Distrust::OtherKey)?;
    let signature = STANDARD.decode(signature).map_err(|_| Distrust::Wrong)?;
    let statement = statement(key, &members).ok_or(Distrust::Wrong)?;
    UnparsedPublicKey::new(&ED25519, by.as_bytes())
        .verify(&statement, &signature)
        .map_err(|_| Distrust::Wrong)?;
    serde_json::to_vec(&members).map_err(|_| Distrust::Wrong)
}

/// Whether a record that is there will do where another is to be written under the same key: it names the
/// same signer, or the other names none. Whether the signature is right only who has the key can say.
pub(crate) fn stands_for(there: &[u8], new: &[u8]) -> bool {
    let signer = |record| signature_of(&members(record)?).map(|(id, _)| id.to_owned());
    signer(new).is_none_or(|id| signer(there) == Some(id))
}

fn members(record: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(record).ok()
}

/// The id of a key and the signature, of a record that has them.
fn signature_of(members: &Map<String, Value>) -> Option<(&str, &str)> {
    let signature = members.get(SIGNATURE)?;
    Some((signature.get("keyid")?.as_str()?, signature.get("sig")?.as_str()?))
}

#[cfg(test)]
mod tests;
