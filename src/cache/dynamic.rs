//! Objects of any kind: typed metadata, and the rest as JSON.

use kubehandler_core::{Life, ObjectKey};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::DecodeError;
use super::mismatch;

/// An object of a kind that is known at run time only: kube's own type for such, so that it can be read from a cache here and
/// written by a `kube::Api` there.
///
/// `metadata` is typed, `types` holds `apiVersion` and `kind`, and `data` all other fields as JSON; [`DynamicFields`] reads
/// these by JSON pointers and as types.
pub type Dynamic = kube::api::DynamicObject;

/// Reads the fields of a [`Dynamic`] object.
///
/// ```
/// use kubehandler::{Dynamic, DynamicFields as _};
/// use serde_json::json;
///
/// let widget: Dynamic = serde_json::from_value(json!({
///     "apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "uid": "1"},
///     "spec": {"replicas": 3, "ports": [80, 443]},
/// }))?;
/// assert_eq!(widget.pointer("/spec/ports/0"), Some(&json!(80)));
/// assert_eq!(widget.parse_at::<u32>("/spec/replicas")?, Some(3));
/// assert_eq!(widget.parse_at::<u32>("/spec/paused")?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait DynamicFields {
    /// What stands at this JSON pointer (RFC 6901), `/spec/replicas`; `None` where nothing does. Metadata, `apiVersion` and
    /// `kind` are fields of the object itself, and not found here.
    fn pointer(&self, pointer: &str) -> Option<&Value>;

    /// What stands at this JSON pointer as a `T`; `None` where nothing does, or null.
    ///
    /// # Errors
    /// It is no `T`. The error names object, path and kind of mismatch, and holds no value of the object. A handler that
    /// returns it waits for the object's next version.
    fn parse_at<T: DeserializeOwned>(&self, pointer: &str) -> Result<Option<T>, DecodeError>;

    /// The whole object as a `T`, metadata included.
    ///
    /// # Errors
    /// As [`parse_at`](Self::parse_at).
    fn parse<T: DeserializeOwned>(&self) -> Result<T, DecodeError>;
}

impl DynamicFields for Dynamic {
    fn pointer(&self, pointer: &str) -> Option<&Value> {
        self.data.pointer(pointer)
    }

    fn parse_at<T: DeserializeOwned>(&self, pointer: &str) -> Result<Option<T>, DecodeError> {
        let Some(part) = self.data.pointer(pointer).filter(|part| !part.is_null()) else { return Ok(None) };
        T::deserialize(part).map(Some).map_err(|_| {
            let (key, life) = identity(self);
            let kind = self.types.as_ref().map_or("object", |types| types.kind.as_str());
            mismatch::explain_part::<T>((&key, &life), kind, pointer, part)
        })
    }

    fn parse<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        let text = serde_json::to_vec(self).unwrap_or_default();
        serde_json::from_slice(&text).map_err(|_| {
            let (key, life) = identity(self);
            mismatch::explain::<T>((&key, &life), &text)
        })
    }
}

/// Which object it is. One that came from a server has a name.
fn identity(object: &Dynamic) -> (ObjectKey, Life) {
    let name = object.metadata.name.as_deref().unwrap_or("unnamed");
    let key = ObjectKey::new(object.metadata.namespace.as_deref(), name);
    // invariant: this is a name.
    let key = key.unwrap_or_else(|_| ObjectKey::new(None, "unnamed").expect("a name"));
    (key, Life::new(object.metadata.uid.as_deref(), None))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Spec {
        ports: Vec<u16>,
    }

    #[derive(Debug, Deserialize)]
    struct Widget {
        metadata: kube::api::ObjectMeta,
        spec: Spec,
    }

    fn widget(spec: &Value) -> Dynamic {
        let metadata = json!({"name": "w", "namespace": "web", "uid": "1"});
        let widget = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": metadata, "spec": spec});
        serde_json::from_value(widget).unwrap()
    }

    #[test]
    fn fields_are_read_by_pointer_and_as_types() {
        let widget = widget(&json!({"ports": [80, 443], "none": null}));
        assert_eq!(widget.pointer("/spec/ports/1"), Some(&json!(443)));
        assert_eq!(widget.parse_at::<Spec>("/spec").unwrap(), Some(Spec { ports: vec![80, 443] }));
        assert_eq!(["/spec/none", "/spec/no"].map(|at| widget.parse_at::<u8>(at).unwrap()), [None, None]);
        let whole: Widget = widget.parse().unwrap();
        assert_eq!((whole.metadata.name.as_deref(), whole.spec.ports.len()), (Some("w"), 2));
    }

    #[test]
    fn what_does_not_fit_is_told_by_its_place_and_never_by_its_value() {
        let widget = widget(&json!({"ports": [80, "hunter2"], "a/b": "hunter2"}));
        let errors = [
            widget.parse_at::<Spec>("/spec").unwrap_err(),
            widget.parse_at::<Vec<u16>>("/spec/ports").unwrap_err(),
            widget.parse_at::<u16>("/spec/ports/1").unwrap_err(),
            widget.parse::<Widget>().unwrap_err(),
        ];
        for error in &errors {
            let text = error.to_string();
            assert_eq!((error.path(), error.key().as_str()), ("spec.ports[1]", "web/w"), "{text}");
            assert!(text.starts_with("Widget web/w does not fit") && !text.contains("hunter2"), "{text}");
        }
        assert_eq!(widget.parse_at::<u16>("/spec/a~1b").unwrap_err().path(), "spec.a/b");
    }

    #[test]
    fn an_object_without_a_usable_name_is_no_reason_to_panic() {
        let object: Dynamic = serde_json::from_value(json!({"metadata": {"name": "a/b"}, "x": "y"})).unwrap();
        assert_eq!(object.parse_at::<u16>("/x").unwrap_err().key().as_str(), "unnamed");
    }
}
