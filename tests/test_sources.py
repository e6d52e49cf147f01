"""Sources: every constant has a unit and either a citation that can be followed or a reason."""

from __future__ import annotations

import math
import re

import pytest

from simcell.sources import _ENTRIES, SOURCES, Basis, Source, table


@pytest.mark.parametrize("source", _ENTRIES, ids=lambda source: source.name)
def test_every_constant_is_accounted_for(source: Source) -> None:
    assert source.value > 0 and math.isfinite(source.value)
    assert source.unit
    assert (source.spread is None) == (source.spread_is == "")
    assert source.spread is None or source.spread > 0
    assert len(source.note) > 40
    assert source.doi == "" or re.fullmatch(r"10\.\d{4,9}/\S+", source.doi)
    if source.basis is Basis.ASSUMED:
        assert source.citation == "assumed"
    else:
        assert re.search(r"\((19|20)\d\d\)", source.citation) and source.doi


def test_names_are_unique_and_fractions_are_fractions() -> None:
    assert len(SOURCES) == len(_ENTRIES)
    fractions = ("crispri_knockdown", "knockout_null_allele", "nonsense_mediated_decay_remaining", "capture_efficiency")
    assert all(0 < SOURCES[name].value < 1 for name in fractions)


def test_rates_agree_with_each_other() -> None:
    """mean = rate * half-life / ln 2, within the factor of two that medians of different genes allow."""
    made = SOURCES["transcription_rate"].value * SOURCES["mrna_half_life"].value / math.log(2)
    assert 0.5 < made / SOURCES["mrna_mean"].value < 2
    kept = 1 / (1 / SOURCES["protein_half_life"].value + 1 / 27.5)  # with dilution of NIH3T3, hours
    assert 0.5 < SOURCES["translation_rate"].value * kept / math.log(2) / SOURCES["proteins_per_mrna"].value < 2


def test_table_has_a_row_per_constant() -> None:
    frame = table()
    assert frame["name"].tolist() == list(SOURCES)
    assert {"value", "unit", "citation", "doi", "basis", "note"} <= set(frame.columns)
