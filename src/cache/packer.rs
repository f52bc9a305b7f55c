//! When an informer's objects are compressed, and by which dictionary.
//!
//! It owns the present codec and the decision to train a new one. It must not know where the objects are: whoever does
//! gives them when it [wants training](Packer::wants_training).
//!
//! A dictionary is trained on objects spread over all that are there. So it serves best what it was trained on, and a list
//! comes sorted: its first objects tell little of its last. Hence another one once there is sixteen times as much to be
//! read, and then at growing distances, for contents that change over months. All texts are compressed anew then, which
//! adds a sixteenth of the work at most.

use tracing::debug;

use super::codec::{Codec, Encoder};
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

    /// Takes a new object: compresses it, if there is a codec yet.
    pub(crate) fn take(&mut self, object: &StoredObject) {
        self.taken = self.taken.saturating_add(object.json_len());
        object.pack(self);
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
        self.present = encoder.map(|encoder| (Arc::new(trained(objects)), encoder));
        self.taken = 0;
        self.limit = Some(total.saturating_mul(TRAIN_AGAIN).max(self.limit.unwrap_or_default().saturating_mul(2)));
        debug!(objects = objects.len(), bytes = total, next = self.limit, "trained a dictionary");
    }

    /// What to compress with now.
    pub(super) fn codec(&mut self) -> Option<(&Arc<Codec>, &mut Encoder)> {
        self.present.as_mut().map(|(codec, encoder)| (&*codec, encoder))
    }
}

/// A codec trained on some of `objects`, spread over all of them.
fn trained(objects: &[Arc<StoredObject>]) -> Codec {
    let distance = objects.len().div_ceil(SAMPLES_MAX).max(1);
    let (mut samples, mut sizes) = (Vec::new(), Vec::new());
    for object in objects.iter().step_by(distance) {
        if samples.len() + object.json_len() <= SAMPLED_BYTES_MAX {
            samples.append(&mut object.text());
            sizes.push(object.json_len());
        }
    }
    Codec::trained(&samples, &sizes)
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

    /// As an informer's task does.
    fn take(packer: &mut Packer, objects: &mut Vec<Arc<StoredObject>>, object: Arc<StoredObject>) -> bool {
        packer.take(&object);
        objects.push(object);
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
    fn a_few_objects_that_change_for_ever_are_not_trained_on() {
        let mut packer = Packer::compressing_above(20_000);
        for _ in 0..100 {
            let mut objects: Vec<_> = (0..9).map(|number| object(number, 800)).collect();
            for object in &objects {
                packer.take(object);
            }
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
