"""Edge lists: what is read, what is drawn, what is refused and in which words."""

from __future__ import annotations

import codecs
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcell.edge_lists import EdgeListError, read_edge_list, write_edge_list
from simcell.generators import grouped_scale_free
from simcell.network import Network, gene_name_rule

HEADER = "regulator,target,sign\n"
# Letters beside all that a delimited file might trip over.
GENE = st.text("aBç9β _-.,'\"|/\\?#*=", min_size=1, max_size=6).filter(lambda name: gene_name_rule(name) is None)


def write(folder: Path, content: str | bytes, name: str = "edges.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def edges(net: Network) -> dict[tuple[str, str], int]:
    return {(row.regulator, row.target): int(row.sign) for row in net.to_frame().itertuples()}


def test_signs_self_loops_and_cycles(tmp_path: Path) -> None:
    net = read_edge_list(write(tmp_path, HEADER + "b,a,-\na,b,+\na,a,-\n"))
    assert net.genes == ("a", "b")
    assert edges(net) == {("a", "b"): 1, ("b", "a"): -1, ("a", "a"): -1}
    assert net.notes == ()


def test_layout_is_forgiving(tmp_path: Path) -> None:
    plain = read_edge_list(write(tmp_path, HEADER + "a,b,+\nb,c,-\n"))
    for name, content in {
        "tabs.tsv": "regulator\ttarget\tsign\na\tb\t+\nb\tc\t-\n",
        "order.csv": "sign,Target,REGULATOR\n+,b,a\n-,c,b\n",
        "spaces.csv": " regulator , target , sign \n a , b , + \n\n  \nb,c ,-",
        "comments.csv": "# made by hand\n\n" + HEADER + "# first\na,b,+\nb,c,-\n",
        "windows.csv": (HEADER + "a,b,+\nb,c,-\n").replace("\n", "\r\n"),
        "quotes.csv": HEADER + '"a","b","+"\nb,c,-\n',
    }.items():
        net = read_edge_list(write(tmp_path, content, name))
        assert (net.genes, edges(net), net.notes) == (plain.genes, edges(plain), ())
    marked = read_edge_list(write(tmp_path, codecs.BOM_UTF8 + (HEADER + "a,b,+\nb,c,-\n").encode(), "mark.csv"))
    assert edges(marked) == edges(plain)


def test_further_columns_are_noted(tmp_path: Path) -> None:
    net = read_edge_list(write(tmp_path, "regulator,evidence,target,sign\na,strong,b,+\n"))
    assert net.notes == ("columns ignored: evidence",)


def test_open_signs_are_drawn_by_seed_and_noted(tmp_path: Path) -> None:
    rows = [f"a,t{i:03d},+-\n" for i in range(60)] + [f"b,t{i:03d},?\n" for i in range(40)] + ["a,b,+\n"]
    path = write(tmp_path, HEADER + "".join(rows))
    net = read_edge_list(path, seed=5)
    assert net.notes == (
        "60 edges of sign '+-' drawn at random by seed 5",
        "40 edges of sign '?' drawn at random by seed 5",
    )
    assert 20 < np.sum(net.sign == 1) < 80
    assert edges(net)["a", "b"] == 1
    assert edges(net) == edges(read_edge_list(path, seed=5))
    assert edges(net) != edges(read_edge_list(path, seed=6))
    reversed_rows = write(tmp_path, HEADER + "".join(rows[::-1]), "reversed.csv")
    assert edges(net) == edges(read_edge_list(reversed_rows, seed=5))


def test_repeated_rows_are_merged(tmp_path: Path) -> None:
    net = read_edge_list(write(tmp_path, HEADER + "a,b,+\na,b,+\nb,c,?\nb,c,-\nc,a,+\nc,a,-\n"))
    assert edges(net)["a", "b"] == 1
    assert edges(net)["b", "c"] == -1
    assert net.notes == (
        "3 repeated rows merged",
        "1 edges given both as '+' and '-' taken as '+-'",
        "1 edges of sign '+-' drawn at random by seed 0",
    )


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("", r"edges\.csv: is empty; its first line should be regulator,target,sign"),
        ("# only a comment\n\n", "is empty"),
        (HEADER, "has a header but no edge"),
        (
            "regulator,target\na,b\n",
            r"line 1: column 'sign' is missing; the header has \['regulator', 'target'\]",
        ),
        ("regulators,target,sign\na,b,+\n", r"column 'regulator' is missing.*did you mean 'regulators'\?"),
        ("regulator,target,sign,sign\na,b,+,+\n", "column 'sign' is given 2 times"),
        (HEADER + "a,b,+\na,c,x\n", r"edges\.csv line 3: sign: 'x' is not one of '\+', '-', '\+-', '\?'"),
        (HEADER + "a,b,1\n", "line 2: sign: '1' is not one of"),
        (HEADER + "a,b,\n", "line 2: sign: '' is not one of"),
        (HEADER + "\n# note\na,,+\n", "line 4: target: '' is not a gene name"),
        (HEADER + "a+b,c,+\n", r"line 2: regulator: 'a\+b' is not a gene name without"),
        (HEADER + "a,control,+\n", "line 2: target: 'control' is not a gene name"),
        (HEADER + "a,b\n", "line 2: 2 fields is not 3"),
        (HEADER + "a,b,+,strong\n", "line 2: 4 fields is not 3"),
        (HEADER + '"a,b,+\n', "line 2: is not a row of fields"),
        ((HEADER + "a,b,+\nd,").encode() + b"\xe9,+\n", "line 3: byte 0xe9 is not UTF-8 text"),
        (HEADER.encode("utf-16"), "line 1: byte 0xff is not UTF-8 text"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, content: str | bytes, match: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(EdgeListError, match=match) as caught:
        read_edge_list(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(EdgeListError, match=r"absent\.csv: cannot be read: No such file"):
        read_edge_list(tmp_path / "absent.csv")
    with pytest.raises(EdgeListError, match="cannot be read"):
        read_edge_list(tmp_path)
    with pytest.raises(EdgeListError, match="cannot be written"):
        write_edge_list(grouped_scale_free(5, groups=1), tmp_path / "nowhere" / "edges.csv")


@settings(deadline=None)
@given(st.dictionaries(st.tuples(GENE, GENE), st.sampled_from([1, -1]), min_size=1, max_size=12))
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, suffix: str, signs: dict[tuple[str, str], int]) -> None:
    genes = sorted({gene for pair in signs for gene in pair})
    net = Network(
        tuple(genes),
        np.array([genes.index(r) for r, _ in signs]),
        np.array([genes.index(t) for _, t in signs]),
        np.array(list(signs.values())),
    )
    path = tmp_path_factory.mktemp("edges") / f"edges{suffix}"
    write_edge_list(net, path)
    again = read_edge_list(path)
    assert again.genes == net.genes
    for name in ("regulator", "target", "sign"):
        np.testing.assert_array_equal(getattr(again, name), getattr(net, name))
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_genes_without_an_edge_are_named_in_comments(tmp_path: Path) -> None:
    path = tmp_path / "edges.csv"
    write_edge_list(Network(("a", "b", "lone"), [0], [1], [1]), path)
    assert path.read_text() == "# gene without an edge: lone\nregulator,target,sign\na,b,+\n"
    assert read_edge_list(path).genes == ("a", "b")
