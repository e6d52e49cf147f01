"""The textbook circuits, made by hand: cascade, feed-forward loop, toggle switch, repressilator."""

from __future__ import annotations

import numpy as np

from simcell.errors import SpecError
from simcell.network import ACTIVATES, REPRESSES, Network, numbered_genes


def cascade(length: int = 3, *, activating: bool = True, seed: int = 0) -> Network:
    """A chain G1 -> G2 -> ... of `length` (at least 2) genes, each activating (or repressing) the next."""
    if length < 2:
        raise SpecError("length", length, "a whole number >= 2")
    sign = ACTIVATES if activating else REPRESSES
    return _circuit(length, [(i, i + 1, sign) for i in range(length - 1)])


def feed_forward_loop(*, coherent: bool = True, seed: int = 0) -> Network:
    """G1 acts on G3 directly and through G2: the type-1 loop of Mangan & Alon (PNAS 2003, doi 10.1073/pnas.2133841100).

    Args:
        coherent: G2 activates G3, as G1 does; otherwise it represses it.
        seed: accepted by every generator; nothing here is random.
    """
    return _circuit(3, [(0, 1, ACTIVATES), (0, 2, ACTIVATES), (1, 2, ACTIVATES if coherent else REPRESSES)])


def toggle_switch(*, seed: int = 0) -> Network:
    """Two genes that repress each other (Gardner, Cantor & Collins, Nature 2000, doi 10.1038/35002131)."""
    return _circuit(2, [(0, 1, REPRESSES), (1, 0, REPRESSES)])


def repressilator(*, seed: int = 0) -> Network:
    """A ring of three genes, each repressing the next (Elowitz & Leibler, Nature 2000, doi 10.1038/35002125)."""
    return _circuit(3, [(i, (i + 1) % 3, REPRESSES) for i in range(3)])


def _circuit(genes: int, edges: list[tuple[int, int, int]]) -> Network:
    regulator, target, sign = np.array(edges).T
    return Network(numbered_genes(genes), regulator, target, sign)
