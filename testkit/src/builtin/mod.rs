//! What the built-in kinds are made of: their fields, how they are decoded, filled in and checked.
//!
//! `types.txt` is the one source about the shape of built-in objects. It is read by [`decode`] (types, unknown fields),
//! by field ownership and server-side apply (how lists and maps merge), by strategic merge patches and by the `OpenAPI`
//! documents. It was extracted from the Go types by `testcluster/kinds`; its lines read
//!
//! ```text
//! core/v1.Container                         a type: package, name, and `atomic` if it is owned as a whole
//!  ports []core/v1.ContainerPort? #6 map=containerPort,protocol patch=merge patch-key=containerPort
//!  ^name ^type                  ^ ^  ^how items are told apart  ^how a strategic merge patch merges
//!                               |  the number in protobuf; `#1.2` is number 2 of an embedded message 1
//!                               left out when empty
//! ```
//!
//! with `*` for a pointer (absent is not zero), `[]` for a list, `{}` for a map by name, and `default=` in JSON.

pub(crate) mod decode;
pub(crate) mod defaults;
mod quantity;
mod time;
pub(crate) mod types;
pub(crate) mod validate;
