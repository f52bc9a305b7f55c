//! Seeds that once failed, with what they found. They run first, always.
//!
//! A seed means something only together with the drawing of `options` and `transition`: whoever changes that gives these seeds
//! another meaning. What they found is kept by a test of its own each; here they only cost a moment.

/// A seed and what it found.
pub(crate) const SEEDS: &[(u64, &str)] = &[
    (
        11_468_980_863_044_048_836,
        "left the selector, came back while its `delete` ran: the finalizer is removed from it, and `add` comes without one",
    ),
    (
        15_261_368_899_500_779_536,
        "a deletion was settled out of sight and is delivered again: the reference was too strict",
    ),
    (18_386_811_825_012_877_209, "the same"),
    (
        7_223_554_724_299_510_152,
        "left the selector before its first call, with the finalizer of the process before: `delete` came, and the reference was too strict",
    ),
    (
        18_212_190_647_730_782_046,
        "a delete failed for good of an object that was back, with its finalizer: parked, and the reference was too strict",
    ),
    (
        5_860_806_834_341_897_788,
        "came back, went again before anybody looked, and is delivered again: the reference was too strict",
    ),
    (14_086_635_220_981_078_760, "a resync and a release by hand at one moment: the reference knew one order only"),
    (
        9_700_704_282_357_585_320,
        "left the selector while its finalizer was being added, and came back: the reference was too strict",
    ),
    (7_660_277_075_434_112_359, "a resync at the moment at which the cap parks: the reference knew one order only"),
    (14_389_194_285_503_379_035, "the same, behind a retry limit and before a release by hand"),
    (
        17_706_701_244_603_574_036,
        "came back unseen while its finalizer went, and the add ended before that was seen: the reference was too strict",
    ),
];
