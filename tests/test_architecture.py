"""The shape of the code base: who may import whom, and what every module has to keep to.

The scanners take source text, so each is first shown to find what it is there to find.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from thighseg_core import labels

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("thighseg_core", "db", "pages", "training")

# app.py -> pages -> db -> thighseg_core <- training
MAY_IMPORT = {
    "thighseg_core": set(),
    "db": {"thighseg_core"},
    "pages": {"db", "thighseg_core"},
    "app.py": {"pages", "db", "thighseg_core"},
    "training": {"thighseg_core"},
}

# Who may use which third-party package at all.
CONFINED = {
    "streamlit": {"app.py", "pages"},
    "sqlalchemy": {"db", "pages", "app.py"},
    "alembic": {"db"},
    "torch": {"thighseg_core", "training"},
    "transformers": {"thighseg_core", "training"},
    "segmentation_models_pytorch": {"thighseg_core", "training"},
}
LONGEST_MODULE_LINES = 400
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "manager", "managers", "misc", "common"}
DATA_SUFFIXES = (
    ".dcm", ".nii", ".nii.gz", ".ply", ".stl", ".mha", ".nrrd", ".npz", ".npy", ".zip", ".db", ".sqlite", ".csv", ".pt",
)  # fmt: skip
NOT_PATIENT_DATA = {
    "training/compact_atlas.npz",  # fitted coefficients for phantoms, credited in NOTICE
    "thighseg_core/cohort_statistics/reference_tables/goodpaster_2001.csv",  # four published means, cited in each line
    # What `training.validate`, `calibrate_quality` and `real_check` found: figures of phantoms and of public scans.
    *(
        f"docs/validation/{name}.csv"
        for name in ("flags", "flags_planted", "predicted_quality", "real_series", "retest", "retest_network", "truth")
    ),
}
# Calls whose result must not be a module's constant.
EFFECTS = {
    "create_engine",
    "sessionmaker",
    "open",
    "mkdir",
    "makedirs",
    "connect",
    "getenv",
    "basicConfig",
    "read_text",
}
# Modules that read label maps of others, with other values.
OTHER_LABEL_MAPS = {"training/reference.py"}  # the drawn reference slices
# Run by Alembic inside its own context, never imported by us.
NOT_IMPORTED = ("db/migrations/",)


def modules() -> list[Path]:
    """Every Python file of the application, relative to the root."""
    found = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return sorted(path.relative_to(ROOT) for path in [ROOT / "app.py", *found] if path.exists())


def layer(module: Path) -> str:
    return module.parts[0]


def tree(module: Path) -> ast.Module:
    return ast.parse((ROOT / module).read_text(encoding="utf-8"), filename=str(module))


def imported(parsed: ast.AST) -> set[str]:
    """Top-level package names of every import, those inside functions too. A relative import stays in its package."""
    names: set[str] = set()
    for node in ast.walk(parsed):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("importlib.import_module", "__import__"):
            names |= {str(arg.value).split(".")[0] for arg in node.args if isinstance(arg, ast.Constant)}
    return names


def star_keywords(parsed: ast.Module) -> list[str]:
    """Public functions and methods that take **kwargs."""
    return [node.name for node in _functions(parsed) if node.args.kwarg and not node.name.startswith("_")]


def without_docstring(parsed: ast.Module) -> list[str]:
    """Public module-level functions that do not say what they are for."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    public = [node for node in parsed.body if isinstance(node, kinds) and not node.name.startswith("_")]
    return [node.name for node in public if not ast.get_docstring(node)]


def work_on_import(parsed: ast.Module) -> list[str]:
    """Module-level statements that call something for its effect, or loop, or open."""
    allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.FunctionDef, ast.AsyncFunctionDef,
               ast.ClassDef, ast.For, ast.Delete, ast.Assert)  # fmt: skip
    found = []
    for node in parsed.body:
        if isinstance(node, ast.If) and ("__name__" in ast.unparse(node.test) or "TYPE_CHECKING" in ast.unparse(node)):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        made = {ast.unparse(call.func).split(".")[-1] for call in ast.walk(node) if isinstance(call, ast.Call)}
        deferred = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        if not isinstance(node, allowed) or (not deferred and made & EFFECTS):
            found.append(ast.unparse(node).splitlines()[0])
    return found


def defines_labels(parsed: ast.Module) -> list[str]:
    """Literals that repeat what labels.py defines: a label's name, or a list or table of label values."""
    sided = {name for name in labels.LABELS.values() if name.endswith(("_left", "_right"))}
    classes = set(labels.CLASSES) - {"background"}
    found = []
    for node in ast.walk(parsed):
        if isinstance(node, ast.Constant) and node.value in sided:
            found.append(f"line {node.lineno}: {node.value!r}")
        elif isinstance(node, (ast.Tuple, ast.List, ast.Set)):
            names = {element.value for element in node.elts if isinstance(element, ast.Constant)}
            if len(names & classes) >= 7:  # fewer are a choice for one purpose
                found.append(f"line {node.lineno}: a list of classes")
        elif isinstance(node, ast.Dict):
            pairs = [(k.value, v.value) for k, v in zip(node.keys, node.values, strict=True)
                     if isinstance(k, ast.Constant) and isinstance(v, ast.Constant)]  # fmt: skip
            named = [value for key, value in pairs if key in classes]
            if len(named) >= 3 and all(isinstance(value, int) and value <= labels.OTHER_BONE for value in named):
                found.append(f"line {node.lineno}: label values")
            if len(named) >= 3 and all(isinstance(value, str) and value.startswith("#") for value in named):
                found.append(f"line {node.lineno}: label colours")
            if len({value for key, value in pairs if isinstance(key, int)} & classes) >= 3:
                found.append(f"line {node.lineno}: a label table")
    return found


def _functions(parsed: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Functions of the module and methods of its classes; a function inside a function is nobody's interface."""
    classes = [node for node in ast.walk(parsed) if isinstance(node, ast.ClassDef)]
    for node in (statement for scope in (parsed, *classes) for statement in scope.body):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def run_python(code: str, *, cwd: Path) -> str:
    """Standard output of `code` in an interpreter of its own, with the project on its path and an empty home."""
    environment = {
        "PYTHONPATH": str(ROOT),
        "HOME": str(cwd / "home"),
        "PATH": "/usr/bin:/bin",
        "CUDA_VISIBLE_DEVICES": "",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


# ---------------------------------------------------------------------------------------------------------------------


def test_there_is_code_to_look_at() -> None:
    assert {layer(module) for module in modules()} == {"app.py", *PACKAGES}


@pytest.mark.parametrize("module", modules(), ids=str)
def test_imports_point_down_the_layers(module: Path) -> None:
    ours = imported(tree(module)) & {*PACKAGES, "app", "tests"}
    allowed = MAY_IMPORT[layer(module)] | {layer(module)}
    assert ours <= allowed, f"{module} imports {sorted(ours - allowed)}; it may import {sorted(allowed)}"


@pytest.mark.parametrize("module", modules(), ids=str)
def test_each_third_party_layer_stays_where_it_belongs(module: Path) -> None:
    used = imported(tree(module))
    strays = {name for name, homes in CONFINED.items() if name in used and layer(module) not in homes}
    assert not strays, f"{module} imports {sorted(strays)}"


def test_an_import_is_found_wherever_it_stands() -> None:
    source = (
        "import db.models as m\ndef f():\n    from pages.views import x\n    importlib.import_module('training.t')\n"
    )
    assert imported(ast.parse(source + "from . import sibling\n")) == {"db", "pages", "training"}


def test_importing_the_core_loads_no_heavy_package(tmp_path: Path) -> None:
    heavy = ["torch", "transformers", "streamlit", "sqlalchemy", "pandas", "SimpleITK"]
    code = f"import sys, json, thighseg_core; print(json.dumps([m for m in {heavy} if m in sys.modules]))"
    assert json.loads(run_python(code, cwd=tmp_path)) == []


def test_importing_any_module_leaves_nothing_behind(tmp_path: Path) -> None:
    """No file, no folder, no database, no connection, no logging set-up, no thread, in an empty working folder."""
    names = [
        ".".join(module.with_suffix("").parts).removesuffix(".__init__")
        for module in modules()
        if module.name not in ("app.py", "__main__.py") and not module.as_posix().startswith(NOT_IMPORTED)
    ]
    code = f"""
import importlib, json, logging, os, sys, threading
seen, current = [], ""
def watch(event, args):
    here = os.path.abspath(str(args[0])) if args and event in ("open", "os.mkdir") else ""
    writes = event == "open" and isinstance(args[1], str) and any(c in args[1] for c in "wax+")
    ours = here.startswith((os.getcwd(), {str(ROOT)!r})) and "__pycache__" not in here
    if event in ("sqlite3.connect", "socket.connect") or (ours and (writes or event == "os.mkdir")):
        seen.append(f"{{current}}: {{event}} {{here}}")
sys.dont_write_bytecode = True
sys.addaudithook(watch)
for current in {names!r}:
    importlib.import_module(current)
    if logging.getLogger().handlers:
        seen.append(f"{{current}}: logging is set up"); logging.getLogger().handlers.clear()
seen += [f"thread {{t.name}}" for t in threading.enumerate() if t.name.startswith(("heartbeat", "worker"))]
print(json.dumps(seen))
"""
    printed = run_python(code, cwd=tmp_path).splitlines()
    assert json.loads(printed[-1]) == []
    assert printed[:-1] == [], "an import printed something"
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == []


@pytest.mark.parametrize("module", modules(), ids=str)
def test_a_module_only_defines(module: Path) -> None:
    if module.name == "app.py" or module.as_posix().startswith(NOT_IMPORTED):
        pytest.skip("a script of Streamlit or Alembic: running it is what it is for")
    assert work_on_import(tree(module)) == []


def test_work_on_import_is_found() -> None:
    bad = "'''doc'''\nimport os\nX = 1\nengine()\nwith open('x') as f:\n    pass\nE = sa.create_engine('x')\n"
    assert work_on_import(ast.parse(bad)) == ["engine()", "with open('x') as f:", "E = sa.create_engine('x')"]


@pytest.mark.parametrize("module", modules(), ids=str)
def test_no_module_is_longer_than_one_concept(module: Path) -> None:
    lines = len((ROOT / module).read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_MODULE_LINES, f"{module} has {lines} lines: which part of it is a concept of its own?"


def test_no_module_has_a_name_that_says_nothing() -> None:
    everything = [*modules(), *(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("*.py"))]
    vague = [str(path) for path in everything if VAGUE_NAMES & set(path.with_suffix("").name.lower().split("_"))]
    assert vague == []


@pytest.mark.parametrize("module", modules(), ids=str)
def test_no_public_function_hides_its_parameters(module: Path) -> None:
    assert star_keywords(tree(module)) == []


@pytest.mark.parametrize("module", modules(), ids=str)
def test_every_public_function_says_what_it_is_for(module: Path) -> None:
    if module.as_posix().startswith(NOT_IMPORTED):
        pytest.skip("Alembic's names")
    assert without_docstring(tree(module)) == []


def test_hidden_parameters_and_missing_docstrings_are_found() -> None:
    parsed = ast.parse(
        "class C:\n  'doc'\n  def m(self, **kw): ...\ndef f(): ...\ndef _g(**kw): ...\ndef h():\n  'doc'\n"
    )
    assert star_keywords(parsed) == ["m"]
    assert without_docstring(parsed) == ["f"]


@pytest.mark.parametrize("module", modules(), ids=str)
def test_labels_are_defined_in_one_place_only(module: Path) -> None:
    if module.as_posix() == "thighseg_core/labels.py" or module.as_posix() in OTHER_LABEL_MAPS:
        pytest.skip("this is the place, or a reader of other label maps")
    assert defines_labels(tree(module)) == []


def test_a_second_label_list_is_found() -> None:
    assert defines_labels(ast.parse("x = {'extensor': 1, 'flexor': 3, 'adductor': 5}")) == ["line 1: label values"]
    assert defines_labels(ast.parse("x = {1: 'extensor', 2: 'flexor', 3: 'adductor'}")) == ["line 1: a label table"]
    assert defines_labels(ast.parse("x = 'extensor_left'")) == ["line 1: 'extensor_left'"]
    assert defines_labels(ast.parse("y = {'extensor': '#fff', 'flexor': '#000', 'femur': '#111'}")) != []
    assert defines_labels(tree(Path("thighseg_core/labels.py"))) != []
    assert defines_labels(ast.parse("z = {'extensor': 55.0, 'flexor': 50.5, 'femur': 900.0}")) == []


def test_no_patient_data_or_database_is_tracked() -> None:
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    tracked = done.stdout.split("\0")
    assert [name for name in tracked if name.lower().endswith(DATA_SUFFIXES) and name not in NOT_PATIENT_DATA] == []
    starts = [(name, (ROOT / name).open("rb").read(132)) for name in tracked if name and (ROOT / name).is_file()]
    assert [name for name, start in starts if start[128:] == b"DICM" or start[:2] == b"\x1f\x8b"] == []


@pytest.mark.parametrize("module", modules(), ids=str)
def test_the_environment_is_read_in_one_place(module: Path) -> None:
    if module.name in ("settings.py", "app.py"):
        pytest.skip("this is the place")
    text = {ast.unparse(node) for node in ast.walk(tree(module)) if isinstance(node, (ast.Attribute, ast.Name))}
    reads = text & {"os.environ", "os.getenv", "environ", "getenv"}
    assert not reads, f"{module} reads the environment; take it from db.settings.Settings"
