//! Records in the form that caches of Bazel keep: an `ActionResult` of the remote execution API whose output is
//! the record, so that servers which look at what they are given take it.

use crate::protobuf::{Field, Writer, fields};

/// The field `stdout_raw`.
const STDOUT_RAW: u64 = 5;

/// A record as an `ActionResult`.
pub(crate) fn encode(record: &[u8]) -> Vec<u8> {
    Writer::default().bytes(STDOUT_RAW, record).finish()
}

/// The record in an `ActionResult`; servers may have added other fields. `None` if it is none, or was made by
/// something else.
pub(crate) fn decode(message: &[u8]) -> Option<Vec<u8>> {
    let record = |(number, field)| match field {
        Field::Bytes(bytes) if number == STDOUT_RAW => Some(bytes.to_vec()),
        Field::Bytes(_) | Field::Number(_) | Field::Fixed => None,
    };
    fields(message)?.into_iter().filter_map(record).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_out_as_it_went_in_whatever_a_server_added() {
        let record = vec![7; 300];
        let mut message = encode(&record);
        assert_eq!(message[..3], [0x2a, 0xac, 0x02]);
        // exit_code 0, and execution_metadata with a worker.
        message.extend([0x20, 0x00, 0x4a, 0x03, 0x0a, 0x01, b'w']);
        assert_eq!(decode(&message), Some(record));
    }

    #[test]
    fn what_is_no_message_and_what_holds_no_record_is_none() {
        for bad in [&b""[..], b"{}", &[0x2a], &[0x2a, 5, 1], &[0x20, 0], &[0xff; 11]] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }
}
