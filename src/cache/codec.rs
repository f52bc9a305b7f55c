//! One way to write a text shorter: zstd, with a dictionary trained on texts like it or without one.
//!
//! It owns dictionaries and what it takes to use them. It must not know what the texts are, nor when to train.

use std::fmt;
use std::ops::Range;

use zstd_safe::{
    CCtx, CDict, CompressionLevel, DCtx, DDict, MAGICNUMBER, compress_bound, get_frame_content_size, train_from_buffer,
};

use crate::sync::Mutex;

/// The lowest: zstd's own default, 3, takes a third more time for texts that are a tenth shorter at most (docs/cache.md has the
/// figures).
const LEVEL: CompressionLevel = 1;
/// How large a dictionary may be. zstd's own default, 110 KB, is no shorter for objects of a few KB (docs/cache.md).
pub(super) const DICTIONARY_MAX: usize = 64 << 10;
/// More room than this is not kept for the next text: few are as large.
const SCRATCH_MAX: usize = 256 << 10;
/// What each frame begins with. It is not kept: of a short text it would be a hundredth.
const MAGIC: [u8; 4] = MAGICNUMBER.to_le_bytes();
/// How long a frame's header is at most, behind that.
const HEADER_MAX: usize = 14;
/// Where a trained dictionary holds its number, which frames repeat. Zero is none, and takes no room in them.
const DICTIONARY_ID: Range<usize> = 4..8;
/// How many idle decoders are kept: one takes about 100 KB.
const IDLE_DECODERS_MAX: usize = 2;

/// A dictionary, or none, and how to use it.
pub(super) struct Codec {
    dictionary: Option<Dictionary>,
    // Idle ones: making one takes longer than decompressing an object.
    decoders: Mutex<Vec<DCtx<'static>>>,
}

struct Dictionary {
    encode: CDict<'static>,
    decode: DDict<'static>,
}

impl Codec {
    /// A codec trained on `samples`, which lie one after the other and are `sizes` long. Without a dictionary, if they
    /// are too few or too unlike each other for one.
    pub(super) fn trained(samples: &[u8], sizes: &[usize]) -> Self {
        let mut dictionary = Vec::with_capacity(DICTIONARY_MAX);
        let trained = train_from_buffer(&mut dictionary, samples, sizes).is_ok();
        // Each text knows its codec, so that nobody asks for the number.
        if let Some(id) = dictionary.get_mut(DICTIONARY_ID) {
            id.fill(0);
        }
        Self::with(trained.then_some(&dictionary))
    }

    /// A codec whose dictionary is this text, of [`DICTIONARY_MAX`] bytes at most.
    pub(super) fn of_text(text: &[u8]) -> Self {
        // Shorter ones say nothing, and zstd takes them for none.
        Self::with((text.len() >= 8).then_some(text))
    }

    fn with(dictionary: Option<impl AsRef<[u8]>>) -> Self {
        let dictionary = dictionary.and_then(|dictionary| {
            let encode = CDict::try_create(dictionary.as_ref(), LEVEL)?;
            Some(Dictionary { encode, decode: DDict::try_create(dictionary.as_ref())? })
        });
        Self { dictionary, decoders: Mutex::new(Vec::new()) }
    }

    /// `text`, shorter; `None` if it cannot be. `scratch` is overwritten.
    pub(super) fn compress(&self, encoder: &mut Encoder, text: &[u8]) -> Option<Box<[u8]>> {
        let Encoder { context, scratch } = encoder;
        scratch.clear();
        scratch.reserve(compress_bound(text.len()));
        let written = match &self.dictionary {
            Some(dictionary) => context.compress_using_cdict(scratch, text, &dictionary.encode),
            None => context.compress(scratch, text, LEVEL),
        };
        let frame = written.ok().and_then(|_| scratch.strip_prefix(&MAGIC));
        let packed = frame.filter(|frame| frame.len() < text.len()).map(Into::into);
        if scratch.capacity() > SCRATCH_MAX {
            *scratch = Vec::new();
        }
        packed
    }

    /// What was compressed into `packed`. `None` if that is not what `packed` holds.
    pub(super) fn decompress(&self, packed: &[u8]) -> Option<Vec<u8>> {
        let frame = [&MAGIC, packed].concat();
        let len = content_len(&frame)?;
        let decoder = self.decoders.lock().pop();
        let mut decoder = decoder.or_else(DCtx::try_create)?;
        let mut text = Vec::with_capacity(len);
        let written = match &self.dictionary {
            Some(dictionary) => decoder.decompress_using_ddict(&mut text, &frame, &dictionary.decode),
            None => decoder.decompress(&mut text, &frame),
        };
        let mut decoders = self.decoders.lock();
        if decoders.len() < IDLE_DECODERS_MAX {
            decoders.push(decoder);
        }
        (written == Ok(len)).then_some(text)
    }

    /// Whether it has a dictionary.
    pub(super) fn has_dictionary(&self) -> bool {
        self.dictionary.is_some()
    }
}

/// How long the text is that was compressed into `packed`, which says so. `None` if it does not.
pub(super) fn text_len(packed: &[u8]) -> Option<usize> {
    content_len(&[&MAGIC, &packed[..packed.len().min(HEADER_MAX)]].concat())
}

/// How long the content of a frame is that begins like this.
fn content_len(frame: &[u8]) -> Option<usize> {
    usize::try_from(get_frame_content_size(frame).ok()??).ok()
}

impl fmt::Debug for Codec {
    // Never the dictionary: it is made of objects' content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec").field("has_dictionary", &self.has_dictionary()).finish_non_exhaustive()
    }
}

/// What compressing needs, kept from one object to the next.
pub(super) struct Encoder {
    context: CCtx<'static>,
    // Where it writes to before the length is known.
    scratch: Vec<u8>,
}

impl Encoder {
    /// `None` if there is no memory for it.
    pub(super) fn new() -> Option<Self> {
        Some(Self { context: CCtx::try_create()?, scratch: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Texts of one shape, as objects of one kind are.
    fn texts(count: usize) -> Vec<String> {
        let text = |number: usize| {
            let hash = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            format!(
                r#"{{"kind":"Pod","name":"web-{number}","uid":"{hash:x}","image":"registry/shop:{}","node":"n-{}"}}"#,
                number % 7,
                number % 31
            )
        };
        (0..count).map(text).collect()
    }

    fn trained(texts: &[String]) -> Codec {
        let sizes: Vec<_> = texts.iter().map(String::len).collect();
        Codec::trained(texts.concat().as_bytes(), &sizes)
    }

    #[test]
    fn a_dictionary_makes_small_texts_much_smaller() {
        let texts = texts(2_000);
        let (with, without) = (trained(&texts), trained(&texts[..1]));
        assert!(with.has_dictionary() && !without.has_dictionary(), "one sample is not enough for a dictionary");
        let mut encoder = Encoder::new().unwrap();
        let mut size = |codec: &Codec| {
            texts
                .iter()
                .map(|text| codec.compress(&mut encoder, text.as_bytes()).map_or(text.len(), |it| it.len()))
                .sum()
        };
        let (with, without): (usize, usize) = (size(&with), size(&without));
        assert!(with * 2 < without, "{with} and {without}");
    }

    #[test]
    fn what_is_not_shorter_is_not_compressed() {
        let codec = trained(&[]);
        assert_eq!(codec.compress(&mut Encoder::new().unwrap(), b"{}"), None);
    }

    #[test]
    fn nonsense_is_refused() {
        let codec = trained(&texts(500));
        let packed = codec.compress(&mut Encoder::new().unwrap(), texts(1)[0].as_bytes()).unwrap();
        assert!(codec.decompress(&packed).is_some());
        assert_eq!(codec.decompress(&packed[1..]), None);
        assert_eq!(codec.decompress(&packed[..packed.len() - 1]), None);
        assert_eq!(trained(&[]).decompress(&packed), None, "it was compressed with a dictionary");
    }

    proptest! {
        #[test]
        fn every_text_comes_back_as_it_was(text in prop::collection::vec(any::<u8>(), 0..500), repeated in 1..20_usize) {
            let codec = trained(&texts(300));
            let text = text.repeat(repeated);
            if let Some(packed) = codec.compress(&mut Encoder::new().unwrap(), &text) {
                prop_assert!(packed.len() < text.len());
                prop_assert_eq!(text_len(&packed), Some(text.len()));
                prop_assert_eq!(codec.decompress(&packed), Some(text));
            }
        }
    }
}
