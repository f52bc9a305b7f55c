//! The same requests to the embedded API server and to a real kube-apiserver: their answers must be the same.
//!
//! The real server's answers are kept in `recorded.json`. By default the embedded server is held to that recording, so no
//! Go is needed; with `KUBEHANDLER_TEST_SERVER=real` (`cargo xtask e2e`) the recording itself is held to a real server
//! that this test starts, and `cargo xtask record` writes it anew. What stays different is listed in `differences`.
//!
//! | file | owns |
//! |---|---|
//! | `requests/` | the list of requests |
//! | `request` | one request as data |
//! | `server` | the two servers, sending |
//! | `answer`, `key_order` | an answer made comparable |
//! | `recording` | the file |
//! | `compare` | where two answers differ |
//! | `differences` | which of that is accepted, and why |

mod answer;
mod compare;
mod differences;
mod key_order;
mod recording;
mod request;
mod requests;
mod server;

use std::{collections::BTreeMap, env};

use kubehandler_testcluster::Cluster;

use crate::{
    answer::Answer,
    compare::{Difference, differences},
    differences::ACCEPTED,
    request::{Act, Request},
    server::{Embedded, Real, answers},
};

fn asked_for(variable: &str, value: &str) -> bool {
    env::var(variable).is_ok_and(|it| it == value)
}

/// All differences between two sets of answers, in the order of the list.
fn all_differences(
    requests: &[Request],
    recorded: &BTreeMap<String, Answer>,
    got: &[(&'static str, Answer)],
) -> Vec<Difference> {
    let got: BTreeMap<_, _> = got.iter().map(|(name, answer)| (*name, answer)).collect();
    let exchanges = requests.iter().filter(|request| !matches!(request.act, Act::Expire));
    exchanges.flat_map(|it| differences(it.name, recorded.get(it.name), got.get(it.name).copied())).collect()
}

fn report(differences: &[&Difference]) -> String {
    let lines: Vec<_> = differences.iter().map(ToString::to_string).collect();
    format!("{} differences:\n{}", lines.len(), lines.join("\n"))
}

#[tokio::test(start_paused = true)]
async fn the_embedded_server_answers_as_the_real_one_did() {
    let requests = requests::all();
    let recorded = recording::read().expect("the recording is checked in");
    let got = answers(&mut Embedded::new(), &requests).await.expect("every request is answered");
    let found = all_differences(&requests, &recorded, &got);

    let unexpected: Vec<_> = found.iter().filter(|it| !ACCEPTED.iter().any(|accepted| accepted.covers(it))).collect();
    assert!(unexpected.is_empty(), "{}", report(&unexpected));
    let idle: Vec<_> = ACCEPTED
        .iter()
        .filter(|accepted| !found.iter().any(|it| accepted.covers(it)))
        .map(|accepted| format!("{} {} ({})", accepted.request, accepted.place, accepted.reason))
        .collect();
    assert!(idle.is_empty(), "accepted differences that are no more:\n{}", idle.join("\n"));
}

#[test]
fn the_recording_is_what_the_real_server_answers() {
    if !asked_for("KUBEHANDLER_TEST_SERVER", "real") {
        eprintln!("skipped: needs Go; `cargo xtask e2e` runs it");
        return;
    }
    // One of its own: what else happens on a shared one would show, and its history is made to expire.
    let mut cluster = Cluster::start().expect("a control plane");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let requests = requests::all();
    let got = runtime.block_on(async {
        let mut server = Real::new(&mut cluster).await.expect("a client");
        answers(&mut server, &requests).await.expect("every request is answered")
    });
    if asked_for("KUBEHANDLER_PARITY_RECORD", "1") {
        recording::write(&got).expect("written");
        return;
    }
    let recorded = recording::read().expect("the recording is checked in");
    let found = all_differences(&requests, &recorded, &got);
    assert!(found.is_empty(), "`cargo xtask record` is due; {}", report(&found.iter().collect::<Vec<_>>()));
}

#[test]
fn the_recording_has_an_answer_to_each_request_and_to_no_other() {
    let requests = requests::all();
    let mut names: Vec<_> =
        requests.iter().filter(|it| !matches!(it.act, Act::Expire)).map(|it| it.name.to_owned()).collect();
    names.sort_unstable();
    let recorded: Vec<_> = recording::read().expect("the recording is checked in").into_keys().collect();
    assert_eq!(names, recorded);
}

#[test]
fn a_third_of_the_requests_is_wrong_on_purpose() {
    let recorded = recording::read().expect("the recording is checked in");
    let wrong = recorded.values().filter(|answer| answer.status >= 400).count();
    assert!(recorded.len() >= 60, "{}", recorded.len());
    assert!(wrong * 3 >= recorded.len(), "{wrong} of {}", recorded.len());
}
