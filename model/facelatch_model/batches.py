"""Batches to learn from: pictures of all kinds, and several of each of a few known people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from . import augment, augment_batch
from .configuration import Distill
from .data import Crops

WORKER_TIMEOUT_S = 600
"""A worker that says nothing for so long has failed. A choice, far above any batch on a busy machine."""
Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Input `[n, 3, 112, 112]` f32 of (p - 128) / 128, targets `[n, d]` of unit length, labels `[n]` (-1: unknown)."""


class Sampler:
    """Which pictures come next: all in random order, over and over, and people drawn at random."""

    def __init__(self, labels: np.ndarray, config: Distill, rng: np.random.Generator) -> None:
        """`labels` `[n]`: who is in each picture, -1 if unknown."""
        self.rng, self.config = rng, config
        counts = np.bincount(labels[labels >= 0], minlength=1)
        many = np.flatnonzero(counts >= config.pictures_each)
        self.members = [np.flatnonzero(labels == person) for person in many]
        people = min(config.people, len(self.members))
        self.people, self.others = people, config.batch - people * config.pictures_each
        if self.others < 0:
            raise ValueError("distill.batch is smaller than distill.people times distill.pictures_each")
        self.order, self.at = rng.permutation(len(labels)), 0

    def take(self) -> np.ndarray:
        """The indices of one batch, `[batch]`."""
        chosen = [self.next_others()]
        for person in self.rng.choice(len(self.members), self.people, replace=False) if self.people else ():
            chosen.append(self.rng.choice(self.members[person], self.config.pictures_each, replace=False))
        return np.concatenate(chosen)

    def next_others(self) -> np.ndarray:
        """The next pictures of the random order, which begins anew when it is used up."""
        taken = []
        missing = self.others
        while missing > 0:
            part = self.order[self.at : self.at + missing]
            taken.append(part)
            missing -= len(part)
            self.at += len(part)
            if self.at >= len(self.order):
                self.order, self.at = self.rng.permutation(len(self.order)), 0
        return np.concatenate(taken) if taken else np.zeros(0, np.int64)


class CpuBatches(IterableDataset):
    """Batches that a worker process augments on the CPU, in u8 so that they travel cheaply."""

    def __init__(self, folder: Path, targets: np.ndarray, config: Distill, seed: int) -> None:
        """`folder`: the crops, which each worker opens itself. `targets` `[n, d]`: one for each picture."""
        self.folder, self.targets, self.config, self.seed = folder, targets, config, seed

    def __iter__(self) -> Iterator[Batch]:
        info = get_worker_info()
        cv2.setNumThreads(1)
        torch.set_num_threads(1)
        rng = np.random.default_rng([self.seed, info.id if info else 0])
        crops = Crops.read(self.folder)
        labels = crops.labels()
        sampler = Sampler(labels, self.config, rng)
        while True:
            index = sampler.take()
            pixels = np.stack([augment.augment(crops.pictures[i], rng, self.config.augmentation) for i in index])
            yield torch.from_numpy(pixels), torch.from_numpy(self.targets[index]), torch.from_numpy(labels[index])


def as_input(pixels: torch.Tensor) -> torch.Tensor:
    """`[n, 112, 112, 3]` u8 to the network's input, channels last in memory."""
    return ((pixels.float() - 128) / 128).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def on_cpu(crops: Crops, targets: np.ndarray, config: Distill, seed: int) -> Iterator[Batch]:
    """Endless batches by a worker process.

    It is spawned: a forked one can inherit a lock of torch's or ONNX Runtime's threads that nobody will open.
    """
    loader = DataLoader(
        CpuBatches(crops.folder, targets, config, seed),
        batch_size=None,
        num_workers=1,
        prefetch_factor=4,
        multiprocessing_context="spawn",
        timeout=WORKER_TIMEOUT_S,
    )
    return ((as_input(pixels), target, label) for pixels, target, label in loader)


def on_device(crops: Crops, targets: np.ndarray, config: Distill, seed: int, device: torch.device) -> Iterator[Batch]:
    """Endless batches with all pictures and the augmentation on the device."""
    torch.manual_seed(seed)
    pictures = torch.from_numpy(np.array(crops.pictures)).to(device)
    wanted, labels = torch.from_numpy(targets).to(device), torch.from_numpy(crops.labels()).to(device)
    sampler = Sampler(crops.labels(), config, np.random.default_rng(seed))
    while True:
        index = torch.from_numpy(sampler.take()).to(device)
        x = (augment_batch.augment(pictures[index], config.augmentation) - 128) / 128
        yield x.contiguous(memory_format=torch.channels_last), wanted[index], labels[index]


def endless(crops: Crops, targets: np.ndarray, config: Distill, seed: int, device: torch.device) -> Iterator[Batch]:
    """Endless batches, made where the network is."""
    if device.type == "cpu":
        return on_cpu(crops, targets, config, seed)
    return on_device(crops, targets, config, seed, device)
