"""How a perturbation is called: its target genes, sorted and joined by "+"; cells without a target are "control"."""

from __future__ import annotations

from collections.abc import Iterable

CONTROL = "control"
SEPARATOR = "+"


def perturbation_label(targets: Iterable[str]) -> str:
    """Return the label of a set of target genes: ``{"B", "A"}`` is ``"A+B"``, the empty set is ``"control"``."""
    return SEPARATOR.join(sorted(set(targets))) or CONTROL


def perturbation_targets(label: str) -> tuple[str, ...]:
    """Return the target genes of a label, sorted: the inverse of `perturbation_label`."""
    return () if label == CONTROL else tuple(label.split(SEPARATOR))
