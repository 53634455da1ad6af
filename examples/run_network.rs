//! Runs a network on pictures, raw in and raw out: for comparing it with other engines.
//!
//! ```text
//! run_network MODEL [ISA] < PIXELS > OUTPUTS
//! ```
//!
//! Reads u8 pictures `[height, width, 3]` one behind another; writes all outputs of each as int8.

use std::error::Error;
use std::io::{ErrorKind, Read, Write};

use facelatch::inference::{LoadOptions, Network};
use facelatch::kernels::isa::Isa;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let model = arguments.next().ok_or("usage: run_network MODEL [ISA] < PIXELS > OUTPUTS")?;
    let isa = match arguments.next() {
        Some(name) => Isa::named(&name).ok_or("this CPU has no such instruction set")?,
        None => Isa::best(),
    };
    let mut network = Network::load(&std::fs::read(model)?, LoadOptions { isa, ..LoadOptions::default() })?;
    let mut pixels = vec![0; network.input_shape().iter().product()];
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    loop {
        match input.read_exact(&mut pixels) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        }
        network.run(&pixels)?;
        for index in 0..network.outputs().len() {
            let bytes: Vec<u8> = network.output(index).iter().map(|&value| value as u8).collect();
            output.write_all(&bytes)?;
        }
    }
}
