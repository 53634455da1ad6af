//! Times a network on rten as `examples/time_network.rs` does: reads how many runs a round has, writes the fastest.

use std::error::Error;
use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use rten::{Dimension, ModelOptions, RunOptions, ThreadPool};
use rten_tensor::prelude::*;
use rten_tensor::Tensor;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: bench-rten MODEL")?;
    let model = ModelOptions::with_all_ops().prepack_weights(true).load_file(path)?;
    let input = model.input_ids()[0];
    let shape = model.node_info(input).and_then(|info| info.shape()).ok_or("an input without a shape")?;
    let shape: Vec<usize> =
        shape.iter().map(|size| if let Dimension::Fixed(size) = size { *size } else { 1 }).collect();
    let pixels: Vec<u8> = (0..shape.iter().product::<usize>()).map(|i| (i * 7 % 251) as u8).collect();
    let pixels = Tensor::from_data(&shape[..], pixels);
    let threads = RunOptions::default().with_thread_pool(Some(ThreadPool::with_num_threads(1).into()));
    for line in std::io::stdin().lock().lines() {
        let mut best = Duration::MAX;
        for _ in 0..line?.trim().parse::<usize>()? {
            let started = Instant::now();
            model.run(vec![(input, pixels.view().into())], model.output_ids(), Some(threads.clone()))?;
            best = best.min(started.elapsed());
        }
        println!("{}", best.as_nanos());
        std::io::stdout().flush()?;
    }
    Ok(())
}
