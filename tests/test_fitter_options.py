"""Options of fitters: the checks that all share, and that every option is described where it is taken."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fitters.errors import FitterOptionError
from fitters.loading import find_factory, options_of
from fitters.options import check_choice, check_flags, check_numbers, check_whole_numbers
from fitters.registry import BUILT_IN, NEED_OPTIONS


def holding(value: Any) -> Any:
    return SimpleNamespace(name="mine", option=value)


@pytest.mark.parametrize(
    ("check", "good", "bad", "allowed"),
    [
        (lambda fitter: check_whole_numbers(fitter, "option", at_least=2), (2, 10**9), (1, 2.0, True, "2", None),
         "a whole number >= 2"),
        (lambda fitter: check_numbers(fitter, "option", above=0), (1e-300, 1, 1e300), (0, -1.0, True, "1", None),
         "a number > 0"),
        (lambda fitter: check_numbers(fitter, "option", above=0), (), (np.nan, np.inf), "a number > 0"),
        (lambda fitter: check_numbers(fitter, "option", at_least=0, below=1), (0, 0.99), (1, -1e-9, -np.inf),
         "a number >= 0 and < 1"),
        (lambda fitter: check_numbers(fitter, "option", above=0, or_none=True), (None, 2), (0, False, "null"),
         "null or a number > 0"),
        (lambda fitter: check_choice(fitter, "option", among=("all", "some")), ("all",), ("none", None, 1, ["all"]),
         "one of all, some"),
        (lambda fitter: check_flags(fitter, "option"), (True, False), (1, 0, "true", None), "true or false"),
    ],
)  # fmt: skip
def test_what_is_allowed_passes_and_all_else_is_named(
    check: Callable[[Any], None], good: tuple[Any, ...], bad: tuple[Any, ...], allowed: str
) -> None:
    for value in good:
        check(holding(value))
    for value in bad:
        with pytest.raises(FitterOptionError) as refused:
            check(holding(value))
        assert str(refused.value) == f"fitter mine: option option: {value!r} is not {allowed}"


@pytest.mark.parametrize(
    ("check", "value", "message"),
    [
        (check_whole_numbers, 10**9 + 1, "1000000001 is not a whole number <= 1000000000"),
        (check_whole_numbers, 10**30, f"{10**30} is not a whole number <= 1000000000"),
        (check_whole_numbers, 10**5000, "10**5000 is not a whole number <= 1000000000"),
        (check_numbers, 1.1e300, "1.1e+300 is not a number of at most 1e+300 in size"),
        (check_numbers, 10**400, "10**400 is not a number of at most 1e+300 in size"),
    ],
    ids=str.split("above 10**30 10**5000 float 10**400"),  # pytest cannot write thousands of digits
)
def test_numbers_with_which_no_fit_could_work_are_refused(
    check: Callable[..., None], value: float, message: str
) -> None:
    with pytest.raises(FitterOptionError) as refused:
        check(holding(value), "option", at_least=0)
    assert str(refused.value) == f"fitter mine: option option: {message}"


@pytest.mark.parametrize("reference", (BUILT_IN | NEED_OPTIONS).values(), ids=BUILT_IN | NEED_OPTIONS)
def test_every_option_is_described(reference: str) -> None:
    factory: Any = find_factory(reference)
    described = "\n".join(inspect.getdoc(base) or "" for base in factory.__mro__)
    for option in options_of(factory) or ():
        assert re.search(rf"^    {option}: ", described, re.MULTILINE), option
