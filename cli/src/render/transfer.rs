//! Blobs on their way, as every form of progress shows them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wythe_store::digest::Digest;
use wythe_store::oci::transfer::{Direction, Transfer, TransferState};

use super::quantity::Bytes;
use super::sanitize::{self, Medium};

/// How many digits of a digest tell blobs of one image apart, as docker shows them.
const DIGITS: usize = "sha256:".len() + 12;

/// From this many bytes on a log says how far a blob is before it is there: half a minute on a slow line.
const LONG: u64 = 64 << 20;

fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Pull => "pull",
        Direction::Push => "push",
    }
}

/// What a live view calls a transfer.
pub(super) fn called(transfer: &Transfer<'_>) -> String {
    let mut digest = transfer.digest.to_string();
    digest.truncate(DIGITS);
    let name = sanitize::text(transfer.reference.to_string().as_bytes(), Medium::Log);
    format!("=> {} {name} {digest}", word(transfer.direction))
}

/// The fields of the event `"transferred"`.
pub(super) fn fields(transfer: &Transfer<'_>) -> Value {
    let state = match transfer.state {
        TransferState::Done => "done",
        TransferState::Mounted => "mounted",
        TransferState::Present => "present",
        TransferState::Moving => "moving",
    };
    json!({
        "direction": word(transfer.direction),
        "image": transfer.reference.to_string(),
        "digest": transfer.digest.to_string(),
        "state": state,
        "bytes": transfer.bytes,
        "size": transfer.size,
    })
}

/// What a log has said of blobs that are on their way: how many quarters of them have passed.
#[derive(Debug, Default)]
pub(super) struct Quarters(BTreeMap<(Direction, Digest), u64>);

impl Quarters {
    /// The line that is due, if any: one when a blob is there, and one for each quarter of a long one.
    pub(super) fn line(&mut self, transfer: &Transfer<'_>) -> Option<String> {
        let id = (transfer.direction, transfer.digest);
        let how = match transfer.state {
            TransferState::Done => "DONE".to_owned(),
            TransferState::Mounted => "MOUNTED".to_owned(),
            TransferState::Present => "PRESENT".to_owned(),
            TransferState::Moving if transfer.size < LONG => return None,
            TransferState::Moving => {
                let quarter = transfer.bytes * 4 / transfer.size;
                let known = self.0.insert(id, quarter).unwrap_or_default();
                if quarter <= known {
                    return None;
                }
                format!("{} of", Bytes(transfer.bytes))
            }
        };
        if transfer.state != TransferState::Moving {
            self.0.remove(&id);
        }
        let way = word(transfer.direction).to_uppercase();
        let name = sanitize::text(transfer.reference.to_string().as_bytes(), Medium::Log);
        Some(format!("{way} {name} {} {how} {}", transfer.digest, Bytes(transfer.size)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(steps: &[(TransferState, u64)], size: u64) -> Vec<String> {
        let reference = "example.org/base:1".parse().unwrap();
        let mut quarters = Quarters::default();
        let transfer = |&(state, bytes)| {
            let (direction, digest) = (Direction::Pull, Digest::of(b""));
            Transfer { direction, reference: &reference, digest, state, bytes, size }
        };
        steps.iter().filter_map(|step| quarters.line(&transfer(step))).collect()
    }

    #[test]
    fn a_log_has_one_line_for_a_blob_and_a_few_for_a_long_one() {
        use TransferState::{Done, Moving};
        let name = format!("PULL example.org/base:1 {}", Digest::of(b""));
        let short = [(Moving, 0), (Moving, 900), (Done, 1000)];
        assert_eq!(lines(&short, 1000), [format!("{name} DONE 1.00kB")]);
        let mega = 1_000_000;
        let long: Vec<_> =
            (0..100).map(|at| (Moving, at * mega)).chain([(Done, 100 * mega)]).collect();
        let expected = ["25.0MB of 100MB", "50.0MB of 100MB", "75.0MB of 100MB", "DONE 100MB"];
        assert_eq!(lines(&long, 100 * mega), expected.map(|end| format!("{name} {end}")));
    }

    #[test]
    fn an_event_says_which_blob_of_which_image_and_how_far_it_is() {
        let reference = "base".parse().unwrap();
        let transfer = Transfer {
            direction: Direction::Push,
            reference: &reference,
            digest: Digest::of(b""),
            state: TransferState::Mounted,
            bytes: 0,
            size: 7,
        };
        let expected = json!({
            "direction": "push",
            "image": reference.to_string(),
            "digest": Digest::of(b"").to_string(),
            "state": "mounted",
            "bytes": 0,
            "size": 7,
        });
        assert_eq!(fields(&transfer), expected);
    }
}
