"""Fitters that break the contract, one part each; the suite must catch each by the check that is named beside it."""

from __future__ import annotations

import gc
import os
import random
import sys
import time
from pathlib import Path

import numpy as np

from fitters.base import Assumption, Claim, EdgeScores, LossHistory, Prediction


class Sound:
    """Control plus the sum of the single effects, and edges that no check finds fault with."""

    name = "sound"
    claims = frozenset({Claim.MEAN, Claim.NETWORK, Claim.UNSEEN_GENE, Claim.COMBINATION})
    assumptions = frozenset({Assumption.ADDITIVE, Assumption.NO_BATCH_EFFECT})

    def fit(self, data, *, seed):
        self.genes, self.control = data.genes, data.control
        self.effect = {
            label: data.pseudobulk.row(label) - data.control for label in data.perturbations if "+" not in label
        }
        self.history = LossHistory(("response",), np.ones(1), np.array([[2.0], [1.0]]))
        return self

    def predict(self, query):
        nothing = np.zeros_like(self.control)
        rows = [sum((self.effect.get(gene, nothing) for gene in p), self.control) for p in query.perturbations]
        return np.array(rows)

    def network(self):
        identified = ~np.eye(len(self.genes), dtype=bool)
        score = np.where(identified, np.tile(self.control, (len(self.genes), 1)), 0.0)
        return EdgeScores(self.genes, self.genes, score, identified=identified)


class Samples(Sound):
    """Also draws cells: multinomial counts of a fixed depth."""

    claims = Sound.claims | {Claim.DISTRIBUTION}
    depth_factor = 1.0

    def fit(self, data, *, seed):
        super().fit(data, seed=seed)
        self.depth = int(self.depth_factor * np.median(np.asarray(data.counts.sum(axis=1))))
        return self

    def predict(self, query):
        profile = super().predict(query)
        if not query.cells:
            return profile
        rng = self.generator(query)
        fraction = np.maximum(np.expm1(self.shown(profile)), 0.0)
        fraction /= fraction.sum(axis=1, keepdims=True)
        return Prediction(profile, tuple(rng.multinomial(self.depth, row, size=query.cells) for row in fraction))

    def generator(self, query):
        return np.random.default_rng(query.seed)

    def shown(self, profile):
        return profile


class SeedIgnored(Samples):
    caught_by = "samples"

    def generator(self, query):
        return np.random.default_rng(0)


class SeedForgotten(Samples):
    caught_by = "samples"

    def generator(self, query):
        return np.random.default_rng()


class OtherProfile(Samples):
    """Samples cells of reversed genes."""

    caught_by = "samples"

    def shown(self, profile):
        return profile[:, ::-1]


class TenfoldDepth(Samples):
    caught_by = "samples"
    depth_factor = 10.0


class Shifted(Sound):
    """Adds to every prediction what `shift` returns."""

    def fit(self, data, *, seed):
        super().fit(data, seed=seed)
        self.control = self.control + self.shift(data)
        return self


class WrongShape(Sound):
    caught_by = "answers"

    def predict(self, query):
        return super().predict(query)[:, :-1]


class NotFinite(Sound):
    caught_by = "answers"

    def predict(self, query):
        return super().predict(query) * np.nan


class Raises(Sound):
    caught_by = "answers"

    def fit(self, data, *, seed):
        raise ZeroDivisionError("of its own")


class GrowingClaims(Sound):
    caught_by = "refusals"

    def fit(self, data, *, seed):
        self.claims = self.claims | {Claim.TIME}
        return super().fit(data, seed=seed)


class Unseeded(Shifted):
    caught_by = "determinism"

    def shift(self, data):
        return np.random.default_rng().normal(0.0, 1e-9, data.n_genes)


class Salted(Shifted):
    caught_by = "fresh process"

    def shift(self, data):
        return np.array([hash(gene) % 7 for gene in data.genes]) * 1e-9


class ReadsFiles(Shifted):
    caught_by = "no truth reached"

    def shift(self, data):
        return 0.0 * sum(len(path.read_bytes()) for path in Path.cwd().glob("*.zarr/zarr.json"))


class ReadsFramesTruth(Shifted):
    caught_by = "no truth reached"

    def shift(self, data):
        frame = sys._getframe()
        while frame is not None:
            if "truth" in frame.f_locals and hasattr(frame.f_locals["truth"], "mean"):
                return 1e-3 * float(frame.f_locals["truth"].mean())
            frame = frame.f_back
        return 0.0


class ReadsExamination(Shifted):
    caught_by = "no truth reached"

    def shift(self, data):
        frame = sys._getframe()
        while frame is not None:
            for value in list(frame.f_locals.values()):
                if hasattr(value, "questions") and hasattr(value, "split"):
                    return 0.0 * len(value.questions)
            frame = frame.f_back
        return 0.0


class SearchesMemory(Shifted):
    caught_by = "no truth reached"

    def shift(self, data):
        return 0.0 * len(gc.get_objects())


class AsksTheData(Shifted):
    caught_by = "no truth reached"

    def shift(self, data):
        return 0.0 if getattr(data, "truth", None) is None else 1.0


class ByColumn(Shifted):
    caught_by = "order of genes"

    def shift(self, data):
        return 1e-3 * np.arange(data.n_genes)


class FirstCells(Shifted):
    caught_by = "order of cells"

    def shift(self, data):
        return 0.01 * data.counts[:20].mean(axis=0)


class WritesIntoData(Sound):
    caught_by = "data unchanged"

    def fit(self, data, *, seed):
        super().fit(data, seed=seed)
        data.counts.data.base[0] += 1
        return self


class SeedsAll(Sound):
    caught_by = "global state"

    def fit(self, data, *, seed):
        random.seed(seed)
        np.random.seed(seed)
        return super().fit(data, seed=seed)


class SetsEnvironment(Sound):
    caught_by = "global state"

    def fit(self, data, *, seed):
        os.environ["PLANTED"] = str(time.perf_counter_ns())
        return super().fit(data, seed=seed)


class Unpicklable(Sound):
    caught_by = "saved and loaded"

    def fit(self, data, *, seed):
        self.function = lambda: None
        return super().fit(data, seed=seed)


class ForgetsWhenSaved(Sound):
    caught_by = "saved and loaded"

    def __getstate__(self):
        return self.__dict__ | {"effect": {}}


class Certain(Sound):
    caught_by = "network and kinetics"

    def network(self):
        return EdgeScores(self.genes, self.genes, super().network().score)


class ScoresWhatItCannotTell(Sound):
    caught_by = "network and kinetics"

    def network(self):
        sound = super().network()
        return EdgeScores(self.genes, self.genes, sound.score + 1.0, identified=sound.identified)


class GapInHistory(Sound):
    caught_by = "loss history"

    def fit(self, data, *, seed):
        super().fit(data, seed=seed)
        self.history = LossHistory(("response",), np.ones(1), np.array([[2.0], [np.nan]]))
        return self


class NoTerms(Sound):
    caught_by = "loss history"

    def fit(self, data, *, seed):
        super().fit(data, seed=seed)
        self.history = [2.0, 1.0]
        return self


class DividesBySilence(Shifted):
    caught_by = "hard data"

    def shift(self, data):
        total = data.pseudobulk.total.sum(axis=0)
        with np.errstate(invalid="ignore"):
            return 0.0 * (total / total)


class NeedsManyCells(Sound):
    caught_by = "hard data"

    def fit(self, data, *, seed):
        assert data.pseudobulk.n_cells.min() > 5
        return super().fit(data, seed=seed)


class RawDepth(Sound):
    """Forgets that a log profile is of fractions."""

    caught_by = "depth"

    def fit(self, data, *, seed):
        super().fit(data, seed=seed)
        mean = np.asarray(data.counts.mean(axis=0)).ravel()
        self.control = np.log1p(1e4 * mean)
        return self


class HidesBatches(Sound):
    """Pools the batches, and does not say so."""

    caught_by = "batch effect"
    assumptions = frozenset({Assumption.ADDITIVE})


class Greedy(Sound):
    """Takes 300 MB for a moment: no fault, but it is to be stated."""

    def fit(self, data, *, seed):
        np.ones(300_000_000 // 8).sum()
        return super().fit(data, seed=seed)


PLANTED = {
    name: value.caught_by
    for name, value in list(globals().items())
    if isinstance(value, type) and hasattr(value, "caught_by")
}
