"""One vector per gene, from a principal component analysis, at random, or from a file or mapping of the user's.

In: gene names and what to embed them by. Out: `Embedding`, in which a gene that is absent is the zero vector.
"""

from __future__ import annotations

import csv
import hashlib
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


class EmbeddingError(ValueError):
    """An embedding that cannot be read; the message completes the sentence "<value> is not ..."."""


@dataclass(frozen=True, eq=False)
class Embedding:
    """Vectors of n genes in K dimensions.

    Args:
        genes: n unique gene names.
        vectors: (n, K) float64, finite.

    Raises:
        EmbeddingError: shapes that disagree, duplicated genes, no genes, values that are not finite.
    """

    genes: tuple[str, ...]
    vectors: NDArray[np.float64]

    def __post_init__(self) -> None:
        if not self.genes or self.vectors.ndim != 2 or self.vectors.shape[1] == 0:
            raise EmbeddingError("an embedding: it has no gene or no dimension")
        if len(self.vectors) != len(self.genes):
            raise EmbeddingError(f"an embedding: {len(self.genes)} genes have {len(self.vectors)} vectors")
        if len(self._row) < len(self.genes):
            raise EmbeddingError("an embedding: a gene stands there twice")
        if not np.isfinite(self.vectors).all():
            raise EmbeddingError("an embedding: it has values that are not finite")

    @property
    def dimension(self) -> int:
        """Number of dimensions, K."""
        return int(self.vectors.shape[1])

    def __contains__(self, gene: object) -> bool:
        return gene in self._row

    def rows(self, genes: Iterable[str]) -> NDArray[np.float64]:
        """Return the (n, K) vectors of genes in the order asked, zero for those absent."""
        names = list(genes)
        rows = np.zeros((len(names), self.dimension))
        for position, name in enumerate(names):
            if name in self._row:
                rows[position] = self.vectors[self._row[name]]
        return rows

    @cached_property
    def _row(self) -> dict[str, int]:
        return {gene: row for row, gene in enumerate(self.genes)}


def principal_components(matrix: NDArray[np.float64], *, components: int) -> NDArray[np.float64]:
    """Return the scores of the rows of a matrix on its first principal components.

    Args:
        matrix: (n, m), observations in rows; columns are centred, not scaled.
        components: K, at most min(n, m).

    Returns:
        (n, K) scores U S of the singular value decomposition. Each column's sign is arbitrary.
    """
    u, s, _ = np.linalg.svd(matrix - matrix.mean(axis=0), full_matrices=False)
    scores: NDArray[np.float64] = u[:, :components] * s[:components]
    return scores


def random_embedding(genes: tuple[str, ...], *, components: int, seed: int, stream: str) -> Embedding:
    """Return standard normal vectors, each keyed by seed, stream and the gene's name: gene order is of no account."""

    def vector(gene: str) -> NDArray[np.float64]:
        digest = hashlib.blake2b(f"{stream}\0{gene}".encode(), digest_size=16).digest()
        return np.random.default_rng([seed, int.from_bytes(digest, "little")]).standard_normal(components)

    return Embedding(genes, np.stack([vector(gene) for gene in genes]))


def read_embedding(source: str | Path | Mapping[str, ArrayLike]) -> Embedding:
    """Return a user's embedding.

    Args:
        source: a mapping from gene to vector; or the path of a ``.csv`` or ``.tsv`` with a header and one row per gene,
            its name first; or of a ``.npz`` with the arrays ``genes`` (n,) and ``vectors`` (n, K).

    Raises:
        EmbeddingError: no such file, another kind of file, rows of unequal length, values that are not numbers.
    """
    if isinstance(source, Mapping):
        return _embedding(list(source), list(source.values()))
    path = Path(source) if isinstance(source, (str, Path)) else None
    if path is None or path.suffix not in (".csv", ".tsv", ".npz"):
        raise EmbeddingError("'training', 'random', a mapping from gene to vector, or the path of a .csv, .tsv or .npz")
    if not path.is_file():
        raise EmbeddingError("an existing file")
    if path.suffix == ".npz":
        return _read_npz(path)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file, delimiter="," if path.suffix == ".csv" else "\t") if row]
    except (UnicodeDecodeError, csv.Error):
        raise EmbeddingError("a table of text") from None
    return _embedding([row[0] for row in rows[1:]], [row[1:] for row in rows[1:]])


def _read_npz(path: Path) -> Embedding:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return _embedding(arrays["genes"].tolist(), arrays["vectors"])
    except EmbeddingError:
        raise
    except (KeyError, ValueError, OSError, zipfile.BadZipFile):
        raise EmbeddingError("an .npz with the arrays 'genes' and 'vectors'") from None


def _embedding(genes: list[Any], vectors: Any) -> Embedding:
    try:
        table = np.array(vectors, dtype=np.float64)
    except (TypeError, ValueError):
        raise EmbeddingError("an embedding: its vectors are not numbers, or differ in length") from None
    return Embedding(tuple(str(gene) for gene in genes), table)
