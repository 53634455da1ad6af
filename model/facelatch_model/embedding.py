"""Networks that turn faces into embeddings, all behind one call: `[n, 112, 112, 3]` u8 RGB to `[n, d]` f32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from . import qdq
from .progress import Progress
from .teacher import Embed

BATCH = 64


def of_network(network: nn.Module) -> Embed:
    """A torch network that takes (p - 128) / 128 in f32, wherever it is."""
    network = network.eval()

    def embed(pictures: np.ndarray) -> np.ndarray:
        device = next(network.parameters()).device
        with torch.inference_mode():
            return network(qdq.as_input(torch.from_numpy(pictures).to(device))).float().cpu().numpy()

    return embed


def of_file(path: Path) -> Embed:
    """A QDQ file, its output in whole steps times scale."""
    session = qdq.session(path, exact=False)
    return lambda pictures: np.asarray(session.run(None, {"pixels": pictures})[0])


def embed_all(embed: Embed, pictures: np.ndarray, what: str) -> np.ndarray:
    """All of `pictures` `[n, 112, 112, 3]`, in batches: `[n, d]` f32."""
    progress, parts = Progress(what, len(pictures)), []
    for start in range(0, len(pictures), BATCH):
        batch = np.ascontiguousarray(pictures[start : start + BATCH])
        parts.append(embed(batch))
        progress.step(len(batch))
    return np.concatenate(parts)
