"""The command line: quick to start, helpful, and never a traceback for what the user can mend."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import cli
from experiments.commands import screens
from simcell._version import __version__
from simcell.errors import SimcellError

COMMANDS = ("simulate", "info", "export", "replay", "benchmark", "schema", "fitters")


def run(*arguments: str) -> int:
    """Run the command line in this process; argparse leaves by SystemExit."""
    try:
        return cli.main(arguments)
    except SystemExit as leaving:
        return int(leaving.code or 0)


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [["--help"], *([command, "--help"] for command in COMMANDS), []])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    done = python(f"""
import sys
from experiments import cli
try:
    code = cli.main({arguments!r})
except SystemExit as leaving:
    code = leaving.code
heavy = set(sys.modules) & {{"numpy", "numba", "scipy", "torch", "xarray", "zarr", "pydantic", "yaml", "simcell"}}
assert not heavy, heavy
raise SystemExit(code)
""")
    assert done.returncode == (0 if arguments else 2), done.stderr
    assert "usage: simcell" in done.stdout + done.stderr


def test_help_shows_every_command_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    text = capsys.readouterr().out
    assert "examples:" in text
    assert all(command in text for command in COMMANDS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"simcell {__version__}\n"


def test_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    for kind, key in (("screen", "network"), ("benchmark", "splits")):
        assert run("schema", kind) == 0
        assert key in json.loads(capsys.readouterr().out)["properties"]


def test_fitters_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fitters") == 0
    text = capsys.readouterr().out
    assert all(name in text for name in ("no-change", "mean", "additive", "bilinear"))
    blocks = {block.splitlines()[0]: block for block in text.split("\n\n")}
    assert list(blocks)[:2] == ["baseline", "linear"]
    assert "  random-network " in blocks["baseline"] and "  ridge-network " in blocks["linear"]
    assert "claims: network\n" in blocks["baseline"] and "source: Stuart, " in blocks["baseline"]


def test_a_fitter_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fitters", "node", "command") == 0
    text = capsys.readouterr().out
    assert text.startswith("node (semi-mechanistic)") and "\n\ncommand (user)" in text
    assert "steady_state_controls" in text and "    cells_per_pool: 32\n" in text and "    losses: {}\n" in text
    assert "Assumes: " in text and "patience: epochs without a lower error" in text
    assert "Terms of its loss: response 1, " in text
    assert run("fitters", "nod") == 2
    assert "no such fitter (did you mean 'node'?)" in capsys.readouterr().err


def test_a_fitter_without_its_package_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fitters.registry.find_spec", lambda name: None)
    assert run("fitters") == 0
    text = capsys.readouterr().out
    assert "cannot be fitted: gies is not installed: pip install 'simcell[causal]'" in text
    assert "cannot be fitted: torch is not installed: pip install 'simcell[fit]'" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["simulat"], "invalid choice: 'simulat'"),
        (["simulate"], "the following arguments are required: SPEC, -o/--output"),
        (["simulate", "a.yaml", "-o", "b.zarr", "--seed", "-1"], "argument --seed: -1 is not >= 0"),
        (["simulate", "a.yaml", "-o", "b.zarr", "--threads", "x"], "argument --threads: 'x' is not a whole number"),
        (["schema", "film"], "invalid choice: 'film'"),
    ],
)
def test_wrong_arguments_exit_2(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert run(*arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "more", "lines"),
    [
        ("network: {kind: cascade}", [], ["name: required, but missing"]),
        ("name: x\nnetwork: {kind: cascade, length: 0}\nseed: -1", [],
         ["seed: -1 is not >= 0", "network.length: 0 is not >= 2"]),
        ("name: x\nnetwork: {kind: cascade}", ["--set", "assay.batch=2"],
         ["assay.batch: 'batch' is not a known key (did you mean 'batches'?); allowed: batches, cells_per_batch, "
          "capture, size_factor_sigma, batch_sigma"]),
        ("name: x\nnetwork: {kind: cascade}", ["--engine", "sssa"],
         ["engine.name: 'sssa' is not one of langevin, ode, ssa, tau (did you mean 'ssa'?)"]),
        ("name: x\nnetwork: {kind: cascade}\ncell: {promoter: telegraph}", ["--engine", "langevin"],
         ["engine: 'langevin' is not able to simulate telegraph promoters; ssa and tau are"]),
        ("name: x\nnetwork: {kind: cascade}\ncell: {division: true}", ["--engine", "langevin"],
         ["engine: 'langevin' is not able to divide cells; ssa and tau are"]),
    ],
)  # fmt: skip
def test_faults_of_a_spec_are_one_line_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, more: list[str], lines: list[str]
) -> None:
    (tmp_path / "screen.yaml").write_text(text)
    assert run("simulate", str(tmp_path / "screen.yaml"), "-o", str(tmp_path / "out.zarr"), *more) == 2
    assert capsys.readouterr().err.splitlines() == [f"simcell: error: {line}" for line in lines]
    assert os.listdir(tmp_path) == ["screen.yaml"]  # nothing was written


def test_a_missing_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["simulate", "none.yaml", "-o", "x.zarr"], ["info", "none.zarr"], ["replay", "none.zarr"]):
        command[1] = str(tmp_path / command[1])
        assert run(*command) == 2
        message = capsys.readouterr().err
        assert message.startswith("simcell: error: ") and message.count("\n") == 1 and command[1] in message


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (SimcellError("a\nb"), 2, "simcell: error: a b\n"),
        (
            OSError(errno.ENOSPC, "No space left on device", "x.zarr"),
            2,
            "simcell: error: x.zarr: No space left on device\n",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "x"), 2, "simcell: error: x: Permission denied\n"),
        (MemoryError(), 2, "simcell: error: not enough memory"),
        (KeyboardInterrupt(), 130, "simcell: interrupted\n"),
    ],
)
def test_what_goes_wrong_outside_has_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, message: str
) -> None:
    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr(screens, "info", fail)
    assert run("info", "x.zarr") == code
    assert capsys.readouterr().err.startswith(message)


def test_a_fault_of_the_program_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> int:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(screens, "info", fail)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        run("info", "x.zarr")


def test_a_reader_that_leaves_early_is_no_error() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "experiments.cli", "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_a_screen_goes_from_spec_to_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "screen.yaml").write_text("""
name: tiny
network: {kind: cascade, length: 4}
library: {targets: [G1, G2], combinations: [{order: 2}]}
protocol: [{step: transduce}, {step: culture, hours: 12}, {step: harvest}]
assay: {cells_per_batch: 50}
truth: {cells_per_perturbation: 4}
""")
    data, table = str(tmp_path / "tiny.zarr"), str(tmp_path / "tiny.h5ad")
    simulate = ["simulate", str(tmp_path / "screen.yaml"), "-o", data, "--set", "assay.batches=3", "--threads", "2"]
    assert run(*simulate) == 0
    assert run("info", data) == 0
    assert "3: batch0" in capsys.readouterr().out
    assert run("replay", data, "--threads", "1") == 0
    assert "counts: identical" in capsys.readouterr().out
    assert run("export", data, table) == 0
    for arguments in (simulate, ["export", data, table]):
        capsys.readouterr()
        assert run(*arguments) == 2
        assert "use --force" in capsys.readouterr().err
        assert run(*arguments, "--force") == 0
    assert sorted(os.listdir(tmp_path)) == ["screen.yaml", "tiny.h5ad", "tiny.zarr"]
