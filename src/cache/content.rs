//! The text of one object, plain or compressed, and the typed object beside it where that is kept.
//!
//! Invariant: the text never changes, only how it is held.

use std::any::Any;

use super::codec::Codec;
use super::packer::Packer;
use crate::sync::{Arc, Mutex};

/// A text, held the way that is cheapest at the moment.
pub(super) struct Content {
    // The text's, however it is held.
    len: usize,
    held: Mutex<Held>,
}

struct Held {
    text: Text,
    // The typed object, for as long as this state is held.
    typed: Option<Arc<dyn Any + Send + Sync>>,
}

enum Text {
    Plain(Box<[u8]>),
    Packed { bytes: Box<[u8]>, codec: Arc<Codec> },
}

impl Content {
    pub(super) fn plain(text: Vec<u8>) -> Self {
        let text = text.into_boxed_slice();
        Self { len: text.len(), held: Mutex::new(Held { text: Text::Plain(text), typed: None }) }
    }

    /// The text.
    pub(super) fn text(&self) -> Vec<u8> {
        self.held.lock().text.read(self.len)
    }

    /// How long the text is.
    pub(super) fn text_len(&self) -> usize {
        self.len
    }

    /// How many bytes it takes as it is held.
    pub(super) fn held_len(&self) -> usize {
        match &self.held.lock().text {
            Text::Plain(bytes) | Text::Packed { bytes, .. } => bytes.len(),
        }
    }

    /// Holds the text as `packer` does now, unless it is held like that already.
    pub(super) fn pack(&self, packer: &mut Packer) {
        let Some((codec, encoder)) = packer.codec() else { return };
        let mut held = self.held.lock();
        let bytes = match &held.text {
            Text::Packed { codec: of_text, .. } if Arc::ptr_eq(of_text, codec) => return,
            Text::Plain(plain) => codec.compress(encoder, plain),
            Text::Packed { .. } => codec.compress(encoder, &held.text.read(self.len)),
        };
        match (bytes, &held.text) {
            (Some(bytes), _) => held.text = Text::Packed { bytes, codec: Arc::clone(codec) },
            (None, Text::Plain(_)) => {}
            (None, Text::Packed { .. }) => held.text = Text::Plain(held.text.read(self.len).into()),
        }
    }

    /// The typed object that was kept, if it is of this type.
    pub(super) fn kept<K: Any + Send + Sync>(&self) -> Option<Arc<K>> {
        let typed = self.held.lock().typed.clone();
        typed?.downcast().ok()
    }

    /// Keeps the typed object, in place of the one before.
    pub(super) fn keep(&self, typed: Arc<dyn Any + Send + Sync>) {
        let before = self.held.lock().typed.replace(typed);
        // A user's type is dropped here: not under the lock.
        drop(before);
    }
}

impl Text {
    fn read(&self, len: usize) -> Vec<u8> {
        match self {
            Self::Plain(text) => text.to_vec(),
            // invariant: what a codec has written it reads. Nothing that is no JSON decodes, so it would be noticed.
            Self::Packed { bytes, codec } => codec.decompress(bytes, len).unwrap_or_default(),
        }
    }
}
