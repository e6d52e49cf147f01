"""`vae`: a variational auto-encoder of counts in which perturbations shift the latent state of cells, and add up.

In: training data. Out: profiles and sampled cells of seen and unseen genes, combinations, batches, times and media.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from fitters.checks import Scope
from fitters.contract import Assumption, Claim
from fitters.errors import FitterError, FitterOptionError
from fitters.options import check_choice, check_flags, check_numbers, check_whole_numbers
from fitters.training.batches import RowLabels
from fitters.training.cells import CellTable
from fitters.training.checkpoint import fingerprint_of
from fitters.training.options import TrainedFitter
from fitters.training_data import TrainingData
from fitters.vae.cells_and_doses import CellsAndDoses

if TYPE_CHECKING:
    from fitters.vae.vae_fit import VaeFit

LIKELIHOODS = ("nb", "zinb")
DISENTANGLINGS = ("none", "adversarial", "mmd")


@dataclass(frozen=True, kw_only=True)
class Vae(TrainedFitter):
    """Conditional variational auto-encoder of counts with additive perturbation latents.

    Equations, for a cell of perturbation p, batch b and context k (time, medium and arm), with s UMIs and G genes:

    - basal state ``z ~ N(0, I)`` (L,); posterior ``q(z | x, p) = N(m, diag(v))``, m and v from a network of one hidden
      layer that sees ``log1p(k size / s)``, centred by the controls of batch b, and the shift of p
    - shift ``D_p = sum over targets t of d_t e_t`` (L,), so that combinations add; ``e_t = mask_t * (W h_t + f_t)``
      with h_t (D,) the embedding of gene t, f_t free and 0 for targets that no training cell has; ``f, W ~ N(0, r^2)``
    - dose d_t: minus the relative change of the target's own level under its perturbation, as measured on the training
      cells (`KnockDown`); 1 where it was not measured; the median of the others for a target that was not seen
    - state ``u = z + a_k D_p``, a_k > 0 a gain of the context (1 where there is one)
    - fractions ``rho = softmax(base + offset_g + offset_bg + offset_kg + own_pg + A u + MLP(u))`` (G,), with own_pg the
      logarithm of the level that p gives its own targets, a covariate that is measured and not learned
    - counts ``k_g ~ NB(mean s rho_g, inverse dispersion theta_g)``; or ZINB: with chance pi_g, its logit linear in u,
      ``k_g = 0``, and otherwise ``k_g ~ NB(mean s rho_g / sum over j of rho_j (1 - pi_j), theta_g)``. The UMIs s are
      counted after those zeros, and so it is with them that the expected total is s
    - loss, per cell and gene: minus the log likelihood ("reconstruction") + KL(q || N(0, I)) ("kl", whose weight grows
      in the first epochs) + minus the log priors of f and W over all cells ("effect_prior"). `losses` may add errors of
      the mean profiles that the decoder gives to control cells when they are shifted: "response", "contrast_matched"
      and "contrast_pooled" (log profiles; squared; the controls are drawn anew in each step). With ZINB, mean profiles
      are of ``rho_g (1 - pi_g)``, brought to a sum of 1.

    A prediction is a counterfactual: training controls with a draw of z each are decoded with and without D_p, in the
    batches, times and media that are asked for (as they are in training where none are), and the ratio of the two mean
    fractions multiplies the measured counts of those controls: what has no effect is exactly the control. Sampled cells
    have a control's batch and posterior of z, a mean rho times measured over decoded fractions of controls, a control's
    UMIs as s, and the noise of the likelihood: s is their total on average, about which that of each cell varies, so
    that totals vary by more than those of the data. Times, media and arms that no training cell has are refused. A
    context with perturbed cells but no controls borrows those of all others: the decoder moves them there, by an offset
    that is learned from the perturbed cells of the context and is told from their effects only where these are seen
    elsewhere too. The fit's notes name such contexts. Where several contexts are asked for, those with controls answer.

    Sources and differences:

    - R. Lopez et al. (scVI), Nature Methods 15 (2018), 1053-1058: the likelihoods and the decoder's softmax. Here s is
      observed and not latent, whence the sum in the mean of ZINB; batches act on logits and not on hidden layers, and
      dispersion starts from moments.
    - M. Lotfollahi et al. (CPA), Mol. Syst. Biol. 19 (2023), e11517: z + dose * e_p, and an adversary that guesses
      the condition from z. Here the gradient is reversed (Ganin & Lempitsky, ICML (2015)) and not alternated, the dose
      is measured and acts linearly, and covariates act on the decoder.
    - M. Bereket & T. Karaletsos (SAMS-VAE), NeurIPS 36 (2023): the masks, and a posterior of z that knows the shift.
      Here f has a point estimate. There masks are drawn as 0 or 1, with the gradient of relaxed ones; here the relaxed
      ones themselves shift the cells in training, and predictions take their means, which is the same e on average: a
      mask of chance 0.05 lets 0.08 of an effect through. The KL of masks is that of 0 or 1 with these chances.
    - R. Lopez et al., "Learning causal representations of single cells via sparse mechanism shift modeling", CLeaR
      (2023): the Beta prior of the share of perturbations that shift a dimension. There shifts are the means of priors
      of one latent state, for single perturbations; here they add. Shares have a point estimate.

    W h_t, which gives unseen genes an effect, the context's gain and the measured own level are in none of the four.
    Effects learn ten times as fast as the networks, or z would learn in their place; the parameters that are kept are
    running averages over steps, for effects are small. Nothing is held out by default, because 60 epochs overfit little
    and every perturbation that is held out is one less to learn from; with `held_out`, training stops by the bound on
    the likelihood of cells whose perturbations were not seen.

    It assumes that shifts are the same in all contexts but for one gain, and additive between perturbations. Embeddings
    of genes are scores on principal components of the training responses (as `bilinear`), keyed by name.

    Args:
        likelihood: "nb" or "zinb".
        latent: L, at least 1.
        hidden: units of the encoder's hidden layer.
        decoder_hidden: units of the decoder's hidden layer; 0: the decoder is linear.
        components: most dimensions of the gene embedding.
        dose: "measured", or "one" for all.
        own_target: whether the decoder is told the level to which a perturbation takes its own targets.
        sparse_shift: whether there are masks, with the term "mechanism_sparsity": KL of the masks and prior of shares.
        mask_prior: (a, b) of the Beta distribution of the share of targets that shift a dimension.
        effect_scale: r, > 0, in units of the sd of z.
        disentangling: "none", "adversarial", or "mmd": the maximum mean discrepancy between the latents of each
            condition in a mini-batch and those of controls (use batching: perturbation for many cells of each); the
            term "disentangling" is the cross entropy per gene, or the squared discrepancy.
        warm_up: epochs over which the weight of "kl" grows from 0 to its own; what is recorded is the term itself.
        control_cells: most controls that predictions are averaged over.

    Raises:
        FitterOptionError: an option out of range, or a weight of a term that its options leave out.
    """

    epochs: int = 60
    learning_rate: float = 2e-3
    batch_size: int = 256
    held_out: float = 0.0
    likelihood: Literal["nb", "zinb"] = "nb"
    latent: int = 32
    hidden: int = 128
    decoder_hidden: int = 64
    components: int = 10
    dose: Literal["measured", "one"] = "measured"
    own_target: bool = True
    sparse_shift: bool = False
    mask_prior: tuple[float, float] = (1.0, 4.0)
    effect_scale: float = 0.3
    disentangling: Literal["none", "adversarial", "mmd"] = "none"
    warm_up: int = 5
    control_cells: int = 500

    name: ClassVar[str] = "vae"
    family: ClassVar[str] = "vae"
    claims: ClassVar[frozenset[Claim]] = frozenset(
        {
            Claim.MEAN,
            Claim.DISTRIBUTION,
            Claim.TIME,
            Claim.MEDIUM,
            Claim.ARM,
            Claim.BATCH,
            Claim.UNSEEN_GENE,
            Claim.COMBINATION,
        }
    )
    assumptions: ClassVar[frozenset[Assumption]] = frozenset({Assumption.ADDITIVE})
    source: ClassVar[str] = "Lopez et al., Nature Methods 15 (2018); Lotfollahi et al., Mol. Syst. Biol. 19 (2023)"
    terms: ClassVar[Mapping[str, float]] = {
        "reconstruction": 1.0,
        "kl": 1.0,
        "effect_prior": 1.0,
        "mechanism_sparsity": 1.0,
        "disentangling": 1.0,
        "response": 0.0,
        "contrast_matched": 0.0,
        "contrast_pooled": 0.0,
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.optimiser != "adam":
            allowed = "adam: z is drawn anew in each step, and a line search needs a loss that stands still"
            raise FitterOptionError.value(self.name, "optimiser", self.optimiser, allowed)
        check_choice(self, "likelihood", among=LIKELIHOODS)
        check_choice(self, "dose", among=("measured", "one"))
        check_choice(self, "disentangling", among=DISENTANGLINGS)
        check_whole_numbers(self, "latent", "hidden", "components", "control_cells", at_least=1)
        check_whole_numbers(self, "decoder_hidden", "warm_up", at_least=0)
        check_flags(self, "own_target", "sparse_shift")
        check_numbers(self, "effect_scale", above=0)
        prior = self.mask_prior
        numbers = isinstance(prior, (tuple, list)) and len(prior) == 2
        if not numbers or not all(
            isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < np.inf for value in prior
        ):
            raise FitterOptionError.value(self.name, "mask_prior", prior, "two numbers > 0, a and b of a Beta")
        object.__setattr__(self, "mask_prior", (float(prior[0]), float(prior[1])))
        for term, there, needs in (
            ("mechanism_sparsity", self.sparse_shift, "sparse_shift: true"),
            ("disentangling", self.disentangling != "none", "disentangling: adversarial or mmd"),
        ):
            if term in self.losses and not there:
                raise FitterOptionError.value(
                    self.name, "losses", term, f"a term of its loss without the option {needs}"
                )

    @property
    def weights(self) -> dict[str, float]:
        """Weight of every term that is minimised or recorded."""
        absent = {
            term
            for term, there in (
                ("mechanism_sparsity", self.sparse_shift),
                ("disentangling", self.disentangling != "none"),
            )
            if not there
        }
        return {term: weight for term, weight in super().weights.items() if term not in absent}

    def fit(self, data: TrainingData, *, seed: int) -> VaeFit:
        """Return the fit.

        Raises:
            FitterError: controls only; training that diverges; a checkpoint of something else.
        """
        if not data.perturbations:
            raise FitterError(self.name, "the training data have no perturbation")
        from fitters.training.devices import seeded
        from fitters.training.loop import train
        from fitters.vae.vae_fit import VaeFit
        from fitters.vae.vae_module import CountVae

        table = CellTable.of(data)
        held_out = table.held_out(self.held_out, seed=seed)
        cells = CellsAndDoses.of(
            data,
            components=self.components,
            dose=self.dose == "measured",
            own_target=self.own_target,
            held_out=held_out,
            table=table,
        )
        with seeded(seed, 0):
            module = CountVae(cells, self)
        history = train(
            module,
            RowLabels(table.condition, table.batch, held_out[table.condition]),
            self,
            weights=self.weights,
            seed=seed,
            fingerprint=fingerprint_of(table, repr(self), seed),
        )
        module.use_average()
        return VaeFit.of(
            module, cells, fitter=self.name, claims=self.claims, scope=Scope.of(data), control=data.control,
            history=history, notes=self._notes(cells), seed=seed, most_controls=self.control_cells,
        )  # fmt: skip

    def _notes(self, cells: CellsAndDoses) -> tuple[str, ...]:
        unmeasured = [target for target in cells.table.targets if not cells.doses.knock_down.seen(target)]
        notes = []
        if self.dose == "measured" and unmeasured:
            notes.append(f"knock-down not measured, dose 1: {', '.join(unmeasured)}")
        with_controls = set(cells.context[cells.table.control].tolist())
        borrowing = [one for number, one in enumerate(cells.contexts) if number not in with_controls]
        if borrowing:
            named = "; ".join(f"{time:g} h in medium {medium!r} ({arm})" for time, medium, arm in borrowing)
            notes.append(f"no controls, those of other contexts are borrowed: {named}")
        return tuple(notes)
