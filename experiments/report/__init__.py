"""The report of a benchmark: its folder in, one self-contained page (and the leaderboard as a picture) out."""

from experiments.report.page import write_report
from experiments.report.summary import leaderboard_text

__all__ = ["leaderboard_text", "write_report"]
