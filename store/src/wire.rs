//! Values as bytes: little-endian numbers, and lengths before what varies.

/// Writes a value, field by field.
#[derive(Debug, Default)]
pub(crate) struct Encoder(Vec<u8>);

/// Reads a value field by field; `None` once it is shorter than it should be.
#[derive(Debug)]
pub(crate) struct Decoder<'bytes>(&'bytes [u8]);

impl Encoder {
    /// An encoder for version `version` of a value.
    pub(crate) fn new(version: u8) -> Self {
        Self(vec![version])
    }

    /// Sees to it that so many more bytes need no more memory: a long value is not copied while it grows.
    pub(crate) fn reserve(&mut self, bytes: usize) -> &mut Self {
        self.0.reserve(bytes);
        self
    }

    pub(crate) fn byte(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    pub(crate) fn number(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Bytes of a length the reader knows.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64).raw(bytes)
    }

    /// A byte that says whether there is a value, then the value.
    pub(crate) fn option(&mut self, bytes: Option<&[u8]>) -> &mut Self {
        match bytes {
            Some(bytes) => self.byte(1).raw(bytes),
            None => self.byte(0),
        }
    }

    pub(crate) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

impl<'bytes> Decoder<'bytes> {
    /// A decoder for a value of version `version`; `None` for any other.
    pub(crate) fn new(bytes: &'bytes [u8], version: u8) -> Option<Self> {
        let mut decoder = Self(bytes);
        (decoder.byte()? == version).then_some(decoder)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    pub(crate) fn bytes(&mut self) -> Option<&'bytes [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    #[expect(clippy::option_option, reason = "whether it is well-formed, and whether it is there")]
    pub(crate) fn option<const N: usize>(&mut self) -> Option<Option<[u8; N]>> {
        match self.byte()? {
            0 => Some(None),
            1 => self.array().map(Some),
            _ => None,
        }
    }

    /// A list: its length, then as many elements as `read` gives.
    pub(crate) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let n = self.number()?;
        let mut list = Vec::new();
        for _ in 0..n {
            list.push(read(self)?);
        }
        Some(list)
    }

    /// `value`, if nothing is left over.
    pub(crate) fn end<T>(self, value: T) -> Option<T> {
        self.0.is_empty().then_some(value)
    }
}

/// A little-endian number out of bytes that are known to reach that far.
pub(crate) fn read_u32(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |four| u32::from_le_bytes(*four))
}

/// A little-endian number out of bytes that are known to reach that far.
pub(crate) fn read_u64(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |eight| u64::from_le_bytes(*eight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_in_order() {
        let mut encoder = Encoder::new(3);
        encoder.byte(1).number(2).bytes(b"three").option(Some(&[4; 4])).option(None);
        let bytes = encoder.finish();
        let mut decoder = Decoder::new(&bytes, 3).unwrap();
        assert_eq!(decoder.byte(), Some(1));
        assert_eq!(decoder.number(), Some(2));
        assert_eq!(decoder.text().as_deref(), Some("three"));
        assert_eq!(decoder.option::<4>(), Some(Some([4; 4])));
        assert_eq!(decoder.option::<4>(), Some(None));
        assert_eq!(decoder.end(()), Some(()));
    }

    #[test]
    fn an_unknown_version_is_no_value() {
        assert!(Decoder::new(&[2], 1).is_none());
    }

    #[test]
    fn a_huge_length_is_no_value() {
        let mut bytes = vec![1];
        bytes.extend_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(Decoder::new(&bytes, 1).unwrap().bytes(), None);
    }
}
