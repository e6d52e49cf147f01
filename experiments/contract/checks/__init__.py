"""The checks, one file each. A new one is a file with a `CHECK` and a line here."""

from __future__ import annotations

from experiments.contract.base import Check
from experiments.contract.checks import (
    answering,
    batch_effect,
    cell_order,
    data_kept,
    depth,
    determinism,
    estimates,
    fresh_process,
    gene_order,
    global_state,
    hard_data,
    history,
    refusals,
    resources,
    samples,
    saved,
    truth,
)

_MODULES = (
    answering,
    refusals,
    determinism,
    fresh_process,
    truth,
    gene_order,
    cell_order,
    data_kept,
    global_state,
    saved,
    samples,
    estimates,
    history,
    hard_data,
    depth,
    batch_effect,
    resources,
)

CHECKS: dict[str, Check] = {module.CHECK.name: module.CHECK for module in _MODULES}
