"""Int8 networks: what torch computes with its rounding in place is what ONNX Runtime computes from the file."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.nn import functional

from facelatch_model import qdq, quantise, rounding


class Branches(nn.Module):
    """Every form that the device understands, in one small network with three outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.left = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False), nn.BatchNorm2d(8), nn.PReLU(8))
        self.down = nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.wide = nn.Conv2d(8, 5, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dense = nn.Linear(8, 6)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.stem(x)
        x = functional.relu(x + self.left(x))
        coarse = self.down(x)
        fine = x + functional.interpolate(coarse, scale_factor=2)
        return {"fine": self.wide(fine), "mean": self.dense(self.pool(coarse).flatten(1)), "coarse": coarse}


def pictures(count: int, side: int, seed: int) -> np.ndarray:
    """Smooth coloured noise, `[count, side, side, 3]` u8."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.normal(128, 70, (count, 3, side // 4, side // 4)))
    smooth = functional.interpolate(coarse, (side, side), mode="bilinear").clamp(0, 255)
    return smooth.permute(0, 2, 3, 1).to(torch.uint8).numpy()


def moved(network: nn.Module, seed: int) -> nn.Module:
    """The network with batch norms that do something."""
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.3)
            nn.init.uniform_(module.running_var, 0.3, 2.0)
            nn.init.uniform_(module.weight, 0.4, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
    return network.eval()


@pytest.fixture(scope="module")
def calibrated() -> tuple[nn.Module, torch.fx.GraphModule]:
    """The network in f32, and its calibrated int8 form."""
    network = moved(Branches(), 1)
    prepared = quantise.prepare(network)
    quantise.calibrate(prepared, [qdq.as_input(torch.from_numpy(pictures(8, 32, seed))) for seed in range(4)])
    return network, prepared


def test_folding_changes_nothing_before_calibration() -> None:
    network = moved(Branches(), 2)
    x = qdq.as_input(torch.from_numpy(pictures(3, 32, 9)))
    with torch.no_grad():
        before, after = network(x), quantise.prepare(network)(x)
    assert all(torch.allclose(before[name], after[name], atol=1e-4) for name in before)


def test_the_file_computes_what_torch_computes(calibrated: tuple, tmp_path: Path) -> None:
    _, prepared = calibrated
    path = tmp_path / "branches.onnx"
    qdq.export(prepared, path, (32, 32), ["fine", "mean", "coarse"], {"version": "7"})
    agreement = qdq.compare(path, prepared, pictures(6, 32, 77))
    assert agreement.most == 0, agreement
    model = onnx.load(path)
    assert {p.key: p.value for p in model.metadata_props} == {"version": "7"}
    assert [i.name for i in model.graph.input] == ["pixels"]
    assert [o.name for o in model.graph.output] == ["fine", "mean", "coarse"]


def test_any_order_of_sums_gives_the_same_bits(calibrated: tuple, tmp_path: Path) -> None:
    path = tmp_path / "branches.onnx"
    qdq.export(calibrated[1], path, (32, 32), ["fine", "mean", "coarse"], {})
    shown = {"pixels": pictures(6, 32, 78)}
    for exact, fused in zip(qdq.session(path).run(None, shown), qdq.session(path, exact=False).run(None, shown), strict=True):
        assert (exact == fused).all()


def test_scales_are_powers_of_two_that_hold_the_greatest_weight(calibrated: tuple) -> None:
    layers = [module for module in calibrated[1].modules() if isinstance(module, rounding.Rounded)]
    assert layers
    for layer in layers:
        greatest = layer.layer.weight.detach().flatten(1).abs().amax(1) / layer.scales()
        assert (greatest > rounding.WEIGHT_HIGH / 2 - 1e-3).all()
        assert (greatest <= rounding.WEIGHT_HIGH).all()
        assert (torch.frexp(layer.scales()).mantissa == 0.5).all()
    for quantiser in quantise.quantisers(calibrated[1]):
        assert torch.frexp(quantiser.scale.detach()).mantissa == 0.5


def test_every_operator_reads_int8(calibrated: tuple, tmp_path: Path) -> None:
    path = tmp_path / "branches.onnx"
    qdq.export(calibrated[1], path, (32, 32), ["fine", "mean", "coarse"], {})
    graph = onnx.load(path).graph
    maker = {n.output[0]: n.op_type for n in graph.node}
    allowed = {"Relu": {"Conv", "Add", "Gemm"}, "PRelu": {"Conv", "Add", "Gemm"}, "Flatten": {"DequantizeLinear"}}
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm", "Add", "GlobalAveragePool", "Resize"):
            sources = {maker[i] for i in node.input if i in maker}
            assert sources <= {"DequantizeLinear", "Transpose", "Flatten"}, (node.name, sources)
        if node.op_type in allowed:
            assert maker[node.input[0]] in allowed[node.op_type], node.name


def test_int8_stays_near_the_network(calibrated: tuple) -> None:
    network, prepared = calibrated
    x = qdq.as_input(torch.from_numpy(pictures(8, 32, 5)))
    with torch.no_grad():
        real, rounded = network(x), prepared(x)
    for name in real:
        error = (real[name] - rounded[name]).square().mean() / real[name].square().mean()
        assert 0 < error < 0.01, (name, float(error))


def test_fine_tuning_mends_ranges_that_saturate(calibrated: tuple) -> None:
    network, _ = calibrated
    prepared = quantise.prepare(network)
    x = qdq.as_input(torch.from_numpy(pictures(16, 32, 3)))
    quantise.calibrate(prepared, [x])
    with torch.no_grad():
        wanted = network(x)
        for quantiser in quantise.quantisers(prepared):
            quantiser.exponent -= 1

    def loss_of(net: nn.Module) -> torch.Tensor:
        result = net(x)
        return sum((result[name] - wanted[name]).square().mean() / wanted[name].square().mean() for name in wanted)

    first = float(loss_of(prepared).detach())
    losses = [loss for _, loss in quantise.fine_tune(prepared, [loss_of] * 60, 60, 3e-3)]
    assert len(losses) == 60
    assert float(loss_of(prepared).detach()) < 0.2 * first


def test_the_range_keeps_zero_exact_and_covers_most_values() -> None:
    for positive in (True, False):
        quantiser = rounding.Activation(positive)
        values = torch.randn(4000) + 0.5
        quantiser(values.relu() if positive else values)
        quantiser.settle()
        with torch.no_grad():
            assert quantiser(torch.zeros(1)).item() == 0.0
            rounded = quantiser(torch.tensor([0.3, 2.0]))
        assert torch.allclose(rounded, torch.tensor([0.3, 2.0]), atol=quantiser.scale.item())


@pytest.mark.parametrize(
    ("network", "word"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sigmoid()), "Sigmoid"),
        (nn.Sequential(nn.BatchNorm2d(3)), "BatchNorm2d"),
        (nn.Sequential(nn.ReLU()), "activation"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2)), "MaxPool2d"),
    ],
)
def test_what_has_no_int8_form_is_named(network: nn.Module, word: str) -> None:
    with pytest.raises(quantise.UnsupportedNode, match=word):
        quantise.prepare(network)


def test_a_network_that_is_not_calibrated_is_not_exported(tmp_path: Path) -> None:
    prepared = quantise.prepare(nn.Sequential(nn.Conv2d(3, 4, 3)))
    with pytest.raises(ValueError, match="calibrate"):
        qdq.export(prepared, tmp_path / "x.onnx", (8, 8), ["y"], {})
    with pytest.raises(ValueError, match="at least one batch"):
        quantise.calibrate(prepared, [])
