//! Records in the form that caches of Bazel keep: an `ActionResult` of the remote execution API whose output is
//! the record, so that servers which look at what they are given take it.

/// The tag of `stdout_raw`, field 5: bytes.
const STDOUT_RAW: u64 = 5 << 3 | 2;

/// A record as an `ActionResult`.
pub(crate) fn encode(record: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(record.len() + 8);
    put_varint(&mut message, STDOUT_RAW);
    put_varint(&mut message, record.len() as u64);
    message.extend_from_slice(record);
    message
}

/// The record in an `ActionResult`; servers may have added other fields. `None` if it is none, or was made by
/// something else.
pub(crate) fn decode(message: &[u8]) -> Option<Vec<u8>> {
    let (mut rest, mut record) = (message, None);
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        match tag & 7 {
            0 => drop(varint(&mut rest)?),
            1 => drop(take(&mut rest, 8)?),
            2 => {
                let length = varint(&mut rest)?;
                let bytes = take(&mut rest, usize::try_from(length).ok()?)?;
                if tag == STDOUT_RAW {
                    record = Some(bytes.to_vec());
                }
            }
            5 => drop(take(&mut rest, 4)?),
            _ => return None,
        }
    }
    record
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(low(value) | 0x80);
        value >>= 7;
    }
    out.push(low(value));
}

/// The lowest seven bits.
fn low(value: u64) -> u8 {
    (value & 0x7f).to_le_bytes()[0]
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
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
