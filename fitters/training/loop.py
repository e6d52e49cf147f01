"""The training loop of all fitters that learn by gradients: batches, early stopping, checkpoints, every term recorded.

In: an objective (a torch module that turns rows into terms of its loss), labels of the rows, options. Out: the module
with its best parameters, and a `LossHistory`. The same seed gives the same bits on a CPU, also after a resumption.
"""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from fitters.errors import FitterError
from fitters.results import LossHistory
from fitters.training.batches import RowLabels, Rows, epoch_batches
from fitters.training.checkpoint import State, read_checkpoint, write_checkpoint
from fitters.training.devices import device_of, one_thread, seeded
from fitters.training.options import TrainedFitter

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Moment:
    """Where a training stands: epoch from 0, and the share of the most epochs that have passed, in [0, 1)."""

    epoch: int
    share: float


class Objective(Protocol):
    """A torch.nn.Module with its data, which turns rows into terms.

    It may also have `after_step(learning_rate)`, called without gradients after each step (a proximal map), and
    `stopping`, the terms whose weighted sum is held against what is held out (by default the first term).
    """

    def terms(self, rows: Tensor, moment: Moment) -> Mapping[str, Tensor]:
        """Return the unweighted value of every term on some rows, each a mean over rows so that batches compare."""


def train(
    objective: Any,
    labels: RowLabels,
    options: TrainedFitter,
    *,
    weights: Mapping[str, float],
    seed: int,
    fingerprint: str = "",
    stage: str = "",
    epochs: int | None = None,
) -> LossHistory:
    """Train in place and return the history; the parameters are then those of the best epoch.

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
        FitterError: a term is NaN or infinite (with epoch, term and last finite value; the last finite state is kept in
            the checkpoint if there is one); a checkpoint of something else.
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
        self.labels, self.options, self.seed, self.stage, self.n_epochs = labels, options, seed, stage, epochs
        self.weights = dict(weights)
        self.device = device_of(options.device, fitter=options.name)
        self.module = objective.to(self.device)
        self.optimiser = self._optimiser()
        self.model = f"{options.name}{f'/{stage}' if stage else ''}"
        self.fingerprint = fingerprint
        path = options.checkpoint
        self.path = f"{path}.{stage}" if path and stage else path
        self.stopping_terms = tuple(getattr(objective, "stopping", ()) or list(self.weights)[:1])
        self.state = State(0, {}, {}, [], [], (math.inf, 0, {}), 0.0)

    def _optimiser(self) -> torch.optim.Optimizer:
        import torch

        groups = getattr(self.module, "parameter_groups", None)
        parameters = groups() if groups else [value for value in self.module.parameters() if value.requires_grad]
        rate = self.options.learning_rate
        if self.options.optimiser == "lbfgs":
            return torch.optim.LBFGS(parameters, lr=rate, max_iter=20, line_search_fn="strong_wolfe")
        return torch.optim.Adam(parameters, lr=rate)

    def run(self) -> LossHistory:
        self._resume()
        start = time.perf_counter() - self.state.seconds
        stopping = self.labels.stopping
        bar = self._bar()
        while self.state.epoch < self.n_epochs and not self._patience_is_out():
            epoch = self.state.epoch
            moment = Moment(epoch, epoch / self.n_epochs)
            with seeded(self.seed, 1, epoch):
                row = self._epoch(moment)
            self.state.training.append(row)
            if stopping.size:
                with seeded(self.seed, 2):  # the same draws at every epoch: errors then differ by the model alone
                    held_out = self._evaluate(stopping, moment)
                self._check(held_out, epoch, "held out")
                self.state.held_out.append(held_out)
                error = sum(
                    self.weights[term] * value
                    for term, value in zip(self.weights, held_out, strict=True)
                    if term in self.stopping_terms
                )
                if error < self.state.best[0]:
                    self.state.best = (error, epoch + 1, _copied(self.module.state_dict()))
            self.state.epoch = epoch + 1
            self.state.seconds = time.perf_counter() - start
            bar.update(1)
            bar.set_postfix_str(f"loss {sum(w * v for w, v in zip(self.weights.values(), row, strict=True)):.4g}")
            if self.path and self.state.epoch % self.options.checkpoint_every == 0:
                self._keep()
        bar.close()
        if self.path:
            self._keep()
        if self.state.best[1]:
            self.module.load_state_dict(self.state.best[2])
        return self._history()

    def _epoch(self, moment: Moment) -> list[float]:
        """Take every step of an epoch; return the mean of each term over its batches, weighted by rows."""
        import torch

        self.module.train()
        rows, options = self.labels.training, self.options
        generator = np.random.default_rng([self.seed, moment.epoch])
        if options.optimiser == "lbfgs":
            batches = [rows]
        else:
            batches = epoch_batches(
                rows, self.labels, batching=options.batching, size=options.batch_size, generator=generator
            )
        sums = np.zeros(len(self.weights))
        for batch in batches:
            index = torch.as_tensor(batch, device=self.device)
            values = self._step(index, moment)
            sums += batch.size * np.array(values)
        return list((sums / rows.size).tolist())

    def _step(self, index: Tensor, moment: Moment) -> list[float]:
        import torch

        first: list[float] = []

        def closure() -> Tensor:
            self.optimiser.zero_grad(set_to_none=True)
            found = self.module.terms(index, moment)
            values = [float(found[term].detach()) for term in self.weights]
            if not first:
                first.extend(values)
                self._check(values, moment.epoch, "training")
            total = sum(weight * found[term] for term, weight in self.weights.items() if weight > 0)
            assert isinstance(total, torch.Tensor)
            total.backward()
            if self.options.gradient_clip is not None:
                torch.nn.utils.clip_grad_norm_(self.module.parameters(), self.options.gradient_clip)
            return total

        self.optimiser.step(closure)  # type: ignore[arg-type]
        after = getattr(self.module, "after_step", None)
        if after is not None:
            with torch.no_grad():
                after(self.options.learning_rate)
        return first

    def _evaluate(self, rows: Rows, moment: Moment) -> list[float]:
        import torch

        self.module.eval()
        sums = np.zeros(len(self.weights))
        with torch.no_grad():
            for part in np.array_split(rows, -(-rows.size // max(self.options.batch_size, 1))):
                found = self.module.terms(torch.as_tensor(part, device=self.device), moment)
                sums += part.size * np.array([float(found[term]) for term in self.weights])
        return list((sums / rows.size).tolist())

    def _check(self, values: list[float], epoch: int, where: str) -> None:
        for position, (term, value) in enumerate(zip(self.weights, values, strict=True)):
            if math.isfinite(value):
                continue
            done = self.state.training
            last = f"last finite: {done[-1][position]:.4g} at epoch {len(done)}" if done else "it never was finite"
            kept = ""
            if self.path and self.state.model:
                self._write()
                kept = f"; the last finite state, of epoch {self.state.epoch}, is in {self.path}"
            found = f"term {term} is {value} at epoch {epoch + 1} ({where}; {last}{kept})"
            raise FitterError(self.options.name, f"training diverged: {found}; try a lower learning_rate")

    def _patience_is_out(self) -> bool:
        best = self.state.best[1]
        return bool(best) and self.state.epoch - best >= self.options.patience

    def _resume(self) -> None:
        if not self.path:
            return
        name = self.options.name
        found = read_checkpoint(self.path, model=self.model, fingerprint=self.fingerprint, fitter=name)
        if found is not None:
            self.module.load_state_dict(found.model)
            self.optimiser.load_state_dict(found.optimiser)
            self.state = found

    def _keep(self) -> None:
        self.state.model = _copied(self.module.state_dict())
        self.state.optimiser = self.optimiser.state_dict()
        self._write()

    def _write(self) -> None:
        assert self.path
        write_checkpoint(self.path, self.state, model=self.model, fingerprint=self.fingerprint)

    def _bar(self) -> Any:
        from tqdm import tqdm

        return tqdm(
            total=self.n_epochs,
            initial=self.state.epoch,
            desc=self.model,
            unit="epoch",
            disable=not self.options.progress,
        )

    def _history(self) -> LossHistory:
        import torch

        on_gpu = self.device.type == "cuda"
        unit = 1 if sys.platform == "darwin" else 1024
        peak = (
            torch.cuda.max_memory_allocated() if on_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        )
        return LossHistory(
            terms=tuple(self.weights),
            weight=np.array(list(self.weights.values())),
            training=np.array(self.state.training),
            held_out=np.array(self.state.held_out) if self.state.held_out else None,
            best_epoch=self.state.best[1],
            seconds=self.state.seconds,
            peak_memory=int(peak),
            device=str(self.device),
            stage=self.stage,
        )


def _copied(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.detach().cpu().clone() for name, value in state.items()}
