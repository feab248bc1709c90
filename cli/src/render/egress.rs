//! Hosts that steps asked for, as JSON.

use serde_json::{Value, json};
use wythe_builder::egress::{Contact, Verdict};

/// The fields of a host, for events and statements alike.
pub(crate) fn fields(contact: &Contact) -> Value {
    let Contact { host, port, verdict } = contact;
    let reason = match verdict {
        Verdict::Refused(refusal) => Some(refusal.to_string()),
        Verdict::Reached | Verdict::Unreachable => None,
    };
    json!({"host": host, "port": port, "verdict": verdict.name(), "reason": reason})
}
