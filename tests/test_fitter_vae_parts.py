"""Parts of the variational auto-encoder against hand-made values: decoder, doses, masks, discrepancy, contrasts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers_vae import world

from fitters.base import TrainingData
from fitters.knock_down import KnockDown
from fitters.training.cells import CellTable
from fitters.vae.cells_and_doses import (
    LEAST_DOSE,
    LEAST_LEVEL,
    CellsAndDoses,
    Doses,
    gene_embedding,
    inverse_dispersion,
)
from fitters.vae.vae import Vae
from fitters.vae.vae_fit import decoder_arrays
from simcell.labels import CONTROL

torch = pytest.importorskip("torch")

OPTIONS: dict[str, Any] = {"latent": 3, "hidden": 8, "decoder_hidden": 5, "components": 2}


def cells_of(data: TrainingData) -> CellsAndDoses:
    table = CellTable.of(data)
    nothing = np.zeros(len(table.conditions), dtype=bool)
    return CellsAndDoses.of(data, components=2, dose=True, own_target=True, held_out=nothing, table=table)


def module_of(data: TrainingData, **options: Any) -> Any:
    """Return a module whose parameters are all drawn, so that none is 0 by chance of its beginning."""
    from fitters.vae.vae_module import CountVae

    torch.manual_seed(0)
    module = CountVae(cells_of(data), Vae(**(OPTIONS | options)))
    with torch.no_grad():
        for value in module.parameters():
            value.copy_(0.3 * torch.randn_like(value))
    return module


# data


def test_doses_are_measured_on_the_target_and_1_where_nothing_is_known() -> None:
    knock_down = KnockDown(measured={"A": -0.8, "B": 2.0, "C": -0.01, "D": -1.3}, expected=-0.5)
    doses = Doses(knock_down, ("A", "B", "C", "D", "E"), measured=True, own_target=True)
    assert [doses.of(target) for target in ("A", "B", "C", "D")] == [0.8, -2.0, LEAST_DOSE, 1.0]
    assert doses.of("E") == 0.5  # never a target: as others are
    assert doses.of("X") == 1.0  # no gene of the data
    assert Doses(knock_down, ("A",), measured=False, own_target=True).of("A") == 1.0
    np.testing.assert_allclose(doses.offset(("A", "B", "X")), [np.log(0.2), np.log(3.0), 0, 0, 0])
    np.testing.assert_allclose(doses.offset(("D", "E")), [0, 0, 0, np.log(LEAST_LEVEL), np.log(0.5)])
    assert not Doses(knock_down, ("A",), measured=True, own_target=False).offset(("A",)).any()


def test_doses_of_a_world_are_near_its_knock_down() -> None:
    cells = cells_of(world().data)
    alone = [row for row, label in enumerate(cells.table.conditions) if label in cells.table.targets]
    dose = cells.dose[alone].max(axis=1)
    assert np.abs(dose - 0.8).max() < 0.06 and (np.count_nonzero(cells.dose[alone], axis=1) == 1).all()
    assert not cells.dose[cells.table.conditions.index(CONTROL)].any()


def test_batches_and_contexts_begin_at_their_controls_and_are_not_counted_twice() -> None:
    """Where each batch is of one time, the time has the whole difference and the batch none."""
    rng = np.random.default_rng(3)
    base, moved = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    late = np.repeat([False, True], 400)
    counts = rng.poisson(500 * np.where(late[:, None], moved, base))
    labels = np.where(np.arange(800) % 4, CONTROL, "A")
    data = TrainingData.from_arrays(
        counts, genes=("A", "B", "C"), perturbation=labels, batch=np.where(late, "b", "a"), time=48.0 * late
    )
    cells = cells_of(data)
    change = cells.context_offset[1] - cells.context_offset[0]
    np.testing.assert_allclose(change, np.log(moved / base), atol=0.05)
    assert np.abs(cells.batch_offset).max() < 0.01
    one = cells_of(TrainingData.from_arrays(counts, genes=data.genes, perturbation=labels, batch=data.batch))
    np.testing.assert_allclose(one.batch_offset[1] - one.batch_offset[0], np.log(moved / base), atol=0.05)


def test_dispersion_of_controls_is_that_of_the_world() -> None:
    """Depths differ sevenfold between cells: taken for noise (planted), they would lower theta."""
    rng = np.random.default_rng(4)
    theta = np.repeat([1.0, 5.0], 30)
    depth = 3000.0 * rng.lognormal(0.0, 0.5, (4000, 1))
    counts = rng.poisson(rng.gamma(theta, depth / 60 / theta, (4000, 60)))
    data = TrainingData.from_arrays(
        counts, genes=[f"G{gene:02d}" for gene in range(60)], perturbation=[CONTROL] * 3999 + ["G00"]
    )
    table = CellTable.of(data)
    found = inverse_dispersion(table, np.full(60, -np.log(60.0)))
    assert np.median(found[:30]) == pytest.approx(1.0, abs=0.1)
    assert np.median(found[30:]) == pytest.approx(5.0, abs=0.4)
    table.__dict__["depth"] = np.full(4000, table.depth.mean())
    assert np.median(inverse_dispersion(table, np.full(60, -np.log(60.0)))[30:]) < 3.0


def test_genes_that_respond_alike_are_near_each_other_whatever_their_order() -> None:
    made = world()
    table = CellTable.of(made.data)
    nothing = np.zeros(len(table.conditions), dtype=bool)
    found = gene_embedding(table, components=3, leave_out=nothing)
    np.testing.assert_allclose((found**2).mean(axis=0), 1.0)
    order = np.random.default_rng(0).permutation(made.data.n_genes)
    shuffled = TrainingData.from_arrays(
        made.data.counts[:, order],
        genes=[made.data.genes[column] for column in order],
        perturbation=made.data.perturbation,
        batch=made.data.batch,
        medium=made.data.medium,
        time=made.data.time,
    )
    np.testing.assert_array_equal(gene_embedding(CellTable.of(shuffled), components=3, leave_out=nothing), found)


# module


@pytest.mark.parametrize("options", [{}, {"decoder_hidden": 0}, {"likelihood": "zinb"}])
def test_the_arrays_decode_as_the_module_does(options: dict[str, Any]) -> None:
    data = world(batch_sd=0.5, late_gain=2.0, cells=5).data
    module = module_of(data, **options)
    rng = np.random.default_rng(1)
    state, own = rng.normal(size=(7, 3)), rng.normal(size=data.n_genes)
    batch, context = rng.integers(0, 2, 7), rng.integers(0, 2, 7)
    with torch.no_grad():
        tensors = (torch.as_tensor(state).float(), torch.as_tensor(batch), torch.as_tensor(context))
        expected = module.log_fraction(*tensors, torch.as_tensor(own).float()).exp().numpy()
        dropout = module.logits_of_zeros(tensors[0])
        kept = 1.0 if dropout is None else 1.0 - torch.sigmoid(dropout).numpy()
        means = module.log_mean(module.log_fraction(*tensors, torch.as_tensor(own).float()), dropout).exp().numpy()
    arrays = decoder_arrays(module)
    np.testing.assert_allclose(arrays.means(expected.astype(float), state), means, rtol=2e-5)
    np.testing.assert_allclose((means * kept).sum(axis=1), 1.0, rtol=1e-5)  # all UMIs of a cell
    np.testing.assert_allclose(arrays.fractions(state, batch, context, own), expected, rtol=2e-5)
    np.testing.assert_allclose(arrays.kept(state), np.broadcast_to(kept, expected.shape), rtol=2e-5)


@pytest.mark.parametrize("likelihood", ["nb", "zinb"])
def test_gradients_agree_with_finite_differences(likelihood: str) -> None:
    """Errors of responses are not meant to move the encoder, and so their slope is taken with the encoder at rest."""
    from fitters.training.objective import Moment

    responses = {"response": 1.0, "contrast_matched": 1.0, "contrast_pooled": 1.0}
    data = world(batch_sd=0.5, late_gain=2.0, cells=4).data
    module = module_of(data, likelihood=likelihood, sparse_shift=True, losses=responses, warm_up=0).double()
    rows = torch.arange(0, data.n_cells, 3)
    generator = np.random.default_rng(0)
    parameters = {name: value for name, value in module.named_parameters() if value.requires_grad}

    def terms() -> Any:
        torch.manual_seed(1)
        return module.terms(rows, Moment(5, 0.5))

    for wanted, encoder in (({"reconstruction", "kl", "effect_prior", "mechanism_sparsity"}, 1.0), (responses, 0.0)):
        direction = {
            name: torch.as_tensor(generator.normal(size=tuple(value.shape)) * (encoder if "encoder" in name else 1.0))
            for name, value in parameters.items()
        }
        found = terms()
        along = {}
        for term in wanted:
            gradients = torch.autograd.grad(
                found[term], list(parameters.values()), retain_graph=True, allow_unused=True, materialize_grads=True
            )
            along[term] = sum(
                float((gradient * direction[name]).sum()) for name, gradient in zip(parameters, gradients, strict=True)
            )
        step, moved = 1e-6, []
        for size in (step, -2.0 * step):
            with torch.no_grad():
                for name, value in parameters.items():
                    value.add_(size * direction[name])
                moved.append(terms())
        for term in wanted:
            slope = float(moved[0][term] - moved[1][term]) / (2 * step)
            assert along[term] == pytest.approx(slope, rel=1e-4, abs=1e-7), term
            assert slope != 0.0


def test_the_matched_contrast_of_controls_is_0_and_the_pooled_one_sees_the_batch() -> None:
    from fitters.training.objective import Moment

    losses = {"contrast_matched": 1.0, "contrast_pooled": 1.0}
    data = world(batch_sd=0.8, cells=20).data
    module = module_of(data, losses=losses)
    controls = torch.as_tensor(np.flatnonzero(CellTable.of(data).control))
    with torch.no_grad():
        found = module.terms(controls, Moment(0, 0.0))
    assert float(found["contrast_matched"]) == 0.0
    assert float(found["contrast_pooled"]) > 0.05


def test_partners_are_controls_of_the_same_batch_and_context() -> None:
    data = world(batch_sd=0.5, late_gain=2.0, cells=8).data
    module = module_of(data)
    rows = torch.arange(data.n_cells)
    partners = module.partners(rows)
    assert bool((module.condition[partners] == CellTable.of(data).conditions.index(CONTROL)).all())
    assert bool((module.group[partners] == module.group[rows]).all())
    assert len(torch.unique(partners)) > 10


# shifts, masks, disentangling


def test_shifts_of_combinations_are_sums_and_masks_switch_dimensions_off() -> None:
    module = module_of(world(cells=5).data, sparse_shift=True, dose="one").eval()
    conditions = {label: row for row, label in enumerate(CellTable.of(world(cells=5).data).conditions)}
    module.dose = (module.dose != 0).float()
    with torch.no_grad():
        module.shift.mask_logit[0] = -50.0
        shifts = module.dose @ module.shift.effects()
    double = next(label for label in conditions if "+" in label and "G00" not in label)
    first, second = double.split("+")
    expected = shifts[conditions[first]] + shifts[conditions[second]]
    np.testing.assert_allclose(shifts[conditions[double]], expected, rtol=1e-5)
    assert float(shifts[conditions["G00"]].abs().max()) < 1e-12 < float(shifts[conditions["G01"]].abs().min())


def test_masks_of_predictions_are_the_mean_of_those_of_training() -> None:
    from fitters.vae.latent_shift import LatentShift

    torch.manual_seed(4)
    shift = LatentShift(torch.randn(9, 2), latent=2, sparse=True, scale=1.0, mask_prior=(1.0, 4.0))
    with torch.no_grad():
        shift.mask_logit.copy_(torch.linspace(-5.0, 5.0, 9)[:, None].expand(9, 2))
        whole = shift.embedding @ shift.map + shift.free
        drawn = torch.stack([shift.train().effects() / whole for _ in range(20_000)])
        error = drawn.std(dim=0) / 20_000**0.5

        def gap(masks: Any) -> float:
            return float(((masks - drawn.mean(dim=0)) / error).abs().max())

        assert gap(shift.eval().effects() / whole) < 4.0
        assert gap(torch.sigmoid(shift.mask_logit)) > 20.0  # planted: their chances, in place of their means


def test_mean_profiles_of_the_loss_are_of_umis_that_are_left() -> None:
    """Zeros that one gene alone has, half of its counts: its share of the UMIs is halved, and brought to a sum of 1."""
    from fitters.training.objective import Moment

    data = world(cells=5).data
    module = module_of(data, likelihood="zinb", losses={"response": 1.0})
    controls = torch.as_tensor(np.flatnonzero(CellTable.of(data).control))
    with torch.no_grad():
        for value in (module.decoder.linear.weight, module.decoder.last.weight, module.dropout.weight):
            value.zero_()
        module.dropout.bias.fill_(-50.0)
        module.dropout.bias[3] = 0.0
        logits = module.base + module.gene_offset + module.batch_offset[module.batch[controls]]
        share = torch.softmax(logits + module.context_offset[0], dim=1)
        share[:, 3] /= 2.0
        expected = []
        for batch in (0, 1):
            one = share[module.batch[controls] == batch][0]
            profile = torch.log1p(1e4 * one / one.sum())
            row = controls[module.batch[controls] == batch][0]
            expected.append(((profile - module.pool_profile[module.pool[row]]) ** 2).mean())
        found = float(module.terms(controls, Moment(0, 0.0))["response"])
        assert found == pytest.approx(float(sum(expected)) / 2.0, rel=1e-3)
        module.dropout.bias[3] = -50.0  # planted: as if nothing were lost
        assert float(module.terms(controls, Moment(0, 0.0))["response"]) != pytest.approx(found, rel=1e-2)


def test_mask_divergence_by_hand() -> None:
    """KL of Bernoulli(3/4) from Bernoulli(1/4) is ln(3)/2 each; Beta(1, 4) has density 4 (3/4)^3 at 1/4."""
    from fitters.vae.latent_shift import LatentShift

    shift = LatentShift(torch.zeros(2, 1), latent=3, sparse=True, scale=1.0, mask_prior=(1.0, 4.0))
    with torch.no_grad():
        shift.mask_logit.fill_(np.log(3.0))
        shift.share_logit.fill_(-np.log(3.0))
    expected = 6 * np.log(3.0) / 2 - 3 * np.log(4 * 0.75**3)
    assert float(shift.mask_divergence().detach()) == pytest.approx(expected, rel=1e-5)
    flat = LatentShift(torch.zeros(2, 1), latent=3, sparse=True, scale=1.0, mask_prior=(1.0, 1.0))
    with torch.no_grad():
        flat.mask_logit.fill_(0.7)
        flat.share_logit.fill_(0.7)
    assert float(flat.mask_divergence().detach()) == pytest.approx(0.0, abs=1e-6)  # masks as their prior, a flat one


def test_the_discrepancy_of_one_condition_is_the_shared_one() -> None:
    from fitters.losses import maximum_mean_discrepancy
    from fitters.vae.disentangling import conditional_discrepancy

    torch.manual_seed(2)
    z, control = torch.randn(9, 3) + 0.5, torch.randn(12, 3)
    found = conditional_discrepancy(z, torch.zeros(9, dtype=torch.int64), control)
    assert float(found) == pytest.approx(float(maximum_mean_discrepancy(z, control)), rel=1e-5)
    assert float(conditional_discrepancy(z, torch.arange(9), control)) == 0.0  # one cell of each says nothing


def test_opposite_shifts_of_two_conditions_do_not_hide_each_other() -> None:
    from fitters.losses import maximum_mean_discrepancy
    from fitters.vae.disentangling import conditional_discrepancy

    torch.manual_seed(3)
    code = torch.arange(400) % 2
    z = torch.randn(400, 1) + 0.6 * (2.0 * code[:, None] - 1.0)
    control = torch.randn(400, 1) * z.std()
    assert float(conditional_discrepancy(z, code, control)) > 3 * abs(float(maximum_mean_discrepancy(z, control)))


def test_the_adversary_learns_and_the_encoder_unlearns() -> None:
    """The gradient on the latents is turned round, that on the adversary is not."""
    from fitters.vae.disentangling import Reversal

    weight = torch.tensor([2.0], requires_grad=True)
    z = torch.tensor([3.0], requires_grad=True)
    (weight * Reversal.apply(z)).sum().backward()
    assert weight.grad is not None and z.grad is not None
    assert float(weight.grad) == 3.0 and float(z.grad) == -2.0


def test_the_average_of_parameters_forgets_the_beginning() -> None:
    """0 for 10 steps, 1 for 90: a plain average would be 0.9."""
    module = module_of(world(cells=5).data)
    with torch.no_grad():
        for step in range(100):
            module.gene_offset.fill_(float(step >= 10))
            module.after_step(1e-3)
    module.use_average()
    assert 0.999 < float(module.gene_offset.detach().min()) <= 1.0
