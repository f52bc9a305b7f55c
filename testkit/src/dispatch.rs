//! From a parsed request to the verb that carries it out, and from the verb's result to an answer.
//!
//! Must not decide anything about objects; that is the verbs' business.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, header};
use serde_json::{Value, json};

use crate::{
    cluster::Target,
    decode::{Body, MediaType},
    delete::{self, Deleted},
    object, openapi,
    options::{DeleteOptions, ListOptions, WriteOptions},
    protobuf,
    registry::{Resource, discovery},
    render::{self, Representation},
    route::{ResourceRoute, Route, verb},
    scale,
    selector::FieldSelector,
    server::{Answer, Call, Shared},
    status::{ApiError, Result, Status},
    storage::Stored,
    watch::{WatchRequest, Watcher},
    write::{CUSTOM_PATCHES, PatchType, Written},
};

/// What the server says it is.
const VERSION: &str = "v1.36.3";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// Carries out a request.
pub(crate) async fn carry_out(shared: &Arc<Shared>, call: Call, body: &Bytes) -> Result<Answer> {
    if let Route::Resource(route) = &call.route {
        let route = route.clone();
        return on_resource(shared, call, &route, body).await;
    }
    if call.parts.method != Method::GET && call.parts.method != Method::HEAD {
        return Err(ApiError::method_not_allowed());
    }
    Ok(document(shared, &call).unwrap_or_else(|| Answer::plain(404, "404 page not found\n")))
}

/// What has no objects: health, version, discovery.
fn document(shared: &Shared, call: &Call) -> Option<Answer> {
    let accept = call.header(header::ACCEPT);
    let json = |value: &Value| Answer::json(200, object::print_document(value));
    let answer = match &call.route {
        Route::Health => Answer::plain(200, "ok"),
        Route::Version => json(&version()),
        Route::Index => json(&shared.with_cluster(|cluster| discovery::paths(&cluster.registry))),
        Route::CoreVersions | Route::Groups => {
            let core = call.route == Route::CoreVersions;
            shared.with_cluster(|cluster| match render::negotiate_discovery(accept) {
                Some(version) => Answer::Text {
                    code: 200,
                    content_type: discovery::content_type(version),
                    text: object::print_document(&discovery::aggregated(&cluster.registry, core, version)),
                    headers: Vec::new(),
                },
                None if core => {
                    let host = call.header(header::HOST).unwrap_or("kubernetes.default.svc").to_owned();
                    json(&discovery::core_versions(&host))
                }
                None => json(&discovery::group_list(&cluster.registry)),
            })
        }
        Route::Group(group) => json(&shared.with_cluster(|cluster| discovery::group(&cluster.registry, group))?),
        Route::GroupVersion { group, version } => {
            let found = shared.with_cluster(|cluster| {
                let known = cluster.registry.all().any(|known| known.group == *group && !known.is_custom());
                (discovery::resource_list(&cluster.registry, group, version), known)
            });
            match found {
                (Some(list), _) => json(&list),
                (None, true) => crate::server::error_answer(&ApiError::no_such_path()),
                (None, false) => return None,
            }
        }
        Route::OpenApi(path) => json(&shared.with_cluster(|cluster| openapi::answer(&cluster.registry, path))?),
        Route::Resource(_) | Route::Unknown => return None,
    };
    Some(answer)
}

fn version() -> Value {
    json!({
        "major": "1",
        "minor": "36",
        "gitVersion": VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "kubehandler-testkit",
        "platform": "linux/amd64",
    })
}

async fn on_resource(shared: &Arc<Shared>, call: Call, route: &ResourceRoute, body: &Bytes) -> Result<Answer> {
    let found = shared.with_cluster(|cluster| {
        let resource = cluster.registry.find(&route.group, &route.version, &route.plural);
        // What definitions define is served by another part of the real server, which answers otherwise.
        let group_known = cluster.registry.all().any(|known| known.group == route.group && !known.is_custom());
        (resource, group_known)
    });
    let resource = match found {
        (Some(resource), _) => resource,
        (None, true) => return Err(ApiError::no_such_path()),
        (None, false) => return Ok(Answer::plain(404, "404 page not found\n")),
    };
    let known = verb(&call.parts.method, route, call.query.flag("watch"));
    let verb = known.ok_or_else(ApiError::method_not_allowed)?;
    check_scope(&resource, route, verb)?;
    let target = Target {
        namespace: route.namespace.clone(),
        name: route.name.clone().unwrap_or_default(),
        subresource: route.subresource.clone(),
        resource,
    };
    match verb {
        "get" => get(shared, &call, &target).await,
        "list" => list(shared, &call, &target).await,
        "watch" => watch(shared, call, target).await,
        "create" | "update" | "patch" => write(shared, &call, &target, body),
        "delete" => delete(shared, &call, &target, body),
        "deletecollection" => delete_collection(shared, &call, &target, body).await,
        _ => Err(ApiError::method_not_allowed()),
    }
}

/// Whether the URL fits the kind's scope, and the kind (or its part) knows the verb.
fn check_scope(resource: &Resource, route: &ResourceRoute, verb: &str) -> Result<()> {
    if !resource.namespaced && route.namespace.is_some() {
        return Err(ApiError::no_such_path());
    }
    if route.subresource.as_deref().is_some_and(|part| !resource.has_subresource(part)) {
        let name = route.name.as_deref().unwrap_or_default();
        let is_custom = resource.is_custom();
        return Err(if is_custom {
            ApiError::not_found(&resource.group_resource(), name)
        } else {
            ApiError::no_such_path()
        });
    }
    let across_namespaces = resource.namespaced && route.namespace.is_none();
    if across_namespaces && route.name.is_some() {
        return Err(ApiError::no_such_path());
    }
    let only_reads = across_namespaces && !matches!(verb, "list" | "watch");
    if only_reads || !resource.allows(route.subresource.as_deref(), verb) {
        return Err(ApiError::method_not_allowed());
    }
    Ok(())
}

/// The form in which a client wants objects.
fn representation(shared: &Shared, call: &Call) -> Result<Representation> {
    let now = shared.with_cluster(|cluster| cluster.clock.now());
    render::negotiate(call.header(header::ACCEPT), call.query.text("includeObject"), now)
}

async fn get(shared: &Shared, call: &Call, target: &Target) -> Result<Answer> {
    let representation = representation(shared, call)?;
    let wanted = call.query.text("resourceVersion").parse().unwrap_or(0);
    reach(shared, wanted).await?;
    shared.with_cluster(|cluster| {
        let stored = cluster.lookup(target)?;
        if target.subresource.as_deref() == Some("scale") {
            let scale = Stored::unstored(scale::scale_of(&target.resource, &stored.value));
            return Ok(Answer::json(200, render::object(&Resource::scale(), &scale, representation)));
        }
        Ok(Answer::json(200, render::object(&target.resource, stored, representation)))
    })
}

/// Waits for a revision that a read insists on.
async fn reach(shared: &Shared, wanted: u64) -> Result<()> {
    if shared.with_cluster(|cluster| cluster.storage.revision()) >= wanted {
        return Ok(());
    }
    shared.wait_for_revision(wanted).await;
    let current = shared.with_cluster(|cluster| cluster.storage.revision());
    if current < wanted { Err(ApiError::too_large_resource_version(wanted, current)) } else { Ok(()) }
}

async fn list(shared: &Shared, call: &Call, target: &Target) -> Result<Answer> {
    let representation = representation(shared, call)?;
    let options = ListOptions::parse(&call.query, &target.resource, false, shared.knows_watch_list())?;
    reach(shared, options.resource_version.unwrap_or(0)).await?;
    let page = shared.with_cluster(|cluster| cluster.list_page(target, &options))?;
    Ok(Answer::json(200, render::list(&target.resource, &page, representation)))
}

async fn watch(shared: &Arc<Shared>, call: Call, mut target: Target) -> Result<Answer> {
    let representation = representation(shared, &call)?;
    let mut options = ListOptions::parse(&call.query, &target.resource, true, shared.knows_watch_list())?;
    if !target.name.is_empty() {
        // `…/watch/…/NAME`: one object.
        options.selectors.fields = FieldSelector::by_name(&target.name);
        target.name.clear();
    }
    if options.send_initial_events == Some(true) {
        // Initial events of a future that does not come are an error, told in the stream.
        let _ = reach(shared, options.resource_version.unwrap_or(0)).await;
    }
    let Call { info, entry, connection, .. } = call;
    let request = WatchRequest { target, options, representation, info, entry, connection };
    Ok(Answer::Watch(Box::new(Watcher::start(Arc::clone(shared), request)?)))
}

fn write(shared: &Shared, call: &Call, target: &Target, body: &[u8]) -> Result<Answer> {
    let representation = representation(shared, call)?;
    let kind = match call.info.verb.as_str() {
        "create" => "CreateOptions",
        "update" => "UpdateOptions",
        _ => "PatchOptions",
    };
    let content_type = call.header(header::CONTENT_TYPE).unwrap_or("application/json");
    let content_type = content_type.split(';').next().unwrap_or_default().trim();
    let options = WriteOptions::parse(&call.query, kind, &call.info.user_agent)?;
    let is_scale = target.subresource.as_deref() == Some("scale");
    let sent_kind = if is_scale { Arc::new(Resource::scale()) } else { Arc::clone(&target.resource) };
    let written = match call.info.verb.as_str() {
        "patch" => {
            let patch_type = PatchType::of(content_type).ok_or_else(|| {
                if target.resource.is_custom() {
                    ApiError::unsupported_media_type(CUSTOM_PATCHES)
                } else {
                    ApiError::unsupported_patch_type()
                }
            })?;
            options.check_patch(patch_type == PatchType::Apply)?;
            shared.with_cluster(|cluster| {
                if is_scale {
                    cluster.patch_scale(target, patch_type, body, &options)
                } else {
                    cluster.patch(target, patch_type, body, &options)
                }
            })?
        }
        verb => {
            let media_type = MediaType::of(content_type, &sent_kind)?;
            let body = Body { media_type, bytes: body };
            shared.with_cluster(|cluster| match verb {
                "create" => cluster.create(target, body, &options),
                _ if is_scale => cluster.replace_scale(target, body, &options),
                _ => cluster.replace(target, body, &options),
            })?
        }
    };
    Ok(written_answer(&sent_kind, &written, representation))
}

fn written_answer(resource: &Resource, written: &Written, representation: Representation) -> Answer {
    let code = if written.created { 201 } else { 200 };
    Answer::json(code, render::object(resource, &written.stored, representation)).warn(&written.warnings)
}

fn delete_options(call: &Call, body: &[u8]) -> Result<DeleteOptions> {
    if body.is_empty() {
        return DeleteOptions::parse(&call.query, None);
    }
    let refuse = |why: &str| ApiError::bad_request(format!("couldn't get version/kind; {why}"));
    let is_message = call.header(header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with(PROTOBUF));
    let body: Value = if is_message {
        protobuf::read(body, "meta/v1.DeleteOptions").map_err(|why| refuse(&why))?
    } else {
        serde_json::from_slice(body)
            .map_err(|error| refuse(&format!("json parse error: {}", crate::decode::words(&error))))?
    };
    let kind = body.get("kind").and_then(Value::as_str).unwrap_or("DeleteOptions");
    if kind != "DeleteOptions" {
        let version = body.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
        return Err(ApiError::bad_request(format!(
            r#"no kind {kind:?} is registered for version {version:?} in scheme "pkg/runtime/scheme.go:111""#
        )));
    }
    DeleteOptions::parse(&call.query, Some(&body))
}

fn delete(shared: &Shared, call: &Call, target: &Target, body: &[u8]) -> Result<Answer> {
    let representation = representation(shared, call)?;
    let options = delete_options(call, body)?;
    let deleted = shared.with_cluster(|cluster| cluster.delete(target, &options))?;
    let text = match deleted {
        Deleted::Gone(stored) if !delete::answers_with_object(&target.resource) => {
            let uid = crate::object::uid(&stored.value);
            Status::deleted(&target.named(), &target.name, uid).print()
        }
        Deleted::Gone(stored) | Deleted::Marked(stored) => render::object(&target.resource, &stored, representation),
    };
    Ok(Answer::json(200, text))
}

async fn delete_collection(shared: &Shared, call: &Call, target: &Target, body: &[u8]) -> Result<Answer> {
    let representation = representation(shared, call)?;
    let options = ListOptions::parse(&call.query, &target.resource, false, shared.knows_watch_list())?;
    reach(shared, options.resource_version.unwrap_or(0)).await?;
    let delete_options = delete_options(call, body)?;
    let page = shared.with_cluster(|cluster| {
        let page = cluster.list_page(target, &options)?;
        cluster.delete_collection(target, &page.objects, &delete_options)?;
        Ok(page)
    })?;
    Ok(Answer::json(200, render::list(&target.resource, &page, representation)))
}
