"""What the kernels that count molecules know of a cell model beside its `Circuit`: the rates of single reactions.

Reactions of a gene at promoter activity P, with s the cell's size and m, n its guides' factors of transcription and
translation: bursts of at least one transcript at rate s burst P m; or a telegraph promoter, which is drawn anew at rate
`redraw`, on with chance P, and transcribes at rate s transcription m while on. A transcript is spliced (at once if
`splicing` is 0) or lost; mRNA is translated at rate n translation; mRNA and protein are lost.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

GENE_RATES = np.dtype(
    [
        ("least", "f8"),  # activity that no levels go below
        ("most", "f8"),  # activity that no levels exceed, if it is bounded
        ("burst", "f8"),  # bursts of at least one transcript per hour at activity 1
        ("stay", "f8"),  # 1/ln x, with x = b/(1 + b) the chance of one more transcript in a burst; 0 for b = 0
        ("transcription", "f8"),  # transcripts per hour of a telegraph promoter that is on
        ("redraw", "f8"),  # of a telegraph promoter, per hour
        ("splicing", "f8"),  # per unspliced transcript and hour
        ("unspliced_loss", "f8"),  # per unspliced transcript and hour
        ("loss", "f8"),  # per mRNA and hour
        ("regulator", "i8"),  # the regulator that the gene is, or -1
    ],
    align=True,
)
REGULATOR_RATES = np.dtype(
    [
        ("translation", "f8"),  # proteins per mRNA and hour
        ("loss", "f8"),  # per protein and hour
        ("level_of_one", "f8"),  # level that one protein makes in a cell of size 1
        ("gene", "i8"),
    ],
    align=True,
)


class Chemistry(NamedTuple):
    """Rates of G genes and R regulators."""

    gene: NDArray[np.void]  # (G,) GENE_RATES
    regulator: NDArray[np.void]  # (R,) REGULATOR_RATES
    telegraph: bool  # else promoters make bursts
    bounded: bool  # whether activities have a bound; else `most` is a multiple of the wild type's
    cycle: float  # hours from one division to the next; infinite without
    stream: int  # number of the random stream of gene 0; the genes' streams follow, then those of the cell
