//! What the pods are like: how large, how much of them is managedFields, how much one differs from the next.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use http::Request;
use kube::Client;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use zstd_safe::{compress, compress_bound};

/// How many pods are looked at: a page.
const SAMPLE: usize = 500;
/// How many are compressed as one.
const TOGETHER: usize = 100;
/// zstd's own default.
const LEVEL: i32 = 3;

/// The pods in numbers. Sizes in bytes of JSON as the server sends it.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Seed {
    pub(crate) pods: usize,
    sampled: usize,
    workloads: usize,
    mean: f64,
    p10: usize,
    p90: usize,
    managed_fields: f64,
    managers: f64,
    alone: f64,
    together: f64,
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
impl Seed {
    pub(crate) async fn look(client: &Client, pods: usize) -> anyhow::Result<Self> {
        let uri = format!("/api/v1/pods?limit={SAMPLE}");
        let text = client.request_text(Request::get(uri).body(Vec::new())?).await?;
        let items: List<'_> = serde_json::from_str(&text)?;
        Self::of(&items.items.iter().map(|item| item.get()).collect::<Vec<_>>(), pods)
    }

    fn of(texts: &[&str], pods: usize) -> anyhow::Result<Self> {
        let mut sizes: Vec<usize> = texts.iter().map(|text| text.len()).collect();
        sizes.sort_unstable();
        let total: usize = sizes.iter().sum();
        let (mut workloads, mut managed, mut managers, mut alone) = (BTreeSet::new(), 0, 0, 0);
        for text in texts {
            let pod: Value = serde_json::from_str(text)?;
            workloads.insert(pod["metadata"]["labels"]["app"].as_str().unwrap_or_default().to_owned());
            let fields = &pod["metadata"]["managedFields"];
            managed += fields.to_string().len();
            managers += fields.as_array().map_or(0, Vec::len);
            alone += compressed(text.as_bytes())?;
        }
        let groups = texts.chunks(TOGETHER).map(|group| compressed(group.concat().as_bytes()));
        let together: usize = groups.sum::<anyhow::Result<usize>>()?;
        let count = texts.len().max(1);
        Ok(Self {
            pods,
            sampled: texts.len(),
            workloads: workloads.len(),
            mean: total as f64 / count as f64,
            p10: sizes.get(count / 10).copied().unwrap_or_default(),
            p90: sizes.get(count * 9 / 10).copied().unwrap_or_default(),
            managed_fields: managed as f64 / total as f64,
            managers: managers as f64 / count as f64,
            alone: total as f64 / alone as f64,
            together: total as f64 / together as f64,
        })
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from("## The pods\n\n");
        let _ = writeln!(
            text,
            "{} pods, of which {} were looked at: {} workloads; JSON of {:.0} bytes in the mean (p10 {}, p90 {}), {:.0} % of it \
             managedFields by {:.1} managers a pod. zstd -{LEVEL} makes one alone {:.1} times smaller, {TOGETHER} together \
             {:.1} times: the rest is each pod's own.\n",
            self.pods,
            self.sampled,
            self.workloads,
            self.mean,
            self.p10,
            self.p90,
            self.managed_fields * 100.0,
            self.managers,
            self.alone,
            self.together,
        );
        text
    }
}

fn compressed(bytes: &[u8]) -> anyhow::Result<usize> {
    let mut out = vec![0; compress_bound(bytes.len())];
    compress(&mut out[..], bytes, LEVEL).map_err(|_| anyhow::anyhow!("zstd failed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_compresses_better_together() {
        let pod = |number: usize| {
            format!(
                r#"{{"metadata":{{"name":"p{number}","labels":{{"app":"a{}"}},"managedFields":[{{"manager":"m","fieldsV1":{{}}}}]}}}}"#,
                number % 2
            )
        };
        let texts: Vec<String> = (0..10).map(pod).collect();
        let seed = Seed::of(&texts.iter().map(String::as_str).collect::<Vec<_>>(), 10).unwrap();
        assert_eq!((seed.workloads, seed.sampled), (2, 10));
        assert!((seed.managers - 1.0).abs() < f64::EPSILON);
        assert!(seed.together > seed.alone, "{seed:?}");
        assert!(seed.managed_fields > 0.2 && seed.managed_fields < 0.6, "{seed:?}");
    }
}
