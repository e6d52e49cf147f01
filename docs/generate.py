"""Write the pages that are made from the code: docs/data.md from the schema, docs/sources.md from the constants.

Run `python docs/generate.py` after a change of either; a test compares.
"""

from __future__ import annotations

from pathlib import Path

from simcell.atlas_store import ATLAS_SCHEMA, ATTRIBUTES
from simcell.schema import schema_markdown
from simcell.sources import SOURCES

DATA = """\
# What a data set holds

A data set is a zarr folder that `xarray.open_datatree` reads; `simcell.load` reads it and checks it. Counts are chunked
by cells. Nothing under `/truth` is ever given to a fitter. Times are hours since the start of the protocol, amounts are
molecules per cell. `simcell export` writes an AnnData file with the column names of the scPerturb convention.

"""
ATLAS = """\

# What an atlas holds

Unperturbed cells of the world of a screen, from several tissues, as `simcell atlas` writes them and
`simcell.load_atlas` reads them. Fitters are given counts, genes and tissues.

"""
SOURCES_INTRO = """\
# Where the numbers come from

Every biological constant behind the default cell, guides and assay. The basis says how far an entry was checked:
*computed* from the study's own data, *read* in the text cited, *quoted* (the study is known for it, the passage was not
read again), or *assumed* (a choice; the note says why). In Python: `simcell.sources.SOURCES`.

| constant | value | unit | spread | basis | source | note |
|---|---|---|---|---|---|---|
"""


def pages() -> dict[str, str]:
    """Return the text of each page by file name."""
    rows = [
        f"| `{each.name}` | {each.value:g} | {each.unit} | "
        f"{'' if each.spread is None else f'{each.spread:g} ({each.spread_is})'} | {each.basis} | "
        f"{each.citation}{f' doi:{each.doi}' if each.doi else ''} | {each.note} |"
        for each in SOURCES.values()
    ]
    atlas = ATLAS + schema_markdown(attributes=ATTRIBUTES, groups=ATLAS_SCHEMA) + "\n"
    return {"data.md": DATA + schema_markdown() + "\n" + atlas, "sources.md": SOURCES_INTRO + "\n".join(rows) + "\n"}


if __name__ == "__main__":
    for name, text in pages().items():
        (Path(__file__).parent / name).write_text(text, encoding="utf-8")
