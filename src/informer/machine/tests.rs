//! The machine's transitions, as tables and as properties.
