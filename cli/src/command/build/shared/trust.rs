//! The keys by which caches are signed and believed, read from where they are.

use std::sync::Arc;

use wythe_cache::signature::{KeyError, SigningKey, VerifyKey};
use wythe_cache::signed::Trust;

use crate::args::cache::key::KeyPlace;
use crate::args::every_build::ReuseArgs;
use crate::failure::Failure;
use crate::settings::Settings;

/// The variables that say where keys are when no flag does.
const SIGN_KEY: &str = "WYTHE_CACHE_SIGN_KEY";
const VERIFY_KEY: &str = "WYTHE_CACHE_VERIFY_KEY";

/// What is believed of a cache, of which it may be said where the key is. Who signs and says nothing else
/// believes what is signed with the same key.
pub(super) fn of_reading(
    own: Option<&KeyPlace>,
    args: &ReuseArgs,
    settings: &Settings,
) -> Result<Trust, Failure> {
    let told: Vec<KeyPlace> = match own {
        Some(own) => vec![own.clone()],
        None if args.cache_verify_key.is_empty() => {
            variable(VERIFY_KEY, settings).into_iter().collect()
        }
        None => args.cache_verify_key.clone(),
    };
    if told.contains(&KeyPlace::Nowhere) {
        return Ok(Trust::default());
    }
    let read = |place| read(place, settings, VerifyKey::all_from_pem);
    let mut verify = told.iter().map(read).collect::<Result<Vec<_>, _>>()?.concat();
    if told.is_empty()
        && let Some(sign) = signing(None, args, settings)?
    {
        verify.push(sign.verify_key());
    }
    Ok(Trust { sign: None, verify })
}

/// How a cache is written, of which it may be said where the key is. What is there and not signed by it is
/// written anew.
pub(super) fn of_writing(
    own: Option<&KeyPlace>,
    args: &ReuseArgs,
    settings: &Settings,
) -> Result<Trust, Failure> {
    let Some(sign) = signing(own, args, settings)? else { return Ok(Trust::default()) };
    let verify = vec![sign.verify_key()];
    Ok(Trust { sign: Some(Arc::new(sign)), verify })
}

fn signing(
    own: Option<&KeyPlace>,
    args: &ReuseArgs,
    settings: &Settings,
) -> Result<Option<SigningKey>, Failure> {
    let told = own.or(args.cache_sign_key.as_ref()).cloned();
    let told = told.or_else(|| variable(SIGN_KEY, settings));
    let told = told.filter(|place| *place != KeyPlace::Nowhere);
    told.map(|place| read(&place, settings, SigningKey::from_pem)).transpose()
}

fn variable(name: &str, settings: &Settings) -> Option<KeyPlace> {
    settings.text(name).filter(|text| !text.is_empty()).map(|text| KeyPlace::of(&text))
}

/// Reads what is in a place. Nothing of that is in an error.
fn read<T>(
    place: &KeyPlace,
    settings: &Settings,
    parse: impl Fn(&[u8]) -> Result<T, KeyError>,
) -> Result<T, Failure> {
    let fail =
        |why: &dyn std::fmt::Display| Failure::usage(format!("key of a cache {place}: {why}"));
    let pem = match place {
        KeyPlace::File(path) => std::fs::read(path).map_err(|error| fail(&error))?,
        KeyPlace::Variable(name) => {
            let text = settings.text(name).ok_or_else(|| fail(&"the variable is not set"))?;
            text.into_bytes()
        }
        KeyPlace::Written => {
            return Err(Failure::usage(
                "a key of a cache is not written on the command line, where others see it: \
                 name a file, or env://VARIABLE",
            ));
        }
        KeyPlace::Nowhere => Vec::new(),
    };
    parse(&pem).map_err(|error| fail(&error))
}
