"""The chain of runs: what a network starts from comes before it, once, and every name in a configuration resolves."""

from pathlib import Path

import pytest

from training.chain import Step, carry_out, steps_to

CONFIGS = Path(__file__).parent.parent / "training" / "configs"


def test_the_teacher_comes_before_its_answers_and_these_before_the_run_that_learns_them(tmp_path: Path) -> None:
    made = [step.makes for step in steps_to(CONFIGS / "manet.toml", sources=tmp_path)]
    assert made == [
        "cache/atlas", "cache/real/reference", "runs/manet-synthetic", "runs/manet-vessels", "runs/manet-canal",
        "cache/real/pseudo-1", "runs/manet-no-labels-1", "cache/real/pseudo-2", "runs/dense-unet-no-labels-1",
        "cache/real/pseudo-3", "runs/manet-no-labels-2", "runs/segformer-synthetic", "runs/segformer-no-labels-1",
        "runs/segformer-no-labels-2", "cache/real/pseudo-4", "runs/manet-no-labels-3", "cache/real/pseudo-5",
        "runs/manet-no-labels", "cache/real/readings", "cache/real/readings-at-tumour", "runs/manet",
    ]  # fmt: skip


def test_shipped_weights_that_teach_are_not_made_again(tmp_path: Path) -> None:
    config = tmp_path / "pupil.toml"
    config.write_text('network = "segformer"\nteacher = "thighseg_core/weights/manet"\n', encoding="utf-8")
    assert [step.makes for step in steps_to(config, sources=tmp_path)] == ["cache/atlas", "runs/pupil"]


def test_weights_of_an_earlier_commit_are_fetched(tmp_path: Path) -> None:
    steps = {step.makes: step for step in steps_to(CONFIGS / "segformer-no-labels.toml", sources=tmp_path)}
    fetched = steps["runs/segformer-synthetic"]
    assert (fetched.module, fetched.arguments) == ("training.earlier", ("88c8bff", "thighseg_core/weights/segformer"))


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_run_of_the_repository_can_be_reached_from_nothing(path: Path, tmp_path: Path) -> None:
    steps = steps_to(path, sources=tmp_path)
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
