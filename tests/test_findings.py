"""Quality flags as the viewer lists them."""

from __future__ import annotations

from pages.parts.findings import findings, serious
from thighseg_core.quality import FLAG_DESCRIPTIONS


def flag(code: str, severity: str, *, region: str = "scan", side: str = "both", message: str = "m") -> dict[str, str]:
    return {"code": code, "severity": severity, "region": region, "side": side, "message": message, "consequence": "c"}


CUT = [flag("truncated", "warning", region=region, side=side, message=f"{region} {side} is cut")
       for side in ("right", "left") for region in ("flexor", "extensor")]  # fmt: skip


def test_one_kind_on_many_structures_is_one_finding_that_names_them_all() -> None:
    (finding,) = findings(CUT[1:])
    assert finding.message == FLAG_DESCRIPTIONS["truncated"]
    assert finding.where == "Extensor (left, right), Flexor (left)"
    assert finding.consequences == ("c",)


def test_a_single_flag_keeps_its_own_words() -> None:
    (finding,) = findings(CUT[:1])
    assert (finding.message, finding.where) == ("flexor right is cut", "")


def test_errors_come_first_and_information_is_not_serious() -> None:
    flags = [flag("contrast_agent", "info"), *CUT, flag("side_order", "error")]
    assert [finding.severity for finding in findings(flags)] == ["error", "warning", "info"]
    assert [finding.code for finding in serious(flags)] == ["side_order", "truncated"]
    assert serious(None) == []
