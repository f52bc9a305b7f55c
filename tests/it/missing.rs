//! C9, `on_missing`: what happens while the server does not know a kind, because its definition is not installed yet.

use std::time::Duration;

use kubehandler::{Dynamic, Ending, OnMissing, RunError, SharedInformer, SyncError};
use tokio::time::Instant;

use crate::support::widgets::Widgets;
use crate::support::{Logs, Recorder, Running, World, on_both, on_both_in_one_thread, on_embedded, quiet, time_passes};

/// How the kind is named.
#[derive(Clone, Copy, Debug)]
enum Named {
    /// By its URL.
    Resource,
    /// By `apiVersion` and `kind`: discovery lacks it, too.
    Kind,
}

const WAYS: [Named; 2] = [Named::Resource, Named::Kind];

fn widgets(world: &World, named: Named, on_missing: OnMissing) -> (Widgets, SharedInformer<Dynamic>) {
    let widgets = Widgets::of(world);
    // Custom resources have no field selectors for anything but the metadata; the name will do.
    let config = world.config().on_missing(on_missing);
    let informer = match named {
        Named::Resource => world.informers.configured_with(&widgets.resource, config),
        Named::Kind => {
            world.informers.configured_kind(&widgets.resource.api_version, "Widget", config).expect("a kind")
        }
    };
    (widgets, informer)
}

/// A loop over `ConfigMaps` and the given handler of widgets.
async fn with_widgets(world: &World, informer: SharedInformer<Dynamic>) -> Parts {
    world.create("a", "1").await;
    let (config_maps, widgets) = (world.recorder("configmaps"), world.recorder_of("widgets", informer));
    let mut event_loop = world.event_loop(&[&config_maps]);
    event_loop.register(widgets.clone()).unwrap();
    Parts { config_maps, widgets, running: Running::start(event_loop, 2) }
}

struct Parts {
    config_maps: Recorder,
    widgets: Recorder<Dynamic>,
    running: Running,
}

#[test]
fn a_kind_that_is_missing_is_waited_for() {
    for named in WAYS {
        on_both(async |world| {
            let (kind, informer) = widgets(world, named, OnMissing::Wait);
            let Parts { config_maps, widgets, running } = with_widgets(world, informer).await;
            quiet().await;
            assert!(config_maps.calls().is_empty() && !running.handle.is_ready() && !running.is_finished());
            kind.define(world).await;
            kind.create(world, "w", "1").await;
            config_maps.tells("a", ["add 1"]).await;
            widgets.settles("w", ["add 1"]).await;
            running.stop().await;
            kind.remove(world).await;
        });
    }
}

#[test]
fn waiting_for_a_kind_suspends_the_deadline_and_tells_once_a_minute() {
    for named in WAYS {
        on_embedded(async |world| {
            let logs = Logs::capture();
            let (kind, informer) = widgets(world, named, OnMissing::Wait);
            let Parts { running, .. } = with_widgets(world, informer).await;
            time_passes(Duration::from_secs(3600)).await;
            assert!(!running.is_finished());
            let told = logs.lines_with(&["idget"]).len();
            assert!((55..=65).contains(&told), "{told} lines in an hour");
            let lists = world.network.count(|sent| sent.path.contains(&kind.resource.group));
            assert!(lists <= 60 * 60 / 5 + 10, "{lists} requests in an hour");
            running.stop().await;
        });
    }
}

#[test]
fn a_loop_can_start_without_a_kind_that_is_missing() {
    for named in WAYS {
        on_both(async |world| {
            let (kind, informer) = widgets(world, named, OnMissing::StartWithout);
            let Parts { config_maps, widgets, running } = with_widgets(world, informer).await;
            config_maps.tells("a", ["add 1"]).await;
            assert!(running.handle.is_ready());
            kind.define(world).await;
            kind.create(world, "w", "1").await;
            widgets.settles("w", ["add 1"]).await;
            running.stop().await;
            kind.remove(world).await;
        });
    }
}

#[test]
fn a_kind_that_is_missing_can_make_the_run_fail_at_once() {
    for named in WAYS {
        on_both(async |world| {
            let (_kind, informer) = widgets(world, named, OnMissing::Fail);
            let Parts { config_maps, running, .. } = with_widgets(world, informer).await;
            let begun = Instant::now();
            let error = running.ended().await.unwrap_err();
            assert!(begun.elapsed() < Duration::from_secs(10));
            assert!(matches!(&error, RunError::Sync { why: SyncError::Missing { .. }, .. }), "{error:?}");
            let text = error.to_string();
            for part in ["idget", "CustomResourceDefinition"] {
                assert!(text.contains(part), "{part} in {text}");
            }
            assert!(config_maps.calls().is_empty());
        });
    }
}

#[test]
fn a_kind_that_goes_while_the_loop_runs_implies_no_deletion_of_others() {
    for named in WAYS {
        on_both(async |world| {
            let (kind, informer) = widgets(world, named, OnMissing::Wait);
            kind.define(world).await;
            kind.create(world, "w", "1").await;
            let Parts { config_maps, widgets, running } = with_widgets(world, informer).await;
            widgets.tells("w", ["add 1"]).await;
            config_maps.tells("a", ["add 1"]).await;
            kind.remove(world).await;
            quiet().await;
            world.change("a", "2").await;
            config_maps.settles("a", ["add 1", "update 2"]).await;
            // Its objects were deleted with it: by the watch's events, if they came before the watch ended.
            assert!(widgets.story("w").len() <= 2, "{:?}", widgets.story("w"));
            running.stop().await;
        });
    }
}

#[test]
fn a_cancellation_while_a_kind_is_missing_ends_the_run_at_once() {
    for named in WAYS {
        on_both_in_one_thread(async |world| {
            let (_kind, informer) = widgets(world, named, OnMissing::Wait);
            let Parts { running, .. } = with_widgets(world, informer).await;
            quiet().await;
            let report = running.stop().await;
            assert_eq!((report.ending, report.calls.total()), (Ending::Drained, 0));
            assert_eq!(report.abandoned.len(), 1, "the object that was listed waits for its add: {report}");
        });
    }
}
