//! Types that are stricter than the server: it accepts objects that these do not decode.

use std::borrow::Cow;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Resource;
use kube::api::ObjectMeta;
use kube::core::NamespaceResourceScope;
use serde::{Deserialize, Serialize};

/// A `ConfigMap` whose `data.value` must be one of a few words.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Strict {
    pub(crate) metadata: ObjectMeta,
    pub(crate) data: StrictData,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StrictData {
    pub(crate) value: Word,
}

/// What a [`Strict`] may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Word {
    Good,
    Better,
}

/// A `Secret` whose `data.token` must be a number, which no Secret's is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StrictSecret {
    pub(crate) metadata: ObjectMeta,
    pub(crate) data: StrictSecretData,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StrictSecretData {
    pub(crate) token: u32,
}

/// Makes a type another view of a built-in kind: the same URL.
macro_rules! another_view {
    ($type:ty, $of:ty) => {
        impl Resource for $type {
            type DynamicType = ();
            type Scope = NamespaceResourceScope;

            fn kind(_: &()) -> Cow<'_, str> {
                <$of as Resource>::kind(&())
            }

            fn group(_: &()) -> Cow<'_, str> {
                <$of as Resource>::group(&())
            }

            fn version(_: &()) -> Cow<'_, str> {
                <$of as Resource>::version(&())
            }

            fn plural(_: &()) -> Cow<'_, str> {
                <$of as Resource>::plural(&())
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

another_view!(Strict, ConfigMap);
another_view!(StrictSecret, Secret);
