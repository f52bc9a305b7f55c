//! Misuse that compiles is refused with an error that says what to do. What does not compile is shown in the docs of
//! `EventLoop`.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kubehandler::{
    CancellationToken, DefaultHandler, EventLoop, HandlerOptions, InformerConfig, Predicate, RegisterError, RetryAfter,
    RunError,
};

use crate::support::{on_both, quiet};

#[test]
fn a_loop_without_handlers_does_not_run() {
    on_both(async |_world| {
        let error = EventLoop::new("empty").run(CancellationToken::new(), 2).await.unwrap_err();
        assert!(matches!(&error, RunError::NoHandlers { event_loop } if &**event_loop == "empty"), "{error:?}");
        assert!(error.to_string().contains("register"), "{error}");
    });
}

#[test]
fn a_loop_without_workers_does_not_run() {
    on_both(async |world| {
        let recorder = world.recorder("recorder");
        let error = world.event_loop(&[&recorder]).run(CancellationToken::new(), 0).await.unwrap_err();
        assert!(matches!(error, RunError::NoWorkers { .. }), "{error:?}");
        quiet().await;
        assert!(world.network.sent().is_empty(), "and asks the server for nothing");
    });
}

#[test]
fn a_name_is_taken_once_whatever_the_kind() {
    on_both(async |world| {
        let mut event_loop = EventLoop::new("names");
        event_loop.register(DefaultHandler::new("same", world.informers.informer::<ConfigMap>())).unwrap();
        let again = event_loop.register(DefaultHandler::new("same", world.informers.informer::<Secret>()));
        let error = again.unwrap_err();
        assert!(matches!(&error, RegisterError::NameTaken { name } if &**name == "same"), "{error:?}");
        assert!(error.to_string().contains("`same`"), "{error}");
        // The loop is as it was: another name is welcome.
        event_loop.register(DefaultHandler::new("other", world.informers.informer::<Secret>())).unwrap();
    });
}

#[test]
fn a_handler_without_a_name_is_refused() {
    on_both(async |world| {
        let mut event_loop = EventLoop::new("names");
        let error = event_loop.register(DefaultHandler::new("", world.informers.informer::<ConfigMap>())).unwrap_err();
        assert!(matches!(&error, RegisterError::NoName { .. }), "{error:?}");
        assert!(error.to_string().contains("configmaps"), "it says which: {error}");
    });
}

#[test]
fn conflicting_options_on_one_shared_informer_are_refused_naming_both_handlers() {
    on_both(async |world| {
        let one = world.informers.informer::<ConfigMap>();
        let other = world.informers.configured::<ConfigMap>(world.config().keep_managed_fields(true));
        let mut event_loop = EventLoop::new("conflict");
        event_loop.register(DefaultHandler::new("slim", one)).unwrap();
        let error = event_loop.register(DefaultHandler::new("full", other)).unwrap_err().to_string();
        for part in ["slim", "full", "keep_managed_fields"] {
            assert!(error.contains(part), "{part} in {error}");
        }
    });
}

#[test]
fn conflicting_options_on_an_informer_of_owned_objects_are_refused_too() {
    on_both(async |world| {
        let one = world.informers.informer::<Secret>();
        let other = world.informers.configured::<Secret>(world.config().keep_managed_fields(true));
        let mut event_loop = EventLoop::new("conflict");
        event_loop
            .register(
                DefaultHandler::new("slim", world.informers.informer::<ConfigMap>())
                    .options(HandlerOptions::default().owns(&one)),
            )
            .unwrap();
        let owner = DefaultHandler::new("full", world.informers.informer::<ConfigMap>());
        let owner = owner.options(HandlerOptions::default().owns(&other));
        let error = event_loop.register(owner).unwrap_err().to_string();
        for part in ["slim", "full", "secrets", "keep_managed_fields"] {
            assert!(error.contains(part), "{part} in {error}");
        }
    });
}

#[test]
fn a_handler_of_an_informer_that_may_stop_is_refused_whichever_it_needs_it_for() {
    on_both(async |world| {
        let never = |config: InformerConfig| config.retry_watch_after(RetryAfter::Never);
        let secrets = world.informers.configured::<Secret>(never(world.config()));
        let maps = || world.informers.informer::<ConfigMap>();
        let mut event_loop = EventLoop::new("stops");
        let error = event_loop.register(DefaultHandler::new("own", secrets.clone())).unwrap_err();
        assert!(matches!(&error, RegisterError::MayStop { .. }), "{error}");
        let owner = DefaultHandler::new("owner", maps()).options(HandlerOptions::default().owns(&secrets));
        let error = event_loop.register(owner).unwrap_err().to_string();
        for part in ["owner", "secrets", "RetryAfter::Never"] {
            assert!(error.contains(part), "{part} in {error}");
        }
        event_loop.register(DefaultHandler::new("fine", maps())).unwrap();
    });
}

#[test]
fn a_predicate_over_another_type_is_refused_wherever_it_stands() {
    on_both(async |world| {
        let foreign = || Predicate::when(|_: &Secret, _: &Secret| false);
        let own = || Predicate::when(|_: &ConfigMap, _: &ConfigMap| false);
        let mut event_loop = EventLoop::new("types");
        let nested = Predicate::labels_changed().or(own().and(!foreign()));
        for predicate in [foreign(), nested] {
            let handler = DefaultHandler::new("maps", world.informers.informer::<ConfigMap>());
            let handler = handler.options(HandlerOptions::default().predicate(predicate));
            let error = event_loop.register(handler).unwrap_err();
            assert!(matches!(&error, RegisterError::PredicateKind { name, .. } if &**name == "maps"), "{error:?}");
            assert!(error.to_string().contains("Secret") && error.to_string().contains("ConfigMap"), "{error}");
        }
        let handler = DefaultHandler::new("maps", world.informers.informer::<ConfigMap>());
        event_loop.register(handler.options(HandlerOptions::default().predicate(own()))).unwrap();
    });
}
