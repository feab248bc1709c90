//! A trace in the protocol buffers of OTLP, which every collector takes. The numbers of fields are those of
//! `opentelemetry/proto/trace/v1/trace.proto`.

use std::collections::BTreeMap;

use super::json::{ERROR, INTERNAL};
use super::span::{Attribute, Span, Trace};

/// A message in the making.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

/// How a field is written.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number > 0x7f {
            self.0.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.0.push(number.to_le_bytes()[0]);
    }

    fn number(mut self, field: u64, number: u64) -> Self {
        self.varint(field << 3 | VARINT);
        self.varint(number);
        self
    }

    fn fixed(mut self, field: u64, number: u64) -> Self {
        self.varint(field << 3 | FIXED64);
        self.0.extend(number.to_le_bytes());
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | LENGTH);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    fn message(self, field: u64, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }

    fn messages(self, field: u64, messages: impl Iterator<Item = Self>) -> Self {
        messages.fold(self, |whole, message| whole.message(field, &message))
    }
}

/// The body of a request.
pub(super) fn encode(trace: &Trace, resource: &BTreeMap<String, String>) -> Vec<u8> {
    let pairs = resource.iter().map(|(key, value)| attribute(key, &Attribute::Text(value.clone())));
    let resource = Message::default().messages(1, pairs);
    let version = env!("CARGO_PKG_VERSION").as_bytes();
    let scope = Message::default().bytes(1, b"wythe").bytes(2, version);
    let spans = trace.spans.iter().map(|one| span(trace, one));
    let scoped = Message::default().message(1, &scope).messages(2, spans);
    let spans = Message::default().message(1, &resource).message(2, &scoped);
    Message::default().message(1, &spans).0
}

fn span(trace: &Trace, span: &Span) -> Message {
    let mut message = Message::default().bytes(1, &trace.id).bytes(2, &span.id);
    if !trace.state.is_empty() {
        message = message.bytes(3, trace.state.as_bytes());
    }
    if let Some(parent) = &span.parent {
        message = message.bytes(4, parent);
    }
    message = message.bytes(5, span.name.as_bytes()).number(6, INTERNAL);
    message = message.fixed(7, span.start).fixed(8, span.end);
    message = message.messages(9, span.attributes.iter().map(|(key, value)| attribute(key, value)));
    let link = |link: &[u8; 8]| Message::default().bytes(1, &trace.id).bytes(2, link);
    message = message.messages(13, span.links.iter().map(link));
    match &span.error {
        Some(why) => {
            message.message(15, &Message::default().bytes(2, why.as_bytes()).number(3, ERROR))
        }
        None => message,
    }
}

fn attribute(key: &str, value: &Attribute) -> Message {
    let value = match value {
        Attribute::Flag(flag) => Message::default().number(2, u64::from(*flag)),
        Attribute::Number(number) => Message::default().number(3, *number),
        Attribute::Text(text) => Message::default().bytes(1, text.as_bytes()),
    };
    Message::default().bytes(1, key.as_bytes()).message(2, &value)
}

#[cfg(test)]
mod tests {
    use super::super::span::tests::trace;
    use super::*;

    /// The fields of a message: their numbers, and their bytes where they have any.
    fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
        fn varint(bytes: &mut &[u8]) -> u64 {
            let (mut number, mut shift) = (0, 0);
            loop {
                let (first, rest) = bytes.split_first().unwrap();
                *bytes = rest;
                number |= u64::from(first & 0x7f) << shift;
                shift += 7;
                if first & 0x80 == 0 {
                    return number;
                }
            }
        }
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let value = match key & 7 {
                VARINT => varint(&mut bytes).to_le_bytes().to_vec(),
                FIXED64 => bytes.split_off(..8).unwrap().to_vec(),
                LENGTH => {
                    let length = usize::try_from(varint(&mut bytes)).unwrap();
                    bytes.split_off(..length).unwrap().to_vec()
                }
                other => panic!("wire type {other}"),
            };
            found.push((key >> 3, value));
        }
        found
    }

    fn field(bytes: &[u8], number: u64) -> Vec<Vec<u8>> {
        let found = fields(bytes).into_iter().filter(|(found, _)| *found == number);
        found.map(|(_, value)| value).collect()
    }

    #[test]
    fn a_trace_is_read_back_by_the_numbers_of_its_fields() {
        let trace = trace(None);
        let resource = [("service.name".to_owned(), "ci".to_owned())].into();
        let body = encode(&trace, &resource);
        let of = &field(&body, 1)[0];
        assert!(String::from_utf8_lossy(&field(of, 1)[0]).contains("service.name"));
        let spans = field(&field(of, 2)[0], 2);
        assert_eq!(spans.len(), 3);
        let last = &spans[2];
        assert_eq!(field(last, 1), [trace.id.to_vec()]);
        assert_eq!(field(last, 5), [b"two".to_vec()]);
        assert_eq!(field(last, 7), [5_000_010_000_u64.to_le_bytes().to_vec()]);
        assert_eq!(field(&field(last, 13)[0], 2), field(&spans[1], 2));
        assert_eq!(field(&field(last, 15)[0], 3), [2_u64.to_le_bytes().to_vec()]);
        assert!(field(&spans[0], 4).is_empty() && field(&spans[0], 15).is_empty());
    }
}
