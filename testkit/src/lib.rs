//! An in-process Kubernetes API server for tests.

#[allow(dead_code, reason = "the server's verbs call these as they land")]
mod builtin;
#[allow(dead_code, reason = "the server's verbs call these as they land")]
mod field;
#[allow(dead_code, unused_imports, reason = "the server's verbs call these as they land")]
mod managed_fields;
#[allow(dead_code, reason = "the server's verbs call these as they land")]
mod openapi;
#[allow(dead_code, unused_imports, reason = "the server's verbs call these as they land")]
mod patch;
#[allow(dead_code, unused_imports, reason = "the server's verbs call these as they land")]
mod schema;
#[allow(dead_code, unused_imports, reason = "the server's verbs call these as they land")]
mod table;
#[cfg(test)]
mod testing;
