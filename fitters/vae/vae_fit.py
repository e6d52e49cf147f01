"""A fitted variational auto-encoder: mean profiles and sampled cells, by counterfactuals of the training controls.

In: a trained module. Out: `VaeFit`, plain arrays that need no torch; decoding is written out here in numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from fitters.checks import check_query
from fitters.contract import Prediction, Query
from fitters.errors import RefusedQueryError
from fitters.name_keys import keyed_generator
from fitters.profile_fit import ProfileFit
from fitters.vae.cells_and_doses import CellsAndDoses, Context, Doses
from simcell.profiles import log_profile

if TYPE_CHECKING:
    from fitters.vae.vae_module import CountVae

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DecoderArrays:
    """The decoder's parameters: L latents, H hidden units, G genes, B batches, K contexts.

    Args:
        linear: (L, G). offset: (G,). batch_offset: (B, G). context_offset: (K, G). context_gain: (K,).
        first: (L, H), its bias (H,), scale and shift of the normalisation (H,) each, and (H, G); None without them.
        theta: (G,) inverse dispersions.
        dropout: (L, G) and (G,) of the logits of zeros; None where the likelihood has none.
    """

    linear: FloatArray
    offset: FloatArray
    batch_offset: FloatArray
    context_offset: FloatArray
    context_gain: FloatArray
    first: tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray] | None
    theta: FloatArray
    dropout: tuple[FloatArray, FloatArray] | None

    def fractions(
        self, state: FloatArray, batch: NDArray[np.intp], context: NDArray[np.intp], own: FloatArray
    ) -> FloatArray:
        """Return (n, G) fractions of cells of latent states (n, L), codes (n,), and log levels (G,) of targets."""
        logits = state @ self.linear
        if self.first is not None:
            weight, bias, scale, shift, last = self.first
            hidden = state @ weight + bias
            hidden -= hidden.mean(axis=1, keepdims=True)
            hidden /= np.sqrt((hidden**2).mean(axis=1, keepdims=True) + 1e-5)
            logits += np.maximum(hidden * scale + shift, 0.0) @ last
        logits += self.offset + self.batch_offset[batch] + self.context_offset[context] + own
        logits -= logits.max(axis=1, keepdims=True)
        fraction = np.exp(logits)
        found: FloatArray = fraction / fraction.sum(axis=1, keepdims=True)
        return found

    def kept(self, state: FloatArray) -> FloatArray:
        """Return (n, G) chances that a count is no zero of the likelihood's own kind, for states (n, L); 1 without."""
        if self.dropout is None:
            return np.ones((len(state), self.theta.size))
        weight, bias = self.dropout
        found: FloatArray = 1.0 / (1.0 + np.exp(state @ weight + bias))
        return found

    def means(self, fraction: FloatArray, state: FloatArray) -> FloatArray:
        """Return (n, G) means of the NB over the UMIs of cells: rho / sum(rho (1 - pi)), without zeros rho / sum(rho).

        Args:
            fraction: (n, G) rho, up to a factor of each cell. state: (n, L).
        """
        return fraction / (fraction * self.kept(state)).sum(axis=1, keepdims=True)


@dataclass(frozen=True, eq=False)
class Controls:
    """n training controls: mean, log sd and a draw of z (n, L), depth (n,), codes of batch and context (n,)."""

    mean: FloatArray
    sd: FloatArray
    z: FloatArray
    depth: FloatArray
    batch: NDArray[np.intp]
    context: NDArray[np.intp]

    def take(self, rows: NDArray[np.intp]) -> Controls:
        """Return some of them."""
        return Controls(*(values[rows] for values in vars(self).values()))

    def moved(self, batch: int | None, context: int | None) -> Controls:
        """Return them as they would be measured in another batch or context."""
        changed = dict(vars(self))
        changed |= {} if batch is None else {"batch": np.full_like(self.batch, batch)}
        changed |= {} if context is None else {"context": np.full_like(self.context, context)}
        return Controls(**changed)


@dataclass(frozen=True, eq=False, kw_only=True)
class VaeFit(ProfileFit):
    """A fitted variational auto-encoder.

    Args:
        decoder: its decoder.
        controls: training controls with their latents, at most so many as the fitter was told to keep.
        total: (B, K, G) pooled counts of the training controls of each batch and context.
        contexts: K contexts. batches: B names.
        effect: target -> (L,) shift at dose 1.
        embedding_map: (D, L) W.
        embedding: (G, D).
        doses: of all targets; its genes are in the order of all arrays here.
        column: (G,) column of each gene in the training data.
    """

    decoder: DecoderArrays
    controls: Controls
    total: FloatArray
    contexts: tuple[Context, ...]
    batches: tuple[str, ...]
    effect: dict[str, FloatArray]
    embedding_map: FloatArray
    embedding: FloatArray
    doses: Doses
    column: NDArray[np.intp]

    @classmethod
    def of(cls, module: CountVae, cells: CellsAndDoses, *, seed: int, most_controls: int, **known: Any) -> Self:
        """Return the fit of a trained module; `known` is what every fit of profiles has."""
        import torch

        table = cells.table
        module = module.to("cpu").eval()
        rng = np.random.default_rng([seed, 3])
        rows = np.flatnonzero(table.control)
        if rows.size > most_controls:
            rows = np.sort(rng.choice(rows, most_controls, replace=False))
        with torch.no_grad():
            index = torch.as_tensor(rows)
            mean, log_sd = (array(value) for value in module.encode(index, module.shifts(index)))
            effect = array(module.shift.effects())
        n_batches, n_contexts = len(table.batches), len(cells.contexts)
        total = np.zeros((n_batches, n_contexts, len(table.genes)))
        for batch in range(n_batches):
            for context in range(n_contexts):
                here = np.flatnonzero(table.control & (table.batch == batch) & (cells.context == context))
                total[batch, context] = np.asarray(table.counts[here].sum(axis=0))
        sd = np.exp(log_sd)
        return cls(
            decoder=decoder_arrays(module),
            controls=Controls(
                mean, sd, mean + sd * rng.normal(size=sd.shape), table.depth[rows], table.batch[rows],
                cells.context[rows],
            ),
            total=total,
            contexts=cells.contexts,
            batches=table.batches,
            effect={target: effect[row] for row, target in enumerate(table.targets)},
            embedding_map=array(module.shift.map),
            embedding=cells.embedding,
            doses=cells.doses,
            column=table.column,
            **known,
        )  # fmt: skip

    def predict(self, query: Query) -> Prediction:
        """Return (Q, G) log profiles, and cells if asked for; RefusedQueryError for a query outside the claims."""
        check_query(query, fitter=self.fitter, claims=self.claims, scope=self.scope)
        controls, measured, decoded = self._chosen(query)
        profile = np.stack([self._profile(targets, controls, measured, decoded) for targets in query.perturbations])
        if not query.cells:
            return Prediction(profile=profile)
        factor = measured / measured.sum() / decoded
        sampled = []
        for targets in query.perturbations:
            # by name, so that a sample does not depend on what else is asked
            rng = keyed_generator("+".join(targets), seed=query.seed, stream="cells")
            sampled.append(self._sampled(targets, query.cells, controls, factor, rng))
        return Prediction(profile=profile, cells=tuple(sampled))

    def profile(self, targets: tuple[str, ...]) -> FloatArray:
        """Return the (G,) log profile of one perturbation, in the contexts and batches of training."""
        return self.predict(Query((targets,))).profile[0]

    def shift(self, targets: tuple[str, ...]) -> FloatArray:
        """Return the (L,) shift of a perturbation, where the gain of the context is 1."""
        shift = np.zeros(len(self.embedding_map[0]))
        for target in targets:
            effect = self.effect.get(target)
            if effect is None:
                effect = self.embedding[self.doses.genes.index(target)] @ self.embedding_map
            shift += self.doses.of(target) * effect
        return shift

    def _chosen(self, query: Query) -> tuple[Controls, FloatArray, FloatArray]:
        """Return the controls of a query, their pooled counts (G,), and the fractions (G,) that the decoder gives them.

        Where no control is of the batch, time and medium asked for, others are taken as if they were: their counts are
        then multiplied by what the decoder says of the change.
        """
        wanted = [
            number
            for number, (time, medium, arm) in enumerate(self.contexts)
            if query.time in (None, time) and query.medium in (None, medium) and query.arm in (None, arm)
        ]
        if not wanted:
            known = "; ".join(f"{time:g} h in {medium} ({arm})" for time, medium, arm in self.contexts)
            asked = f"time {query.time}, medium {query.medium}, arm {query.arm}"
            raise RefusedQueryError(self.fitter, f"query refused: {asked}: the training data have {known}")
        batch = None if query.batch is None else self.batches.index(query.batch)
        here = self.total[slice(None) if batch is None else [batch]][:, wanted].sum(axis=(0, 1))
        of_context = np.isin(self.controls.context, wanted)
        rows = np.flatnonzero(of_context & ((self.controls.batch == batch) if batch is not None else True))
        if rows.size and here.sum():
            controls = self.controls.take(rows)
            return controls, here, self._mean(controls, np.zeros(()), np.zeros(()))
        pool = self.controls.take(np.flatnonzero(of_context)) if of_context.any() else self.controls
        all_counts = self.total[:, wanted].sum(axis=(0, 1)) if of_context.any() else self.total.sum(axis=(0, 1))
        moved = pool.moved(batch, None if of_context.any() else wanted[0])
        before, after = (self._mean(cells, np.zeros(()), np.zeros(())) for cells in (pool, moved))
        return moved, all_counts * after / before, after

    def _mean(self, controls: Controls, shift: FloatArray, own: FloatArray) -> FloatArray:
        """Return the (G,) fraction of the pooled counts that shifted controls are expected to have."""
        state = controls.z + self.decoder.context_gain[controls.context][:, None] * shift
        fraction = self.decoder.fractions(state, controls.batch, controls.context, own)
        if self.decoder.dropout is not None:
            fraction = self.decoder.means(fraction, state) * self.decoder.kept(state)
        found: FloatArray = controls.depth @ fraction / controls.depth.sum()
        return found

    def _profile(
        self, targets: tuple[str, ...], controls: Controls, measured: FloatArray, decoded: FloatArray
    ) -> FloatArray:
        """Return the (G,) log profile: measured counts of controls, times the ratio that the decoder predicts."""
        shift, own = self.shift(targets), self.doses.offset(targets)
        found = measured
        if shift.any() or own.any():
            ratio = self._mean(controls, shift, own) / decoded
            # a gene that no control shows has half a count, which a perturbation may raise
            found = measured + np.where(measured > 0, measured, 0.5) * (ratio - 1.0)
        profile = np.empty(found.size)
        profile[self.column] = log_profile(np.maximum(found, 0.0))
        return profile

    def _sampled(
        self, targets: tuple[str, ...], n: int, controls: Controls, factor: FloatArray, rng: np.random.Generator
    ) -> NDArray[np.int32]:
        """Return (n, G) counts of cells: controls drawn with replacement, z from their posterior, shifted, decoded."""
        cells = controls.take(rng.integers(0, controls.depth.size, n))
        z = cells.mean + cells.sd * rng.normal(size=cells.mean.shape)
        state = z + self.decoder.context_gain[cells.context][:, None] * self.shift(targets)
        fraction = self.decoder.fractions(state, cells.batch, cells.context, self.doses.offset(targets)) * factor
        theta = self.decoder.theta
        mean = cells.depth[:, None] * self.decoder.means(fraction, state)
        counts = rng.poisson(rng.gamma(theta, mean / theta))
        if self.decoder.dropout is not None:
            counts[rng.random(counts.shape) >= self.decoder.kept(state)] = 0
        found = np.empty(counts.shape, dtype=np.int32)
        found[:, self.column] = counts
        return found


def array(value: Any) -> FloatArray:
    """Return a tensor as a float64 array."""
    return np.asarray(value.detach().cpu().numpy(), dtype=np.float64)


def decoder_arrays(module: CountVae) -> DecoderArrays:
    """Return the parameters of a module's decoder."""
    from fitters.vae.latent_shift import positive

    decoder = module.decoder
    first = None
    if decoder.hidden:
        first = (
            array(decoder.first.weight).T,
            array(decoder.first.bias),
            array(decoder.norm.weight),
            array(decoder.norm.bias),
            array(decoder.last.weight).T,
        )
    return DecoderArrays(
        linear=array(decoder.linear.weight).T,
        offset=array(module.base + module.gene_offset),
        batch_offset=array(module.batch_offset),
        context_offset=array(module.context_offset),
        context_gain=array(positive(module.context_gain)),
        first=first,
        theta=array(module.theta()),
        dropout=(array(module.dropout.weight).T, array(module.dropout.bias)) if hasattr(module, "dropout") else None,
    )
