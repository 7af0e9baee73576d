"""Which patients train and which are kept out: by name, by site (external) or as one of k folds. Never by slice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Split:
    """Patients kept out of training. The three ways add up.

    hold_out: patients by name. external_sites: every patient of these sites. folds, fold: fold number `fold`
    (0 to folds - 1) of `folds` of the patients that remain; folds = 0 for none. seed: shuffles the folds.
    """

    hold_out: tuple[str, ...] = ()
    external_sites: tuple[str, ...] = ()
    folds: int = 0
    fold: int = 0
    seed: int = 1

    def __post_init__(self) -> None:
        if self.folds and not 0 <= self.fold < self.folds:
            raise ValueError(f"fold {self.fold} of {self.folds} does not exist; folds count from 0")


def fold_of(patients: Iterable[str], *, folds: int, seed: int) -> dict[str, int]:
    """Fold of each patient: shuffled once, sizes differ by at most one, the same for any order of the input."""
    names = sorted(set(patients))
    if folds > len(names):
        raise ValueError(f"{folds} folds of {len(names)} patients: at least one patient a fold is needed")
    order = np.random.default_rng(seed).permutation(len(names))
    return {names[which]: place % folds for place, which in enumerate(order)}


def held_out(site_of_patient: dict[str, str], split: Split) -> frozenset[str]:
    """Patients kept out of training. A name in `hold_out` that no patient has is a ValueError."""
    if unknown := sorted(set(split.hold_out) - site_of_patient.keys()):
        raise ValueError(f"hold_out names {', '.join(unknown)}; patients are {', '.join(sorted(site_of_patient))}")
    if unknown := sorted(set(split.external_sites) - set(site_of_patient.values())):
        raise ValueError(
            f"external_sites names {', '.join(unknown)}; sites are {', '.join(sorted(set(site_of_patient.values())))}"
        )
    out = set(split.hold_out) | {name for name, site in site_of_patient.items() if site in split.external_sites}
    if split.folds:
        fold = fold_of(site_of_patient.keys() - out, folds=split.folds, seed=split.seed)
        out |= {name for name, number in fold.items() if number == split.fold}
    return frozenset(out)


def by_name(patients: Iterable[str]) -> Split:
    """A split that keeps out exactly these patients.

    Folds number the patients they are given, and a run with more inputs knows more patients: who scores a fold names
    its patients to the training, so that both mean the same ones.
    """
    return Split(hold_out=tuple(sorted(patients)))


def patients_seen(training: Mapping[str, Any]) -> set[str]:
    """Patients whose real slices a network or the runs it started from have learnt from; `training` of its card."""
    own = {name for table in training.get("real_inputs", []) for name in table["patients"]}
    return own | set(training.get("real_patients_seen", []))


def drawings_seen(training: Mapping[str, Any]) -> set[str]:
    """Patients whose drawings have taught a network, directly or by way of others; `training` of its card.

    Cards from before the list stood in them: all patients that it has seen.
    """
    listed = training.get("drawn_patients_seen")
    return patients_seen(training) if listed is None else set(listed)


def refuse_seen(training: Mapping[str, Any], patients: Iterable[str]) -> None:
    """ValueError where drawings of one of these patients have taught a network."""
    if seen := sorted(drawings_seen(training) & set(patients)):
        raise ValueError(f"drawings of {', '.join(seen)} have taught the network: these patients cannot judge it")
