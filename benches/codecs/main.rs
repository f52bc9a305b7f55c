//! Ways to keep an object's JSON short in memory: what each saves, and what it takes, on the budgets' pods.
//!
//! `cargo xtask bench --bench codecs` measures 5,000 pods, as a list brings them, without managedFields: of the budgets' sixteen
//! workloads, and of four hundred that are less alike. Each way by turns, five times, medians. Without `--bench` (as `cargo test`
//! runs it), or with `--smoke`, 320 pods go through each once and have to come out as they were.

#![expect(clippy::cast_precision_loss, reason = "figures for people: three digits of them are printed")]

#[path = "../budgets/pods.rs"]
mod pods;

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use lz4_flex::block;
use zstd_safe::{CCtx, CDict, DCtx, DDict, compress_bound, train_from_buffer};

/// How many samples a dictionary is trained on.
const SAMPLES: usize = 300;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let measures = has("--bench") && !has("--smoke");
    let (count, passes) = if measures { (5_000, 5) } else { (320, 1) };
    let few: Vec<Vec<u8>> = (0..count).map(|number| text(number, count)).collect();
    let many: Vec<Vec<u8>> =
        few.iter().enumerate().map(|(number, text)| apart(number, text)).collect::<Result<_, _>>()?;
    let (of_few, of_many) = (rows(&few, ways(&few)?, passes)?, rows(&many, ways(&many)?, 1)?);
    if !measures {
        println!("codecs: everything comes out as it went in");
        return Ok(());
    }
    println!(
        "| way | bytes a pod, of 16 workloads | of 400 | dictionaries | in, µs | out, µs |\n|---|---|---|---|---|---|"
    );
    for ((name, row), (_, many)) in of_few.iter().zip(&of_many) {
        let Row { bytes, dictionaries, put, taken } = row;
        let kilobytes = dictionaries / 1_000.0;
        println!("| {name} | {bytes:.0} | {:.0} | {kilobytes:.0} KB | {put:.1} | {taken:.1} |", many.bytes);
    }
    Ok(())
}

/// A pod as the cache would hold it.
fn text(number: usize, count: usize) -> Vec<u8> {
    let mut pod = pods::sent(number, count, 1_000_000 + number as u64);
    if let Some(metadata) = pod["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    pod.to_string().into_bytes()
}

/// The pod as one of four hundred workloads, whose names, settings and numbers are their own.
fn apart(number: usize, text: &[u8]) -> anyhow::Result<Vec<u8>> {
    let (name, workload) = (pods::WORKLOADS[number % pods::WORKLOADS.len()], number * 2_654_435_761 % 400);
    let suffix = ["alpha", "bravo", "charlie", "delta", "echo"][workload % 5];
    let text = std::str::from_utf8(text)?.replace(name, &format!("{name}{suffix}"));
    let text =
        text.replace("SETTING_", &format!("CONF{workload}_")).replace("config", &format!("cfg{}", workload % 91));
    let text = text.replace("8080", &(8_000 + workload).to_string());
    Ok(text.replace("512Mi", &format!("{}Mi", 100 + workload * 7)).into_bytes())
}

/// A way to keep a text. `at` is its place in the list.
trait Way {
    fn put(&mut self, at: usize, text: &[u8]) -> anyhow::Result<Vec<u8>>;
    fn take(&mut self, at: usize, held: &[u8], len: usize) -> anyhow::Result<Vec<u8>>;
    fn dictionaries(&self) -> usize;
}

/// What a pass gives: bytes and microseconds a text.
#[derive(Clone, Copy)]
struct Row {
    bytes: f64,
    dictionaries: f64,
    put: f64,
    taken: f64,
}

/// Each way by turns, so that a machine that is slower for a while is so for all; medians of the passes.
fn rows(texts: &[Vec<u8>], mut ways: Vec<(String, Box<dyn Way>)>, passes: usize) -> anyhow::Result<Vec<(String, Row)>> {
    let mut of_each = vec![Vec::new(); ways.len()];
    for _ in 0..passes {
        for ((name, way), rows) in ways.iter_mut().zip(&mut of_each) {
            rows.push(pass(texts, &mut **way).with_context(|| name.clone())?);
        }
    }
    let median = |rows: &[Row], figure: fn(&Row) -> f64| {
        let mut figures: Vec<_> = rows.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    let row =
        |rows: &Vec<Row>| Row { put: median(rows, |row| row.put), taken: median(rows, |row| row.taken), ..rows[0] };
    Ok(ways.into_iter().zip(&of_each).map(|((name, _), rows)| (name, row(rows))).collect())
}

fn pass(texts: &[Vec<u8>], way: &mut dyn Way) -> anyhow::Result<Row> {
    let begun = Instant::now();
    let held = texts.iter().enumerate().map(|(at, text)| way.put(at, black_box(text)));
    let held = held.collect::<anyhow::Result<Vec<_>>>()?;
    let put = begun.elapsed();
    let begun = Instant::now();
    for (at, (held, text)) in held.iter().zip(texts).enumerate() {
        black_box(way.take(at, black_box(held), text.len())?);
    }
    let taken = begun.elapsed();
    for (at, (held, text)) in held.iter().zip(texts).enumerate() {
        ensure!(way.take(at, held, text.len())? == *text, "the {at}th text came out as another one");
    }
    let count = texts.len() as f64;
    let bytes = held.iter().map(Vec::len).sum::<usize>() as f64 / count;
    let each = |time: Duration| time.as_secs_f64() * 1e6 / count;
    Ok(Row { bytes, dictionaries: way.dictionaries() as f64, put: each(put), taken: each(taken) })
}

fn ways(texts: &[Vec<u8>]) -> anyhow::Result<Vec<(String, Box<dyn Way>)>> {
    let spread = |size| trained(size, texts.iter().step_by(texts.len().div_ceil(SAMPLES).max(1)));
    let mut ways: Vec<(String, Box<dyn Way>)> = vec![
        ("as it is".to_owned(), Box::new(Plain)),
        ("lz4".to_owned(), Box::new(Lz4(Vec::new()))),
        ("lz4, dictionary of 64 KB".to_owned(), Box::new(Lz4(spread(64 << 10)?))),
        ("zstd 1, no dictionary".to_owned(), Box::new(Zstd::new(1, &[])?)),
        ("zstd 3, no dictionary".to_owned(), Box::new(Zstd::new(3, &[])?)),
    ];
    for level in [1, 3, 6, 9] {
        ways.push((format!("zstd {level}, dictionary of 64 KB"), Box::new(Zstd::new(level, &[spread(64 << 10)?])?)));
    }
    for kilobytes in [16, 110] {
        let dictionary = spread(kilobytes << 10)?;
        ways.push((format!("zstd 1, dictionary of {kilobytes} KB"), Box::new(Zstd::new(1, &[dictionary])?)));
    }
    let first = trained(64 << 10, texts.iter().take(SAMPLES))?;
    ways.push((format!("zstd 1, 64 KB from the first {SAMPLES}"), Box::new(Zstd::new(1, &[first])?)));
    for kilobytes in [64, 110, 256] {
        ways.push((
            format!("zstd 1, {kilobytes} KB of whole texts, untrained"),
            Box::new(Zstd::new(1, &[untrained(kilobytes << 10, texts)])?),
        ));
    }
    // The text of one pod of each workload stands for what the pods of a workload have in common.
    let templates: Vec<_> = texts.iter().take(pods::WORKLOADS.len()).cloned().collect();
    ways.push(("zstd 1, a template for each workload".to_owned(), Box::new(Zstd::new(1, &templates)?)));
    Ok(ways)
}

fn trained<'a>(size: usize, samples: impl Iterator<Item = &'a Vec<u8>>) -> anyhow::Result<Vec<u8>> {
    let (mut text, mut sizes) = (Vec::new(), Vec::new());
    for sample in samples {
        text.extend_from_slice(sample);
        sizes.push(sample.len());
    }
    let mut dictionary = Vec::with_capacity(size);
    train_from_buffer(&mut dictionary, &text, &sizes).map_err(zstd_error)?;
    Ok(dictionary)
}

/// As many texts, spread over all, as go into so many bytes.
fn untrained(size: usize, texts: &[Vec<u8>]) -> Vec<u8> {
    let count = (size * texts.len() / texts.iter().map(Vec::len).sum::<usize>().max(1)).max(1);
    let step = texts.len().div_ceil(count) | 1;
    texts.iter().step_by(step).flatten().copied().take(size).collect()
}

fn zstd_error(code: usize) -> anyhow::Error {
    anyhow::anyhow!("zstd: {}", zstd_safe::get_error_name(code))
}

struct Plain;

impl Way for Plain {
    fn put(&mut self, _: usize, text: &[u8]) -> anyhow::Result<Vec<u8>> {
        Ok(text.to_vec())
    }

    fn take(&mut self, _: usize, held: &[u8], _: usize) -> anyhow::Result<Vec<u8>> {
        Ok(held.to_vec())
    }

    fn dictionaries(&self) -> usize {
        0
    }
}

struct Lz4(Vec<u8>);

impl Way for Lz4 {
    fn put(&mut self, _: usize, text: &[u8]) -> anyhow::Result<Vec<u8>> {
        Ok(if self.0.is_empty() { block::compress(text) } else { block::compress_with_dict(text, &self.0) })
    }

    fn take(&mut self, _: usize, held: &[u8], len: usize) -> anyhow::Result<Vec<u8>> {
        Ok(if self.0.is_empty() {
            block::decompress(held, len)?
        } else {
            block::decompress_with_dict(held, len, &self.0)?
        })
    }

    fn dictionaries(&self) -> usize {
        self.0.len()
    }
}

/// With none, one, or several dictionaries, which take turns.
struct Zstd {
    level: i32,
    encoder: CCtx<'static>,
    decoder: DCtx<'static>,
    dictionaries: Vec<(CDict<'static>, DDict<'static>)>,
    size: usize,
    scratch: Vec<u8>,
}

impl Zstd {
    fn new(level: i32, dictionaries: &[Vec<u8>]) -> anyhow::Result<Self> {
        let both = |dictionary: &Vec<u8>| (CDict::create(dictionary, level), DDict::create(dictionary));
        Ok(Self {
            level,
            encoder: CCtx::try_create().context("no memory")?,
            decoder: DCtx::try_create().context("no memory")?,
            dictionaries: dictionaries.iter().map(both).collect(),
            size: dictionaries.iter().map(Vec::len).sum(),
            scratch: Vec::new(),
        })
    }
}

impl Way for Zstd {
    fn put(&mut self, at: usize, text: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.scratch.clear();
        self.scratch.reserve(compress_bound(text.len()));
        let written = match self.dictionaries.get(at % self.dictionaries.len().max(1)) {
            Some((dictionary, _)) => self.encoder.compress_using_cdict(&mut self.scratch, text, dictionary),
            None => self.encoder.compress(&mut self.scratch, text, self.level),
        };
        written.map_err(zstd_error)?;
        Ok(self.scratch.as_slice().into())
    }

    fn take(&mut self, at: usize, held: &[u8], len: usize) -> anyhow::Result<Vec<u8>> {
        let mut text = Vec::with_capacity(len);
        let written = match self.dictionaries.get(at % self.dictionaries.len().max(1)) {
            Some((_, dictionary)) => self.decoder.decompress_using_ddict(&mut text, held, dictionary),
            None => self.decoder.decompress(&mut text, held),
        };
        written.map_err(zstd_error)?;
        Ok(text)
    }

    fn dictionaries(&self) -> usize {
        self.size
    }
}
