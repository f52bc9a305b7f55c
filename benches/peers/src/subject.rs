//! Who is measured: a program and the task that makes it one variant of itself.

use std::path::{Path, PathBuf};

use kubehandler_peers::task::{Content, Does, Kind, Mode, Task, What};

use crate::child::Programs;

/// The programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Kubehandler,
    KubeRs,
    ClientGo,
    ControllerRuntime,
}

use Peer::{ClientGo, ControllerRuntime, KubeRs, Kubehandler};

impl Peer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kubehandler => "kubehandler",
            KubeRs => "kube-rs",
            ClientGo => "client-go",
            ControllerRuntime => "controller-runtime",
        }
    }

    pub(crate) fn path(self, programs: &Programs) -> PathBuf {
        let folder = match self {
            Kubehandler | KubeRs => &programs.rust,
            ClientGo | ControllerRuntime => &programs.go,
        };
        folder.join(self.name())
    }
}

/// One variant of a program.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) peer: Peer,
    pub(crate) label: String,
    pub(crate) task: Task,
}

impl Subject {
    fn new(peer: Peer, kind: Kind, content: Content, mode: Mode, strip: bool) -> Self {
        let kind_word = match kind {
            Kind::Only => "",
            Kind::Controller => " Controller",
            Kind::Reflector => " reflector",
            Kind::Unlimited => ", no retry limit",
        };
        let content_word = match content {
            Content::Json if matches!(peer, ClientGo | ControllerRuntime) => ", JSON",
            Content::Json => "",
            Content::Protobuf => ", protobuf",
            Content::Metadata => ", metadata",
        };
        let mode_word = match mode {
            Mode::Paged => "paged",
            Mode::Unpaged => "one list",
            Mode::Streaming => "streaming",
        };
        let strip_word = if strip { "" } else { ", managedFields kept" };
        let label = format!("{}{kind_word}, {mode_word}{content_word}{strip_word}", peer.name());
        let task = Task { mode, content, strip, kind, workers: 2, ..Task::default() };
        Self { peer, label, task }
    }

    /// The same on objects of this server.
    pub(crate) fn on(&self, kubeconfig: &Path, what: What, namespace: Option<&str>, handler: Does) -> Self {
        let (kubeconfig, namespace) = (kubeconfig.to_owned(), namespace.map(str::to_owned));
        Self { task: Task { kubeconfig, what, namespace, handler, ..self.task.clone() }, ..self.clone() }
    }
}

/// Every controller once, as its users get it by default: the way it lists is its own, managedFields are dropped.
pub(crate) fn controllers() -> Vec<Subject> {
    vec![
        ours(),
        Subject::new(KubeRs, Kind::Controller, Content::Json, Mode::Paged, true),
        Subject::new(ClientGo, Kind::Only, Content::Json, Mode::Streaming, true),
        Subject::new(ClientGo, Kind::Only, Content::Protobuf, Mode::Streaming, true),
        Subject::new(ControllerRuntime, Kind::Only, Content::Json, Mode::Streaming, true),
        Subject::new(ControllerRuntime, Kind::Only, Content::Protobuf, Mode::Streaming, true),
    ]
}

/// This library as its users get it.
pub(crate) fn ours() -> Subject {
    Subject::new(Kubehandler, Kind::Only, Content::Json, Mode::Paged, true)
}

/// This library without the limit on its retries: what of its time in a storm of failures is the limit's.
pub(crate) fn unlimited() -> Subject {
    Subject::new(Kubehandler, Kind::Unlimited, Content::Json, Mode::Paged, true)
}

/// kube-rs's store without a controller.
pub(crate) fn reflector() -> Subject {
    Subject::new(KubeRs, Kind::Reflector, Content::Json, Mode::Paged, true)
}

/// Each program once, for what has no variants.
pub(crate) fn programs() -> Vec<Subject> {
    let mut subjects = controllers();
    subjects.retain(|subject| subject.task.content == Content::Json);
    subjects
}

/// Every way to start with all pods. kube-rs's handler is given the object in any case, so for it there is one handler; what the
/// handler reads is measured on the main ways of the others.
pub(crate) fn starts(handler: Does) -> Vec<Subject> {
    let mut subjects = Vec::new();
    for mode in [Mode::Paged, Mode::Unpaged, Mode::Streaming] {
        subjects.push(Subject::new(Kubehandler, Kind::Only, Content::Json, mode, true));
    }
    for peer in [ClientGo, ControllerRuntime] {
        for content in [Content::Json, Content::Protobuf] {
            for mode in [Mode::Paged, Mode::Unpaged, Mode::Streaming] {
                let is_main = mode != Mode::Paged && (content == Content::Protobuf || mode == Mode::Streaming);
                if handler == Does::Key || is_main {
                    subjects.push(Subject::new(peer, Kind::Only, content, mode, true));
                }
            }
        }
    }
    if handler == Does::Object {
        for (kind, mode, strip) in [
            (Kind::Controller, Mode::Paged, true),
            (Kind::Controller, Mode::Paged, false),
            (Kind::Controller, Mode::Streaming, true),
            (Kind::Controller, Mode::Streaming, false),
            (Kind::Reflector, Mode::Paged, true),
            (Kind::Reflector, Mode::Paged, false),
            (Kind::Reflector, Mode::Streaming, true),
            (Kind::Reflector, Mode::Streaming, false),
        ] {
            subjects.push(Subject::new(KubeRs, kind, Content::Json, mode, strip));
        }
    }
    subjects
}

/// Metadata only.
pub(crate) fn metadata() -> Vec<Subject> {
    [
        (Kubehandler, Kind::Only),
        (KubeRs, Kind::Controller),
        (KubeRs, Kind::Reflector),
        (ClientGo, Kind::Only),
        (ControllerRuntime, Kind::Only),
    ]
    .map(|(peer, kind)| Subject::new(peer, kind, Content::Metadata, Mode::Paged, true))
    .into()
}

/// A few of [`starts`]: those whose growth is worth a look, which is what users get by default.
pub(crate) fn main_starts(handler: Does) -> Vec<Subject> {
    let all = starts(handler);
    let mut main = controllers();
    main.retain(|subject| all.iter().any(|other| other.label == subject.label));
    main
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_variants_of_a_scenario_have_one_name() {
        let starts = [Does::Key, Does::Object].into_iter().flat_map(|handler| [starts(handler), main_starts(handler)]);
        for subjects in starts.chain([controllers(), programs(), metadata()]) {
            let labels: BTreeSet<&str> = subjects.iter().map(|subject| subject.label.as_str()).collect();
            assert_eq!(labels.len(), subjects.len(), "{labels:?}");
        }
    }

    #[test]
    fn growth_is_looked_at_with_each_controller_that_starts_at_full_size() {
        let labels = |handler| main_starts(handler).into_iter().map(|subject| subject.peer).collect::<Vec<_>>();
        assert_eq!(labels(Does::Key), [Kubehandler, ClientGo, ClientGo, ControllerRuntime, ControllerRuntime]);
        assert_eq!(
            labels(Does::Object),
            [Kubehandler, KubeRs, ClientGo, ClientGo, ControllerRuntime, ControllerRuntime]
        );
    }
}
