"""Style that no linter knows: sizes, names, and nothing that has no business in the repository."""

from __future__ import annotations

import ast
import gzip
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULE_LINES = 500
FUNCTION_LINES = 60
README_LINES = 150
MADE = {".git", ".venv", "node_modules", ".environments", "__pycache__", ".hypothesis", ".mypy_cache", ".ruff_cache",
        ".pytest_cache", ".import_linter_cache", "weighbridge-data", "dist", "build", "weighbridge.egg-info"}
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}


def tracked(*endings):
    if (ROOT / ".git").exists() and shutil.which("git"):
        command = ["git", "ls-files", "-co", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        paths = [ROOT / line for line in listed.stdout.splitlines()]
    else:  # an unpacked archive
        paths = [path for path in ROOT.rglob("*") if not MADE.intersection(path.relative_to(ROOT).parts)]
    return [path for path in paths if path.is_file() and (not endings or path.suffix in endings)]


SOURCES = [path for path in tracked(".py") if path.is_relative_to(ROOT / "src")]


def name_of(path):
    return str(path.relative_to(ROOT))


def test_there_is_something_to_check():
    assert len(SOURCES) > 50


@pytest.mark.parametrize("path", tracked(".py", ".ts", ".js", ".svelte", ".sql", ".css"), ids=name_of)
def test_modules_are_short(path):
    assert len(path.read_text("utf-8").splitlines()) <= MODULE_LINES


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_functions_are_short(path):
    tree = ast.parse(path.read_text("utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    sizes = {function.name: function.end_lineno - function.lineno + 1 for function in functions}
    long = [f"{name}: {lines} lines" for name, lines in sizes.items() if lines > FUNCTION_LINES]
    assert long == []


def public_functions(body, around=""):
    """(function, its docstring and its class's) of everything public."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body, ast.get_docstring(node) or "")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield node, f"{ast.get_docstring(node) or ''}\n{around}"


@pytest.mark.parametrize("path", [path for path in SOURCES if "cli" not in path.parts], ids=name_of)
def test_public_functions_say_what_they_raise(path):
    """Commands are left out: their docstrings are their help, and their errors are exit codes."""
    silent = []
    for function, said in public_functions(ast.parse(path.read_text("utf-8")).body):
        raised = {ast.unparse(node.exc) for node in ast.walk(function) if isinstance(node, ast.Raise) and node.exc}
        if any(re.match(r"[\w.]+Error\b", each) for each in raised) and "Error" not in said:
            silent.append(function.name)
    assert silent == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_modules_are_named_for_what_they_hold(path):
    assert path.stem.strip("_") not in VAGUE
    assert path.parent.name not in VAGUE


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_modules_say_what_they_are(path):
    tree = ast.parse(path.read_text("utf-8"))
    assert not tree.body or ast.get_docstring(tree)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_the_clock_is_passed_in(path):
    """Wall-clock time is read in app/clock.py and nowhere else."""
    if path.name == "clock.py" or "cli" in path.parts:
        return
    tree = ast.parse(path.read_text("utf-8"))
    read = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not read & {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "date.today", "datetime.datetime.now"}


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= README_LINES


FORBIDDEN = {
    "an absolute path of somebody's machine": re.compile(r"(?<![\w.])/(?:work|home|root|Users)/(?!\.)[a-z]"),
    "the host of a package registry": re.compile(
        r"\b(?:pypi\.org|pythonhosted\.org|registry\.npmjs\.org|deb\.debian\.org)\b".replace(r"\.", r"[.]")),
    "an unfinished mark": re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b"),
}


@pytest.mark.parametrize("path", [p for p in tracked() if p.suffix not in {".png", ".woff2", ".ico"}], ids=name_of)
def test_nothing_is_committed_that_belongs_elsewhere(path):
    if path == Path(__file__):
        return
    body = path.read_bytes()
    text = (gzip.decompress(body) if path.suffix == ".gz" else body).decode("utf-8", "replace")  # captures are bytes
    for what, pattern in FORBIDDEN.items():
        assert not pattern.search(text), f"{what}: {pattern.search(text)}"


@pytest.mark.parametrize("path", [
    *sorted((ROOT / "requirements").glob("*.lock")), *sorted((ROOT / "tests/clients/environments").glob("*.lock")),
], ids=name_of)
def test_lock_files_have_no_addresses(path):
    text = path.read_text("utf-8")
    assert "://" not in text
    assert "--hash=sha256:" in text


def test_npm_lock_files_have_no_addresses():
    for path in tracked(".json"):
        if path.name == "package-lock.json":
            assert '"resolved"' not in path.read_text("utf-8"), path
