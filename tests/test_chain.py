"""The chain of runs: what a network starts from comes before it, once, and every name in a configuration resolves."""

from pathlib import Path

import pytest

from training.chain import ANSWERS, Step, carry_out, steps_to

CONFIGS = Path(__file__).parent.parent / "training" / "configs"


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    for name in ("STS_001", "STS_005", "STS_016"):
        (tmp_path / "ct_sarcoma" / name / "CT").mkdir(parents=True)
    return tmp_path


def test_the_teacher_comes_before_its_answers_and_these_before_the_run_that_learns_them(sources: Path) -> None:
    made = [step.makes for step in steps_to(CONFIGS / "manet.toml", sources=sources)]
    assert made == [
        "cache/atlas", "cache/real/reference", "runs/manet-1", "cache/real/pseudo-1", "runs/manet",
    ]  # fmt: skip


def test_a_teacher_that_patients_are_kept_from_is_not_asked_about_them(sources: Path) -> None:
    source = "cache/real/pseudo-hold"
    (step,) = (one for one in steps_to(CONFIGS / "dense-unet-3.toml", sources=sources) if one.makes == source)
    assert ANSWERS[source].without == ("STS_016", "STS_021", "STS_039")
    assert step.arguments[-5:] == ("--patients", "STS_001", "STS_005", "--not-thigh", "STS_005")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_run_of_the_repository_can_be_reached_from_nothing(path: Path, sources: Path) -> None:
    steps = steps_to(path, sources=sources)
    assert (steps[0].makes, steps[-1].makes) == ("cache/atlas", f"runs/{path.stem}")


def test_a_folder_appears_only_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(command: list[str], *, check: bool) -> None:
        assert check
        Path(command[-1]).mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr("training.chain.subprocess.run", stop)
    with pytest.raises(KeyboardInterrupt):
        carry_out(Step("training.atlas", (), str(tmp_path / "atlas")))
    assert not (tmp_path / "atlas").exists()
