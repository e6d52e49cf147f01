"""The streams: known answers of the generator, and uniforms and normals that have their laws and know no neighbour."""

from __future__ import annotations

import numpy as np
import pytest
from budget import assert_equal_within, assert_uncorrelated, caught, dkw_radius, level
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from simcell.kernels.elementary import tabulate
from simcell.kernels.streams import fill_uniforms, philox_block
from simcell.random import Purpose, kernel_key

KEY = kernel_key(11, Purpose.DYNAMICS)
N = 200_000
# numbers of cells beyond 32 bits must differ as well
CELLS = np.arange(N, dtype=np.int64) + 2**32 - N // 2


def uniforms(*, key: NDArray[np.uint32] = KEY, gene: int = 0, draws: int = 2) -> NDArray[np.float64]:
    out = np.empty((N, 2 * draws))
    fill_uniforms(out, key, CELLS, gene)
    return out


def ecdf_distance(values: NDArray[np.floating]) -> float:
    """Return the distance of the empirical CDF of values from that of a uniform in (0, 1)."""
    ordered, n = np.sort(values.ravel()).astype(np.float64), values.size
    return float(max((np.arange(1, n + 1) / n - ordered).max(), (ordered - np.arange(n) / n).max()))


def check_uniform(values: NDArray[np.float64]) -> None:
    distance, radius = ecdf_distance(values), dkw_radius(level("uniform law"), values.size)
    assert values.min() > 0.0 and values.max() < 1.0
    assert distance <= radius, f"uniforms: CDF is off by {distance:.2g} (limit {radius:.2g})"


def check_normal(values: NDArray[np.float32]) -> None:
    limit = level("normal law") / 2.0
    n = values.size
    moments = [np.mean(values.astype(np.float64) ** power) for power in (1, 2, 3, 4)]
    # variances of the first four powers of a standard normal
    error = np.sqrt(np.array([1.0, 2.0, 15.0, 96.0]) / n)
    assert_equal_within(moments, [0.0, 1.0, 0.0, 3.0], error, limit, what="moment of normals")
    distance, radius = ecdf_distance(ndtr(values.astype(np.float64))), dkw_radius(limit, n)
    assert distance <= radius, f"normals: CDF is off by {distance:.2g} (limit {radius:.2g})"


def check_uncorrelated(first: NDArray[np.float64], second: NDArray[np.float64], what: str) -> None:
    # of uniforms, and of how far they are from the middle, which shares in sign alone would miss
    pairs = [(a - 0.5, b - 0.5) for a, b in ((first, second), (np.abs(first - 0.5), np.abs(second - 0.5)))]
    a, b = (np.concatenate(each, axis=1) for each in zip(*pairs, strict=True))
    assert_uncorrelated(a, b, level("streams uncorrelated"), what=what)


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_generator_gives_the_known_answers_of_random123(counter: list[int], key: list[int], answer: list[int]) -> None:
    found = philox_block(np.array(counter, np.uint32), np.array(key, np.uint32))
    assert found.tolist() == answer


@pytest.mark.statistical
def test_uniforms_are_uniform() -> None:
    check_uniform(uniforms())
    with caught("uniforms: CDF"):  # one end a little likelier
        check_uniform(uniforms() ** 1.02)


@pytest.mark.statistical
def test_normals_are_normal() -> None:
    bits = (uniforms() * 2.0**32).astype(np.uint32).view(np.int32)
    normals = np.empty(bits.size, np.float32)
    tabulate(3, bits.ravel(), normals)
    check_normal(normals)
    with caught("moment of normals"):  # a scale that is off by one percent
        check_normal(normals * np.float32(1.01))
    with caught("normals: CDF"):  # three values with the right four moments
        share = ndtr(normals)
        check_normal(np.sqrt(3.0) * ((share > 5.0 / 6.0) * 1.0 - (share < 1.0 / 6.0)))


def test_quantile_survival_logarithm_and_exponential_agree_with_float64() -> None:
    bits = np.linspace(-(2**31), 2**31 - 1, 1_000_003).astype(np.int32)
    normals, beyond = np.empty(bits.size, np.float32), np.empty(bits.size, np.float32)
    tabulate(3, bits, normals)
    tabulate(2, bits, beyond)
    exact = np.where(bits < 0, 1.0, -1.0) * ndtri(((bits & 0x7FFFFFFF) + 0.5) / 2.0**32)
    assert np.abs(normals - exact)[np.abs(exact) < 5.0].max() < 4e-6
    assert normals.min() > -6.5 and normals.max() < 6.5
    # the two views of one draw are one: the chance to exceed the normal that it stands for
    assert np.abs(beyond - ndtr(-normals.astype(np.float64))).max() < 2e-6
    assert beyond.min() > 0.0 and beyond.max() < 1.0
    x = np.geomspace(1e-37, 3e38, 1_000_003).astype(np.float32)
    out = np.empty(x.size, np.float32)
    tabulate(0, x, out)
    assert np.abs(out - np.log(x.astype(np.float64))).max() < 1e-5
    x = np.linspace(-86.0, 87.0, 1_000_003).astype(np.float32)
    tabulate(1, x, out)
    assert np.abs(out / np.exp(x.astype(np.float64)) - 1.0).max() < 3e-7


@pytest.mark.statistical
def test_neighbours_in_cell_gene_draw_and_replicate_are_uncorrelated() -> None:
    own = uniforms(draws=4)
    check_uncorrelated(own[:-1], own[1:], "neighbouring cells")
    check_uncorrelated(own, uniforms(gene=1, draws=4), "neighbouring genes")
    check_uncorrelated(own[:, :-1], own[:, 1:], "neighbouring draws")
    check_uncorrelated(own, uniforms(key=kernel_key(11, Purpose.DYNAMICS, 1), draws=4), "two replicates")
    shared = own[np.arange(N) // 2]  # one stream for every two cells
    with caught("correlation of neighbouring cells"):
        check_uncorrelated(shared[:-1], shared[1:], "neighbouring cells")
    with caught("correlation of mirrored"):  # antithetic draws sold as independent
        check_uncorrelated(own, np.where(own < 0.5, own + 0.5, 1.5 - own), "mirrored")
