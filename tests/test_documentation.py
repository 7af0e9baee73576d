"""The documents say what the program does: commands, files, numbers, pages, links and figures are compared with it."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import select

from db import import_list
from db.engine import open_database
from db.models import Study
from pages.parts.navigation import ENTRIES
from thighseg_core import __version__, cli, export, labels, metrics
from thighseg_core.checkpoint import DEFAULT_MODEL, WEIGHTS_FOLDER, available_models, read_card
from thighseg_core.export_scans import SCAN_COLUMN_DESCRIPTIONS
from thighseg_core.networks import NETWORKS

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "training" / "README.md"])
CODE_BLOCK = re.compile(r"```\w*\n(.*?)```", re.DOTALL)


def document_id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """docs/generate.py, which is a script and in no package."""
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def code_of(name: str) -> str:
    """Everything in the code blocks of a document."""
    return "\n".join(CODE_BLOCK.findall(read(name)))


def makefile_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))


def tree_entries() -> dict[str, str]:
    """Path -> text of README's file tree, read back from the page by its indentation."""
    block = next(
        block for block in CODE_BLOCK.findall(read("README.md")) if re.search(r"^app\.py ", block, re.MULTILINE)
    )
    parents: list[str] = []
    found = {}
    for line in block.splitlines():
        match = re.match(r"( *)(\S+)  +(\S.*)$", line)
        assert match, f"not a line of a file tree: {line!r}"
        depth, name = len(match[1]) // 2, match[2]
        parents[depth:] = [name]
        found["".join(parents)] = match[3]
    return found


# ------------------------------------------------------------------------------------------------------ commands


@pytest.mark.parametrize("document", DOCUMENTS, ids=document_id)
def test_every_make_command_in_a_document_is_a_target(document: Path) -> None:
    named = set(re.findall(r"(?:^|`|\s)make ([a-z]+)\b(?=[ `A-Z\n]|$)", code_of(str(document)) + "".join(
        re.findall(r"`[^`\n]+`", document.read_text(encoding="utf-8")))))  # fmt: skip
    assert named <= makefile_targets()


def test_the_readme_shows_the_two_commands() -> None:
    assert {"make demo", "make test"} <= set(re.findall(r"^(make \w+)", code_of("README.md"), re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=document_id)
def test_every_module_that_a_document_starts_exists(document: Path) -> None:
    for name in re.findall(r"python3? -m ([a-z_.]+)", document.read_text(encoding="utf-8")):
        if name.split(".")[0] in ("thighseg_core", "db", "training", "pages"):
            path = ROOT / name.replace(".", "/")
            assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), name


def test_the_command_lines_of_the_readme_are_understood() -> None:
    lines = re.findall(r"python -m thighseg_core (.+)", code_of("README.md"))
    assert [line.split()[0] for line in lines] == ["segment", "measure"]
    for line in lines:
        cli._parser().parse_args(shlex.split(line.replace("...", "")))


def test_the_readme_names_the_choices_of_the_command_line() -> None:
    named = re.search(r"--model ([a-z|-]+)`", read("README.md"))
    assert named
    assert set(named[1].split("|")) == set(cli.MODELS)
    assert named[1].split("|")[0] == DEFAULT_MODEL
    assert f"--device {'|'.join(cli.DEVICES)}`" in read("README.md")
    assert set(cli.MODELS) == set(NETWORKS)


def test_every_target_of_the_makefile_starts_modules_that_exist() -> None:
    for name in re.findall(r"-m ((?:thighseg_core|db|training|tests)[a-z_.]*)", read("Makefile")):
        path = ROOT / name.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), name


# ----------------------------------------------------------------------------------------------------- file tree


def test_the_file_tree_names_every_top_level_entry_and_every_module(generator: ModuleType) -> None:
    files = generator.tracked_files()
    top = {f"{name.split('/')[0]}/" if "/" in name else name for name in files}
    modules = {
        name
        for name in files
        if name.startswith(("pages/", "thighseg_core/", "db/", "training/"))
        and name.endswith(".py")
        and not name.endswith("__init__.py")
        and not name.startswith("db/migrations/")
    }
    assert top | modules <= set(tree_entries()), "run `make docs`"


def test_the_file_tree_names_nothing_that_does_not_exist() -> None:
    assert [name for name in tree_entries() if not (ROOT / name).exists()] == []


def test_an_empty_block_is_filled_and_takes_nothing_with_it(generator: ModuleType) -> None:
    text = "<!-- generated: groups -->\n<!-- end -->\nkept\n<!-- generated: groups -->\nold\n<!-- end -->\n"
    once = generator.regenerated(text)
    assert "kept" in once
    assert "old" not in once
    assert generator.regenerated(once) == once


@pytest.mark.parametrize("name", ["README.md", "docs/numbers.md", "docs/models.md", "docs/agreement.md"])
def test_the_generated_parts_are_up_to_date(name: str, generator: ModuleType) -> None:
    assert name in generator.DOCUMENTS
    assert "<!-- generated: " in read(name)
    assert generator.regenerated(read(name)) == read(name), "run `make docs`"


def test_a_changed_table_is_noticed(generator: ModuleType) -> None:
    text = read("docs/numbers.md")
    assert generator.regenerated(text.replace("-190 to -30", "-190 to -20")) == text


def test_the_backup_of_the_manual_restores_a_database_that_is_in_use(tmp_path: Path) -> None:
    database = open_database(tmp_path / "data" / "thighseg.sqlite")
    image = tmp_path / "data" / "scans" / "0001" / "0a1b" / "image" / "0001.dcm"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"pixels")
    (tmp_path / "data" / "deidentification.key").write_text("secret")
    with database.write() as session:
        session.add(Study(name="Cohort A"))
    assert (tmp_path / "data" / "thighseg.sqlite-wal").stat().st_size > 0, (
        "the row is still in the log, not in the file"
    )

    manual = read("docs/operations.md")
    steps = [
        re.search(rf"^## {part}\n.*?```sh\n(.*?)```", manual, re.MULTILINE | re.DOTALL)
        for part in ("Backup", "Restore")
    ]
    script = "\n".join(step[1] for step in steps if step).replace(".venv/bin/python", sys.executable)
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=400)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
    database.close()

    restored = open_database(tmp_path / "restored" / "thighseg.sqlite")
    with restored.read() as session:
        assert [study.name for study in session.scalars(select(Study))] == ["Cohort A"]
    restored.close()
    assert (tmp_path / "restored/scans/0001/0a1b/image/0001.dcm").read_bytes() == b"pixels"
    assert (tmp_path / "restored/deidentification.key").read_text() == "secret"


# ------------------------------------------------------------------------------------------- numbers, pages, models


@pytest.mark.parametrize("name", [*export.LONG_COLUMNS, *SCAN_COLUMN_DESCRIPTIONS])
def test_every_column_of_the_long_and_the_scan_table_is_documented(name: str) -> None:
    assert f"| `{name}` |" in read("docs/numbers.md")


@pytest.mark.parametrize("name", metrics.METRICS)
def test_every_metric_is_documented_with_its_unit(name: str) -> None:
    assert f"| `{name}` | {metrics.METRICS[name].unit} |" in read("docs/numbers.md")


@pytest.mark.parametrize("name", export.WIDE_KEYS)
def test_every_key_of_the_wide_table_is_documented(name: str) -> None:
    assert f"`{name}`" in read("docs/numbers.md")


@pytest.mark.parametrize(("value", "name"), labels.LABELS.items())
def test_every_label_is_documented(value: int, name: str) -> None:
    assert f"| {value} | `{name}` |" in read("docs/numbers.md")


def test_every_quality_flag_is_documented() -> None:
    calls = [
        node
        for path in (ROOT / "thighseg_core").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "QualityFlag"
    ]
    codes = {keyword.value.value for call in calls for keyword in call.keywords
             if keyword.arg == "code" and isinstance(keyword.value, ast.Constant)}  # fmt: skip
    assert len(codes) > 10
    assert [code for code in sorted(codes) if f"| `{code}` |" not in read("docs/numbers.md")] == []


def test_every_column_of_the_wide_table_follows_a_documented_pattern() -> None:
    documented = read("docs/numbers.md")
    patterns = {re.sub(r"^((?:[a-z]+_)?[a-z]+)_[lrb]_", r"\1_*_", name) for name in export.wide_columns()}
    assert len(patterns) > 50
    assert [name for name in patterns if f"`{name}`" not in documented and not name.endswith("_status")] == []


def test_every_page_is_documented_under_its_title() -> None:
    titles = {entry.title for entry in ENTRIES}
    assert len(titles) >= 4
    headings = set(re.findall(r"^## (.+)$", read("docs/dashboard.md"), re.MULTILINE))
    assert titles <= headings


@pytest.mark.parametrize("name", import_list.COLUMNS)
def test_every_column_of_an_import_list_is_documented(name: str) -> None:
    assert f"`{name}`" in read("docs/dashboard.md").split("### Many scans at once")[1].split("\n## ")[0]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_documented(name: str) -> None:
    assert f"`{name}`" in read("docs/models.md")


def test_the_default_network_is_named_where_people_look() -> None:
    assert f"The default is `{DEFAULT_MODEL}`." in read("docs/models.md")
    assert f"| `THIGHSEG_MODEL` | `{DEFAULT_MODEL}` |" in read("docs/operations.md")


@pytest.mark.parametrize("name", available_models())
def test_the_credits_name_what_every_shipped_network_was_made_from(name: str) -> None:
    card = read_card(name)
    assert card.training, f"{WEIGHTS_FOLDER / name} does not say what it was trained on"
    assert "10.56902/COB.vh.2022.0" in read("NOTICE")


# ---------------------------------------------------------------------------------------------- links and versions


def anchors(text: str) -> set[str]:
    """Anchors that a Markdown page offers, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(CODE_BLOCK, "", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=document_id)
def test_links_between_documents_resolve(document: Path) -> None:
    text = re.sub(CODE_BLOCK, "", document.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"(https?|mailto):", target):
            continue
        path, _, anchor = target.partition("#")
        goal = (document.parent / path).resolve() if path else document
        assert goal.exists(), f"{document.name} links to {target}, which does not exist"
        if anchor:
            assert anchor in anchors(goal.read_text(encoding="utf-8")), f"{target}: no such heading"


def test_the_readme_shows_a_picture_of_the_viewer() -> None:
    assert "](docs/images/viewer.png)" in read("README.md")
    assert (ROOT / "docs/images/viewer.png").read_bytes().startswith(b"\x89PNG")


def test_the_changelog_has_this_version_and_tells_which_changes_alter_numbers() -> None:
    changelog = read("CHANGELOG.md")
    section = re.search(rf"^## \[{re.escape(__version__)}\].*?(?=^## \[|\Z)", changelog, re.MULTILINE | re.DOTALL)
    assert section, f"CHANGELOG.md has no section for {__version__}"
    assert "### Changes that alter a measured number" in section[0]


def test_version_is_the_same_everywhere() -> None:
    assert f'version = "{__version__}"' in read("pyproject.toml")


def test_the_licence_is_apache_2_and_whole() -> None:
    licence = read("LICENSE")
    assert "Version 2.0, January 2004" in licence
    assert "END OF TERMS AND CONDITIONS" in licence


@pytest.mark.parametrize("doi", [
    "10.56902/COB.vh.2022.0", "10.1038/s41597-022-01905-2", "10.48550/arXiv.2209.06948",
    "10.7937/K9/TCIA.2015.7GO2GSKS", "10.1088/0031-9155/60/14/5471", "10.1007/s10278-013-9622-7",
])  # fmt: skip
def test_the_notice_credits_every_source(doi: str) -> None:
    assert doi in read("NOTICE")
