"""Networks as text: CSV or TSV files of edges, with a header regulator,target,sign, to and from a `Network`.

Signs are + (activates), - (represses), +- (both reported) and ? (unknown); the last two are drawn by seed, which the
network's notes report.
"""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from simcell.errors import SimcellError, nearest
from simcell.network import ACTIVATES, REPRESSES, Network, gene_name_rule
from simcell.random import Purpose, stream

COLUMNS = ("regulator", "target", "sign")
SIGNS = ("+", "-", "+-", "?")
_ALLOWED_SIGNS = ", ".join(repr(sign) for sign in SIGNS)


class EdgeListError(SimcellError):
    """An edge list that cannot be read: one line naming file, line, field, value and what is allowed."""


class _Row(NamedTuple):
    regulator: str
    target: str
    sign: str


def read_edge_list(path: str | os.PathLike[str], *, seed: int = 0) -> Network:
    """Read a network from a CSV or TSV file.

    The first line that is neither blank nor a comment (#) is the header; a tab in it makes the file TSV. Columns may
    stand in any order; further ones are ignored. Rows that repeat an edge are merged: + and - together count as +-, and
    ? yields to any other sign. Genes are sorted by name, so the order of rows changes nothing, not even drawn signs.

    Args:
        path: a UTF-8 file, with or without a byte-order mark.
        seed: root seed of the signs drawn for +- and ? (evenly + or -); the stream is `Purpose.NETWORK`.

    Returns:
        The network; its notes say how many signs were drawn, rows merged and which columns were ignored.

    Raises:
        EdgeListError: for a file that is missing, empty, not UTF-8, without one of the columns, or with a bad row.
    """
    path = Path(path)
    rows, notes = _parse_rows(path, _read_text(path))
    signs: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        signs.setdefault((row.regulator, row.target), set()).add(row.sign)
    if merged := len(rows) - len(signs):
        notes.append(f"{merged} repeated rows merged")
    contradictory = sum({"+", "-"} <= found for found in signs.values())
    if contradictory:
        notes.append(f"{contradictory} edges given both as '+' and '-' taken as '+-'")

    genes = sorted({gene for pair in signs for gene in pair})
    index = {gene: i for i, gene in enumerate(genes)}
    pairs = sorted(signs)
    merged_signs = [_merge(signs[pair]) for pair in pairs]
    fixed = {"+": ACTIVATES, "-": REPRESSES}
    unresolved = [i for i, sign in enumerate(merged_signs) if sign not in fixed]
    drawn = np.where(stream(seed, Purpose.NETWORK).random(len(unresolved)) < 0.5, ACTIVATES, REPRESSES)
    sign = np.array([fixed.get(s, 0) for s in merged_signs], dtype=np.int8)
    sign[unresolved] = drawn
    for kind in ("+-", "?"):
        if n := merged_signs.count(kind):
            notes.append(f"{n} edges of sign '{kind}' drawn at random by seed {seed}")
    return Network(
        genes=tuple(genes),
        regulator=np.array([index[regulator] for regulator, _ in pairs], dtype=np.int32),
        target=np.array([index[target] for _, target in pairs], dtype=np.int32),
        sign=sign,
        notes=tuple(notes),
    )


def write_edge_list(network: Network, path: str | os.PathLike[str]) -> None:
    """Write the edges of a network, sorted by (target, regulator): TSV if the name ends in .tsv, else CSV.

    An edge list holds genes by their edges. Those without any are named in comments, and `read_edge_list` will not
    bring them back; nor groups. The file appears whole or not at all, and replaces an older one.
    """
    path = Path(path)
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", lineterminator="\n")
    for gene in np.flatnonzero(network.in_degree() + network.out_degree() == 0):
        text.write(f"# gene without an edge: {network.genes[gene]}\n")
    writer.writerow(COLUMNS)
    for r, t, s in zip(network.regulator, network.target, network.sign, strict=True):
        writer.writerow((network.genes[r], network.genes[t], "+" if s == ACTIVATES else "-"))
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text.getvalue(), encoding="utf-8", newline="")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise EdgeListError(f"{path}: cannot be written: {error.strerror}") from None


def _read_text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise EdgeListError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise EdgeListError(f"{path} line {line}: byte 0x{raw[error.start]:02x} is not UTF-8 text") from None


def _parse_rows(path: Path, text: str) -> tuple[list[_Row], list[str]]:
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        raise EdgeListError(f"{path}: is empty; its first line should be {','.join(COLUMNS)}")
    number, header = lines[0]
    delimiter = "\t" if "\t" in header else ","
    columns = [name.lower() for name in _split(path, number, header, delimiter)]
    position = {name: _find(path, number, columns, name) for name in COLUMNS}
    rows = []
    for number, line in lines[1:]:
        fields = _split(path, number, line, delimiter)
        if len(fields) != len(columns):
            raise EdgeListError(f"{path} line {number}: {len(fields)} fields is not {len(columns)}, as in the header")
        row = _Row(*(fields[position[name]] for name in COLUMNS))
        for name in ("regulator", "target"):
            gene = getattr(row, name)
            if rule := gene_name_rule(gene):
                raise EdgeListError(f"{path} line {number}: {name}: {gene!r} is not {rule}")
        if row.sign not in SIGNS:
            raise EdgeListError(f"{path} line {number}: sign: {row.sign!r} is not one of {_ALLOWED_SIGNS}")
        rows.append(row)
    if not rows:
        raise EdgeListError(f"{path}: has a header but no edge; at least one gene must regulate another or itself")
    ignored = [name for name in columns if name not in COLUMNS]
    return rows, [f"columns ignored: {', '.join(ignored)}"] if ignored else []


def _split(path: Path, number: int, line: str, delimiter: str) -> list[str]:
    try:
        return [field.strip() for field in next(csv.reader([line], delimiter=delimiter, strict=True))]
    except csv.Error as error:
        raise EdgeListError(f"{path} line {number}: is not a row of fields: {error}") from None


def _find(path: Path, number: int, columns: list[str], name: str) -> int:
    count = columns.count(name)
    if count > 1:
        raise EdgeListError(f"{path} line {number}: column {name!r} is given {count} times, not once")
    if count == 0:
        hint = nearest(name, columns)
        raise EdgeListError(f"{path} line {number}: column {name!r} is missing; the header has {columns}{hint}")
    return columns.index(name)


def _merge(found: set[str]) -> str:
    known = found - {"?"}
    if not known:
        return "?"
    return known.pop() if len(known) == 1 else "+-"
