//! A loaded network.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use super::error::{LoadError, RunError};
use super::fuse;
use super::onnx::{self, guarded};
use super::plan::{Plan, Step};
use super::stock::Stock;
use crate::kernels::isa::Isa;

/// How a network is loaded.
#[derive(Debug, Clone, Copy)]
pub struct LoadOptions {
    /// Kernels to use.
    pub isa: Isa,
    /// Height and width of the input instead of the file's, for fully convolutional networks.
    pub input_size: Option<[usize; 2]>,
    /// Threads that share the rows of each layer; more than [`MAX_THREADS`] count as so many.
    pub threads: NonZeroUsize,
}

/// Most threads that share a layer: the cores of the boards.
pub const MAX_THREADS: usize = 4;

impl Default for LoadOptions {
    fn default() -> Self {
        Self { isa: Isa::best(), input_size: None, threads: NonZeroUsize::MIN }
    }
}

/// What an output's bytes mean: the real value is `(q - zero_point) * scale`.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Its name in the ONNX file.
    pub name: String,
    /// Height, width and channels; values are in this order.
    pub shape: [usize; 3],
    /// Real value of one step.
    pub scale: f32,
    /// The value that means 0.
    pub zero_point: i8,
}

/// One layer and what it took.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerTime {
    /// Name of the node in the ONNX file whose output it computes.
    pub name: String,
    /// What it does: `conv`, `pointwise`, `depthwise`, `add`, `double` or `pixels`.
    pub kind: &'static str,
    /// Multiply-accumulates.
    pub macs: usize,
    /// Time of this run.
    pub time: Duration,
}

/// An int8 network with its weights packed and its memory taken: runs allocate nothing.
#[derive(Debug)]
pub struct Network {
    input: [usize; 3],
    outputs: Vec<Output>,
    engine: Box<dyn Engine>,
}

/// What runs a network. A trait, so that a program that never loads an unfused network links nothing of it.
trait Engine: std::fmt::Debug + Send {
    /// Runs on pixels of the right length; `after` is called behind each step.
    fn run(&mut self, pixels: &[u8], after: &mut (dyn FnMut() + Send)) -> Result<(), RunError>;
    fn output(&self, index: usize) -> &[i8];
    fn steps(&self) -> &[Step];
    fn memory(&self) -> usize;
}

impl Engine for Plan {
    fn run(&mut self, pixels: &[u8], after: &mut (dyn FnMut() + Send)) -> Result<(), RunError> {
        Plan::run(self, pixels, after);
        Ok(())
    }

    fn output(&self, index: usize) -> &[i8] {
        Plan::output(self, index)
    }

    fn steps(&self) -> &[Step] {
        &self.steps
    }

    fn memory(&self) -> usize {
        Plan::memory(self)
    }
}

impl Engine for Stock {
    fn run(&mut self, pixels: &[u8], _: &mut (dyn FnMut() + Send)) -> Result<(), RunError> {
        Stock::run(self, pixels)
    }

    fn output(&self, index: usize) -> &[i8] {
        Stock::output(self, index)
    }

    fn steps(&self) -> &[Step] {
        &[]
    }

    fn memory(&self) -> usize {
        0
    }
}

impl Network {
    /// Loads an ONNX file of the form that the module describes.
    ///
    /// # Errors
    /// For damaged files, and for valid ones that are not int8 networks that can be run exactly; the
    /// error names the node. Never panics.
    pub fn load(bytes: &[u8], options: LoadOptions) -> Result<Self, LoadError> {
        let typed = onnx::read(bytes, options.input_size)?;
        guarded(|| {
            let graph = fuse::fuse(&typed)?;
            let plan = Plan::new(&graph, options.isa, options.threads.get().min(MAX_THREADS))?;
            let outputs = graph.outputs.iter().map(|(name, tensor)| Output {
                name: name.clone(),
                shape: tensor.shape,
                scale: tensor.quantisation.scale,
                zero_point: tensor.quantisation.zero_point,
            });
            Ok(Self { input: graph.input()?, outputs: outputs.collect(), engine: Box::new(plan) })
        })
    }

    /// Loads an ONNX file to be run as it is on tract's own operators, slowly and on one thread: any
    /// operator goes, if input and outputs are quantised. Runs allocate.
    ///
    /// `input_size` is that of [`LoadOptions`].
    ///
    /// # Errors
    /// As [`Network::load`].
    pub fn load_unfused(bytes: &[u8], input_size: Option<[usize; 2]>) -> Result<Self, LoadError> {
        let typed = onnx::read_unfused(bytes, input_size)?;
        guarded(|| {
            let (stock, outputs) = Stock::new(typed)?;
            Ok(Self { input: stock.input(), outputs, engine: Box::new(stock) })
        })
    }

    /// Height, width and channels (3) of the input.
    pub fn input_shape(&self) -> [usize; 3] {
        self.input
    }

    /// The outputs, in the order of the ONNX file.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// Multiply-accumulates of one run; 0 when unfused.
    pub fn macs(&self) -> usize {
        self.engine.steps().iter().map(Step::macs).sum()
    }

    /// Bytes of memory that runs work in, without weights; 0 when unfused.
    pub fn memory(&self) -> usize {
        self.engine.memory()
    }

    /// Runs the network on `[height, width, 3]` u8 RGB pixels, row-major.
    ///
    /// # Errors
    /// When `pixels` has another length, or tract fails on an unfused network.
    pub fn run(&mut self, pixels: &[u8]) -> Result<(), RunError> {
        self.check(pixels)?;
        self.engine.run(pixels, &mut || ())
    }

    /// Runs as [`Network::run`] and tells what each layer took; nothing when unfused.
    ///
    /// # Errors
    /// As [`Network::run`].
    pub fn profile(&mut self, pixels: &[u8]) -> Result<Vec<LayerTime>, RunError> {
        self.check(pixels)?;
        let mut times = Vec::with_capacity(self.engine.steps().len());
        let mut last = Instant::now();
        self.engine.run(pixels, &mut || {
            let now = Instant::now();
            times.push(now - last);
            last = now;
        })?;
        let layers = self.engine.steps().iter().zip(times).map(|(step, time)| LayerTime {
            name: step.name.clone(),
            kind: step.kind(),
            macs: step.macs(),
            time,
        });
        Ok(layers.collect())
    }

    /// The values of output `index` after a run, in `[height, width, channels]`.
    ///
    /// # Panics
    /// When there is no such output.
    pub fn output(&self, index: usize) -> &[i8] {
        self.engine.output(index)
    }

    fn check(&self, pixels: &[u8]) -> Result<(), RunError> {
        let needed = self.input.iter().product();
        if pixels.len() == needed { Ok(()) } else { Err(RunError::Pixels { len: pixels.len(), needed }) }
    }
}
