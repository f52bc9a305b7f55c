//! The finalizer, and leaving a cluster without it.

use kubehandler_testkit::{Fault, Requests, Rule};
use sample_controller::desired::FINALIZER;

use crate::run::Server;
use crate::stage::Stage;

fn finalizers(website: &sample_controller::crd::Website) -> Vec<String> {
    website.metadata.finalizers.clone().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_website_that_was_deleted_while_the_controller_was_down_is_seen_to_at_its_next_start() {
    let mut stage = Stage::set().await;
    stage.ready("home", 2).await;
    assert_eq!(finalizers(&stage.website("home").expect("there")), [FINALIZER]);
    stage.stop().await;
    stage.delete("home").await;
    assert!(stage.website("home").is_some(), "it waits for the controller");
    stage.start();
    stage.until("it is gone", || stage.website("home").is_none()).await;
    let counts = stage.stop().await.calls;
    assert_eq!((counts.finalizers_removed, counts.failed), (1, 0), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn uninstall_lets_go_of_every_website() {
    let server = Server::start().await;
    for name in ["home", "blog", "shop"] {
        server.create_website(name).await;
        let held = |website: &mut serde_json::Value| website["metadata"]["finalizers"] = [FINALIZER].into();
        server.api.edit("websites.example.kubehandler.dev", Some("default"), name, held).expect("a valid change");
    }
    server.api.delete("websites.example.kubehandler.dev", Some("default"), "home").expect("it is there");
    let output = server.command("uninstall", &[]).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("removed from 3 Websites"), "{text}");
    let left = server.api.objects("websites.example.kubehandler.dev");
    assert_eq!(left.len(), 2, "home had waited for it");
    assert!(left.iter().all(|website| website["metadata"].get("finalizers").is_none()), "{left:?}");
    let again = server.command("uninstall", &[]).output().expect("it runs");
    assert!(String::from_utf8_lossy(&again.stdout).contains("removed from 0 Websites"));
}

#[tokio::test(flavor = "multi_thread")]
async fn uninstall_names_what_it_could_not_change_and_does_the_rest() {
    let server = Server::start().await;
    for name in ["home", "blog"] {
        server.create_website(name).await;
        let held = |website: &mut serde_json::Value| website["metadata"]["finalizers"] = [FINALIZER].into();
        server.api.edit("websites.example.kubehandler.dev", Some("default"), name, held).expect("a valid change");
    }
    let denied = Requests::of("patch", "websites.example.kubehandler.dev").name("home");
    let _denied = server.api.faults().install(Rule::new(denied, Fault::Forbid));
    let output = server.command("uninstall", &[]).output().expect("it runs");
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{text}{errors}");
    assert!(text.contains("removed from 1 Websites"), "{text}");
    assert!(errors.contains("default/home: ") && errors.contains("1 Websites still have the finalizer"), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_crd_there_is_nothing_to_uninstall() {
    let server = Server::without_crd().await;
    let output = server.command("uninstall", &[]).output().expect("it runs");
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("nothing to do"));
}
