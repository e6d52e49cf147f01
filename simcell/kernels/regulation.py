"""Promoter activity of one gene in many cells at once, for each regulation function, chosen by its code.

To add one: a function like the four below, its code in `ACTIVITY_CODES`, a branch in `activity`, and its reference
twin in `simcell/regulation.py`. The branch is taken once per gene and step, outside the loop over lanes.
"""

from __future__ import annotations

from simcell.kernels.elementary import exp_of
from simcell.kernels.jit import helper

THERMODYNAMIC, HILL_SUM, LOGISTIC, LINEAR = 0, 1, 2, 3
ACTIVITY_CODES = {"thermodynamic": THERMODYNAMIC, "hill_sum": HILL_SUM, "logistic": LOGISTIC, "linear": LINEAR}


@helper
def _thermodynamic(gene, circuit, power, out, scratch):
    """Set out to o/(1 + o), o = basal * prod (1 + w x)/(1 + x): Bintu et al. 2005."""
    one = circuit.basal.dtype.type(1)
    for lane in range(out.size):
        out[lane] = circuit.basal[gene]
        scratch[lane] = one
    for edge in range(circuit.pointer[gene], circuit.pointer[gene + 1]):
        strength, affinity, source = circuit.strength[edge], circuit.affinity[edge], circuit.source[edge]
        for lane in range(out.size):
            x = affinity * power[source, lane]
            out[lane] *= one + strength * x
            scratch[lane] *= one + x
    for lane in range(out.size):
        out[lane] = out[lane] / (scratch[lane] + out[lane])


@helper
def _hill_sum(gene, circuit, power, out):
    """Set out to basal + sum of k x/(1 + x) over activators (k > 0) and |k|/(1 + x) over repressors (k < 0)."""
    one = circuit.basal.dtype.type(1)
    for lane in range(out.size):
        out[lane] = circuit.basal[gene]
    for edge in range(circuit.pointer[gene], circuit.pointer[gene + 1]):
        strength, affinity, source = circuit.strength[edge], circuit.affinity[edge], circuit.source[edge]
        if strength > 0:
            for lane in range(out.size):
                x = affinity * power[source, lane]
                out[lane] += strength * (x / (one + x))
        else:
            for lane in range(out.size):
                x = affinity * power[source, lane]
                out[lane] -= strength / (one + x)


@helper
def _linear_sum(gene, circuit, level, out):
    """Set out to basal + sum strength * level."""
    for lane in range(out.size):
        out[lane] = circuit.basal[gene]
    for edge in range(circuit.pointer[gene], circuit.pointer[gene + 1]):
        strength, source = circuit.strength[edge], circuit.source[edge]
        for lane in range(out.size):
            out[lane] += strength * level[source, lane]


@helper
def activity(gene, circuit, level, power, out, scratch):
    """Set out (L,) to the promoter activity of a gene, given levels (I, L) and power = level^hill (I, L)."""
    one = circuit.basal.dtype.type(1)
    zero = circuit.basal.dtype.type(0)
    if circuit.regulation == THERMODYNAMIC:
        _thermodynamic(gene, circuit, power, out, scratch)
    elif circuit.regulation == HILL_SUM:
        _hill_sum(gene, circuit, power, out)
    elif circuit.regulation == LOGISTIC:
        _linear_sum(gene, circuit, level, out)
        for lane in range(out.size):
            out[lane] = one / (one + exp_of(-out[lane]))
    else:
        _linear_sum(gene, circuit, level, out)
        for lane in range(out.size):
            out[lane] = max(zero, out[lane])
