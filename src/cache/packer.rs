//! When an informer's objects are compressed, and by which dictionary.
//!
//! It owns the present codec and the decision to train a new one. It must not know where the objects are: whoever does
//! gives them when it [wants training](Packer::wants_training).
//!
//! The first dictionary is made of objects as they are: training takes several MB for a moment, most of which the allocator would keep
//! for good, and that is more than a small store holds. What comes out is about as short, at two thirds more time for an object
//! (docs/cache.md). It serves best what is like those objects, and a list comes sorted: its first objects tell little of its last.
//! Hence another one once there is sixteen times as much to be read, trained this time, and then at growing distances, for
//! contents that change over months. All texts are compressed anew then, which adds a sixteenth of the work at most.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tracing::debug;

use super::codec::{Codec, DICTIONARY_MAX, Encoder};
use super::content::Content;
use super::object::StoredObject;
use crate::sync::Arc;

/// A new dictionary follows when so many times the text has come that the last one was trained for.
const TRAIN_AGAIN: usize = 16;
/// How many objects a dictionary is trained on, and how much of their text: what zstd recommends, a hundred times its size,
/// would take a second.
const SAMPLES_MAX: usize = 300;
const SAMPLED_BYTES_MAX: usize = 3 << 20;

/// Compresses the objects of one informer.
pub(crate) struct Packer {
    minimum: usize,
    present: Option<(Arc<Codec>, Encoder)>,
    // How much text has come since the codec was trained, and at how much it is trained again.
    taken: usize,
    limit: Option<usize>,
}

impl Packer {
    /// Leaves texts plain as long as they are less than `minimum` bytes in all.
    pub(crate) fn compressing_above(minimum: usize) -> Self {
        Self { minimum, present: None, taken: 0, limit: None }
    }

    /// Takes a new object's text: compresses it, if there is a codec yet.
    pub(crate) fn take(&mut self, text: &[u8]) -> Content {
        self.taken = self.taken.saturating_add(text.len());
        match self.codec() {
            Some((codec, encoder)) => Content::packed(text, codec, encoder),
            None => Content::plain(text),
        }
    }

    /// Whether it is time to [train](Self::train).
    pub(crate) fn wants_training(&self) -> bool {
        self.taken >= self.limit.unwrap_or(self.minimum)
    }

    /// Trains a codec on `objects`, which are all that there are. They are to be [packed](StoredObject::pack) then.
    pub(crate) fn train(&mut self, objects: &[Arc<StoredObject>]) {
        let total: usize = objects.iter().map(|object| object.json_len()).sum();
        if total < self.minimum / 2 {
            // The same few objects have changed again and again.
            self.taken = 0;
            return;
        }
        let encoder = match self.present.take() {
            Some((_, encoder)) => Some(encoder),
            None => Encoder::new(),
        };
        // Without the memory for one, texts stay plain until the next attempt.
        let make = if self.limit.is_none() { begun } else { trained };
        self.present = encoder.map(|encoder| (Arc::new(make(objects, total)), encoder));
        self.taken = 0;
        self.limit = Some(total.saturating_mul(TRAIN_AGAIN).max(self.limit.unwrap_or_default().saturating_mul(2)));
        debug!(objects = objects.len(), bytes = total, next = self.limit, "trained a dictionary");
    }

    /// What to compress with now.
    pub(super) fn codec(&mut self) -> Option<(&Arc<Codec>, &mut Encoder)> {
        self.present.as_mut().map(|(codec, encoder)| (&*codec, encoder))
    }
}

/// One in `width` of `objects`, spread over all of them, the same ones each time. At no fixed distance: a list may repeat itself, and
/// all of some kind would be missed.
fn spread(objects: &[Arc<StoredObject>], width: usize) -> impl Iterator<Item = &Arc<StoredObject>> {
    let mut rng = StdRng::seed_from_u64(0);
    objects.chunks(width).map(move |chunk| &chunk[rng.random_range(0..chunk.len())])
}

/// The texts of some of `objects`, which are `total` bytes in all: at most `bytes` of them, and how long each is.
fn samples(objects: &[Arc<StoredObject>], total: usize, bytes: usize) -> (Vec<u8>, Vec<usize>) {
    let (mut texts, mut sizes) = (Vec::new(), Vec::new());
    // So few that about all of them fit: else only those at the list's beginning would be taken.
    let width = objects.len().div_ceil(SAMPLES_MAX).max(total.div_ceil(bytes)).max(1);
    for object in spread(objects, width) {
        if texts.len() + object.json_len() <= bytes {
            texts.append(&mut object.text());
            sizes.push(object.json_len());
        }
    }
    (texts, sizes)
}

/// A codec whose dictionary is some of `objects` as they are.
fn begun(objects: &[Arc<StoredObject>], total: usize) -> Codec {
    Codec::of_text(&samples(objects, total, DICTIONARY_MAX).0)
}

/// A codec trained on some of `objects`.
fn trained(objects: &[Arc<StoredObject>], total: usize) -> Codec {
    let (texts, sizes) = samples(objects, total, SAMPLED_BYTES_MAX);
    Codec::trained(&texts, &sizes)
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;
    use crate::cache::TypeMeta;
    use proptest::prelude::*;

    fn object(number: usize, len: usize) -> Arc<StoredObject> {
        let types = TypeMeta { api_version: "v1".into(), kind: "ConfigMap".into() };
        let word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let line = |at: usize| format!("line {at} of what all of them say {:x};", word % (at + 1));
        let data = (0..len / 40).map(line).collect::<Vec<_>>().concat();
        let text = format!(r#"{{"metadata":{{"name":"o-{number}","uid":"{word:x}"}},"data":{{"d":"{data}"}}}}"#);
        Arc::new(StoredObject::parse(text.as_bytes(), &types, false).unwrap())
    }

    /// The same object, its text as the packer holds it.
    fn taken(packer: &mut Packer, object: Arc<StoredObject>) -> Arc<StoredObject> {
        let content = packer.take(&object.text());
        Arc::new(Arc::into_inner(object).unwrap().with_content(content))
    }

    /// As an informer's task does.
    fn take(packer: &mut Packer, objects: &mut Vec<Arc<StoredObject>>, object: Arc<StoredObject>) -> bool {
        objects.push(taken(packer, object));
        let due = packer.wants_training();
        if due {
            packer.train(objects);
            for object in &*objects {
                object.pack(packer);
            }
        }
        due
    }

    fn sizes(objects: &[Arc<StoredObject>]) -> (usize, usize) {
        (objects.iter().map(|object| object.json_len()).sum(), objects.iter().map(|object| object.held_len()).sum())
    }

    #[test]
    fn a_small_store_stays_plain_and_a_larger_one_is_compressed_as_a_whole() {
        let (mut packer, mut objects) = (Packer::compressing_above(2 << 20), Vec::new());
        let mut number = 0;
        while !take(&mut packer, &mut objects, object(number, 6_000)) {
            let (json, held) = sizes(&objects);
            assert!(json < 2 << 20 && held == json);
            number += 1;
        }
        let (json, held) = sizes(&objects);
        assert!(json >= 2 << 20 && held * 5 < json, "{json} {held}");
        take(&mut packer, &mut objects, object(number + 1, 6_000));
        assert!(
            objects.last().unwrap().held_len() * 5 < objects.last().unwrap().json_len(),
            "what follows is compressed at once"
        );
    }

    #[test]
    fn dictionaries_follow_each_other_at_growing_distances_and_the_last_one_is_everybodys() {
        let (mut packer, mut objects) = (Packer::compressing_above(20_000), Vec::new());
        let trained: Vec<_> =
            (0..4_000).filter(|&number| take(&mut packer, &mut objects, object(number, 400))).collect();
        assert_eq!(trained.len(), 2, "{trained:?}");
        assert!(trained[1] > 15 * trained[0], "{trained:?}");
        let (codec, _) = packer.codec().unwrap();
        // Each object, and the packer.
        assert_eq!(Arc::strong_count(codec), objects.len() + 1);
    }

    #[test]
    fn samples_are_of_most_kinds_however_the_list_repeats_itself() {
        for count in [1, 7, 299, 300, 301, 4_000, 20_000] {
            let objects: Vec<_> = (0..count).map(|number| object(number, 0)).collect();
            let places: Vec<usize> = spread(&objects, count.div_ceil(SAMPLES_MAX))
                .filter_map(|one| objects.iter().position(|it| Arc::ptr_eq(it, one)))
                .collect();
            assert!(places.len() * 2 > count.min(300), "{} of {count}", places.len());
            for period in 1..=count.min(32) {
                let kinds: std::collections::BTreeSet<_> = places.iter().map(|place| place % period).collect();
                assert!(kinds.len() * 4 >= period * 3, "{} of {period} kinds of {count} objects", kinds.len());
            }
            let thirds = [0, 1, 2].map(|third| places.iter().filter(|&&place| place * 3 / count == third).count());
            assert!(thirds.iter().all(|&third| third * 4 >= places.len()) || count < 7, "{thirds:?} of {count}");
        }
    }

    /// A list that comes sorted: of four kinds that have nothing in common, one after the other.
    fn sorted_list(count: usize, words: usize) -> Vec<Arc<StoredObject>> {
        let types = TypeMeta { api_version: "v1".into(), kind: "ConfigMap".into() };
        let one = |number: usize| {
            let word = |at: usize| (number * 4 / count * words + at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let data: Vec<_> = (0..words).map(|at| format!("{:016x}", word(at))).collect();
            let data = data.concat();
            let text = format!(r#"{{"metadata":{{"name":"o-{number}","uid":"{number:x}"}},"data":{{"d":"{data}"}}}}"#);
            Arc::new(StoredObject::parse(text.as_bytes(), &types, false).unwrap())
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn a_dictionary_serves_the_end_of_a_sorted_list_as_it_does_its_beginning() {
        let (mut packer, list) = (Packer::compressing_above(2 << 20), sorted_list(500, 300));
        let objects: Vec<_> = list.into_iter().map(|object| taken(&mut packer, object)).collect();
        packer.train(&objects);
        for object in &objects {
            object.pack(&mut packer);
        }
        let of_each_kind: Vec<_> = objects.chunks(125).map(sizes).collect();
        assert!(of_each_kind.iter().all(|(json, held)| held * 20 < *json), "{of_each_kind:?}");
    }

    #[test]
    fn what_is_sampled_of_large_objects_is_of_the_whole_list() {
        let objects = sorted_list(600, 1_200);
        let (total, bytes) = (sizes(&objects).0, SAMPLED_BYTES_MAX);
        assert!(total / 600 * SAMPLES_MAX > bytes, "so many of them are too much");
        let (texts, lens) = samples(&objects, total, bytes);
        assert_eq!(texts.len(), lens.iter().sum::<usize>());
        assert!(texts.len() <= bytes && texts.len() * 10 > bytes * 9);
        let text = String::from_utf8(texts).unwrap();
        for kind in objects.chunks(150) {
            let any = String::from_utf8(kind[0].text()).unwrap();
            let data = any.split('"').rev().nth(1).unwrap();
            assert!(text.matches(data).count() > 20, "each of four kinds is a quarter of 150 samples");
        }
    }

    #[test]
    fn a_few_objects_that_change_for_ever_are_not_trained_on() {
        let mut packer = Packer::compressing_above(20_000);
        for _ in 0..100 {
            let mut objects: Vec<_> = (0..9).map(|number| object(number, 800)).collect();
            objects = objects.into_iter().map(|object| taken(&mut packer, object)).collect();
            if packer.wants_training() {
                packer.train(&objects);
            }
            assert!(packer.codec().is_none());
            objects.clear();
        }
    }

    proptest! {
        #[test]
        fn however_it_is_held_the_text_is_the_same(
            lens in prop::collection::vec(0..3_000_usize, 1..120),
            minimum in 1_000..60_000_usize,
        ) {
            let (mut packer, mut objects) = (Packer::compressing_above(minimum), Vec::new());
            for (number, &len) in lens.iter().enumerate() {
                take(&mut packer, &mut objects, object(number, len));
            }
            for (number, &len) in lens.iter().enumerate() {
                prop_assert_eq!(objects[number].text(), object(number, len).text());
                prop_assert!(objects[number].held_len() <= objects[number].json_len());
            }
        }
    }
}
