"""Random numbers as a function: key and counter in, 128 random bits out (Philox4x32-10).

The counter of a draw is (which draw, gene, cell), its key belongs to a seed and a purpose. So every number is named by
what it belongs to; no order of calls, chunk or thread can change it, and two cells or two steps never share one.

Source: Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11 (2011),
doi:10.1145/2063384.2063405; the test compares with the known answers published with Random123.
"""

from __future__ import annotations

import numpy as np
from numba import uint32, uint64
from numpy.typing import NDArray
from scipy.special import ndtri

from simcell.kernels.jit import helper, kernel

MULTIPLIER_0, MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
WEYL_0, WEYL_1 = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)
WORD = np.uint64(32)
LOW = np.uint64(0xFFFFFFFF)
SIZES = 2**32 - 1  # in place of a gene or a block of genes: draws that belong to a whole cell


@helper
def _round(c0, c1, c2, c3, k0, k1):
    product_0 = MULTIPLIER_0 * uint64(c0)
    product_1 = MULTIPLIER_1 * uint64(c2)
    return (
        uint32(uint32(product_1 >> WORD) ^ c1 ^ k0),
        uint32(product_1),
        uint32(uint32(product_0 >> WORD) ^ c3 ^ k1),
        uint32(product_0),
    )


@helper
def philox(c0, c1, c2, c3, k0, k1):
    """Return four uint32 for the counter (c0..c3) under the key (k0, k1), all uint32.

    The ten rounds are written out, since a loop here would keep the loop over lanes from vectorising.
    """
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, uint32(k0 + WEYL_0 * uint32(1)), uint32(k1 + WEYL_1 * uint32(1)))
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, uint32(k0 + WEYL_0 * uint32(2)), uint32(k1 + WEYL_1 * uint32(2)))
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, uint32(k0 + WEYL_0 * uint32(3)), uint32(k1 + WEYL_1 * uint32(3)))
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, uint32(k0 + WEYL_0 * uint32(4)), uint32(k1 + WEYL_1 * uint32(4)))
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, uint32(k0 + WEYL_0 * uint32(5)), uint32(k1 + WEYL_1 * uint32(5)))
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, uint32(k0 + WEYL_0 * uint32(6)), uint32(k1 + WEYL_1 * uint32(6)))
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, uint32(k0 + WEYL_0 * uint32(7)), uint32(k1 + WEYL_1 * uint32(7)))
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, uint32(k0 + WEYL_0 * uint32(8)), uint32(k1 + WEYL_1 * uint32(8)))
    return _round(c0, c1, c2, c3, uint32(k0 + WEYL_0 * uint32(9)), uint32(k1 + WEYL_1 * uint32(9)))


@helper
def fill_bits(out, key, cells, draw, block):
    """Fill out (4, L) uint32 with the bits of one draw for genes 4*block .. 4*block+3 of each lane's cell."""
    k0, k1 = uint32(key[0]), uint32(key[1])
    c0, c1 = uint32(draw), uint32(block)
    for lane in range(out.shape[1]):
        cell = uint64(cells[lane])
        r0, r1, r2, r3 = philox(c0, c1, uint32(cell & LOW), uint32(cell >> WORD), k0, k1)
        out[0, lane] = r0
        out[1, lane] = r1
        out[2, lane] = r2
        out[3, lane] = r3


@helper
def bits(key, cell, gene, draw):
    """Return the four uint32 of one draw of one gene of one cell."""
    cell = uint64(cell)
    return philox(uint32(draw), uint32(gene), uint32(cell & LOW), uint32(cell >> WORD), uint32(key[0]), uint32(key[1]))


@helper
def uniforms(key, cell, gene, draw):
    """Return two independent float64 in (0, 1), 52 bits each, for one draw of one gene of one cell."""
    r0, r1, r2, r3 = bits(key, cell, gene, draw)
    # 52 bits and one half more: 53 could round up to 1
    high = (uint64(r0) << uint64(20)) ^ (uint64(r1) >> uint64(12))
    low = (uint64(r2) << uint64(20)) ^ (uint64(r3) >> uint64(12))
    return (np.float64(high) + 0.5) * 2.0**-52, (np.float64(low) + 0.5) * 2.0**-52


@helper
def three_uniforms(key, cell, gene, draw):
    """Return three independent float64 in (0, 1), of 44, 42 and 42 bits, for one draw of one gene of one cell."""
    r0, r1, r2, r3 = bits(key, cell, gene, draw)
    first = (uint64(r0) << uint64(12)) ^ (uint64(r1) >> uint64(20))
    second = ((uint64(r1) & uint64(0xFFFFF)) << uint64(22)) ^ (uint64(r2) >> uint64(10))
    third = ((uint64(r2) & uint64(0x3FF)) << WORD) ^ uint64(r3)
    return (
        (np.float64(first) + 0.5) * 2.0**-44,
        (np.float64(second) + 0.5) * 2.0**-42,
        (np.float64(third) + 0.5) * 2.0**-42,
    )


def size_factors(key: NDArray[np.uint32], cells: NDArray[np.int64], sigma: float) -> NDArray[np.float64]:
    """Return the sizes (N,) of cells (N,) under a key: lognormal of mean 1, its logarithm with deviation `sigma`."""
    if sigma == 0.0:
        return np.ones(cells.size)
    uniform = np.empty((cells.size, 2))
    fill_uniforms(uniform, key, cells, SIZES)
    return np.exp(sigma * ndtri(uniform[:, 0]) - 0.5 * sigma**2)


@kernel
def fill_uniforms(out, key, cells, gene):
    """Fill out (N, 2D) float64 with uniforms of cells (N,): columns 2d, 2d+1 are draw d of `gene`."""
    for i in range(out.shape[0]):
        for draw in range(out.shape[1] // 2):
            first, second = uniforms(key, cells[i], gene, draw)
            out[i, 2 * draw] = first
            out[i, 2 * draw + 1] = second


@kernel
def philox_block(counter, key):
    """Return (4,) uint32 of a counter (4,) and a key (2,): the bare generator, for known-answer tests."""
    out = np.empty(4, np.uint32)
    out[0], out[1], out[2], out[3] = philox(counter[0], counter[1], counter[2], counter[3], key[0], key[1])
    return out
