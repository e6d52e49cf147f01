"""Where the numbers come from: every biological constant behind the default cell, guides and assay, with its source.

Each entry says how far it was checked: `COMPUTED` from the study's own data, `READ` in the text cited, `QUOTED` (the
study is known for this figure, but the passage was not read again), or `ASSUMED` (chosen; the note says why).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas


class Basis(StrEnum):
    """How well an entry is supported."""

    COMPUTED = "computed"
    READ = "read"
    QUOTED = "quoted"
    ASSUMED = "assumed"


@dataclass(frozen=True)
class Source:
    """One constant.

    Args:
        name: its key in `SOURCES`.
        value: the constant; the median of a distribution, unless `spread_is` says otherwise.
        unit: unit of the value; "1" for fractions and ratios.
        spread: second parameter of the distribution, None for a plain constant.
        spread_is: what the second parameter is, such as "standard deviation of the natural log".
        basis: how far it was checked.
        citation: authors, journal, year; "assumed" where the value is a choice.
        doi: of the citation, or of the study that bounds a choice; empty if there is none.
        note: what was read or computed, in which cells, and what remains uncertain.
    """

    name: str
    value: float
    unit: str
    spread: float | None
    spread_is: str
    basis: Basis
    citation: str
    doi: str
    note: str


_LOG_SD = "standard deviation of the natural log"
_PROTEOME = "Schwanhäusser et al., Nature 473:337 (2011), corrected 2013"
_PROTEOME_DOI = "10.1038/nature10098"
_ITS_TABLE = "from the study's table of 5,028 genes, mouse fibroblasts (NIH3T3), as kept by a later study"

# One constant per paragraph reads as the table that it is.
# fmt: off
_ENTRIES = (
    Source(
        "mrna_mean", 17.4, "molecules per cell", 1.05, _LOG_SD,
        Basis.COMPUTED, _PROTEOME, _PROTEOME_DOI,
        f"Median and log-sd of 4,309 genes, {_ITS_TABLE}. Only genes whose protein was detected: others are lower.",
    ),
    Source(
        "mrna_half_life", 9.9, "h", 0.46, _LOG_SD,
        Basis.COMPUTED, _PROTEOME, _PROTEOME_DOI,
        f"Median and log-sd of 4,658 genes, {_ITS_TABLE}; the text gives a median of 9 h (BNID 106378). Method "
        "matters: see mrna_half_life_slam_seq; TT-seq in K562 gives about 50 min (Schwalb 2016, BNID 112681).",
    ),
    Source(
        "mrna_half_life_slam_seq", 3.7, "h", 0.51, _LOG_SD,
        Basis.COMPUTED, "Herzog et al., Nature Methods 14:1198 (2017)", "10.1038/nmeth.4435",
        "Median and log-sd over 6,665 transcript ends, mouse embryonic stem cells, from the table kept with the code "
        "of Larsson et al. 2019. The alternative to mrna_half_life; a default between the two is defensible.",
    ),
    Source(
        "transcription_rate", 1.76, "molecules per cell and hour", 0.99, _LOG_SD,
        Basis.COMPUTED, _PROTEOME, _PROTEOME_DOI,
        f"Median and log-sd of 4,338 genes, {_ITS_TABLE}. No parameter (it follows from mean and half-life): a check.",
    ),
    Source(
        "protein_half_life", 47.9, "h", 1.02, _LOG_SD,
        Basis.COMPUTED, _PROTEOME, _PROTEOME_DOI,
        f"Median and log-sd of 5,028 proteins, {_ITS_TABLE}; the text is quoted with 46 h. Not of regulators alone.",
    ),
    Source(
        "regulator_half_life", 24.0, "h", 0.5, _LOG_SD,
        Basis.ASSUMED, "assumed", _PROTEOME_DOI,
        "Regulators turn over faster than the proteome; the lower quartile of protein_half_life is 24 h. A hundred "
        "proteins of human cancer cells had 45 min to 22.5 h (Eden 2011, doi 10.1126/science.1199784, abstract read).",
    ),
    Source(
        "translation_rate", 117.0, "proteins per mRNA and hour", 1.54, _LOG_SD,
        Basis.COMPUTED, _PROTEOME, _PROTEOME_DOI,
        f"Median and log-sd of 4,247 genes, {_ITS_TABLE}; the text of 2011 is quoted with 40, before the correction.",
    ),
    Source(
        "proteins_per_mrna", 2700.0, "1", 1.79, _LOG_SD,
        Basis.COMPUTED, _PROTEOME, _PROTEOME_DOI,
        f"Ratio of the copies of 4,309 genes, {_ITS_TABLE}. Agrees with the corrected 2,800; Li et al. 2014 (doi "
        "10.7717/peerj.270, BNID 110236) hold 9,800. Only the scale of protein levels: responses do not depend on it.",
    ),
    Source(
        "doubling_time", 24.0, "h", None, "",
        Basis.ASSUMED, "assumed", "10.1371/journal.pone.0042863",
        "Round figure for K562 in log phase. A table of cell lines gives about 34 h; in protein-free medium 30 h.",
    ),
    Source(
        "burst_size", 3.2, "molecules per burst", 0.91, _LOG_SD,
        Basis.COMPUTED, "Larsson et al., Nature 565:251 (2019)", "10.1038/s41586-018-0836-1",
        "Median and log-sd of k_syn/k_off over 7,191 genes (C57 allele, mouse fibroblasts), from the authors' inferred "
        "kinetics. Observed molecules, hence a lower bound: bursts are larger by the inverse of the capture.",
    ),
    Source(
        "burst_frequency", 0.43, "bursts per allele and mean mRNA lifetime", 1.25, _LOG_SD,
        Basis.COMPUTED, "Larsson et al., Nature 565:251 (2019)", "10.1038/s41586-018-0836-1",
        "Median and log-sd of k_on over the same genes. No parameter (it follows from mean and burst size): a check.",
    ),
    Source(
        "promoter_activity", 0.3, "1", 0.25, "half-width of the range around the value",
        Basis.ASSUMED, "assumed", "",
        "No genome-wide measurement of promoter saturation is known to us; the range leaves room up and down.",
    ),
    Source(
        "regulatory_fold", 3.464, "1", 0.5493, "half-width of the range of the natural log",
        Basis.ASSUMED, "assumed", "10.1371/journal.pcbi.1013387",
        "Fold change at saturation, log-uniform on 2 to 6. Chosen so that a CRISPRi screen of "
        "2,000 simulated genes moves about as many pairs of genes as the one in K562 (3.1%, quoted from the study "
        "cited).",
    ),
    Source(
        "half_response", 1.0, "multiples of the regulator's own mean", 0.3, _LOG_SD,
        Basis.ASSUMED, "assumed", "",
        "Regulators are taken to work where their targets can still respond; far from it an edge would be invisible.",
    ),
    Source(
        "hill_coefficient", 2.0, "1", 1.0, "half-width of the range around the value",
        Basis.QUOTED, "Alon, An Introduction to Systems Biology, 2nd edition (2019)", "10.1201/9780429283321",
        "Typically 1 to 4 (read in a course page on Hill functions; the book is the usual reference). We take 1 to 3.",
    ),
    Source(
        "crispri_knockdown", 0.855, "1", None, "",
        Basis.QUOTED, "Replogle et al., Cell 185:2559 (2022)", "10.1016/j.cell.2022.05.013",
        "Median fraction of target mRNA lost, K562, dual guides. Gilbert et al. 2014 (doi 10.1016/j.cell.2014.09.029) "
        "speak of 90-99% for chosen guides (abstract read).",
    ),
    Source(
        "crispri_concentration", 10.0, "1", None, "",
        Basis.ASSUMED, "assumed", "10.7554/eLife.81856",
        "Sum of the beta parameters of guide efficacy: with the mean above, nine guides in ten reach 0.70 or more. The "
        "study cited shows the spread over guides in a figure; no number was read.",
    ),
    Source(
        "crispri_lag", 3.0, "h", None, "",
        Basis.COMPUTED, "Noviello et al. (CasTuner), Nature Communications 14 (2023)", "10.1038/s41467-023-38909-4",
        "Delay of repression by KRAB-dCas9 as fitted by the authors' script, Esrrb reporter, mouse embryonic stem "
        "cells. Counted from the release of a degron: delivery by lentivirus adds transcription and assembly, "
        "perhaps a day.",
    ),
    Source(
        "crispri_time_constant", 7.3, "h", None, "",
        Basis.COMPUTED, "Noviello et al. (CasTuner), Nature Communications 14 (2023)", "10.1038/s41467-023-38909-4",
        "Half-time of 5.07 h in which KRAB-dCas9 accumulates, over ln 2; from the parameters that its script fits.",
    ),
    Source(
        "crispra_fold", 5.0, "1", 0.8, _LOG_SD,
        Basis.ASSUMED, "assumed", "10.1016/j.cell.2014.09.029",
        "Varies widely, most with basal expression: CRISPRi and CRISPRa together span about 1000-fold (abstract read). "
        "Norman et al. 2019 (doi 10.1126/science.aax4438) screened with CRISPRa in K562; its median was not read.",
    ),
    Source(
        "knockout_null_allele", 0.8, "1", None, "",
        Basis.ASSUMED, "assumed", "",
        "Probability that an allele of a cell with an active guide ends without function: nearly all are cut in a "
        "week, two thirds of indels shift the frame by arithmetic, and in-frame indels in domains often break the "
        "protein.",
    ),
    Source(
        "nonsense_mediated_decay_remaining", 0.4, "1", None, "",
        Basis.ASSUMED, "assumed", "10.1038/s41588-019-0517-5",
        "mRNA left of an allele with a premature stop. The study cited (abstract read) says that whether decay sets in "
        "depends on where the stop lies, and that escape spoils CRISPR knock-outs; one mean stands for both.",
    ),
    Source(
        "knockout_lag", 12.0, "h", None, "",
        Basis.ASSUMED, "assumed", "",
        "Cas9 and guide must be made, cut, and the break be repaired wrongly: of the order of a day in all.",
    ),
    Source(
        "capture_efficiency", 0.1, "1", None, "",
        Basis.ASSUMED, "assumed", "10.1038/ncomms14049",
        "Droplet assays at usual depth. The vendor's answer 360001539051 (read) states 6.7-8.1% for Chromium v1 (the "
        "study cited), 14-15% for v2 and 30-32% for v3; screens are sequenced below saturation.",
    ),
    Source(
        "size_factor", 1.0, "1", 0.3, _LOG_SD,
        Basis.ASSUMED, "assumed", "10.1186/s13059-017-1305-0",
        "Spread of total counts among cells of one line, filtered. That it is lognormal follows Splatter (cited); its "
        "standard deviation is a choice for a homogeneous line.",
    ),
    Source(
        "batch_effect", 0.1, "1", None, "",
        Basis.ASSUMED, "assumed", "",
        "Standard deviation of the log efficiency per gene and batch: mild, for batches of one lab and one protocol.",
    ),
    Source(
        "tissue_regulators", 0.3, "1", None, "",
        Basis.ASSUMED, "assumed", "10.1038/nrg2538",
        "Share of the regulators that a tissue of an atlas makes more or less of than the wild type. The census of "
        "1,391 human factors cited (key points read) finds regulators of all tissues and of some, which act together.",
    ),
    Source(
        "tissue_fold", 1.0, "1", 1.0, _LOG_SD,
        Basis.ASSUMED, "assumed", "10.1016/j.celrep.2017.10.001",
        "How much more or less: a choice, of the order of e-fold. The study cited (abstract read; 38 tissues) finds "
        "factors less tissue-specific than their targets.",
    ),
)
# fmt: on

SOURCES: dict[str, Source] = {entry.name: entry for entry in _ENTRIES}


def table() -> pandas.DataFrame:
    """Return all entries, one per row, columns as the fields of `Source`."""
    import pandas as pd

    names = [field.name for field in fields(Source)]
    return pd.DataFrame([[getattr(entry, name) for name in names] for entry in _ENTRIES], columns=names)
