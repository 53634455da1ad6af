//! `facelatch bench`: what every stage takes on this machine.
//!
//! Times are percentiles over many runs of one thread; the first run of each is left out.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::camera::replay::{Replay, ReplayOptions};
use crate::camera::{Camera, CameraError, PixelFormat};
use crate::face::analyze::AnalyzeError;
use crate::face::convert::{ConvertError, EncodedFrame, Encoding, to_rgb};
use crate::face::image::{PictureError, RgbImage};
use crate::face::models::{ModelError, ModelFolder};
use crate::inference::{LoadError, LoadOptions, Network, RunError, kernels};

/// Why nothing could be measured.
#[derive(Debug, Error)]
pub enum BenchError {
    /// The models.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A network.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A network's run.
    #[error(transparent)]
    Run(#[from] RunError),
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
    #[error("{} is no film of JPEG pictures", path.display())]
    NoJpeg {
        /// The film.
        path: PathBuf,
    },
    /// The output is gone, or the system does not tell.
    #[error("cannot read or write")]
    Io(#[from] io::Error),
}

/// What to measure.
#[derive(Debug, Clone)]
pub struct BenchOptions {
    /// Folder of the models.
    pub models: PathBuf,
    /// An `.mjpeg` film with people.
    pub film: PathBuf,
    /// Frames of the film, and runs of each network.
    pub runs: usize,
    /// Programs whose sizes are told.
    pub programs: Vec<PathBuf>,
}

/// Measures and prints a table.
///
/// # Errors
/// When models or film cannot be used.
pub fn run(options: &BenchOptions, out: &mut dyn Write) -> Result<(), BenchError> {
    let kernels = kernels();
    writeln!(out, "kernels: {}, of {}", kernels.last().unwrap_or(&"none"), kernels.join(", "))?;
    let started = Instant::now();
    let models = ModelFolder::read(&options.models)?;
    let (mut analyzer, _) = models.files().compile()?;
    writeln!(out, "start-up, from files to networks that run: {:.1} ms", milliseconds(started.elapsed()))?;
    writeln!(out, "{:<34} {:>8} {:>8} {:>8}", "milliseconds", "median", "95 %", "worst")?;
    let files = models.files();
    for (name, file) in
        [("detector", files.detector), ("liveness", files.liveness), ("embedder", files.embedder)]
    {
        let mut network = Network::load(file.onnx, LoadOptions::default())?;
        let [height, width, channels] = network.input_shape();
        let pixels: Vec<u8> = (0..height * width * channels).map(|i| (i * 7 % 251) as u8).collect();
        let mut times = Vec::new();
        for _ in 0..=options.runs {
            let start = Instant::now();
            network.run(&pixels)?;
            times.push(start.elapsed());
        }
        print(out, &format!("{name} ({:.1} MMAC)", network.macs() as f64 / 1e6), &times)?;
    }
    let (decode, analyse) = film(&mut analyzer, options)?;
    print(out, "decode a JPEG frame", &decode)?;
    print(out, "analyse a frame (all of the above)", &analyse)?;
    writeln!(out, "peak memory of this process: {:.1} MiB", peak_memory()? as f64 / 1024.0)?;
    for program in &options.programs {
        if let Ok(found) = std::fs::metadata(program) {
            writeln!(out, "{}: {:.1} MiB", program.display(), found.len() as f64 / 1_048_576.0)?;
        }
    }
    Ok(())
}

type Times = Vec<Duration>;

fn film(
    analyzer: &mut crate::face::analyze::FaceAnalyzer,
    options: &BenchOptions,
) -> Result<(Times, Times), BenchError> {
    let mut camera =
        Replay::open(&options.film, ReplayOptions { looping: true, ..ReplayOptions::default() })?;
    let mut picture = RgbImage::new(1, 1)?;
    let (mut decode, mut analyse) = (Vec::new(), Vec::new());
    for _ in 0..=options.runs {
        let frame = camera.next_frame(Duration::from_secs(1))?;
        if frame.format != PixelFormat::Mjpeg {
            return Err(BenchError::NoJpeg { path: options.film.clone() });
        }
        let (width, height, stride) = (frame.width, frame.height, frame.stride);
        let encoded = EncodedFrame { bytes: frame.bytes, encoding: Encoding::Jpeg, width, height, stride };
        let start = Instant::now();
        to_rgb(&encoded, &mut picture)?;
        decode.push(start.elapsed());
        let start = Instant::now();
        analyzer.analyze(&picture.view(), frame.captured_at)?;
        analyse.push(start.elapsed());
    }
    Ok((decode, analyse))
}

fn print(out: &mut dyn Write, name: &str, times: &[Duration]) -> io::Result<()> {
    let mut sorted = times[1..].to_vec();
    sorted.sort();
    let at = |share: f64| milliseconds(sorted[((sorted.len() - 1) as f64 * share) as usize]);
    writeln!(out, "{name:<34} {:8.2} {:8.2} {:8.2}", at(0.5), at(0.95), at(1.0))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The most memory that this process ever had, in KiB.
///
/// # Source
/// proc_pid_status(5), `VmHWM`.
fn peak_memory() -> io::Result<u64> {
    let status = std::fs::read_to_string(Path::new("/proc/self/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse().ok())
        .ok_or_else(|| io::Error::other("/proc/self/status has no VmHWM"))
}
