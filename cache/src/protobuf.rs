//! Protocol buffers, as far as the messages of caches need them.

/// A message that is being written.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

/// A field of a message that is being read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Field<'a> {
    /// A number of variable length.
    Number(u64),
    /// Bytes, a text or a message.
    Bytes(&'a [u8]),
    /// One of a fixed length, of which none here is looked at.
    Fixed,
}

impl Writer {
    /// Adds a number; zero is what is not said.
    #[must_use]
    pub fn number(mut self, field: u64, value: u64) -> Self {
        if value != 0 {
            self.varint(field << 3);
            self.varint(value);
        }
        self
    }

    /// Adds bytes; none are what is not said.
    #[must_use]
    pub fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        if !value.is_empty() {
            self.put(field, value);
        }
        self
    }

    /// A message in this one, be it empty.
    #[must_use]
    pub fn message(mut self, field: u64, value: Self) -> Self {
        self.head(field, value.0.len());
        self.0.extend(value.0);
        self
    }

    /// The message.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    fn put(&mut self, field: u64, value: &[u8]) {
        self.head(field, value.len());
        self.0.extend_from_slice(value);
    }

    fn head(&mut self, field: u64, length: usize) {
        self.varint(field << 3 | 2);
        self.varint(length as u64);
    }

    fn varint(&mut self, mut value: u64) {
        while value > 0x7f {
            self.0.push(low(value) | 0x80);
            value >>= 7;
        }
        self.0.push(low(value));
    }
}

/// The lowest seven bits.
fn low(value: u64) -> u8 {
    (value & 0x7f).to_le_bytes()[0]
}

/// The fields of a message with their numbers, in its order; `None` if it is none.
pub fn fields(mut message: &[u8]) -> Option<Vec<(u64, Field<'_>)>> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        let field = match tag & 7 {
            0 => Field::Number(varint(&mut message)?),
            1 => take(&mut message, 8).map(|_| Field::Fixed)?,
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                Field::Bytes(take(&mut message, length)?)
            }
            5 => take(&mut message, 4).map(|_| Field::Fixed)?,
            _ => return None,
        };
        found.push((tag >> 3, field));
    }
    Some(found)
}

/// The numbers of a field that may be repeated, packed or not.
pub fn numbers(fields: &[(u64, Field<'_>)], wanted: u64) -> Vec<u64> {
    let mut found = Vec::new();
    for (_, field) in fields.iter().filter(|(number, _)| *number == wanted) {
        match *field {
            Field::Number(value) => found.push(value),
            Field::Bytes(mut packed) => {
                while let Some(value) = varint(&mut packed) {
                    found.push(value);
                }
            }
            Field::Fixed => {}
        }
    }
    found
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
    fn what_is_written_is_read_and_what_is_not_said_is_not_written() {
        let inner = Writer::default().bytes(1, b"x").number(2, 300);
        let bytes = Writer::default().number(9, 0).bytes(8, b"").message(2, inner).finish();
        assert_eq!(bytes, [0x12, 6, 0x0a, 1, b'x', 0x10, 0xac, 0x02]);
        let read = fields(&bytes).unwrap();
        assert_eq!(read, [(2, Field::Bytes(&bytes[2..]))]);
    }

    #[test]
    fn repeated_numbers_are_read_in_either_form() {
        let packed = fields(&[0x32, 3, 0, 1, 2]).unwrap();
        let plain = fields(&[0x30, 0, 0x30, 1, 0x30, 2, 0x09, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        assert_eq!((numbers(&packed, 6), numbers(&plain, 6)), (vec![0, 1, 2], vec![0, 1, 2]));
    }

    #[test]
    fn what_is_no_message_is_none() {
        for bad in [&[0x0a][..], &[0x0a, 5, 1], &[0xff; 11], &[0x0b]] {
            assert_eq!(fields(bad), None, "{bad:?}");
        }
    }
}
