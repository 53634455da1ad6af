//! Times a network, round by round, on command: a benchmark's half that knows this crate.
//!
//! ```text
//! time_network MODEL [ISA] [--threads=N] [--layers]
//! ```
//!
//! Reads from standard input how many runs the next round has; writes the fastest of them in
//! nanoseconds. With `--layers` it writes instead what each layer takes at best in 200 runs.

use std::error::Error;
use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use facelatch::inference::{LoadOptions, Network};
use facelatch::kernels::isa::Isa;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let layers = arguments.iter().any(|a| a == "--layers");
    let mut plain = arguments.iter().filter(|a| !a.starts_with("--"));
    let model = plain.next().ok_or("usage: time_network MODEL [ISA] [--threads=N] [--layers]")?;
    let isa = match plain.next() {
        Some(name) => Isa::named(name).ok_or("this CPU has no such instruction set")?,
        None => Isa::best(),
    };
    let threads = arguments.iter().find_map(|a| a.strip_prefix("--threads=")).unwrap_or("1").parse()?;
    let started = Instant::now();
    let bytes = std::fs::read(model)?;
    let mut network = Network::load(&bytes, LoadOptions { isa, threads, ..LoadOptions::default() })?;
    let pixels: Vec<u8> =
        (0..network.input_shape().iter().product()).map(|i: usize| (i * 7 % 251) as u8).collect();
    network.run(&pixels)?;
    let first = started.elapsed();
    let mega = network.macs() as f64 / 1e6;
    eprintln!("{model}: {}, {mega:.1} MMAC, first result after {first:?}", isa.name());
    if layers { print_layers(&mut network, &pixels) } else { serve(&mut network, &pixels) }
}

fn print_layers(network: &mut Network, pixels: &[u8]) -> Result<(), Box<dyn Error>> {
    let mut best = network.profile(pixels)?;
    for _ in 0..200 {
        for (best, now) in best.iter_mut().zip(network.profile(pixels)?) {
            best.time = best.time.min(now.time);
        }
    }
    for layer in &best {
        let rate = layer.macs as f64 / layer.time.as_secs_f64() / 1e9;
        println!("{:>9.1} us {:>7.2} GMAC/s  {:<10} {}", micros(layer.time), rate, layer.kind, layer.name);
    }
    println!("{:>9.1} us in all", best.iter().map(|layer| micros(layer.time)).sum::<f64>());
    Ok(())
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn serve(network: &mut Network, pixels: &[u8]) -> Result<(), Box<dyn Error>> {
    for line in std::io::stdin().lock().lines() {
        let runs: usize = line?.trim().parse()?;
        let mut best = Duration::MAX;
        for _ in 0..runs {
            let started = Instant::now();
            network.run(pixels)?;
            best = best.min(started.elapsed());
        }
        println!("{}", best.as_nanos());
        std::io::stdout().flush()?;
    }
    Ok(())
}
