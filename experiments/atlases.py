"""Atlases as fitters are given them: the file of an atlas in; counts, genes and tissues out, nothing of the truth."""

from __future__ import annotations

import os

import numpy as np

from fitters.knowledge import Atlas
from simcell.atlas_store import load_atlas
from simcell.dataset import read_counts
from simcell.schema import get_array


def atlas_of(path: str | os.PathLike[str]) -> Atlas:
    """Return the atlas that `simcell.simulate_atlas` wrote at `path`, without the cells that have no count at all.

    Raises:
        DataError: there is none, or it is not whole.
    """
    tree = load_atlas(path)
    try:
        counts = read_counts(tree)
        seen = np.flatnonzero(np.asarray(counts.sum(axis=1)).ravel())
        return Atlas(
            genes=tuple(get_array(tree, "counts/gene").values.tolist()),
            counts=counts[seen],
            tissue=np.array(get_array(tree, "cells/tissue").values.tolist())[seen],
        )
    finally:
        tree.close()
