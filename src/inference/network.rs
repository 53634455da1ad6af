//! A loaded network.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use tract_onnx::prelude::TypedModel;

use super::error::{LoadError, RunError};
use super::fuse;
use super::onnx::{self, Reading, guarded};
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
    /// Run the graph as it is on tract, slowly: any operator goes, if input and outputs are quantised.
    /// `isa` and `threads` count for nothing then, and runs allocate.
    pub unfused: bool,
}

/// Most threads that share a layer: the cores of the boards.
pub const MAX_THREADS: usize = 4;

impl Default for LoadOptions {
    fn default() -> Self {
        Self { isa: Isa::best(), input_size: None, threads: NonZeroUsize::MIN, unfused: false }
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
    engine: Engine,
}

/// What runs the network.
#[derive(Debug)]
enum Engine {
    Fused(Plan),
    Stock(Stock),
}

impl Network {
    /// Loads an ONNX file of the form that the module describes.
    ///
    /// # Errors
    /// For damaged files, and for valid ones that are not int8 networks that can be run exactly; the
    /// error names the node. Never panics.
    pub fn load(bytes: &[u8], options: LoadOptions) -> Result<Self, LoadError> {
        let reading = Reading { input_size: options.input_size, unfused: options.unfused };
        let typed = onnx::read(bytes, reading)?;
        guarded(|| if options.unfused { Self::stock(typed) } else { Self::fused(&typed, options) })
    }

    fn fused(typed: &TypedModel, options: LoadOptions) -> Result<Self, LoadError> {
        let graph = fuse::fuse(typed)?;
        let plan = Plan::new(&graph, options.isa, options.threads.get().min(MAX_THREADS))?;
        let outputs = graph.outputs.iter().map(|(name, tensor)| Output {
            name: name.clone(),
            shape: tensor.shape,
            scale: tensor.quantisation.scale,
            zero_point: tensor.quantisation.zero_point,
        });
        Ok(Self { input: graph.input()?, outputs: outputs.collect(), engine: Engine::Fused(plan) })
    }

    fn stock(typed: TypedModel) -> Result<Self, LoadError> {
        let (stock, outputs) = Stock::new(typed)?;
        Ok(Self { input: stock.input(), outputs, engine: Engine::Stock(stock) })
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
        self.steps().iter().map(Step::macs).sum()
    }

    /// Bytes of memory that runs work in, without weights; 0 when unfused.
    pub fn memory(&self) -> usize {
        match &self.engine {
            Engine::Fused(plan) => plan.memory(),
            Engine::Stock(_) => 0,
        }
    }

    /// Runs the network on `[height, width, 3]` u8 RGB pixels, row-major.
    ///
    /// # Errors
    /// When `pixels` has another length, or tract fails on an unfused network.
    pub fn run(&mut self, pixels: &[u8]) -> Result<(), RunError> {
        self.check(pixels)?;
        match &mut self.engine {
            Engine::Fused(plan) => plan.run(pixels, |_| ()),
            Engine::Stock(stock) => stock.run(pixels)?,
        }
        Ok(())
    }

    /// Runs as [`Network::run`] and tells what each layer took; nothing when unfused.
    ///
    /// # Errors
    /// When `pixels` has another length.
    pub fn profile(&mut self, pixels: &[u8]) -> Result<Vec<LayerTime>, RunError> {
        self.check(pixels)?;
        let mut times = Vec::with_capacity(self.steps().len());
        let mut last = Instant::now();
        if let Engine::Fused(plan) = &mut self.engine {
            plan.run(pixels, |_| {
                let now = Instant::now();
                times.push(now - last);
                last = now;
            });
        }
        let layers = self.steps().iter().zip(times).map(|(step, time)| LayerTime {
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
        match &self.engine {
            Engine::Fused(plan) => plan.output(index),
            Engine::Stock(stock) => stock.output(index),
        }
    }

    fn steps(&self) -> &[Step] {
        match &self.engine {
            Engine::Fused(plan) => &plan.steps,
            Engine::Stock(_) => &[],
        }
    }

    fn check(&self, pixels: &[u8]) -> Result<(), RunError> {
        let needed = self.input.iter().product();
        if pixels.len() == needed { Ok(()) } else { Err(RunError::Pixels { len: pixels.len(), needed }) }
    }
}
