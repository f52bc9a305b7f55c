//! Whether anything comes over a watch: what tells a quiet kind from a connection that is open at this end only.
//!
//! A watch that is silent for [`InformerConfig::watch_silence`] is dropped and resumed. That alone says little: a
//! kind that does not change gets no bookmarks. So the next watch is asked to end before the bound. If that end does not come either, nothing
//! does, and people are told.
//!
//! ```text
//!   Frames ──silence──▶ Doubtful ──silence, told──▶ Nothing ──silence──▶ Nothing
//!     ▲                   │   ▲                        │
//!     └─ a frame, from    │   └──silence──┐            │
//!        any state        └───an end───▶ Ends ◀──an end┘
//! ```
//!
//! [`InformerConfig::watch_silence`]: crate::InformerConfig::watch_silence

use std::time::Duration;

/// What was last heard from the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Hearing {
    /// Events or bookmarks come.
    #[default]
    Frames,
    /// The ends of watches come, but no frames: the kind does not change.
    Ends,
    /// A watch was dropped for its silence, which happens every day.
    Doubtful,
    /// So was the next one, whose end should have come.
    Nothing,
}

impl Hearing {
    /// A watch has ended in good order.
    pub(super) fn ended(self) -> Self {
        match self {
            Self::Frames => Self::Frames,
            Self::Ends | Self::Doubtful | Self::Nothing => Self::Ends,
        }
    }

    /// A watch was silent up to the bound.
    pub(super) fn silent(self) -> Self {
        match self {
            Self::Frames | Self::Ends => Self::Doubtful,
            Self::Doubtful | Self::Nothing => Self::Nothing,
        }
    }

    /// After how long the server is to end the next watch; `chance` is from 0 to 1.
    pub(super) fn timeout(self, watch_timeout: Duration, silence: Duration, chance: f64) -> Duration {
        let usual = watch_timeout.mul_f64(1.0 + chance);
        // Of the least bound, 4 s, this leaves 2 s: more than the second after which a watch's end counts as orderly.
        let drawn = match self {
            Self::Frames => usual,
            Self::Ends | Self::Doubtful | Self::Nothing => usual.min(silence.mul_f64(0.5 + chance / 4.0)),
        };
        Duration::from_secs(drawn.as_secs().max(1))
    }
}
