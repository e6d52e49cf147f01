"""Which perturbations a fitter sees and which it is asked about: condition labels in, a `Split` out.

A split is made by perturbation, never by cell. Control cells stand on the training side only, and so does everything
derived from them (the reference profile, the choice of genes): nothing that a fitter is given depends on the test side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from numpy.random import Generator

from fitters.contract import Claim
from simcell.errors import SimcellError
from simcell.labels import CONTROL, perturbation_targets
from simcell.random import Purpose, stream


class SplitError(SimcellError):
    """A split that the data cannot give: nothing of its kind to hold out, or nothing left to learn from."""

    def __init__(self, split: str, reason: str) -> None:
        self.split, self.reason = split, reason
        super().__init__(f"split {split!r}: {reason}")

    def __reduce__(self) -> tuple[type[SplitError], tuple[str, str]]:
        return type(self), (self.split, self.reason)


@dataclass(frozen=True)
class Split:
    """The training side and the test side of a set of perturbations.

    Attributes:
        name: how the split is called in tables, e.g. ``unseen-single``.
        train: labels seen in training, sorted; "control" is always among them.
        test: labels asked for, sorted; never "control".
        needs: what a fitter must claim to be asked.
    """

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    needs: frozenset[Claim]

    def __post_init__(self) -> None:
        if not self.test:
            raise SplitError(self.name, "no perturbation is left to test on")
        if CONTROL not in self.train:
            raise SplitError(self.name, "the data have no control cells to train on")
        if len(self.train) < 2:
            raise SplitError(self.name, "no perturbation is left to train on")
        if CONTROL in self.test or set(self.train) & set(self.test):
            raise SplitError(self.name, "a label stands on both sides")


def unseen_single(
    labels: Iterable[str], *, seed: int, test_fraction: float = 0.25, name: str = "unseen-single"
) -> Split:
    """Hold out single perturbations, and with each of them every combination that contains its gene.

    Args:
        labels: condition labels present in the data (with or without "control").
        seed: root seed of the draw.
        test_fraction: fraction of the single perturbations that is held out, in (0, 1); at least one, never all.
        name: name of the split.

    Raises:
        SplitError: there are fewer than two single perturbations.
    """
    targets = _targets(labels)
    singles = _of_order(targets, 1)
    if len(singles) < 2:
        raise SplitError(name, f"needs at least 2 single perturbations, the data have {len(singles)}")
    test = _draw(singles, test_fraction, stream(seed, Purpose.SPLIT, 1), keep=1)
    return _split(name, targets, test, train=targets, needs=frozenset({Claim.MEAN, Claim.UNSEEN_GENE}))


def unseen_double(
    labels: Iterable[str], *, seed: int, test_fraction: float = 0.5, name: str = "unseen-double"
) -> Split:
    """Hold out double perturbations whose two single perturbations are both in the training data.

    Any higher combination that contains a held-out pair is left out of training as well. Ahlmann-Eltze et al. (2025)
    hold out half of the doubles of Norman et al. (2019), which is the default here.

    Args:
        labels: condition labels present in the data.
        seed: root seed of the draw.
        test_fraction: fraction of the eligible doubles that is held out, in (0, 1]; at least one.
        name: name of the split.

    Raises:
        SplitError: no double perturbation has both of its singles in the data.
    """
    targets = _targets(labels)
    known = {genes[0] for genes in targets.values() if len(genes) == 1}
    doubles = _of_order(targets, 2)
    eligible = [label for label in doubles if known.issuperset(targets[label])]
    if not eligible:
        found = f"none of its {len(doubles)} doubles has" if doubles else "there are no doubles, so none has"
        raise SplitError(name, f"{found} both single perturbations in the data")
    test = _draw(eligible, test_fraction, stream(seed, Purpose.SPLIT, 2), keep=0)
    return _split(name, targets, test, train=targets, needs=frozenset({Claim.MEAN, Claim.COMBINATION}))


def unseen_k(labels: Iterable[str], *, seed: int = 0, order: int = 2, name: str | None = None) -> Split:
    """Train on every perturbation of fewer than `order` genes, test on those of exactly `order` genes.

    Only combinations all of whose genes were perturbed singly are asked for. Nothing is drawn, so `seed` is unused; it
    is there because every splitter takes one.

    Args:
        labels: condition labels present in the data.
        seed: not used.
        order: number of genes of the perturbations that are held out, 2 or more.
        name: name of the split; ``unseen-<order>`` if not given.

    Raises:
        SplitError: no combination of that order has all of its single perturbations in the data.
    """
    del seed
    name = name or f"unseen-{order}"
    if order < 2:
        raise SplitError(name, f"order {order} is not 2 or more")
    targets = _targets(labels)
    lower = {label: genes for label, genes in targets.items() if len(genes) < order}
    known = {genes[0] for genes in lower.values() if len(genes) == 1}
    test = [label for label in _of_order(targets, order) if known.issuperset(targets[label])]
    if not test:
        raise SplitError(name, f"no combination of {order} genes has all of its single perturbations in the data")
    return _split(name, targets, test, train=lower, needs=frozenset({Claim.MEAN, Claim.COMBINATION}))


SPLITS: dict[str, Callable[..., Split]] = {
    "unseen-single": unseen_single,
    "unseen-double": unseen_double,
    "unseen-k": unseen_k,
}


def _targets(labels: Iterable[str]) -> dict[str, tuple[str, ...]]:
    return {label: perturbation_targets(label) for label in sorted({str(label) for label in labels})}


def _of_order(targets: dict[str, tuple[str, ...]], order: int) -> list[str]:
    return [label for label, genes in targets.items() if len(genes) == order]


def _draw(eligible: list[str], fraction: float, generator: Generator, *, keep: int) -> list[str]:
    """Draw `fraction` of the labels, rounded half up, at least one and leaving at least `keep`."""
    count = min(max(1, math.floor(fraction * len(eligible) + 0.5)), len(eligible) - keep)
    return [eligible[index] for index in generator.permutation(len(eligible))[:count]]


def _split(
    name: str,
    targets: dict[str, tuple[str, ...]],
    test: list[str],
    *,
    train: dict[str, tuple[str, ...]],
    needs: frozenset[Claim],
) -> Split:
    """Take out of `train` each label that contains a held-out perturbation: none shall be read off a larger one."""
    held_out = [frozenset(targets[label]) for label in test]
    kept = tuple(label for label, genes in train.items() if not any(held <= set(genes) for held in held_out))
    return Split(name, kept, tuple(sorted(test)), needs)
