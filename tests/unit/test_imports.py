"""Imports run one way, nothing heavy is loaded before it is needed, and what is used is declared."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "forensics"

# What may import what: a module imports its own layer and the layers before it (ARCHITECTURE.md, "Imports").
LAYERS: tuple[tuple[str, ...], ...] = (
    (
        "_verb",
        "absent",
        "attributes",
        "codes",
        "durable",
        "errors",
        "evidence",
        "extents",
        "handles",
        "memory",
        "model",
        "outside",
        "templates",
        "words",
    ),
    ("readers",),
    ("collection", "graph", "recall", "records", "seal", "segment", "selection", "store"),
    (
        "against",
        "breakdown",
        "checks",
        "classes",
        "compatibility",
        "diff",
        "elsewhere",
        "explaining",
        "other_copies",
        "sources",
        "strays",
        "touched",
        "user_files",
        "user_http",
        "user_source",
        "witness",
    ),
    (
        "account",
        "case",
        "chronicle",
        "diagnosis",
        "history",
        "remains",
        "remains_index",
        "summaries",
        "verdict_first",
    ),
    ("foretell",),
    ("engine.child", "engine.embedding", "engine.embedding_child"),  # a child that knows no store
    ("repair",),  # planning; what writes has rows of its own below
    (
        "copying",
        "engine",
        "probing",
        "rescuing",
        "repair.draft",
        "repair.dressing",
        "repair.foresight",
        "repair.journal",
        "repair.keeping",
        "repair.placing",
        "repair.swap",
        "repair.undo_file",
        "writers",
    ),
    ("repair.actions",),
    ("proof",),
    ("verify",),
    ("repair.apply", "repair.apply_in_place", "repair.in_place", "repair.in_place_state", "repair.undo"),
    ("embedder_check", "export_files", "export_rest", "export_rows", "exporting", "reconciling", "report"),
    (
        "verbs",
        "verbs_case",
        "verbs_embedder",
        "verbs_foretell",
        "verbs_inputs",
        "verbs_kept",
        "verbs_past",
        "verbs_saving",
        "verbs_sources",
        "verbs_telling",
    ),
    ("lab",),
    (
        "cli",
        "cli_answer",
        "cli_arguments",
        "cli_options",
        "cli_cases",
        "cli_embedder",
        "cli_looking",
        "cli_repairing",
        "cli_saving",
        "cli_supervising",
        "cli_telling",
        "cli_text",
    ),
)
# The public face imports lazily from every layer; samples and wings are imported by few (tested below).
NO_LAYER = ("", "__main__", "samples")
WINGS = ("guard", "testing", "ways_out")
HEAVY = (
    "pandas",
    "matplotlib",
    "chromadb",
    "hnswlib",
    "jupyter",
    "jupyterlab",
    "IPython",
    "ipywidgets",
    "rich",
    "scipy",
)
# Only these parts of the package may name the package on the left, at any depth of their code.
AT_HOME = {
    "ipywidgets": ("lab",),
    "IPython": ("lab",),
    "rich": ("cli", "cli_text"),
    "chromadb": ("engine", "testing", "guard", "templates"),
    "hnswlib": ("engine", "testing", "guard"),
}


@dataclass(frozen=True, slots=True)
class Import:
    """One import statement: where it is, what it names, and whether it runs when its module is loaded."""

    module: str
    line: int
    target: str
    on_load: bool


def dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def package_of(path: Path) -> list[str]:
    return list(path.relative_to(ROOT).parent.parts)


def names(node: ast.stmt, path: Path) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        home = package_of(path)
        base = home[: len(home) - node.level + 1] if node.level else []
        stem = ".".join([*base, *([node.module] if node.module else [])])
        yield from (f"{stem}.{alias.name}" for alias in node.names)


def is_typing_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def statements(node: ast.AST, on_load: bool = True) -> Iterator[tuple[ast.stmt, bool]]:
    """Every import below `node` that can run, and whether loading the module runs it."""
    for child in ast.iter_child_nodes(node):
        if is_typing_only(child):
            continue
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child, on_load
        inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        yield from statements(child, on_load and not inside)


def imports_of(path: Path) -> Iterator[Import]:
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    for node, on_load in statements(tree):
        for name in names(node, path):
            yield Import(dotted(path), node.lineno, name, on_load)


def all_imports() -> list[Import]:
    return [found for path in sorted(PACKAGE.rglob("*.py")) for found in imports_of(path)]


def layer(module: str) -> int | None:
    """The layer of `module`, the longest name winning; None for the public face and the wings."""
    hits = [(len(name), rank) for rank, row in enumerate(LAYERS) for name in row if belongs(module, name)]
    return max(hits)[1] if hits else None


def belongs(module: str, name: str) -> bool:
    return module == name or module.startswith(name + ".")


def test_the_walk_sees_the_package() -> None:
    assert len(all_imports()) > 20


def test_every_module_has_a_layer() -> None:
    modules = {dotted(path) for path in PACKAGE.rglob("*.py")}
    placed = {name for name in modules if layer(name) is not None or name.split(".")[0] in WINGS}
    assert modules - placed == set(NO_LAYER) & modules


def test_imports_run_one_way() -> None:
    wrong = []
    for found in all_imports():
        if not found.target.startswith("forensics."):
            continue
        here, there = layer(found.module), layer(found.target.removeprefix("forensics."))
        if here is not None and there is not None and there > here:
            wrong.append(f"{found.module}:{found.line} imports {found.target}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("wing", WINGS)
def test_nothing_leans_on_a_wing(wing: str) -> None:
    """`guard` and `ways_out` stand apart, `testing` is for tests and samples; `cli` may start any."""
    allowed = (wing, "cli", "samples", "lab") if wing == "testing" else (wing, "cli")
    wrong = [
        f"{found.module}:{found.line}"
        for found in all_imports()
        if found.target.startswith(f"forensics.{wing}")
        and not any(belongs(found.module, home) for home in allowed)
    ]
    assert not wrong, wrong


@pytest.mark.parametrize("package", sorted(AT_HOME))
def test_a_package_is_used_only_where_it_is_at_home(package: str) -> None:
    wrong = [
        f"{found.module}:{found.line}"
        for found in all_imports()
        if found.target.split(".")[0] == package
        and not any(belongs(found.module, home) for home in AT_HOME[package])
    ]
    assert not wrong, f"{package} is imported by {wrong}"


def loaded_by(code: str) -> set[str]:
    program = f"import sys\n{code}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = loaded_by("import forensics")
    assert "forensics" in loaded
    assert not loaded.intersection(HEAVY)


def test_the_heavy_list_would_be_noticed() -> None:
    assert "scipy" in loaded_by("import scipy")


def test_a_verb_stays_a_verb_whatever_was_imported() -> None:
    """Loading the package `forensics.report` does not put it in the place of the verb `forensics.report`."""
    modules = [name for name in map(dotted, PACKAGE.rglob("*.py")) if layer(name) is not None]
    load = "; ".join(f"importlib.import_module('forensics.{name}')" for name in sorted(modules))
    check = (
        "hidden = [v for v in forensics.__all__ if not callable(getattr(forensics, v))]; assert not hidden"
    )
    loaded_by(
        f"import importlib, warnings; warnings.simplefilter('ignore'); {load}; import forensics; {check}"
    )


def distribution(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower()


def test_every_package_that_is_imported_is_declared() -> None:
    """No module leans on a package that only another package happens to bring; templates are files to be copied."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [row for rows in project["optional-dependencies"].values() for row in rows]
    declared = {distribution(row) for row in [*project["dependencies"], *extras]}
    import_names = {"chroma-hnswlib": "hnswlib"}
    declared = {import_names.get(name, name) for name in declared}
    carried = {"IPython", "ipykernel", "traitlets"}  # part of what ipywidgets and jupyterlab are
    leaning = (found for found in all_imports() if not belongs(found.module, "templates.embedders"))
    used = {(found.target.split(".")[0], found.module) for found in leaning}
    known = declared | carried | set(sys.stdlib_module_names) | {"forensics", "__future__"}
    undeclared = sorted(f"{module} imports {name}" for name, module in used if name not in known)
    assert not undeclared, "\n".join(undeclared)
