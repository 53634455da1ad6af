//! The fused graph as a flat list of steps over one arena.

use std::collections::HashMap;
use std::ops::Range;

use heapless::Vec as FixedVec;
use tract_onnx::tract_hir::internal::*;

use super::error::LoadError;
use super::fuse::FusedGraph;
use super::network::MAX_THREADS;
use super::onnx::damaged;
use super::operator::{Fused, pixels_to_i8};
use crate::kernels::add::AddSpec;
use crate::kernels::conv::Conv;
use crate::kernels::isa::Isa;
use crate::kernels::scalar;
use crate::kernels::team::Team;

/// Most bytes of activations, and of what layers copy of them to work on; a choice that a 512 MB board can afford.
pub const MAX_ARENA_BYTES: usize = 64 << 20;

/// Convolutions and additions below this are not worth handing out, which takes about 0.3 microseconds; a choice.
const LEAST_SHARED_MACS: usize = 200_000;
/// See [`LEAST_SHARED_MACS`].
const LEAST_SHARED_SUMS: usize = 10_000;

/// Tensors begin at multiples of a cache line.
const ALIGNMENT: usize = 64;

/// What one step computes.
#[derive(Debug)]
enum Work {
    Pixels,
    Conv(Box<Conv>),
    Add(AddSpec),
    Double { width: usize, channels: usize },
}

/// One operator and where its tensors lie in the arena.
#[derive(Debug)]
pub(crate) struct Step {
    pub name: String,
    work: Work,
    inputs: Vec<Range<usize>>,
    output: Range<usize>,
}

impl Step {
    /// Multiply-accumulates of the step.
    pub(crate) fn macs(&self) -> usize {
        match &self.work {
            Work::Conv(conv) => conv.shape().macs(),
            _ => 0,
        }
    }

    /// A short name of what it does.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.work {
            Work::Pixels => "pixels",
            Work::Conv(conv) if conv.shape().depthwise => "depthwise",
            Work::Conv(conv) if conv.shape().is_pointwise() => "pointwise",
            Work::Conv(_) => "conv",
            Work::Add(_) => "add",
            Work::Double { .. } => "double",
        }
    }
}

/// All steps in order, and the memory that they work in.
#[derive(Debug)]
pub(crate) struct Plan {
    pub steps: Vec<Step>,
    pub outputs: Vec<Range<usize>>,
    isa: Isa,
    arena: Vec<i8>,
    /// As many equal parts as threads.
    scratch: Vec<i8>,
    team: Team,
}

impl Plan {
    /// Lays out `graph` for `isa`, to be run by `threads` threads.
    ///
    /// # Errors
    /// When a layer cannot be computed exactly, the activations need too much memory, or threads
    /// cannot be started.
    pub(crate) fn new(graph: &FusedGraph, isa: Isa, threads: usize) -> Result<Self, LoadError> {
        let order = graph.model.eval_order().map_err(damaged)?;
        let places = place(graph, &order)?;
        let mut steps = vec![];
        for &id in &order {
            let node = graph.model.node(id);
            let Some(op) = node.op_as::<Fused>() else {
                continue;
            };
            let inputs: Vec<_> =
                node.inputs.iter().filter_map(|outlet| places.ranges.get(&outlet.node).cloned()).collect();
            let work = work(graph, node, op, isa)?;
            steps.push(Step { name: node.name.clone(), work, inputs, output: places.ranges[&id].clone() });
        }
        let outputs =
            graph.outputs.iter().map(|(_, tensor)| places.ranges[&tensor.wire.node].clone()).collect();
        let scratch = steps.iter().map(|step| match &step.work {
            Work::Conv(conv) => conv.scratch_len(),
            _ => 0,
        });
        let scratch = threads * scratch.max().unwrap_or(0);
        if scratch > MAX_ARENA_BYTES {
            return Err(LoadError::Memory { needed: scratch, max: MAX_ARENA_BYTES });
        }
        let scratch = vec![0; scratch];
        let team = Team::new(threads).map_err(|source| LoadError::Threads { source })?;
        Ok(Self { steps, outputs, isa, arena: vec![0; places.len], scratch, team })
    }

    /// Bytes that a run works in.
    pub(crate) fn memory(&self) -> usize {
        self.arena.len() + self.scratch.len()
    }

    /// Runs every step; `after` is called behind each.
    pub(crate) fn run(&mut self, pixels: &[u8], after: &mut (dyn FnMut() + Send)) {
        let Self { steps, isa, arena, scratch, team, .. } = self;
        for step in &*steps {
            step.run((*isa, team), pixels, arena, scratch);
            after();
        }
    }

    /// The values of output `index`.
    pub(crate) fn output(&self, index: usize) -> &[i8] {
        &self.arena[self.outputs[index].clone()]
    }
}

fn work(graph: &FusedGraph, node: &TypedNode, op: &Fused, isa: Isa) -> Result<Work, LoadError> {
    Ok(match op {
        Fused::Pixels => Work::Pixels,
        Fused::Add(spec) => Work::Add(spec.as_ref().clone()),
        Fused::Conv(spec) => {
            let conv = Conv::new(spec.as_ref().clone(), isa);
            Work::Conv(Box::new(conv.map_err(|source| LoadError::Conv { node: node.name.clone(), source })?))
        }
        Fused::Double => {
            let shape = sizes(graph, node.inputs[0])?;
            Work::Double { width: shape[2], channels: shape[3] }
        }
    })
}

impl Step {
    fn run(&self, (isa, team): (Isa, &mut Team), pixels: &[u8], arena: &mut [i8], scratch: &mut [i8]) {
        let (before, rest) = arena.split_at_mut(self.output.start);
        let (out, behind) = rest.split_at_mut(self.output.len());
        let input = |index: usize| {
            let range = &self.inputs[index];
            if range.end <= before.len() {
                &before[range.clone()]
            } else {
                &behind[range.start - self.output.end..][..range.len()]
            }
        };
        match &self.work {
            Work::Pixels => pixels_to_i8(pixels, out),
            Work::Conv(conv) => share_rows(conv, team, input(0), scratch, out),
            Work::Add(spec) => share_sums((isa, spec), team, [input(0), input(1)], out),
            Work::Double { width, channels } => scalar::upsample2(input(0), *width, *channels, out),
        }
    }
}

/// Runs a layer, each thread some of its rows with its own part of the scratch.
fn share_rows(conv: &Conv, team: &mut Team, input: &[i8], scratch: &mut [i8], out: &mut [i8]) {
    let rows = conv.shape().output()[0];
    let threads = if conv.shape().macs() < LEAST_SHARED_MACS { 1 } else { team.threads().min(rows) };
    let length = scratch.len() / team.threads();
    let mut scratch = scratch.chunks_exact_mut(length.max(1));
    let mut out = out;
    let mut parts: FixedVec<_, MAX_THREADS> = (0..threads)
        .map(|part| {
            let rows = rows * part / threads..rows * (part + 1) / threads;
            let (mine, rest) = std::mem::take(&mut out).split_at_mut(rows.len() * conv.shape().output_row());
            out = rest;
            (rows, scratch.next().unwrap_or_default(), mine)
        })
        .collect();
    team.share(&mut parts, |(rows, scratch, out)| conv.run_rows(input, rows.clone(), scratch, out));
}

/// Adds `a` and `b`, each thread a part of them.
fn share_sums((isa, spec): (Isa, &AddSpec), team: &mut Team, [a, b]: [&[i8]; 2], out: &mut [i8]) {
    let threads = if out.len() < LEAST_SHARED_SUMS { 1 } else { team.threads() };
    let length = out.len().div_ceil(threads).next_multiple_of(ALIGNMENT);
    let parts = a.chunks(length).zip(b.chunks(length)).zip(out.chunks_mut(length));
    let mut parts: FixedVec<_, MAX_THREADS> = parts.collect();
    team.share(&mut parts, |((a, b), out)| spec.run(isa, a, b, out));
}

fn sizes(graph: &FusedGraph, outlet: OutletId) -> Result<Vec<usize>, LoadError> {
    let fact = graph.model.outlet_fact(outlet).map_err(damaged)?;
    let sizes = fact.shape.as_concrete().map(<[usize]>::to_vec);
    sizes.ok_or_else(|| LoadError::Contract { what: "a size is not known".to_owned() })
}

/// Where each node's output lies.
struct Places {
    ranges: HashMap<usize, Range<usize>>,
    len: usize,
}

/// Gives every tensor a place that no tensor alive at the same time has: first fit, in order of use.
fn place(graph: &FusedGraph, order: &[usize]) -> Result<Places, LoadError> {
    let last_use = last_uses(graph, order);
    let mut ranges: HashMap<usize, Range<usize>> = HashMap::new();
    let mut alive: Vec<(usize, Range<usize>)> = vec![];
    let mut len = 0;
    for (step, &id) in order.iter().enumerate() {
        if !graph.model.node(id).op_is::<Fused>() {
            continue;
        }
        let bytes = sizes(graph, OutletId::new(id, 0))?.iter().product::<usize>();
        alive.retain(|(node, _)| last_use.get(node).is_some_and(|&last| last >= step));
        alive.sort_by_key(|(_, range)| range.start);
        let start = alive.iter().fold(0, |start: usize, (_, range)| {
            if start + bytes <= range.start {
                start
            } else {
                start.max(range.end.next_multiple_of(ALIGNMENT))
            }
        });
        let range = start..start + bytes;
        len = len.max(range.end);
        if len > MAX_ARENA_BYTES {
            return Err(LoadError::Memory { needed: len, max: MAX_ARENA_BYTES });
        }
        alive.push((id, range.clone()));
        ranges.insert(id, range);
    }
    Ok(Places { ranges, len })
}

/// The last step that reads each node's output; outputs of the network are read after all steps.
fn last_uses(graph: &FusedGraph, order: &[usize]) -> HashMap<usize, usize> {
    let mut last = HashMap::new();
    for (step, &id) in order.iter().enumerate() {
        last.entry(id).or_insert(step);
        for input in &graph.model.node(id).inputs {
            last.insert(input.node, step);
        }
    }
    for (_, tensor) in &graph.outputs {
        last.insert(tensor.wire.node, order.len());
    }
    last
}
