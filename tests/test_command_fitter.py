"""A program as a fitter: the files it is given, the answers it leaves, and every way in which that goes wrong."""

from __future__ import annotations

import os
import pickle
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_command import AWK, EXAMPLE
from helpers_dataset import make_example_tree

from fitters.base import Claim, FitterError, FitterOptionError, Query, RefusedQueryError, TrainingData, checked_fit
from fitters.registry import available, describe, load
from simcell.anndata_export import export_anndata

DATA = TrainingData.from_arrays(
    [[5, 5, 5], [4, 6, 5], [1, 9, 5], [5, 5, 6]],
    genes=("A", "B", "C"),
    perturbation=["control", "control", "A", "C"],
    batch=["x", "y", "x", "y"],
)
ASK = Query.of_labels(["A+C", "control", "A", "A+C"])
GOOD = "label,C,A,B\nA,3,1,2\ncontrol,6,4,5\nA+C,9,7,8\n"


def shell(program: str, **options: Any) -> Any:
    """Return a command fitter that runs a line of the shell."""
    given = {"claims": ["mean", "combination"], "h5ad": False, "name": "mine"} | options
    return load("command", command=["sh", "-c", program], **given)


def writes(text: str, name: str = "predictions.csv", **options: Any) -> Any:
    """Return a command fitter that leaves a text."""
    return shell(f"printf '%s' '{text}' > {{folder}}/{name}", **options)


class TestAnswers:
    """What is read back."""

    def test_rows_and_columns_come_in_any_order(self) -> None:
        fit = checked_fit(writes(GOOD), DATA, seed=0)
        np.testing.assert_array_equal(fit.predict(ASK).profile, [[7, 8, 9], [4, 5, 6], [1, 2, 3], [7, 8, 9]])

    def test_as_r_writes_it(self) -> None:
        """Quotes, an empty name of the first column, line ends of Windows, a mark of byte order."""
        text = '\\357\\273\\277"","A","B","C"\\r\\n"A",1,2,3e0\\r\\n'
        fit = checked_fit(shell(f"printf '{text}' > {{output}}"), DATA, seed=0)
        np.testing.assert_array_equal(fit.predict(Query.of_labels(["A"])).profile, [[1, 2, 3]])

    def test_awk_agrees_with_the_additive_fitter(self) -> None:
        for h5ad in (False, True):
            fit = checked_fit(load("command", **AWK | {"h5ad": h5ad}), DATA, seed=0)
            expected = checked_fit(load("additive"), DATA, seed=0).predict(ASK).profile
            np.testing.assert_allclose(fit.predict(ASK).profile, expected, atol=1e-8)

    @pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
    def test_r_agrees_with_the_additive_fitter(self) -> None:
        command = "Rscript {script} {pseudobulk} {query} {output}"
        fitter = load("command", **AWK | {"command": command, "script": str(EXAMPLE / "additive.R")})
        expected = checked_fit(load("additive"), DATA, seed=0).predict(ASK).profile
        np.testing.assert_allclose(checked_fit(fitter, DATA, seed=0).predict(ASK).profile, expected, atol=1e-8)

    def test_h5ad_both_ways(self, tmp_path: Path) -> None:
        program = tmp_path / "control.py"
        program.write_text(
            "import anndata, numpy as np\n"
            "data, query = anndata.read_h5ad('training.h5ad'), anndata.read_h5ad('query.h5ad')\n"
            "pool = np.asarray(data[data.obs['control']].X.sum(axis=0)).ravel()\n"
            "query.X = np.tile(np.log1p(1e4 * pool / pool.sum()), (query.n_obs, 1))\n"
            "query[:, ::-1].copy().write_h5ad('predictions.h5ad')\n"
        )
        fitter = load("command", command=[sys.executable, str(program)], claims=["mean", "combination"])
        np.testing.assert_allclose(checked_fit(fitter, DATA, seed=0).predict(ASK).profile, [DATA.control] * 4)

    def test_a_network(self) -> None:
        text = "score,target,regulator,standard_error\n-1.5,B,A,0.5\n2,A,A,0.1\n"
        fitter = writes(text, "network.csv", claims=["network"])
        network = checked_fit(fitter, DATA, seed=0).network()
        assert network is not None and network.identified is not None and network.standard_error is not None
        assert network.score.tolist() == [[0, -1.5, 0], [0, 0, 0], [0, 0, 0]], "a self-edge cannot be told from decay"
        assert network.standard_error[0, 1] == 0.5 and not network.identified.diagonal().any()

    def test_one_run_gives_profiles_and_network_and_is_not_repeated(self, tmp_path: Path) -> None:
        network = "regulator,target,score\\nA,B,1\\n"
        program = f"echo run >> {tmp_path}/log; printf '{network}' > {{network}}; printf '%s' '{GOOD}' > {{output}}"
        fit = checked_fit(shell(program, claims=["mean", "combination", "network"]), DATA, seed=0)
        for _ in range(2):
            fit.predict(ASK)
            assert fit.network() is not None
        pickle.loads(pickle.dumps(fit)).predict(ASK)
        assert (tmp_path / "log").read_text().count("run") == 1

    def test_the_seed_is_handed_on_and_the_words_are_not_a_format(self, tmp_path: Path) -> None:
        program = f"awk 'BEGIN {{ print {{seed}} > \"{tmp_path}/seed\" }}'; printf '%s' '{GOOD}' > {{output}}"
        checked_fit(shell(program), DATA, seed=17).predict(ASK)
        assert (tmp_path / "seed").read_text().strip() == "17"


class TestFiles:
    """What the program is given, and no more."""

    def test_csv_files(self, tmp_path: Path) -> None:
        given = self._run(tmp_path, ASK, h5ad=False)
        assert (given / "query.csv").read_text().splitlines() == [
            "label,targets,time,medium,batch",
            "A+C,A;C,,,",
            "control,,,,",
            "A,A,,,",
        ]
        assert (given / "pseudobulk.csv").read_text().splitlines()[:3] == [
            "label,targets,n_cells,A,B,C",
            "A,A,1,1,9,5",
            "C,C,1,5,5,6",
        ]

    def test_h5ad_is_named_as_the_export_of_a_screen(self, tmp_path: Path) -> None:
        import anndata

        exported = anndata.read_h5ad(export_anndata(make_example_tree(1), tmp_path / "screen.h5ad"))
        given = anndata.read_h5ad(self._run(tmp_path, ASK, h5ad=True) / "training.h5ad")
        assert set(given.obs) <= set(exported.obs) and set(given.var) <= set(exported.var)
        assert {name: kind.kind for name, kind in given.obs.dtypes.items() if name != "time"} == {
            name: kind.kind for name, kind in exported.obs.dtypes.items() if name in given.obs and name != "time"
        }
        assert (given.obs.index.name, given.var.index.name) == (exported.obs.index.name, exported.var.index.name)
        assert (given.X.toarray() == DATA.counts.toarray()).all()
        assert given.obs["control"].tolist() == [True, True, False, False]

    def test_the_folder_is_private_and_goes(self, tmp_path: Path) -> None:
        before = set(tmp_path.iterdir())
        program = (
            f"ls > {tmp_path}/files; env > {tmp_path}/env; pwd > {tmp_path}/pwd; printf '%s' '{GOOD}' > {{output}}"
        )
        os.environ["PATH_OF_THE_TRUTH"] = "/data/truth.zarr"
        try:
            checked_fit(shell(program), DATA, seed=0).predict(ASK)
        finally:
            del os.environ["PATH_OF_THE_TRUTH"]
        assert set((tmp_path / "files").read_text().split()) == {
            "pseudobulk.csv",
            "query.csv",
            "stderr.txt",
            "stdout.txt",
        }
        assert "truth" not in (tmp_path / "env").read_text()
        assert not Path((tmp_path / "pwd").read_text().strip()).exists() and len(before) == 0

    @staticmethod
    def _run(tmp_path: Path, query: Query, *, h5ad: bool) -> Path:
        fitter = writes(GOOD, h5ad=h5ad, keep_folder=str(tmp_path / "kept"))
        checked_fit(fitter, DATA, seed=0).predict(query)
        (kept,) = (tmp_path / "kept").iterdir()
        return kept


class TestFailures:
    """Each is a FitterError that names the fitter and what is wrong."""

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("label,A,B\nA,1,2\ncontrol,1,2\nA+C,1,2\n", "gene 'C' is missing"),
            ("label,A,B,C,D\nA,1,2,3,4\n", "gene 'D' was not asked for"),
            ("label,A,B,B\nA,1,2,3\n", "gene 'B' stands there twice"),
            ("label,A,B,C\nA,1,2,3\n", r"perturbation 'A\+C' is missing \(2 of 3 are\)"),
            (GOOD + "A,1,2,3\n", "perturbation 'A' stands there twice"),
            (GOOD + "B,1,2,3\n", "perturbation 'B' was not asked for"),
            (GOOD.replace("7", "NaN"), r"nan is not finite \(perturbation A\+C, gene A; 1 such values\)"),
            (GOOD.replace("7", "NA"), "nan is not finite"),
            (GOOD.replace("7", "inf"), "inf is not finite"),
            (GOOD.replace("7", "seven"), r"perturbation A\+C, gene A: 'seven' is not a number"),
            (GOOD.replace("7", ""), "nan is not finite"),
            (GOOD + "A,1\n", "row 5 has 2 fields, the header 4"),
            ("", "is empty"),
            ("rubbish", "gene 'A' is missing"),
        ],
    )
    def test_bad_predictions(self, text: str, message: str) -> None:
        with pytest.raises(FitterError, match=rf"^fitter mine: the command's predictions.csv: .*{message}"):
            checked_fit(writes(text), DATA, seed=0).predict(ASK)

    @pytest.mark.parametrize(
        ("program", "message"),
        [
            ("true", "the command left no predictions.csv"),
            ("head -c 100 /dev/urandom > predictions.h5ad", "predictions.h5ad: cannot be read"),
            (r"printf '\377\376\000' > predictions.csv", "predictions.csv: is not a csv file"),
            ("touch predictions.csv predictions.h5ad", "left both predictions.csv and predictions.h5ad"),
            ("echo one >&2; echo two >&2; exit 3", r"the command 'sh' ended with code 3: one \| two"),
            ("echo said; exit 3", "the command 'sh' ended with code 3: said"),
            ("kill -9 $$", "the command 'sh' was ended by SIGKILL"),
        ],
    )
    def test_bad_programs(self, program: str, message: str) -> None:
        with pytest.raises(FitterError, match=f"^fitter mine: .*{message}") as caught:
            checked_fit(shell(program), DATA, seed=0).predict(ASK)
        assert "\n" not in str(caught.value)

    def test_a_program_that_is_not_there(self) -> None:
        fitter = load("command", command="no-such-program {training}", h5ad=False)
        with pytest.raises(FitterError, match="'no-such-program' cannot be run: No such file or directory"):
            checked_fit(fitter, DATA, seed=0).predict(Query.of_labels(["A"]))

    def test_one_that_hangs_is_killed_with_all_that_it_started(self, tmp_path: Path) -> None:
        program = f"echo thinking >&2; (sleep 60; touch {tmp_path}/survived) & echo $! > {tmp_path}/child; wait"
        with pytest.raises(FitterError, match=r"killed after its time limit of 0\.5 s: thinking"):
            checked_fit(shell(program, time_limit=0.5), DATA, seed=0).predict(ASK)
        child = int((tmp_path / "child").read_text())
        for _ in range(100):  # an orphan is gone once its new parent has taken note of it
            state = Path(f"/proc/{child}/stat")
            if not _alive(child) or (state.exists() and state.read_text().split()[2] == "Z"):
                break
            time.sleep(0.05)
        else:
            pytest.fail("the child of the program lives on")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a,b\n", "needs one column 'regulator'"),
            ("regulator,target,score\nX,B,1\n", "line 2: regulator 'X' is not a gene"),
            ("regulator,target,score\nA,X,1\n", "line 2: target 'X' is not a gene"),
            ("regulator,target,score\nA,B,1\nA,B,2\n", "line 3: 'A' to 'B' stands there twice"),
            ("regulator,target,score\nA,B,high\n", "line 2: score: 'high' is not a number"),
            ("regulator,target,score\nA,B,inf\n", "line 2: score: 'inf' is not a finite number"),
            ("regulator,target,score,standard_error\nA,B,1,-1\n", "line 2: standard_error -1 is not >= 0"),
        ],
    )
    def test_bad_networks(self, text: str, message: str) -> None:
        with pytest.raises(FitterError, match=f"^fitter mine: the command's network.csv: {message}"):
            checked_fit(writes(text, "network.csv", claims=["network"]), DATA, seed=0).network()

    def test_a_network_that_is_claimed_must_be_there(self) -> None:
        with pytest.raises(FitterError, match=r"claims network, and the command left no network\.csv"):
            checked_fit(shell("true", claims=["network"]), DATA, seed=0).network()

    def test_what_is_not_claimed_is_refused_without_a_run(self) -> None:
        fit = load("command", command="no-such-program", h5ad=False).fit(DATA, seed=0)
        for query in (ASK, Query.of_labels(["B"]), Query.of_labels(["A"], batch="x"), Query.of_labels(["A"], time=7.0)):
            with pytest.raises(RefusedQueryError):
                fit.predict(query)


class TestOptions:
    """Options are checked when the fitter is made."""

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({}, r"option command: \(\) is not a command line"),
            ({"command": "   "}, "option command: .* is not a command line"),
            ({"command": "awk 'half"}, 'option command: "awk \'half" is not a command line'),
            ({"command": ["awk", 3]}, "option command"),
            ({"command": 3}, "option command"),
            (
                {"command": "true", "claims": ["menu"]},
                "option claims: 'menu' is not one of: arm, batch, combination",
            ),
            ({"command": "true", "claims": ["kinetics"]}, "option claims: 'kinetics' is not one of"),
            ({"command": "true", "claims": "mean"}, "option claims: 'mean' is not a list of"),
            ({"command": "true", "assumptions": ["linnear"]}, "option assumptions: 'linnear' is not one of"),
            ({"command": "true", "time_limit": 0}, "option time_limit: 0 is not a number of seconds > 0"),
            ({"command": "true", "script": "nowhere.awk"}, "option script: 'nowhere.awk' is not an existing file"),
            ({"command": "awk -f {script}"}, "option script: '' is not a file, and the command names"),
            (
                {"command": "cat {trainng}"},
                r"option command: 'trainng' is not a placeholder \(did you mean 'training'\?\)",
            ),
            ({"command": "true", "h5ad": "no"}, "option h5ad: 'no' is not true or false"),
            ({"command": "true", "name": ""}, "option name: '' is not a name"),
        ],
    )
    def test_wrong_ones_are_named(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(FitterOptionError, match=f"^fitter .*: {message}"):
            load("command", **options)

    def test_it_is_listed_and_says_what_it_is_told(self) -> None:
        entry = available()["command"]
        assert entry == describe("command") and entry.family == "user" and not entry.problem
        assert load("command", command="true", claims=["network"]).claims == {Claim.NETWORK}


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
