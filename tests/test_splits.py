"""Patients kept out of training: by name, by site and by fold, never one on both sides."""

import pytest

from training.splits import Split, fold_of, held_out

SITES = {f"P{n:02d}": "far" if n > 8 else "near" for n in range(1, 12)}


def test_folds_keep_out_every_patient_exactly_once() -> None:
    out = [held_out(SITES, Split(folds=4, fold=fold)) for fold in range(4)]
    assert sorted(name for part in out for name in part) == sorted(SITES)
    assert sorted(len(part) for part in out) == [2, 3, 3, 3]


def test_folds_do_not_depend_on_the_order_of_the_patients() -> None:
    assert fold_of(SITES, folds=3, seed=1) == fold_of(reversed(list(SITES)), folds=3, seed=1)
    assert fold_of(SITES, folds=3, seed=1) != fold_of(SITES, folds=3, seed=2)


def test_external_sites_are_kept_out_whole_and_the_folds_made_of_the_rest() -> None:
    out = held_out(SITES, Split(external_sites=("far",), folds=4, fold=1))
    assert {"P09", "P10", "P11"} <= out
    assert len(out) == 3 + 2


def test_a_name_that_no_patient_has_is_refused() -> None:
    with pytest.raises(ValueError, match="hold_out names P99; patients are P01, "):
        held_out(SITES, Split(hold_out=("P99",)))
    with pytest.raises(ValueError, match="external_sites names moon; sites are far, near"):
        held_out(SITES, Split(external_sites=("moon",)))


def test_a_fold_beyond_the_last_is_refused() -> None:
    with pytest.raises(ValueError, match="fold 4 of 4"):
        Split(folds=4, fold=4)
