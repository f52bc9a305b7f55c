//! What a run may tell of itself, and when.

use k8s_openapi::api::core::v1::ConfigMap;
use kubehandler_testkit::ApiServer;

use super::*;
use crate::cache::Silent;
use crate::informer::machine::Notice;
use crate::informer::{InformerFactory, InformerState};

#[tokio::test(start_paused = true)]
async fn a_run_that_has_ended_tells_nothing_of_itself() {
    let maps = InformerFactory::new(ApiServer::new().client()).informer::<ConfigMap>();
    let informer = maps.informer();
    let ended = informer.cache.begin();
    let _subscription = informer.subscribe(Arc::new(Silent));
    // As if the first run were in the middle of its work on another thread.
    let mut task = Task::new(informer, 0, ended);
    let machine = Machine::new(informer.config.clone());
    task.failure = Some(task.stalled());
    let action = Action::Sleep { until: task.clock.now() };
    task.follow(&machine, Step { effect: Effect::Relist, notice: Notice::Began, action: action.clone() });
    task.show(&machine, &action);
    assert!(!informer.is_failing());
    let status = informer.status();
    assert_eq!(status.relists, 0);
    assert!(matches!(status.state, InformerState::Idle), "{:?}", status.state);
}
