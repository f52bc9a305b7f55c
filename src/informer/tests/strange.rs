//! Servers that do what no API server should: each answer is made up here, since the testkit's server would not.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::client::Body;
use tokio::time::Instant;

use super::fixture::{Diary, PATIENCE, pass, until};
use super::log::{self, Log};
use crate::cache::Subscriber;
use crate::informer::{
    InformerConfig, InformerErrorKind, InformerFactory, InformerState, ListMode, RetryAfter, SharedInformer,
    Subscription,
};

/// What an answer's body does.
#[derive(Clone, Debug)]
enum Piece {
    Text(&'static str),
    Silence(Duration),
    /// At first: the answer's head is not there before that.
    Late(Duration),
    /// At first: the answer's code, a success if there is none.
    Code(u16),
}
use Piece::{Code, Late, Silence, Text};

const FOR_EVER: Piece = Silence(Duration::from_secs(1_000_000));
const EMPTY_LIST: Piece = Text(r#"{"metadata":{"resourceVersion":"5"},"items":[]}"#);

/// A server that gives one answer after the other, and then only watches that say nothing.
struct Strange {
    queries: Arc<Mutex<Vec<String>>>,
    // A hold for each request that has no answer yet, and one of the server's.
    waits: Arc<()>,
    maps: SharedInformer<ConfigMap>,
    diary: Arc<Diary>,
    subscription: Subscription,
}

fn start(answers: Vec<Vec<Piece>>) -> Strange {
    start_with(ListMode::default(), answers)
}

fn start_with(list_mode: ListMode, answers: Vec<Vec<Piece>>) -> Strange {
    let config = InformerConfig::new().list_mode(list_mode);
    start_configured(config, answers)
}

fn start_configured(config: InformerConfig, answers: Vec<Vec<Piece>>) -> Strange {
    log::prepare();
    let answers: Arc<Mutex<VecDeque<_>>> = Arc::new(Mutex::new(answers.into()));
    let queries: Arc<Mutex<Vec<String>>> = Arc::default();
    let waits: Arc<()> = Arc::default();
    let (asked, open) = (Arc::clone(&queries), Arc::clone(&waits));
    let service = tower::service_fn(move |request: Request<Body>| {
        asked.lock().unwrap().push(request.uri().query().unwrap_or_default().to_owned());
        let pieces: Vec<Piece> = answers.lock().unwrap().pop_front().unwrap_or_else(|| vec![FOR_EVER]);
        let first = pieces.first().cloned();
        let frames = stream::unfold(pieces.into_iter(), |mut pieces| async {
            loop {
                match pieces.next()? {
                    Text(text) => return Some((Ok::<_, Infallible>(Frame::data(Bytes::from(text))), pieces)),
                    Silence(time) => pass(time).await,
                    Late(_) | Code(_) => {}
                }
            }
        });
        let under_way = Arc::clone(&open);
        async move {
            let mut answer = Response::new(StreamBody::new(Box::pin(frames)));
            match first {
                Some(Late(time)) => pass(time).await,
                Some(Code(code)) => *answer.status_mut() = StatusCode::from_u16(code).unwrap(),
                Some(Text(_) | Silence(_)) | None => {}
            }
            drop(under_way);
            Ok::<_, Infallible>(answer)
        }
    });
    let factory = InformerFactory::new(kube::Client::new(service, "default")).with_seed(1);
    let maps = factory.configured(config.read_timeout(Duration::from_secs(20)));
    let diary = Arc::new(Diary::default());
    let subscription = maps.informer().subscribe(Arc::clone(&diary) as Arc<dyn Subscriber>);
    Strange { queries, waits, maps, diary, subscription }
}

impl Strange {
    /// Why it is retrying, once it is.
    async fn why(&self) -> (InformerErrorKind, String) {
        until(|| matches!(self.maps.status().state, InformerState::Retrying { .. })).await;
        match self.maps.status().state {
            InformerState::Retrying { why, .. } => (why.kind(), why.to_string()),
            state => panic!("{state:?}"),
        }
    }

    async fn synced(&self) {
        self.maps.informer().wait_synced(PATIENCE).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_list_is_told_and_asked_for_again() {
    for (answer, kind, words) in [
        ("<html>Please log in</html>", InformerErrorKind::Malformed, "the answer is not a list in JSON"),
        ("{}", InformerErrorKind::Malformed, "it has no items"),
        (r#"{"items":[],"metadata":{}}"#, InformerErrorKind::Malformed, "names no resourceVersion"),
        (
            r#"{"items":[{"metadata":{"name":"a"},"x":tru}],"metadata":{"resourceVersion":"1"}}"#,
            InformerErrorKind::Malformed,
            "an item of the list is not valid JSON",
        ),
        (
            r#"{"metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"a"}"#,
            InformerErrorKind::Truncated,
            "ended in the middle",
        ),
        ("", InformerErrorKind::Truncated, "ended in the middle"),
    ] {
        let server = start(vec![vec![Text(answer)], vec![EMPTY_LIST]]);
        let (found, text) = server.why().await;
        assert_eq!(found, kind, "{text}");
        assert!(text.contains(words) && !text.contains("log in"), "{text}");
        server.synced().await;
        assert_eq!(server.diary.take(), ["synced"], "nothing of a broken list is told");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_stalls_in_the_middle_is_noticed_by_its_read_timeout() {
    let begin = Text(r#"{"metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"a"}},"#);
    let server = start(vec![vec![begin, FOR_EVER], vec![EMPTY_LIST]]);
    let (kind, text) = server.why().await;
    assert_eq!(kind, InformerErrorKind::Stalled);
    assert!(text.contains("nothing came for 20s"), "{text}");
    server.synced().await;
    assert!(server.maps.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_slow_list_that_keeps_coming_is_waited_for() {
    let (begin, item, end) = (
        Text(r#"{"metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"a"}}"#),
        Text(r#",{"metadata":{"name":"b"}}"#),
        Text("]}"),
    );
    let nap = Silence(Duration::from_secs(15));
    let server = start(vec![vec![begin, nap.clone(), item.clone(), nap.clone(), nap.clone(), item, nap, end]]);
    // Twice 15 s in a row are too much.
    assert_eq!(server.why().await.0, InformerErrorKind::Stalled);
}

#[tokio::test(start_paused = true)]
async fn one_bad_item_is_skipped_by_its_position_and_the_others_are_kept() {
    let (log, _guard) = Log::capture();
    let list = Text(
        r#"{"metadata":{"resourceVersion":"5"},"items":[
        {"metadata":{"name":"a"}}, {"secret":"hunter2"}, 7, null, {"metadata":{"name":"b/hunter2"}}, {"metadata":{"name":"b"}}]}"#,
    );
    let watch = Text(
        r#"{"type":"ADDED","object":{"metadata":{"secret":"hunter2"}}}
        {"type":"ADDED","object":{"metadata":{"name":"c","resourceVersion":"6"}}}"#,
    );
    let server = start(vec![vec![list], vec![watch, FOR_EVER]]);
    until(|| server.diary.len() == 4).await;
    assert_eq!(server.diary.take(), ["+a! initial", "+b! initial", "synced", "+c watch"]);
    assert_eq!(server.maps.status().skipped, 5);
    let lines = log.lines("WARN");
    assert_eq!(lines.len(), 5, "{lines:?}");
    assert!(lines[0].contains("skipped item 1 of the list"), "{lines:?}");
    assert!(!log.text().contains("hunter2"), "{}", log.text());
}

#[tokio::test(start_paused = true)]
async fn a_continue_token_that_comes_again_is_not_followed_for_ever() {
    let page = Text(r#"{"metadata":{"resourceVersion":"1","continue":"x"},"items":[{"metadata":{"name":"a"}}]}"#);
    let server = start(vec![vec![page.clone()], vec![page], vec![EMPTY_LIST]]);
    let (kind, text) = server.why().await;
    assert_eq!(kind, InformerErrorKind::Malformed);
    assert!(text.contains("continue token again"), "{text}");
    server.synced().await;
    assert!(server.maps.is_empty());
}

#[tokio::test(start_paused = true)]
async fn frames_are_read_in_either_order_of_their_fields_and_however_they_arrive() {
    let server = start(vec![
        vec![EMPTY_LIST],
        vec![
            Text(r#"{"object":{"metadata":{"name":"a","resourceVersion":"6"}},"type":"ADDED"}{"type":"AD"#),
            Text(r#"DED","object":{"metadata":{"name":"b","#),
            Text(
                "\"resourceVersion\":\"7\"}}}\n\n{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"9\"}}}\n",
            ),
            Silence(Duration::from_secs(5)),
        ],
    ]);
    until(|| server.queries.lock().unwrap().len() == 3).await;
    assert_eq!(server.diary.take(), ["synced", "+a watch", "+b watch"]);
    assert!(server.queries.lock().unwrap()[2].contains("resourceVersion=9&"));
}

#[tokio::test(start_paused = true)]
async fn an_error_event_of_any_shape_is_told_in_one_short_line() {
    for (event, kind, words) in [
        (
            r#"{"type":"ERROR","object":{"kind":"Status","code":500,"message":"etcd is\n  away"}}"#,
            InformerErrorKind::Server,
            "(500: etcd is away)",
        ),
        (r#"{"type":"ERROR","object":{}}"#, InformerErrorKind::Server, "the server failed (500)"),
        (
            r#"{"type":"ERROR","object":{"code":"x","secret":"hunter2"}}"#,
            InformerErrorKind::Server,
            "the server failed (500)",
        ),
        (
            r#"{"type":"ERROR","object":{"code":504,"message":"Timeout: Too large resource version: 9, current: 5"}}"#,
            InformerErrorKind::TooNew,
            "has not seen the version",
        ),
        (
            r#"{"type":"ERROR","object":{"code":504,"details":{"causes":[{"reason":"ResourceVersionTooLarge"}],"retryAfterSeconds":1}}}"#,
            InformerErrorKind::TooNew,
            "has not seen the version",
        ),
        (r#"{"type":"WHATEVER","object":{}}"#, InformerErrorKind::Malformed, "a type that is not known"),
        (
            r#"{"type":"ADDED","object":{"metadata":{"name":"a"},"x":tru}}"#,
            InformerErrorKind::Malformed,
            "is not valid JSON",
        ),
        (r#"{"type":"ADDED"}"#, InformerErrorKind::Malformed, "is not an event in JSON"),
    ] {
        let server = start(vec![vec![EMPTY_LIST], vec![Text(event), FOR_EVER]]);
        let (found, text) = server.why().await;
        assert_eq!(found, kind, "{text}");
        assert!(text.contains(words) && !text.contains('\n') && !text.contains("hunter2"), "{text}");
        assert!(server.maps.has_synced());
    }
}

#[tokio::test(start_paused = true)]
async fn an_expired_watch_is_recognised_without_a_code() {
    let expired = Text(r#"{"type":"ERROR","object":{"kind":"Status","reason":"Expired"}}"#);
    let server = start(vec![vec![EMPTY_LIST], vec![expired], vec![EMPTY_LIST]]);
    until(|| server.maps.status().lists == 2).await;
    assert_eq!(server.maps.status().relists, 1);
}

const END: Piece = Text(
    r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9","annotations":{"k8s.io/initial-events-end":"true"}}}}"#,
);

#[tokio::test(start_paused = true)]
async fn what_changes_while_a_stream_is_a_list_is_in_the_list() {
    let events = Text(
        r#"{"type":"ADDED","object":{"metadata":{"name":"a","resourceVersion":"2"}}}
        {"type":"ADDED","object":{"metadata":{"name":"b","resourceVersion":"8"}}}
        {"type":"ADDED","object":{"metadata":{"name":"c","resourceVersion":"3"}}}
        {"type":"MODIFIED","object":{"metadata":{"name":"a","resourceVersion":"6"}}}
        {"type":"DELETED","object":{"metadata":{"name":"c","resourceVersion":"7"}}}
        {"type":"MODIFIED","object":{"metadata":{"name":"a","resourceVersion":"4"}}}
        {"type":"DELETED","object":{"metadata":{"name":"b","resourceVersion":"5"}}}
        {"type":"ADDED","object":{"secret":"hunter2"}}"#,
    );
    // The bookmark may come twice, as anything may.
    let changed = Text(r#"{"type":"MODIFIED","object":{"metadata":{"name":"a","resourceVersion":"12"}}}"#);
    let server = start_with(ListMode::Streaming, vec![vec![events, END, END, changed, FOR_EVER]]);
    until(|| server.diary.len() == 4).await;
    assert_eq!(server.diary.take(), ["+a! initial", "+b! initial", "synced", "~a watch"]);
    let versions: Vec<String> = server.diary.objects().iter().map(|object| object.version().to_string()).collect();
    assert_eq!(versions, ["6", "8", "12"], "what is older than what came before is dropped");
    let status = server.maps.status();
    assert_eq!((status.events, status.lists, status.skipped), (1, 1, 1), "initial events are the list's");
    assert_eq!(status.last_resource_version.as_deref(), Some("12"));
    assert_eq!(server.queries.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_error_event_in_a_stream_is_told_as_the_lists() {
    let added = Text(r#"{"type":"ADDED","object":{"metadata":{"name":"a","resourceVersion":"2"}}}"#);
    let error = Text(
        r#"{"type":"ERROR","object":{"code":504,"message":"Timeout: Too large resource version: 9, current: 5","details":{"retryAfterSeconds":7}}}"#,
    );
    let begun = Instant::now();
    let server = start_with(ListMode::Streaming, vec![vec![added, error], vec![END, FOR_EVER]]);
    let (kind, text) = server.why().await;
    assert_eq!(kind, InformerErrorKind::TooNew);
    assert!(text.starts_with("cannot list as a stream configmaps"), "{text}");
    server.synced().await;
    assert!(begun.elapsed() >= Duration::from_secs(7), "{:?}", begun.elapsed());
    assert_eq!(server.diary.take(), ["synced"], "nothing of a stream that broke is told");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_sends_nothing_but_changes_is_no_list() {
    let mut pieces = Vec::new();
    for _ in 0..20 {
        pieces.push(Text(r#"{"type":"MODIFIED","object":{"metadata":{"name":"a","resourceVersion":"6"}}}"#));
        pieces.push(Silence(Duration::from_secs(5)));
    }
    let begun = Instant::now();
    let server = start_with(ListMode::Streaming, vec![pieces, vec![EMPTY_LIST]]);
    server.synced().await;
    assert!(begun.elapsed() < Duration::from_secs(21), "{:?}", begun.elapsed());
    assert_eq!(server.diary.take(), ["synced"]);
    assert!(server.maps.status().fell_back.unwrap().to_string().contains("nor the bookmark that ends the list"));
}

/// The first two items of three, and what says that more follow.
const FIRST: Piece = Text(
    r#"{"metadata":{"resourceVersion":"5","continue":"x"},"items":[{"metadata":{"name":"a","namespace":"n","uid":"1","resourceVersion":"1"}},"#,
);
const SECOND: Piece = Text(r#"{"metadata":{"name":"b","namespace":"n","uid":"2","resourceVersion":"2"}}]}"#);
const LAST_PAGE: Piece = Text(
    r#"{"metadata":{"resourceVersion":"5"},"items":[{"metadata":{"name":"c","namespace":"n","uid":"3","resourceVersion":"3"}}]}"#,
);

/// Of each request for a list whether it was for a second page.
fn continued(strange: &Strange) -> Vec<bool> {
    let queries = strange.queries.lock().unwrap();
    queries.iter().filter(|query| !query.contains("watch=")).map(|query| query.contains("continue=x")).collect()
}

#[tokio::test(start_paused = true)]
async fn the_next_page_is_asked_for_while_one_arrives_and_read_when_its_turn_comes() {
    let slow = vec![FIRST, Silence(Duration::from_secs(10)), SECOND];
    let strange = start(vec![slow, vec![LAST_PAGE]]);
    pass(Duration::from_secs(5)).await;
    assert_eq!(continued(&strange), [false, true]);
    assert!(strange.diary.take().is_empty());
    strange.synced().await;
    assert_eq!(strange.diary.take(), ["+a! initial", "+b! initial", "+c! initial", "synced"]);
    assert_eq!(continued(&strange), [false, true], "nothing is asked for twice");
}

#[tokio::test(start_paused = true)]
async fn a_page_that_fails_in_company_is_asked_for_alone_before_anybody_is_told() {
    let slow = || vec![FIRST, Silence(Duration::from_secs(10)), SECOND];
    let late = || vec![Code(504), Text(r#"{"reason":"Timeout","message":"too slow","code":504}"#)];
    let last = || vec![LAST_PAGE];
    for (answers, pages) in [
        // The page that was being read has failed, …
        (vec![vec![FIRST, FOR_EVER], last(), slow(), last()], vec![false, true, false, true]),
        // … or the one ahead of its turn, which was late, broke off or never began.
        (vec![slow(), late(), last()], vec![false, true, true]),
        (vec![slow(), vec![FIRST], last()], vec![false, true, true]),
        (vec![slow(), vec![Late(Duration::from_secs(1_000))], last()], vec![false, true, true]),
    ] {
        let strange = start_configured(InformerConfig::new().retry_relist_after(RetryAfter::Never), answers);
        strange.synced().await;
        assert_eq!(strange.diary.take(), ["+a! initial", "+b! initial", "+c! initial", "synced"]);
        assert_eq!(continued(&strange), pages);
    }
}

#[tokio::test(start_paused = true)]
async fn two_pages_that_both_stall_are_noticed_by_two_read_timeouts() {
    let for_ever = || vec![Late(Duration::from_secs(1_000))];
    let strange = start(vec![vec![FIRST, FOR_EVER], for_ever(), for_ever()]);
    let begun = Instant::now();
    assert_eq!(strange.why().await.0, InformerErrorKind::Stalled);
    assert!(begun.elapsed() < Duration::from_secs(41), "{:?}", begun.elapsed());
    assert_eq!(continued(&strange), [false, true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_was_asked_for_ahead_is_refused_as_any_other() {
    let slow = || vec![FIRST, Silence(Duration::from_secs(10)), SECOND];
    let busy = r#"{"message":"not now","code":503,"details":{"retryAfterSeconds":30}}"#;
    let strange = start(vec![slow(), vec![Code(503), Text(busy)], vec![LAST_PAGE]]);
    let begun = Instant::now();
    assert_eq!(strange.why().await.0, InformerErrorKind::Busy);
    strange.synced().await;
    assert!(begun.elapsed() >= Duration::from_secs(40), "the server asked for thirty seconds: {:?}", begun.elapsed());
    assert_eq!(continued(&strange), [false, true, true]);

    let expired = r#"{"message":"the token is too old","reason":"Expired","code":410}"#;
    let strange = start(vec![slow(), vec![Code(410), Text(expired)], vec![LAST_PAGE]]);
    strange.synced().await;
    assert_eq!(strange.diary.take(), ["+c! initial", "synced"], "what is listed is the list that came whole");
    assert_eq!(continued(&strange), [false, true, false]);
}

#[tokio::test(start_paused = true)]
async fn who_ends_while_a_page_is_asked_for_ahead_leaves_nothing_under_way() {
    let strange = start(vec![vec![FIRST, FOR_EVER], vec![Late(Duration::from_secs(1_000_000))]]);
    until(|| continued(&strange).len() == 2).await;
    assert_eq!(Arc::strong_count(&strange.waits), 3, "the server's, ours, and the page's");
    strange.subscription.end().await;
    assert_eq!(Arc::strong_count(&strange.waits), 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_for_ahead_from_a_pages_failure_to_the_lists_end() {
    let silent = vec![FIRST, FOR_EVER];
    let slow = vec![FIRST, Silence(Duration::from_secs(10)), SECOND];
    let lists = [silent, vec![LAST_PAGE], slow.clone(), vec![LAST_PAGE], vec![FOR_EVER], slow, vec![LAST_PAGE]];
    let strange = start(lists.to_vec());
    let asked = async |times: usize| {
        until(|| continued(&strange).len() == times).await;
        pass(Duration::from_secs(5)).await;
        continued(&strange)
    };
    assert_eq!(asked(3).await, [false, true, false], "the page has the connection for itself");
    strange.synced().await;
    assert_eq!(strange.diary.take(), ["+a! initial", "+b! initial", "+c! initial", "synced"]);
    assert_eq!(continued(&strange), [false, true, false, true]);
    let (relisted, asked) = futures::join!(strange.maps.relist(), asked(6));
    relisted.unwrap();
    assert_eq!(asked[4..], [false, true], "the next list begins with confidence");
}
