"""The laws of the certificate, one line each, in the order in which they are shown. To add one: a file, a line here."""

from __future__ import annotations

from verification.law import Law
from verification.laws import (
    agreement,
    autocorrelation,
    circuits,
    division,
    failures,
    identity,
    independence,
    linear,
    medium,
    noise_free,
    onset,
    oracles,
    oscillator,
    proteins,
    size_factor,
    splicing,
    stationary,
    steps,
    toggle,
    transients,
    translation,
)

LAWS: dict[str, Law] = {
    law.name: law
    for law in (
        oracles.LAW,
        independence.LAW,
        identity.LAW,
        stationary.LAW,
        transients.LAW,
        autocorrelation.LAW,
        proteins.LAW,
        splicing.LAW,
        division.LAW,
        size_factor.LAW,
        onset.LAW,
        translation.LAW,
        medium.LAW,
        steps.LAW,
        linear.LAW,
        noise_free.LAW,
        *circuits.LAWS,
        toggle.LAW,
        oscillator.LAW,
        agreement.LAW,
        *failures.LAWS,
    )
}
