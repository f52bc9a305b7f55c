//! What a program says: one line of JSON on its standard output.

use std::io::Write as _;

use serde::{Deserialize, Serialize};

use crate::beginning;

/// What came of something, by name. Times are in seconds, sizes in bytes.
pub type Figures = beginning::Figures;

/// Figures from pairs.
#[must_use]
pub fn figures<const N: usize>(pairs: [(&str, f64); N]) -> Figures {
    beginning::figures(pairs)
}

/// One answer. The README tells which follows which command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words of the protocol")]
pub enum Answer {
    Ready { figures: Figures },
    Unsupported { why: String },
    Marked,
    Report { figures: Figures },
    View { figures: Figures },
    Idle { figures: Figures },
}

impl Answer {
    /// Says it.
    pub fn say(&self) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        serde_json::to_writer(&mut out, self)?;
        out.write_all(b"\n")?;
        Ok(out.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_the_protocol_says() {
        let read = |text: &str| serde_json::from_str::<Answer>(text).unwrap();
        assert_eq!(read(r#"{"event": "marked"}"#), Answer::Marked);
        assert_eq!(read(r#"{"event": "unsupported", "why": "w"}"#), Answer::Unsupported { why: "w".to_owned() });
        let figures = figures([("wake-ups", 2.0)]);
        assert_eq!(read(r#"{"event": "idle", "figures": {"wake-ups": 2}}"#), Answer::Idle { figures });
    }
}
