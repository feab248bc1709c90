//! What is sent back.

use std::fs::File;
use std::sync::Arc;

use serde_json::{Value, json};

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Content,
}

/// Its body.
#[derive(Debug)]
pub(crate) enum Content {
    Bytes(Vec<u8>),
    /// A part of a file.
    File(Arc<File>, std::ops::Range<u64>),
}

impl Content {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(_, range) => range.end - range.start,
        }
    }
}

impl Answer {
    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Content::Bytes(Vec::new()) }
    }

    /// An error as registries tell one.
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        let errors = json!({"errors": [{"code": code, "message": message}]});
        Self { status, ..Self::json(&errors) }
    }

    pub(crate) fn json(value: &Value) -> Self {
        let body = Content::Bytes(value.to_string().into_bytes());
        Self { body, ..Self::status(200) }.with("Content-Type", "application/json")
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}
