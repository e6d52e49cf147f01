"""The benchmarks under examples/ are sound: their screens are there, their fitters exist and take their options."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.benchmark_spec import load_benchmark_spec
from fitters.registry import BUILT_IN, load

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.parametrize("name", ["demo.yaml", "every_model.yaml"])
def test_a_benchmark_of_the_examples_can_begin(name: str) -> None:
    spec = load_benchmark_spec(EXAMPLES / name)
    for fitter in spec.fitters:
        load(fitter.name, **fitter.options)
        for option in ("prior", "gene_graph"):
            graph = fitter.options.get(option, "none")
            assert graph in {*spec.knowledge.graphs, "co-expression", "none"}, fitter.title
        if fitter.options.get("pretraining") == "atlas":
            assert spec.knowledge.atlas is not None


def test_every_model_means_every_fitter_of_the_project() -> None:
    spec = load_benchmark_spec(EXAMPLES / "every_model.yaml")
    assert set(BUILT_IN) <= {fitter.name for fitter in spec.fitters}
