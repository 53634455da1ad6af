"""The detector: a small dense residual network with three heads.

`[n, 3, 120, 160]` of (p - 128) / 128 to, at strides 8, 16 and 32, a score's logit `[n, 1, h, w]`, four distances to the box's
sides and ten offsets of the landmarks, both from the middle of the cell and in strides. 24.7 million multiply-accumulates,
0.23 million weights.
"""

from __future__ import annotations

import torch
from torch import nn

from ..blocks import Residual, convolution

HEIGHT, WIDTH = 120, 160
STRIDES = (8, 16, 32)
HEADS = {"score": 1, "box": 4, "landmarks": 10}
RARE = -4.0
"""First bias of the scores: faces are rare, and the first steps need not learn it. Source: Lin et al., ICCV 2017, 3.3."""


class DetectorNet(nn.Module):
    """Gives a dictionary of `score_8`, `box_8`, `landmarks_8`, `score_16`, ..."""

    def __init__(self, widths: tuple[int, int, int, int] = (20, 44, 60, 120)) -> None:
        super().__init__()
        a, b, c, d = widths
        self.stem = convolution(3, a, 6, 4, padding=1)
        self.fine = nn.Sequential(convolution(a, b, 3, 2), Residual(b))
        self.middle = nn.Sequential(convolution(b, c, 3, 2), Residual(c))
        self.coarse = nn.Sequential(convolution(c, d, 3, 2), convolution(d, d, 1, 1), convolution(d, d, 1, 1))
        self.heads = nn.ModuleDict(
            {
                f"{kind}_{stride}": nn.Conv2d(width, count, 1)
                for stride, width in zip(STRIDES, (b, c, d), strict=True)
                for kind, count in HEADS.items()
            }
        )
        for stride in STRIDES:
            nn.init.constant_(self.heads[f"score_{stride}"].bias, RARE)

    def forward(self, picture: torch.Tensor) -> dict[str, torch.Tensor]:
        """Nine maps by name."""
        fine = self.fine(self.stem(picture))
        middle = self.middle(fine)
        features = dict(zip(STRIDES, (fine, middle, self.coarse(middle)), strict=True))
        return {name: head(features[int(name.rsplit("_", 1)[1])]) for name, head in self.heads.items()}
