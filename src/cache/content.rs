//! The text of one object, plain or compressed, and the typed object beside it where that is kept.
//!
//! Invariant: the text never changes, only how it is held.

use std::any::Any;
use std::borrow::Cow;

use super::codec::{self, Codec, Encoder};
use super::packer::Packer;
use crate::sync::{Arc, Mutex};

/// A text, held the way that is cheapest at the moment.
pub(crate) struct Content {
    held: Mutex<Held>,
}

struct Held {
    text: Text,
    // The typed object, for as long as this state is held.
    // Behind a box, since it is mostly absent.
    typed: Option<Box<Arc<dyn Any + Send + Sync>>>,
}

enum Text {
    Plain(Box<[u8]>),
    Packed { bytes: Box<[u8]>, codec: Arc<Codec> },
}

impl Default for Content {
    /// No text.
    fn default() -> Self {
        Self::plain(&[])
    }
}

impl Content {
    pub(crate) fn plain(text: &[u8]) -> Self {
        Self::of(Text::Plain(text.into()))
    }

    /// The text, held as this codec does where that is shorter.
    pub(super) fn packed(text: &[u8], codec: &Arc<Codec>, encoder: &mut Encoder) -> Self {
        Self::of(Text::packed(text, codec, encoder).unwrap_or_else(|| Text::Plain(text.into())))
    }

    fn of(text: Text) -> Self {
        Self { held: Mutex::new(Held { text, typed: None }) }
    }

    /// The text.
    pub(super) fn text(&self) -> Vec<u8> {
        self.held.lock().text.read()
    }

    /// How long the text is.
    pub(super) fn text_len(&self) -> usize {
        match &self.held.lock().text {
            Text::Plain(text) => text.len(),
            Text::Packed { bytes, .. } => codec::text_len(bytes).unwrap_or_default(),
        }
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
        let text = match &held.text {
            Text::Packed { codec: of_text, .. } if Arc::ptr_eq(of_text, codec) => return,
            Text::Plain(plain) => Cow::Borrowed(&**plain),
            Text::Packed { .. } => Cow::Owned(held.text.read()),
        };
        match (Text::packed(&text, codec, encoder), text) {
            (Some(shorter), _) => held.text = shorter,
            (None, Cow::Borrowed(_)) => {}
            (None, Cow::Owned(plain)) => held.text = Text::Plain(plain.into()),
        }
    }

    /// Gives the text up, and the typed object with it: nobody will ask for them again.
    pub(super) fn forget(&self) {
        let before = std::mem::replace(&mut *self.held.lock(), Held { text: Text::Plain(Box::default()), typed: None });
        // A user's type is dropped here: not under the lock.
        drop(before);
    }

    /// The typed object that was kept, if it is of this type.
    pub(super) fn kept<K: Any + Send + Sync>(&self) -> Option<Arc<K>> {
        let typed = self.held.lock().typed.as_deref().cloned();
        typed?.downcast().ok()
    }

    /// Keeps the typed object, in place of the one before.
    pub(super) fn keep(&self, typed: Arc<dyn Any + Send + Sync>) {
        let before = self.held.lock().typed.replace(Box::new(typed));
        // A user's type is dropped here: not under the lock.
        drop(before);
    }
}

impl Text {
    /// `None` if it is no shorter that way.
    fn packed(text: &[u8], codec: &Arc<Codec>, encoder: &mut Encoder) -> Option<Self> {
        Some(Self::Packed { bytes: codec.compress(encoder, text)?, codec: Arc::clone(codec) })
    }

    fn read(&self) -> Vec<u8> {
        match self {
            Self::Plain(text) => text.to_vec(),
            // invariant: what a codec has written it reads. Nothing that is no JSON decodes, so it would be noticed.
            Self::Packed { bytes, codec } => codec.decompress(bytes).unwrap_or_default(),
        }
    }
}
