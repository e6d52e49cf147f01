"""Fitters: models of the world, trained on what a screen measured. They see counts and labels, and no truth.

To write or run one: ``from fitters.base import Claim, Prediction, Query, TrainingData, checked_fit``.
To find one: ``from fitters.registry import available, load``. Importing this package imports nothing else.
"""
