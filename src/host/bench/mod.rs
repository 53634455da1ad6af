//! `facelatch bench`: what every stage takes on this machine.
//!
//! One frame with a face, many runs. With two sets of models each round runs both, so that their ratio
//! holds also on a machine that does other things meanwhile.

mod stages;
mod timing;

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use thiserror::Error;

use self::stages::{Sample, Stage, Subject};
pub use self::timing::{Counter, Timing};
use self::timing::{Work, in_turn};
use super::info::InfoError;
use super::models;
use super::output::Form;
use crate::camera::CameraError;
use crate::face::align::AlignError;
use crate::face::analyze::AnalyzeError;
use crate::face::convert::ConvertError;
use crate::face::crop::Pyramid;
use crate::face::embed::EmbedError;
use crate::face::image::PictureError;
use crate::face::models::{ModelError, threads};
use crate::face::network::NetworkError;
use crate::inference::{LoadError, kernels};

/// Why nothing could be measured.
#[derive(Debug, Error)]
pub enum BenchError {
    /// The models.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A package.
    #[error(transparent)]
    Package(#[from] InfoError),
    /// A network's file.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A network's run.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The embedder's run.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// The face of the sample.
    #[error(transparent)]
    Align(#[from] AlignError),
    /// The film.
    #[error(transparent)]
    Camera(#[from] CameraError),
    /// A frame.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// A picture.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The analysis.
    #[error(transparent)]
    Analyze(#[from] AnalyzeError),
    /// The film is not JPEG.
    #[error("{} is no film of JPEG pictures (.mjpeg): name one with --film", path.display())]
    NoJpeg {
        /// The film.
        path: PathBuf,
    },
    /// Nobody is on it.
    #[error("nobody on {} can be recognised: name a film with a face that fills a third of its height with --film", path.display())]
    NoFace {
        /// The film.
        path: PathBuf,
    },
    /// The output is gone, or the system does not tell.
    #[error("cannot read or write")]
    Io(#[from] io::Error),
}

/// The simulated board's film: beside the sources where these are, else where the package puts it.
fn film() -> &'static str {
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/boards/sim/scene.mjpeg");
    if Path::new(sources).is_file() { sources } else { "/usr/share/facelatch/scene.mjpeg" }
}

const EXAMPLES: &str = "Examples:
  facelatch bench                              this machine, the released models
  facelatch bench --against new.flm            a package beside them: is it as fast?
  facelatch bench --against mine.onnx          an embedder of yours (its contract beside it as .toml)
  facelatch bench --film clip.mjpeg --json     pictures of your camera's size; for programs
  facelatch bench --markdown                   a table for a README

Measure on an idle machine, with a program that was built by --release.";

/// What to measure.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct BenchOptions {
    /// Folder of the models.
    #[arg(long, value_name = "FOLDER", default_value = models::released())]
    pub models: PathBuf,
    /// Compare with these: a folder of models, a package (.flm), or an embedder (.onnx).
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// A film of JPEG pictures with a person.
    #[arg(long, value_name = "FILE", default_value = film())]
    pub film: PathBuf,
    /// Runs of each stage.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub runs: u32,
    /// Tell the result as JSON.
    #[arg(long)]
    pub json: bool,
    /// Tell the stages as a table in Markdown.
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,
}

/// One set of models.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Measured {
    models: PathBuf,
    embedding_id: u32,
    start_up_ms: f64,
    million_macs: [f64; 3],
}

impl Measured {
    fn of(subject: &Subject) -> Self {
        Self {
            models: subject.name.clone(),
            embedding_id: subject.embedding_id,
            start_up_ms: subject.start_up.as_secs_f64() * 1e3,
            million_macs: subject.macs.map(|macs| macs as f64 / 1e6),
        }
    }
}

/// One stage, measured for each set of models.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Row {
    stage: &'static str,
    timings: Vec<Timing>,
}

/// Memory of this process in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Memory {
    resident_kib: u64,
    peak_kib: u64,
}

/// A program and its bytes.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Program {
    path: PathBuf,
    bytes: u64,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Benchmark {
    /// The program checks its own arithmetic: it was built for its developers.
    checked: bool,
    kernels: &'static str,
    available: Vec<&'static str>,
    runs: u32,
    frame: (usize, usize),
    subjects: Vec<Measured>,
    stages: Vec<Row>,
    memory: Memory,
    programs: Vec<Program>,
}

/// Measures and tells. `counter` counts allocations; the sizes of `programs` are told, where they are there.
///
/// # Errors
/// When models or film cannot be used.
pub fn run(
    options: &BenchOptions,
    counter: Counter<'_>,
    programs: &[PathBuf],
    out: &mut dyn Write,
) -> Result<(), BenchError> {
    let mut subjects = vec![Subject::read(&options.models, &options.models)?];
    let sample = Sample::of(&options.film, &mut subjects[0])?;
    let memory = memory()?;
    if let Some(path) = &options.against {
        subjects.push(Subject::read(path, &options.models)?);
    }
    let mut pyramid = Pyramid::default();
    let layers = sample.layers(&mut pyramid);
    let stages = Stage::ALL.into_iter().map(|stage| {
        let work = |subject| -> Work<'_, BenchError> {
            let (subject, sample, layers): (&mut Subject, _, _) = (subject, &sample, &layers);
            Box::new(move || subject.run(stage, sample, layers))
        };
        let mut works: Vec<Work<'_, BenchError>> = subjects.iter_mut().map(work).collect();
        let timings = in_turn(&mut works, options.runs as usize, counter)?;
        Ok(Row { stage: stage.words(), timings })
    });
    let stages = stages.collect::<Result<Vec<Row>, BenchError>>()?;
    let size =
        |path: &PathBuf| Some(Program { path: path.clone(), bytes: std::fs::metadata(path).ok()?.len() });
    let available = kernels();
    let benchmark = Benchmark {
        checked: cfg!(debug_assertions),
        kernels: available.last().copied().unwrap_or("none"),
        available,
        runs: options.runs,
        frame: sample.size(),
        subjects: subjects.iter().map(Measured::of).collect(),
        stages,
        memory,
        programs: programs.iter().filter_map(size).collect(),
    };
    if options.markdown {
        return Ok(benchmark.write_markdown(out)?);
    }
    Ok(Form::of(options.json).tell(&benchmark, out)?)
}

impl Benchmark {
    fn write_markdown(&self, out: &mut dyn Write) -> io::Result<()> {
        let (width, height) = self.frame;
        let columns = self
            .subjects
            .iter()
            .map(|subject| format!(" embedder {}, median | 99 % |", subject.embedding_id));
        writeln!(out, "| milliseconds, {width}x{height} |{}", columns.collect::<String>())?;
        writeln!(out, "|---|{}", "---|---|".repeat(self.subjects.len()))?;
        for Row { stage, timings } in &self.stages {
            let cells =
                timings.iter().map(|timing| format!(" {:.2} | {:.2} |", timing.median_ms, timing.p99_ms));
            writeln!(out, "| {stage} |{}", cells.collect::<String>())?;
        }
        Ok(())
    }
}

impl fmt::Display for Benchmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (width, height) = self.frame;
        if self.checked {
            writeln!(
                f,
                "NOTE: this program was not built by --release, and is some three times slower for that"
            )?;
        }
        writeln!(
            f,
            "kernels {}, of {}; {} runs, threads: {}",
            self.kernels,
            self.available.join(", "),
            self.runs,
            threads()
        )?;
        for (number, subject) in self.subjects.iter().enumerate() {
            let Measured { models, embedding_id, start_up_ms, million_macs: [detector, liveness, embedder] } =
                subject;
            writeln!(
                f,
                "{}: {}, embedder {embedding_id}, ready after {start_up_ms:.0} ms",
                letter(number),
                models.display()
            )?;
            writeln!(
                f,
                "   million multiply-accumulates: detector {detector:.1}, liveness {liveness:.1}, embedder {embedder:.1}"
            )?;
        }
        writeln!(f)?;
        let frame = format!("milliseconds, {width}x{height}");
        write!(
            f,
            "{frame:<30} {:>8} {:>8} {:>8} {:>8} {:>11}",
            "median", "95 %", "99 %", "worst", "allocations"
        )?;
        writeln!(f, "{}", if self.subjects.len() > 1 { "   B median   B / A  B allocations" } else { "" })?;
        for Row { stage, timings } in &self.stages {
            let Timing { median_ms, p95_ms, p99_ms, worst_ms, allocations } = &timings[0];
            write!(
                f,
                "{stage:<30} {median_ms:8.3} {p95_ms:8.3} {p99_ms:8.3} {worst_ms:8.3} {allocations:>11}"
            )?;
            match timings.get(1) {
                None => writeln!(f)?,
                Some(other) => {
                    let ratio = other.median_ms / median_ms;
                    writeln!(f, "   {:8.3}  {ratio:6.2}  {:>13}", other.median_ms, other.allocations)?;
                }
            }
        }
        let mib = |kib: u64| kib as f64 / 1024.0;
        write!(
            f,
            "\nmemory of this process with A: {:.1} MiB, at most {:.1}",
            mib(self.memory.resident_kib),
            mib(self.memory.peak_kib)
        )?;
        for Program { path, bytes } in &self.programs {
            write!(f, "\n{}: {:.1} MiB", path.display(), *bytes as f64 / 1_048_576.0)?;
        }
        Ok(())
    }
}

fn letter(number: usize) -> char {
    if number == 0 { 'A' } else { 'B' }
}

/// What this process has of memory, and the most that it ever had.
///
/// # Source
/// proc_pid_status(5), `VmRSS` and `VmHWM`.
fn memory() -> io::Result<Memory> {
    let status = std::fs::read_to_string(Path::new("/proc/self/status"))?;
    let kib = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse().ok())
            .ok_or_else(|| io::Error::other(format!("/proc/self/status has no {key}")))
    };
    Ok(Memory { resident_kib: kib("VmRSS:")?, peak_kib: kib("VmHWM:")? })
}
