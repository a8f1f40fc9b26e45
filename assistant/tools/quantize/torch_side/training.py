"""Quantization-aware training, short: the weights learn to live on the grid that they will be rounded to.

torchao rounds the weights in every pass and lets the gradients through as if it had not. The grid is
fixed before, scale by scale, so that what comes out is what was trained. The model is its own teacher:
it is to predict what it predicted before, which needs no more text than a few conversations.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchao.quantization import quantize_
from torchao.quantization.qat import FakeQuantizedLinear, IntxFakeQuantizeConfig, QATConfig

LEARNING_RATE = 5e-5
BLOCK = 32
"""As in ``block_numbers``."""


def train(
    model: Any,
    folder: Path,
    passages: list[list[int]],
    plan: tuple[int, int],
    report: Callable[[float], None],
) -> None:
    """Train ``model`` on ``passages`` of tokens.

    ``folder`` has the scales [rows, blocks] of each matrix as NAME.scales.npy; NAME.npy is written there
    for each, trained. ``plan`` says how often all passages are read, and how many a step learns
    from. ``report`` is told the loss of every step, nats per token.
    """
    taught = [_log_probabilities(model, passage).half() for passage in passages]
    grid = IntxFakeQuantizeConfig(torch.int4, group_size=BLOCK, is_symmetric=True, is_dynamic=False)
    quantize_(model.model.layers, QATConfig(weight_config=grid, step="prepare"))
    learning = dict(_fixed(model, folder))
    for parameter in model.parameters():
        parameter.requires_grad = any(parameter is module.weight for module in learning.values())
    optimizer = torch.optim.AdamW(
        [module.weight for module in learning.values()], LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.0
    )
    epochs, at_a_time = plan
    steps = [step for _ in range(epochs) for step in _steps(len(passages), at_a_time)]
    for number, step in enumerate(steps):
        for group in optimizer.param_groups:  # from nothing and back to nothing
            group["lr"] = LEARNING_RATE * math.sin(math.pi * (number + 1) / (len(steps) + 1))
        total, tokens = 0.0, sum(len(passages[at]) for at in step)
        for at in step:
            wanted = taught[at].float()
            ours = _log_probabilities(model, passages[at], learn=True)
            loss = (wanted.exp() * (wanted - ours)).sum() / tokens
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_([module.weight for module in learning.values()], 1.0)
        optimizer.step()
        optimizer.zero_grad()
        report(total)
    for name, module in learning.items():
        np.save(folder / f"{name}.npy", module.weight.detach().numpy())


def _fixed(model: Any, folder: Path) -> Iterator[tuple[str, Any]]:
    """The matrices that learn, each on its grid."""
    for name, module in model.named_modules():
        if isinstance(module, FakeQuantizedLinear):
            scales = torch.from_numpy(np.load(folder / f"{name}.scales.npy", allow_pickle=False))
            module.weight_fake_quantizer.scale = scales
            module.weight_fake_quantizer.zero_point = torch.zeros_like(scales, dtype=torch.int32)
            yield name, module


def _steps(count: int, at_a_time: int) -> list[list[int]]:
    """All passages once, in an order of chance, some at a time."""
    order = random.Random(count).sample(range(count), count)  # noqa: S311  no secret
    return [order[at : at + at_a_time] for at in range(0, count, at_a_time)]


def _log_probabilities(model: Any, passage: list[int], *, learn: bool = False) -> Any:
    with torch.set_grad_enabled(learn):
        return torch.log_softmax(model(torch.tensor([passage])).logits[0], dim=-1)
