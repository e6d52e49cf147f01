"""The training loop of all fitters that learn by gradients: batches, early stopping, checkpoints, every term recorded.

In: an objective (a torch module that turns rows into terms of its loss), labels of the rows, options. Out: the module
with its best parameters, and a `LossHistory`. The same seed gives the same bits on a CPU, also after a resumption.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from fitters.errors import FitterError
from fitters.results import LossHistory
from fitters.training.batches import RowLabels, Rows, epoch_batches
from fitters.training.checkpoint import Checkpoint, State, copied, model_name
from fitters.training.devices import device_of, one_thread, seeded
from fitters.training.memory import peak_memory
from fitters.training.objective import Moment, Objective
from fitters.training.optimisers import Steps
from fitters.training.options import TrainedFitter

if TYPE_CHECKING:
    from torch import Tensor

# First words of the loop's keys of randomness, which fitters do not use for their own.
BATCHES, TRAINING, HELD_OUT = 1701, 1702, 1703
# How often its value before the first step, or 1, a term may become before that is called a divergence.
EXPLOSION = 1e6


def train(
    objective: Objective,
    labels: RowLabels,
    options: TrainedFitter,
    *,
    weights: Mapping[str, float],
    seed: int,
    fingerprint: str = "",
    stage: str = "",
    epochs: int | None = None,
) -> LossHistory:
    """Train in place and return the history; the parameters are then those of the best epoch, in mode `eval`.

    Args:
        objective: the module, on any device; it is moved to that of the options, and stays there.
        labels: what its rows are.
        options: a trained fitter.
        weights: of the terms; those of weight 0 are recorded only.
        seed: of batches and of all that is drawn in training.
        fingerprint: digest of data, options and seed, for checkpoints.
        stage: name of this stage where a fitter trains several times; each has a checkpoint of its own.
        epochs: in place of those of the options.

    Raises:
        FitterError: nothing to train, to train on or to minimise; a term or a parameter becomes NaN or infinite, or a
            term that is minimised a million times what it was before the first step (with epoch, term and last sound
            value; the state of the last epoch in which all were finite is kept in the checkpoint if there is one); a
            checkpoint of something else.
        FitterOptionError: a device that is not there.
    """
    with one_thread():
        return _Training(objective, labels, options, weights, seed, fingerprint, stage, epochs or options.epochs).run()


class _Training:
    def __init__(
        self,
        objective: Any,
        labels: RowLabels,
        options: TrainedFitter,
        weights: Mapping[str, float],
        seed: int,
        fingerprint: str,
        stage: str,
        epochs: int,
    ) -> None:
        self.labels, self.options, self.stage, self.n_epochs = labels, options, stage, epochs
        self.weights = dict(weights)
        self.minimised = {term: weight for term, weight in self.weights.items() if weight > 0}
        if not self.minimised:
            raise FitterError(options.name, "no term of the loss has a weight above 0")
        if not labels.training.size:
            raise FitterError(options.name, "no row is left to train on")
        self.seed, self.key = seed, _number(stage)
        self.device = device_of(options.device, fitter=options.name)
        self.module = objective.to(self.device)
        self.steps = Steps(self.module, options, n_epochs=epochs)
        self.model = model_name(options.name, stage)
        self.checkpoint = Checkpoint.of(options, stage=stage, fingerprint=fingerprint)
        self.stopping = self._stopping_weights()
        self.held_out = self._batches(labels.stopping, HELD_OUT) if labels.stopping.size else []
        self.state = State(0, {}, {}, [], [], (math.inf, 0, {}), 0.0)
        self.last = labels.training  # the mini-batch of the last step

    def _stopping_weights(self) -> dict[str, float]:
        named = getattr(self.module, "stopping", ()) or ()
        if isinstance(named, Mapping):
            chosen = {term: weight for term, weight in named.items() if term in self.weights}
        else:
            chosen = {term: self.minimised[term] for term in named if term in self.minimised}
        return chosen or dict(list(self.minimised.items())[:1])

    def run(self) -> LossHistory:
        if self.checkpoint:
            self._resume(self.checkpoint)
        start = time.perf_counter() - self.state.seconds
        with self._bar() as bar:
            while self.state.epoch < self.n_epochs and not (self._patience_is_out() or self._has_settled()):
                self._one_epoch()
                self.state.seconds = time.perf_counter() - start
                bar.set_postfix_str(f"loss {np.dot(self.state.training[-1], list(self.weights.values())):.4g}")
                bar.update(1)
                if self.checkpoint:
                    self._remember()
                    if self.state.epoch % self.options.checkpoint_every == 0:
                        self.checkpoint.write(self.state)
        if self.checkpoint and self.state.model:
            self.checkpoint.write(self.state)
        if self.state.best[1]:
            self.module.load_state_dict(self.state.best[2])
        self.module.eval()
        return self._history()

    def _one_epoch(self) -> None:
        epoch = self.state.epoch
        moment = Moment(epoch, epoch / self.n_epochs)
        row = self._trained(moment)
        held_out = self._evaluated(moment) if self.held_out else None
        broken = self.steps.not_finite()
        if broken is not None:
            last = ", ".join(f"{term} {value:.4g}" for term, value in zip(self.weights, row, strict=True))
            self._stop(f"parameter {broken} is not finite after epoch {epoch + 1} (last finite terms: {last})")
        if not self.held_out and epoch + 1 == self.n_epochs:
            self._check_outcome(moment)
        # nothing of an epoch is in the state before all of it is known to be sound
        self.state.training.append(row)
        if held_out is not None:
            self.state.held_out.append(held_out)
            value = dict(zip(self.weights, held_out, strict=True))
            error = sum(weight * value[term] for term, weight in self.stopping.items())
            if error < self.state.best[0]:
                self.state.best = (error, epoch + 1, copied(self.module.state_dict()))
        self.state.epoch = epoch + 1

    def _trained(self, moment: Moment) -> list[float]:
        """Take every step of an epoch; return the mean of each term over its batches, weighted by rows."""
        import torch

        self.module.train()
        self.steps.begin(moment.epoch)
        rows = self.labels.training
        batches = [rows] if self.steps.whole else self._batches(rows, BATCHES, moment.epoch)
        sums = np.zeros(len(self.weights))
        self.last = batches[-1]
        with seeded(self.seed, TRAINING, self.key, moment.epoch):
            for batch in batches:
                sums += batch.size * np.array(self._step(torch.as_tensor(batch, device=self.device), moment))
        return list((sums / rows.size).tolist())

    def _step(self, index: Tensor, moment: Moment) -> list[float]:
        """Take one step and return the terms before it."""
        first: list[float] = []

        def loss() -> Tensor:
            # a line search needs one function, so the same draws wherever it asks for the loss
            with seeded(self.seed, TRAINING, self.key, moment.epoch) if self.steps.whole else nullcontext():
                found = self.module.terms(index, moment)
            if not first:
                first.extend(self._values(found))
                self._check(first, moment.epoch, "training")
                self.state.first = self.state.first or list(first)
            weighted = [weight * found[term] for term, weight in self._weights_now(moment).items()]
            return sum(weighted[1:], start=weighted[0])

        self.steps.take(loss)
        return first

    def _weights_now(self, moment: Moment) -> dict[str, float]:
        factor = getattr(self.module, "weight_now", None)
        if factor is None:
            return self.minimised
        return {term: weight * factor(term, moment) for term, weight in self.minimised.items()}

    def _evaluated(self, moment: Moment) -> list[float]:
        """Return the mean of each term over the rows held out."""
        values = self._means(self.held_out, moment)
        self._check(values, moment.epoch, "held out")
        return values

    def _check_outcome(self, moment: Moment) -> None:
        """Check the terms after the very last step, which no other evaluation follows."""
        self._check(self._means([self.last], moment), moment.epoch, "after its last step")

    def _means(self, batches: list[Rows], moment: Moment) -> list[float]:
        """Return the mean of each term over batches, without training."""
        import torch

        self.module.eval()
        sums = np.zeros(len(self.weights))
        # the same batches and draws at every epoch: errors then differ by the model alone
        with torch.no_grad(), seeded(self.seed, HELD_OUT, self.key):
            for batch in batches:
                found = self.module.terms(torch.as_tensor(batch, device=self.device), moment)
                sums += batch.size * np.array(self._values(found))
        return list((sums / sum(batch.size for batch in batches)).tolist())

    def _batches(self, rows: Rows, *key: int) -> list[Rows]:
        generator = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(*key, self.key)))
        options = self.options
        return epoch_batches(rows, self.labels, batching=options.batching, size=options.batch_size, generator=generator)

    def _values(self, found: Mapping[str, Tensor]) -> list[float]:
        import torch

        values: list[float] = torch.stack([found[term].detach().double() for term in self.weights]).tolist()  # one wait
        return values

    def _check(self, values: list[float], epoch: int, where: str) -> None:
        for position, (term, value) in enumerate(zip(self.weights, values, strict=True)):
            finite = math.isfinite(value)
            if finite and not (term in self.minimised and value > self._most(position)):
                continue
            sound = "finite" if not finite else f"below {self._most(position):.4g}"
            done = self.state.training
            if done:
                last = f"last {sound}: {done[-1][position]:.4g} at epoch {len(done)}"
            elif self.state.first:
                last = f"last {sound}: {self.state.first[position]:.4g} before the first step"
            else:
                last = f"it never was {sound}"
            self._stop(f"term {term} is {value:.4g} at epoch {epoch + 1} ({where}; {last})")

    def _most(self, position: int) -> float:
        """Return the value above which a term counts as exploded; one without a lower bound may fall as it will."""
        return EXPLOSION * max(1.0, abs(self.state.first[position])) if self.state.first else math.inf

    def _stop(self, found: str) -> None:
        """Give up, with the state of the last epoch in which all was finite in the checkpoint."""
        kept = ""
        if self.checkpoint and self.state.model:
            self.checkpoint.write(self.state)
            kept = f"; the last finite state, of epoch {self.state.epoch}, is in {self.checkpoint.path}"
        problem = f"training diverged: {found}{kept}; try a lower learning_rate"
        raise FitterError(self.options.name, problem)

    def _patience_is_out(self) -> bool:
        best = self.state.best[1]
        return bool(best) and self.state.epoch - best >= self.options.patience

    def _has_settled(self) -> bool:
        """Return whether L-BFGS, whose losses compare from epoch to epoch, gains too little to go on."""
        least = getattr(self.module, "least_gain", None)
        if least is None or not self.steps.whole or len(self.state.training) < 3:
            return False
        before, now = np.array(self.state.training[-2:]) @ list(self.weights.values())
        return bool(before - now < least)

    def _resume(self, checkpoint: Checkpoint) -> None:
        found = checkpoint.read()
        checkpoint.check_writable()
        if found is not None:
            with checkpoint.reading():
                self.module.load_state_dict(found.model)
                self.steps.optimiser.load_state_dict(found.optimiser)
            self.state = found

    def _remember(self) -> None:
        """Copy model and optimiser, so that what is written belongs together whenever it is written."""
        self.state.model = copied(self.module.state_dict())
        self.state.optimiser = copied(self.steps.optimiser.state_dict())

    def _bar(self) -> Any:
        from tqdm import tqdm

        return tqdm(
            total=self.n_epochs,
            initial=self.state.epoch,
            desc=self.model,
            unit="epoch",
            disable=None if self.options.progress else True,  # None: quiet unless standard error is a terminal
        )

    def _history(self) -> LossHistory:
        import torch

        on_gpu = self.device.type == "cuda"
        return LossHistory(
            terms=tuple(self.weights),
            weight=np.array(list(self.weights.values())),
            training=np.array(self.state.training),
            held_out=np.array(self.state.held_out) if self.state.held_out else None,
            best_epoch=self.state.best[1],
            seconds=self.state.seconds,
            peak_memory=torch.cuda.max_memory_allocated(self.device) if on_gpu else peak_memory(),
            device=str(self.device),
            stage=self.stage,
        )


def _number(stage: str) -> int:
    """Return a number for a stage's name, so that stages do not share their draws."""
    return int.from_bytes(hashlib.blake2b(stage.encode(), digest_size=4).digest()) if stage else 0
