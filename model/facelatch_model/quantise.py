"""Int8 for any of our networks: fold, calibrate, fine-tune with the rounding in place.

A network is traced (`torch.fx`) and every value that the device stores gets a quantiser:

    pixels -> [Pixels] -> Conv -> ReLU -> [Activation] -> Conv -> [Activation] -> Add -> ReLU -> [Activation] -> ...

Weights are symmetric int8 in -127..=127 with one scale for each output channel; activations are int8 with one scale and one
zero point for each tensor. Scales are powers of two: see `rounding`. `qdq.export` writes the same quantisers as a QDQ ONNX file.

What is understood: Conv2d (with a BatchNorm2d behind it), Linear, ReLU and PReLU behind one of these, addition of two tensors
(with a ReLU behind it), global mean, nearest-neighbour upsampling by two, Flatten, Identity, Dropout. Anything else is an
error that names the node.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Iterable, Iterator
from enum import Enum

import torch
from torch import fx, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .rounding import Activation, Pixels, Rounded

RANGE_RATE = 10.0
"""How much faster the logarithms of the ranges learn than the weights. A choice: weights are about a tenth in size."""


class UnsupportedNode(ValueError):
    """A node of the network that has no int8 form."""

    def __init__(self, node: fx.Node, reason: str) -> None:
        super().__init__(f"{node.name} ({node.op} {node.target}): {reason}")


class Kind(Enum):
    """What a node of a traced network is to the int8 form."""

    INPUT = "input"
    CONV = "conv"
    LINEAR = "linear"
    ADD = "add"
    MEAN = "mean"
    RELU = "relu"
    PRELU = "prelu"
    DOUBLE = "double"
    FLATTEN = "flatten"
    NOTHING = "nothing"
    QUANTISER = "quantiser"
    OUTPUT = "output"


COMPUTES = (Kind.CONV, Kind.LINEAR, Kind.ADD, Kind.MEAN)
"""Nodes that make new values: each ends in a quantiser."""
ACTIVATIONS = (Kind.RELU, Kind.PRELU)


MODULES: dict[type[nn.Module], Kind] = {
    nn.Conv2d: Kind.CONV,
    nn.Linear: Kind.LINEAR,
    nn.ReLU: Kind.RELU,
    nn.PReLU: Kind.PRELU,
    nn.Flatten: Kind.FLATTEN,
    nn.Identity: Kind.NOTHING,
    nn.Dropout: Kind.NOTHING,
    Pixels: Kind.QUANTISER,
    Activation: Kind.QUANTISER,
}
FUNCTIONS: dict[Callable[..., object], Kind] = {
    operator.add: Kind.ADD,
    operator.iadd: Kind.ADD,
    torch.add: Kind.ADD,
    functional.relu: Kind.RELU,
    torch.relu: Kind.RELU,
    torch.flatten: Kind.FLATTEN,
}
METHODS = {"relu": Kind.RELU, "relu_": Kind.RELU, "flatten": Kind.FLATTEN, "add": Kind.ADD, "contiguous": Kind.NOTHING}


def kind_of(node: fx.Node, network: fx.GraphModule) -> Kind:
    """What `node` is; raises `UnsupportedNode` for what has no int8 form."""
    if node.op == "placeholder":
        return Kind.INPUT
    if node.op == "output":
        return Kind.OUTPUT
    known: Kind | None = None
    if node.op == "call_module":
        module = network.get_submodule(str(node.target))
        if isinstance(module, Rounded):
            module = module.layer
        known = next((kind for cls, kind in MODULES.items() if isinstance(module, cls)), None)
        if isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size in (1, (1, 1)):
            known = Kind.MEAN
        if isinstance(module, nn.Upsample) and is_double(module.mode, module.scale_factor):
            known = Kind.DOUBLE
    elif node.op == "call_function":
        known = FUNCTIONS.get(node.target)  # type: ignore[arg-type]
        doubles = is_double(node.kwargs.get("mode", "nearest"), node.kwargs.get("scale_factor"))
        if node.target is functional.interpolate and doubles:
            known = Kind.DOUBLE
    elif node.op == "call_method":
        known = METHODS.get(str(node.target))
    if known is None:
        what = type(network.get_submodule(str(node.target))).__name__ if node.op == "call_module" else "this operator"
        raise UnsupportedNode(node, f"{what} has no int8 form")
    if known is Kind.ADD and len(node.all_input_nodes) != 2 and node.args[0] is not node.args[1]:
        raise UnsupportedNode(node, "only two tensors of equal shape are added")
    return known


def is_double(mode: object, factor: object) -> bool:
    """Whether an upsampling repeats every pixel twice in both directions."""
    factors = factor if isinstance(factor, tuple) else (factor,)
    return mode == "nearest" and all(f == 2 for f in factors)


def fold_batch_norms(network: fx.GraphModule) -> None:
    """Puts every BatchNorm2d into the convolution before it."""
    for node in list(network.graph.nodes):
        norm = network.get_submodule(str(node.target)) if node.op == "call_module" else None
        if not isinstance(norm, nn.BatchNorm2d):
            continue
        source = node.args[0]
        conv = network.get_submodule(str(source.target)) if source.op == "call_module" else None
        if not isinstance(conv, nn.Conv2d) or len(source.users) != 1:
            raise UnsupportedNode(node, "a BatchNorm2d must follow a convolution of its own")
        network.set_submodule(str(source.target), fuse_conv_bn_eval(conv, norm))
        node.replace_all_uses_with(source)
        network.graph.erase_node(node)
    network.delete_all_unused_submodules()
    network.recompile()


def prepare(network: nn.Module) -> fx.GraphModule:
    """A copy of `network` with folded batch norms and a quantiser behind every stored value; it only watches yet.

    `network` takes `[n, 3, height, width]` f32 of (p - 128) / 128. Its outputs (one tensor, or a tuple or dictionary) stay.
    A module of the network that trains in another form says what it is by a method `as_convolution() -> Conv2d`.
    """
    copied = copy.deepcopy(network)
    for name, module in list(copied.named_modules()):
        if hasattr(module, "as_convolution"):
            copied.set_submodule(name, module.as_convolution())
    traced = fx.symbolic_trace(copied.eval())
    fold_batch_norms(traced)
    kinds = {node: kind_of(node, traced) for node in traced.graph.nodes}
    wanted = roles(kinds)
    for index, (node, role) in enumerate(wanted.items()):
        if kinds[node] in (Kind.CONV, Kind.LINEAR):
            target = str(node.target)
            layer = Rounded(traced.get_submodule(target), source_of(node, traced))  # type: ignore[arg-type]
            traced.set_submodule(target, layer)
        if role is not None:
            insert(traced, node, role, f"quantiser_{index}")
    traced.recompile()
    return traced


def source_of(node: fx.Node, network: fx.GraphModule) -> Pixels | Activation:
    """The quantiser whose steps `node` reads."""
    source = node.all_input_nodes[0]
    while source.op != "placeholder" and kind_of(source, network) in (Kind.DOUBLE, Kind.FLATTEN, Kind.NOTHING):
        source = source.all_input_nodes[0]
    module = network.get_submodule(str(source.target)) if source.op == "call_module" else None
    if not isinstance(module, Pixels | Activation):
        raise UnsupportedNode(node, "its input is not quantised")
    return module


def roles(kinds: dict[fx.Node, Kind]) -> dict[fx.Node, nn.Module | None]:
    """The quantiser that belongs behind each node, if any."""
    found: dict[fx.Node, nn.Module | None] = {}
    for node, kind in kinds.items():
        waits = len(node.users) == 1 and kinds[next(iter(node.users))] in ACTIVATIONS
        if kind in ACTIVATIONS:
            source = node.all_input_nodes[0]
            if kinds[source] not in COMPUTES or len(source.users) != 1:
                raise UnsupportedNode(node, "an activation must follow a convolution, dense layer or sum of its own")
        found[node] = None
        if kind is Kind.INPUT:
            found[node] = Pixels()
        elif kind in ACTIVATIONS or (kind in COMPUTES and not waits):
            found[node] = Activation(positive=kind is Kind.RELU)
    return found


def insert(network: fx.GraphModule, node: fx.Node, quantiser: nn.Module, name: str) -> None:
    """Puts `quantiser` behind `node`, before all that use it."""
    network.add_submodule(name, quantiser)
    with network.graph.inserting_after(node):
        after = network.graph.call_module(name, (node,))
    node.replace_all_uses_with(after, delete_user_cb=lambda user: user is not after)


def quantisers(network: nn.Module) -> Iterator[Activation]:
    """The activation quantisers of a prepared network."""
    return (module for module in network.modules() if isinstance(module, Activation))


@torch.no_grad()
def calibrate(network: fx.GraphModule, batches: Iterable[torch.Tensor]) -> None:
    """Shows `batches` (`[n, 3, height, width]` each) to a prepared network, then settles all ranges and rounds weights too."""
    for quantiser in quantisers(network):
        quantiser.watching, quantiser.seen = True, []
    set_weights(network, active=False)
    for batch in batches:
        network(batch)
    for quantiser in quantisers(network):
        if not quantiser.seen:
            raise ValueError("calibration needs at least one batch of pictures")
        quantiser.settle()
    set_weights(network, active=True)


def set_weights(network: nn.Module, active: bool) -> None:
    """Switches the rounding of all weights."""
    for module in network.modules():
        if isinstance(module, Rounded):
            module.active = active


def fine_tune(
    network: fx.GraphModule,
    losses: Iterable[Callable[[nn.Module], torch.Tensor]],
    steps: int,
    learning_rate: float,
) -> Iterator[tuple[int, float]]:
    """Trains a calibrated network with its rounding in place; yields the step and its loss.

    Each of `losses` computes the loss of one batch from the network. The rate falls along a cosine to nothing; Adam, since
    the weights are near a minimum and only move by steps.
    """
    ranges = [quantiser.exponent for quantiser in quantisers(network)]
    weights = [parameter for parameter in network.parameters() if all(parameter is not r for r in ranges)]
    groups = [{"params": weights}, {"params": ranges, "lr": RANGE_RATE * learning_rate}]
    optimiser = torch.optim.Adam(groups, lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step, loss_of in zip(range(steps), losses, strict=False):
        loss = loss_of(network)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        yield step, float(loss.detach())
