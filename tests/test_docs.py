"""The pages under docs/ that are made from the code are those of this code, and links in the README lead somewhere."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent


def _pages() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("generate_docs", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pages()


@pytest.mark.parametrize("name", ["data.md", "sources.md"])
def test_generated_pages_are_up_to_date(name: str) -> None:
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == _pages()[name], "run python docs/generate.py"


@pytest.mark.parametrize("page", ["README.md", "docs/model.md"])
def test_links_lead_to_files_that_are_there(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text(encoding="utf-8"))
    assert links
    for link in links:
        if "://" not in link:
            assert (ROOT / page).parent.joinpath(link).exists(), link


def test_the_fitter_of_the_readme_fits_and_predicts(tmp_path: Path) -> None:
    from fitters import registry
    from fitters.base import Query, TrainingData, checked_fit

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    code = next(block for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "def fit" in block)
    (tmp_path / "my_fitter.py").write_text(code)
    fitter = registry.load(f"{tmp_path / 'my_fitter.py'}:MyFitter")
    data = TrainingData.from_arrays(
        [[5, 5, 5], [4, 6, 5], [1, 9, 5], [5, 5, 6]],
        genes=("A", "B", "C"),
        perturbation=["control", "control", "A", "C"],
    )
    fit = checked_fit(fitter, data, seed=0)
    prediction = fit.predict(Query.of_labels(["B"]))
    assert prediction.profile.shape == (1, 3)
    assert (prediction.profile[0] == data.pseudobulk.row("A")).all()


def test_the_benchmark_of_the_readme_is_possible_on_its_screen(tmp_path: Path) -> None:
    from experiments.benchmark_spec import parse_benchmark_spec
    from fitters.registry import BUILT_IN, load
    from simcell.screen import build_screen

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    screen, _, benchmark, losses, knowledge, command = re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)
    (tmp_path / "screen.yaml").write_text(screen)
    (tmp_path / "my_fitter.py").write_text("class MyFitter: ...")
    (tmp_path / "mine.R").write_text("# a program")
    whole = yaml.safe_load(benchmark)
    told = yaml.safe_load(knowledge)
    whole["fitters"] += yaml.safe_load(losses) + told["fitters"] + yaml.safe_load(command)
    whole["knowledge"] = told["knowledge"]
    spec = parse_benchmark_spec(whole, folder=tmp_path)
    for fitter in spec.fitters:  # their options are possible too
        if fitter.name in BUILT_IN:
            load(fitter.name, **fitter.options)
    assert spec.fitters[-1].title == "mine"
    labels = build_screen(spec.screens[0]).library.perturbations
    for split in spec.splits:
        assert split.split(labels, seed=1).test
    example = yaml.safe_load((ROOT / "examples" / "screen.yaml").read_text(encoding="utf-8"))
    assert build_screen(example).library.perturbations == labels
