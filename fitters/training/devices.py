"""Where torch computes, and on how many threads; its global generator and thread count are put back afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fitters.errors import FitterOptionError

if TYPE_CHECKING:
    from torch import device

DEVICES = ("auto", "cpu", "cuda")


def device_of(option: str, *, fitter: str) -> device:
    """Return the device of an option; FitterOptionError where there is no such device."""
    import torch

    if option == "cuda" and not torch.cuda.is_available():
        raise FitterOptionError.value(fitter, "device", option, "there: torch finds no CUDA device; auto or cpu")
    return torch.device("cuda" if option != "cpu" and torch.cuda.is_available() else "cpu")


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread, and put the number back: on matrices so small several mostly wait for each other.

    Besides, sums then have one order on every machine.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def seeded(seed: int, *key: int) -> Iterator[None]:
    """Seed torch's global generators by (seed, key), and put them back: dropout and all draws inside depend on it.

    Keys are whole numbers >= 0 of any length, and no two of them have the same draws.
    """
    import numpy as np
    import torch

    # a spawn key, since entropies that differ by zeros at their end are one to numpy: (seed,) and (seed, 0)
    state = int(np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)[0] >> np.uint64(1))
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(state)
        yield
