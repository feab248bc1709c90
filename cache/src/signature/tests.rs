//! What is signed holds for what it says, under its key, and for nothing else.

use expect_test::expect;
use proptest::prelude::*;
use serde_json::{Map, Value};
use wythe_store::id::CacheKey;
use wythe_store::portable_action::PortableAction;
use wythe_store::record_origin::RecordOrigin;

use super::statement::statement;
use super::{Distrust, SigningKey, sign, stands_for, verify};
use crate::contract::record;

fn key() -> SigningKey {
    SigningKey::of_seed([7; 32])
}

fn at() -> CacheKey {
    CacheKey::of(b"step")
}

fn verified(record: &[u8]) -> Result<Vec<u8>, Distrust> {
    verify(&at(), record, &[key().verify_key()])
}

fn value(bytes: &[u8]) -> Map<String, Value> {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn the_signed_form_of_a_record_never_changes() {
    let bytes = statement(&at(), &value(br#"{"z":[1,-2,true,null],"a":{"b":"\u00e9\n\"\u0001"}}"#));
    let bytes = bytes.unwrap();
    assert_eq!(bytes[..20], *b"wythe cache record\0\x01");
    assert_eq!(bytes[20..52], *at().as_bytes());
    let text = std::str::from_utf8(&bytes[52..]).unwrap();
    expect![[r#"{"a":{"b":"é\n\"\u0001"},"z":[1,-2,true,null]}"#]].assert_eq(text);
    let signed = sign(&at(), &record(1).encode(), &key());
    expect![[r#"{"keyid":"324be2dea8bc4446","sig":"iYMCw/crHonmFTPjkfL8tyW5vxl3Uauvg335bN/AUkZRd5Uk14AcGUNZF8a0LQ2uSoUlTrOK+Ix0vaH+/zLFAw=="}"#]].assert_eq(&value(&signed)["signature"].to_string());
}

#[test]
fn a_signed_record_reads_as_before_and_is_verified_however_it_is_spelt() {
    let signed = sign(&at(), &record(1).encode(), &key());
    assert_eq!(PortableAction::decode(&signed), Some(record(1)));
    let pretty = serde_json::to_vec_pretty(&value(&signed)).unwrap();
    for spelt in [signed.clone(), pretty, sign(&at(), &signed, &key())] {
        let read = verified(&spelt).unwrap();
        assert_eq!(PortableAction::decode(&read), Some(record(1)));
    }
}

#[test]
fn nobody_can_say_that_a_signed_record_is_from_elsewhere() {
    let run = |url: &str| {
        let invocation = Some(url.to_owned());
        PortableAction {
            origin: Some(RecordOrigin { invocation, ..RecordOrigin::default() }),
            ..record(1)
        }
    };
    let signed = sign(&at(), &run("https://ci.example/7").encode(), &key());
    let read = PortableAction::decode(&verified(&signed).unwrap());
    assert_eq!(read, Some(run("https://ci.example/7")));
    let changed = String::from_utf8(signed).unwrap().replace("ci.example", "ci.invalid");
    assert_eq!(verified(changed.as_bytes()), Err(Distrust::Wrong));
    let mut without = value(changed.as_bytes());
    without.remove("origin").unwrap();
    assert_eq!(verified(&serde_json::to_vec(&without).unwrap()), Err(Distrust::Wrong));
}

#[test]
fn under_another_key_by_another_or_by_nobody_it_is_not_believed() {
    let plain = record(1).encode();
    assert_eq!(verified(&plain), Err(Distrust::Unsigned));
    assert_eq!(verified(b"no record"), Err(Distrust::Unsigned));
    let signed = sign(&at(), &plain, &key());
    let moved = verify(&CacheKey::of(b"other"), &signed, &[key().verify_key()]);
    assert_eq!(moved, Err(Distrust::Wrong));
    let others = sign(&at(), &plain, &SigningKey::of_seed([8; 32]));
    assert_eq!(verified(&others), Err(Distrust::OtherKey));
    // Somebody who says to be another.
    let mut claimed = value(&others);
    claimed["signature"]["keyid"] = key().verify_key().id().into();
    assert_eq!(verified(&serde_json::to_vec(&claimed).unwrap()), Err(Distrust::Wrong));
}

#[test]
fn a_number_that_may_be_spelt_in_many_ways_is_not_signed() {
    let plain = br#"{"v":1.5}"#;
    assert_eq!(sign(&at(), plain, &key()), plain);
}

#[test]
fn only_what_the_same_key_has_signed_stands_for_what_it_signs() {
    let plain = record(1).encode();
    let [one, two] = [7, 8].map(|seed| sign(&at(), &plain, &SigningKey::of_seed([seed; 32])));
    assert!(stands_for(&one, &one) && stands_for(&plain, &plain) && stands_for(&one, &plain));
    assert!(!stands_for(&plain, &one) && !stands_for(&two, &one));
}

#[test]
fn keys_of_openssl_are_read_and_others_are_refused_without_a_word_of_them() {
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH\n\
        -----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEA6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=\n\
        -----END PUBLIC KEY-----\n";
    let read = SigningKey::from_pem(PRIVATE.as_bytes()).unwrap();
    assert_eq!(read.verify_key(), key().verify_key());
    let both = [PUBLIC, PUBLIC].concat();
    let public = super::VerifyKey::all_from_pem(both.as_bytes()).unwrap();
    assert_eq!(public, [key().verify_key(); 2]);
    assert!(!format!("{read:?}").contains("BwcH"));
    for bad in [
        "",
        PUBLIC,
        "BwcHBwcH",
        &PRIVATE.replace("PRIVATE", "ENCRYPTED PRIVATE"),
        &PRIVATE.replace("K2Vw", "K2Vu"),
        &PRIVATE.replace("BwcH\n", ""),
    ] {
        let error = SigningKey::from_pem(bad.as_bytes()).unwrap_err().to_string();
        assert!(!error.contains("BwcH"), "{error}");
    }
    for bad in ["", PRIVATE, &PUBLIC.replace("K2Vw", "K2Vu")] {
        assert!(super::VerifyKey::all_from_pem(bad.as_bytes()).is_err());
    }
}

/// A place in a value, from the outside in.
fn change(value: &mut Value, mut seed: usize) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            let at = seed % members.len();
            seed /= members.len();
            change(members.values_mut().nth(at).unwrap(), seed);
        }
        Value::Array(items) if !items.is_empty() => {
            let at = seed % items.len();
            seed /= items.len();
            change(&mut items[at], seed);
        }
        Value::Number(number) => *value = (number.as_i64().unwrap() ^ 1).into(),
        Value::String(text) => text.push('x'),
        Value::Bool(is) => *is = !*is,
        Value::Array(_) | Value::Null | Value::Object(_) => *value = Value::Bool(true),
    }
}

fn records() -> impl Strategy<Value = PortableAction> {
    let inputs = prop::collection::vec((".{0,12}", ".{0,12}"), 0..5);
    let said = (0..i64::MAX, ".{0,20}", inputs, "[a-z:/]{0,20}");
    said.prop_map(|(number, step, inputs, run)| {
        let origin = RecordOrigin { invocation: Some(run), ..RecordOrigin::default() }.shown();
        PortableAction { step, inputs, origin, ..record(number) }
    })
}

proptest! {
    #[test]
    fn whatever_is_said_is_verified_and_no_word_of_it_can_be_changed(record in records(), seed: usize) {
        let signed = sign(&at(), &record.encode(), &key());
        prop_assert_eq!(PortableAction::decode(&verified(&signed).unwrap()), Some(record));
        let mut changed = Value::Object(value(&signed));
        change(&mut changed, seed);
        prop_assert!(verified(&serde_json::to_vec(&changed).unwrap()).is_err());
    }

    #[test]
    fn a_changed_byte_is_noticed_or_changes_nothing(record in records(), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let signed = sign(&self::at(), &record.encode(), &key());
        let mut changed = signed.clone();
        let at = at.index(changed.len());
        changed[at] ^= 1 << bit;
        if let Ok(read) = verified(&changed) {
            prop_assert_eq!(PortableAction::decode(&read), Some(record));
        }
    }

    #[test]
    fn what_is_no_record_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(verified(&bytes).is_err());
    }
}
