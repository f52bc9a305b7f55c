//! A pod's row: the longest story of all kinds, since its status is told by its containers.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age::age;
use super::{integer, items, text};

/// What `kubectl` needs to know about finished pods.
pub(super) fn row_conditions(pod: &Value) -> Option<Value> {
    let (reason, message) = match text(pod, "/status/phase") {
        "Succeeded" => ("Succeeded", "The pod has completed successfully."),
        "Failed" => ("Failed", "The pod failed."),
        _ => return None,
    };
    Some(json!([{"type": "Completed", "status": "True", "reason": reason, "message": message}]))
}

pub(super) fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let story = Story::of(pod);
    let restarts = if story.restarts != 0 && !story.last_restart.is_empty() {
        format!("{} ({} ago)", story.restarts, age(&story.last_restart, now))
    } else {
        story.restarts.to_string()
    };
    vec![
        Value::from(text(pod, "/metadata/name")),
        Value::from(format!("{}/{}", story.ready, story.total)),
        Value::from(story.reason),
        Value::from(restarts),
        Value::from(age(text(pod, "/metadata/creationTimestamp"), now)),
        Value::from(or_none(text(pod, "/status/podIPs/0/ip"))),
        Value::from(or_none(text(pod, "/spec/nodeName"))),
        Value::from(or_none(text(pod, "/status/nominatedNodeName"))),
        Value::from(readiness_gates(pod)),
    ]
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "<none>" } else { text }
}

fn has_condition(pod: &Value, name: &str) -> bool {
    items(pod, "/status/conditions")
        .iter()
        .any(|condition| text(condition, "/type") == name && text(condition, "/status") == "True")
}

fn readiness_gates(pod: &Value) -> String {
    let gates = items(pod, "/spec/readinessGates");
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let open = gates.iter().filter(|gate| has_condition(pod, text(gate, "/conditionType"))).count();
    format!("{open}/{}", gates.len())
}

/// What the containers tell, gathered from the first init container to the last container.
struct Story {
    reason: String,
    ready: usize,
    total: usize,
    restarts: i64,
    last_restart: String,
}

/// An init container that stays (a sidecar).
fn is_restartable(pod: &Value, name: &str) -> bool {
    items(pod, "/spec/initContainers")
        .iter()
        .any(|container| text(container, "/name") == name && text(container, "/restartPolicy") == "Always")
}

impl Story {
    fn of(pod: &Value) -> Self {
        let sidecars =
            items(pod, "/spec/initContainers").iter().filter(|init| text(init, "/restartPolicy") == "Always").count();
        let mut story = Self {
            reason: first_reason(pod),
            ready: 0,
            total: items(pod, "/spec/containers").len() + sidecars,
            restarts: 0,
            last_restart: String::new(),
        };
        let (is_initializing, of_sidecars) = story.tell_init_containers(pod);
        if !is_initializing || has_condition(pod, "Initialized") {
            (story.restarts, story.last_restart) = of_sidecars;
            story.tell_containers(pod);
        }
        story.tell_deletion(pod);
        story
    }

    fn count(&mut self, status: &Value) {
        self.restarts += integer(status, "/restartCount");
        let finished = text(status, "/lastState/terminated/finishedAt");
        // RFC 3339 in UTC to the second: the order of texts is the order of times.
        if finished > self.last_restart.as_str() {
            finished.clone_into(&mut self.last_restart);
        }
    }

    /// Answers whether initialization is going on, and the restarts of sidecars alone.
    fn tell_init_containers(&mut self, pod: &Value) -> (bool, (i64, String)) {
        let mut sidecars = Self { reason: String::new(), ready: 0, total: 0, restarts: 0, last_restart: String::new() };
        let count = items(pod, "/spec/initContainers").len();
        let mut is_initializing = false;
        for (index, status) in items(pod, "/status/initContainerStatuses").iter().enumerate() {
            self.count(status);
            let is_sidecar = is_restartable(pod, text(status, "/name"));
            if is_sidecar {
                sidecars.count(status);
            }
            let terminated = status.pointer("/state/terminated");
            if terminated.is_some() && integer(status, "/state/terminated/exitCode") == 0 {
                continue;
            }
            if is_sidecar && status.get("started") == Some(&Value::Bool(true)) {
                self.ready += usize::from(status.get("ready") == Some(&Value::Bool(true)));
                continue;
            }
            let waiting = text(status, "/state/waiting/reason");
            self.reason = match terminated {
                Some(terminated) => format!("Init:{}", end_of(terminated)),
                None if !waiting.is_empty() && waiting != "PodInitializing" => format!("Init:{waiting}"),
                None => format!("Init:{index}/{count}"),
            };
            is_initializing = true;
            break;
        }
        (is_initializing, (sidecars.restarts, sidecars.last_restart))
    }

    fn tell_containers(&mut self, pod: &Value) {
        let (mut has_running, mut error) = (false, None);
        for status in items(pod, "/status/containerStatuses").iter().rev() {
            self.count(status);
            let waiting = text(status, "/state/waiting/reason");
            if !waiting.is_empty() {
                waiting.clone_into(&mut self.reason);
            } else if let Some(terminated) = status.pointer("/state/terminated") {
                self.reason = end_of(terminated);
                if integer(terminated, "/exitCode") != 0 {
                    error = Some(self.reason.clone());
                }
            } else if status.get("ready") == Some(&Value::Bool(true)) && status.pointer("/state/running").is_some() {
                has_running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" {
            if has_running && has_condition(pod, "Ready") {
                "Running".clone_into(&mut self.reason);
            } else if let Some(error) = error {
                self.reason = error;
            } else if has_running {
                "NotReady".clone_into(&mut self.reason);
            }
        }
    }

    fn tell_deletion(&mut self, pod: &Value) {
        if pod.pointer("/metadata/deletionTimestamp").is_none_or(Value::is_null) {
            return;
        }
        let is_over = ["Succeeded", "Failed"].contains(&text(pod, "/status/phase"));
        if text(pod, "/status/reason") == "NodeLost" {
            "Unknown".clone_into(&mut self.reason);
        } else if !is_over {
            "Terminating".clone_into(&mut self.reason);
        }
    }
}

fn first_reason(pod: &Value) -> String {
    let is_gated = items(pod, "/status/conditions")
        .iter()
        .any(|condition| text(condition, "/type") == "PodScheduled" && text(condition, "/reason") == "SchedulingGated");
    match (is_gated, text(pod, "/status/reason")) {
        (true, _) => "SchedulingGated".to_owned(),
        (false, "") => text(pod, "/status/phase").to_owned(),
        (false, reason) => reason.to_owned(),
    }
}

fn end_of(terminated: &Value) -> String {
    match (text(terminated, "/reason"), integer(terminated, "/signal")) {
        ("", 0) => format!("ExitCode:{}", integer(terminated, "/exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::NOW;
    use super::*;

    #[track_caller]
    fn shows(pod: &Value, ready: &str, status: &str, restarts: &str) {
        let cells = cells(pod, NOW);
        assert_eq!(cells[1..4], [json!(ready), json!(status), json!(restarts)], "{pod}");
    }

    fn pod(status: &Value) -> Value {
        json!({"metadata": {"name": "x"}, "spec": {"containers": [{"name": "a"}], "initContainers": [{"name": "i"}]}, "status": status})
    }

    #[test]
    fn a_pods_status_is_told_by_its_containers() {
        shows(&pod(&json!({"phase": "Pending"})), "0/1", "Pending", "0");
        shows(
            &pod(
                &json!({"phase": "Running", "containerStatuses": [{"name": "a", "ready": true, "restartCount": 0, "state": {"running": {}}}]}),
            ),
            "1/1",
            "Running",
            "0",
        );
        shows(
            &pod(&json!({"phase": "Running", "containerStatuses": [{"name": "a", "restartCount": 4,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"finishedAt": "2026-01-01T00:05:00Z"}}}]})),
            "0/1",
            "CrashLoopBackOff",
            "4 (5m ago)",
        );
        shows(
            &pod(
                &json!({"phase": "Pending", "initContainerStatuses": [{"name": "i", "restartCount": 1, "state": {"running": {}}}]}),
            ),
            "0/1",
            "Init:0/1",
            "1",
        );
        shows(
            &pod(
                &json!({"phase": "Failed", "containerStatuses": [{"name": "a", "restartCount": 0, "state": {"terminated": {"exitCode": 2}}}]}),
            ),
            "0/1",
            "ExitCode:2",
            "0",
        );
        shows(&pod(&json!({"phase": "Failed", "reason": "Evicted"})), "0/1", "Evicted", "0");
    }

    #[test]
    fn a_deleted_pod_is_terminating() {
        let mut pod = pod(&json!({"phase": "Running"}));
        pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        shows(&pod, "0/1", "Terminating", "0");
    }

    #[test]
    fn finished_pods_carry_a_condition() {
        assert_eq!(row_conditions(&pod(&json!({"phase": "Running"}))), None);
        assert_eq!(row_conditions(&pod(&json!({"phase": "Failed"}))).unwrap()[0]["reason"], json!("Failed"));
    }
}
