//! The buffer of a body.

use bytes::Bytes;

/// A body that is being received: one piece is kept as it is, several are copied together.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    one: Bytes,
    many: Vec<u8>,
    capacity: usize,
}

impl Buffer {
    pub(super) fn new(capacity: usize) -> Self {
        Self { one: Bytes::new(), many: Vec::new(), capacity }
    }

    pub(super) fn len(&self) -> usize {
        self.one.len() + self.many.len()
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        if self.many.is_empty() { &self.one } else { &self.many }
    }

    pub(super) fn push(&mut self, bytes: &Bytes) {
        if self.len() == 0 {
            self.one = bytes.clone();
            return;
        }
        if self.many.is_empty() {
            self.many.reserve_exact(self.capacity.max(self.one.len() + bytes.len()));
            self.many.extend_from_slice(&std::mem::take(&mut self.one));
        }
        self.many.extend_from_slice(bytes);
    }

    pub(super) fn into_bytes(self) -> Bytes {
        if self.many.is_empty() { self.one } else { self.many.into() }
    }
}
