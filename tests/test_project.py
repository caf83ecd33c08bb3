"""The files around the package and the notebooks agree with each other."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from prose import anchors, broken_links, images

ROOT = Path(__file__).resolve().parent.parent
LAB, TESTS = "uv run jupyter lab --notebook-dir=. notebooks/00-start-here.ipynb", "uv run pytest"
POSIX = "python3 -m venv .uv && .uv/bin/pip install uv && .uv/bin/"
WINDOWS = "py -m venv .uv && .uv\\Scripts\\pip install uv && .uv\\Scripts\\"
TEST_COMMAND = POSIX + TESTS

CONDA_NAMES = {
    "matplotlib": "matplotlib-base",  # conda-forge's "matplotlib" brings desktop windows along
    "jupyter-client": "jupyter_client",
}
FROM_PIP = {"playwright", "axe-playwright-python"}  # not confirmed to be on conda-forge as Python packages
# A name and what its version may be: the part of conda's MatchSpec that pyproject.toml can say too.
CONDA_LINE = re.compile(r"[a-z0-9][a-z0-9._-]*(=\d+\.\d+|((>=|<|!=)\d+(\.\d+)*)(,(>=|<|!=)\d+(\.\d+)*)*)")

# In parts, so that no search for these names finds this file.
HOSTS = [
    ".".join(parts)
    for parts in [
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("yarnpkg", "com"),
        ("anaconda", "org"),
        ("anaconda", "com"),
        ("debian", "org"),
    ]
]
MACHINE_PATHS = ["/".join(("", folder, "")) for folder in ("work", "root")]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


PROJECT: dict[str, Any] = tomllib.loads(read("pyproject.toml"))
OWN = "ipc-helpers[notebooks]"  # the project itself, with what the notebooks need
RUNTIME = [Requirement(line) for line in PROJECT["project"]["optional-dependencies"]["notebooks"]]
DEVELOPMENT, CLASSROOM, PEERS = (
    [Requirement(line) for line in PROJECT["dependency-groups"][name] if line != OWN]
    for name in ("dev", "classroom", "peers")
)
BUILD = [Requirement(line) for line in PROJECT["build-system"]["requires"]]


@pytest.fixture(scope="module")
def environment() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(read("environment.yml"))
    return loaded


def conda_lines(environment: dict[str, Any]) -> list[str]:
    return [line for line in environment["dependencies"] if isinstance(line, str)]


@pytest.fixture(scope="module")
def kept_files() -> list[Path]:
    """The files that git tracks, and those that it would add."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so nothing says which files belong to the project")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
    return [path for name in listed.split("\0") if name and os.path.lexists(path := ROOT / name)]


# Dependencies


@pytest.mark.parametrize(
    "requirement", RUNTIME + DEVELOPMENT + CLASSROOM + PEERS + BUILD, ids=lambda requirement: requirement.name
)
def test_every_dependency_has_a_lower_bound(requirement: Requirement) -> None:
    assert any(bound.operator in (">=", "==", "~=") for bound in requirement.specifier)


def test_conda_gets_the_packages_and_ranges_of_pyproject(environment: dict[str, Any]) -> None:
    lines = [line for line in conda_lines(environment) if not line.startswith(("python=", "pip>"))]
    wanted = RUNTIME + DEVELOPMENT
    assert ranges(lines) == {
        CONDA_NAMES.get(line.name, canonicalize_name(line.name)): line.specifier
        for line in wanted
        if line.name not in FROM_PIP
    }
    assert ranges(pip_lines(environment)) == {
        line.name: line.specifier for line in wanted if line.name in FROM_PIP
    }


def ranges(lines: list[str]) -> dict[str, SpecifierSet]:
    return {requirement.name: requirement.specifier for requirement in map(Requirement, lines)}


def pip_lines(environment: dict[str, Any]) -> list[str]:
    (nested,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert nested[0] == "-e .[notebooks]"
    return nested[1:]


def pinned_python(environment: dict[str, Any]) -> str:
    (version,) = (line.partition("=")[2] for line in conda_lines(environment) if line.startswith("python="))
    return version


def test_conda_understands_every_line(environment: dict[str, Any]) -> None:
    assert [line for line in conda_lines(environment) if not CONDA_LINE.fullmatch(line)] == []


def test_conda_pins_a_python_that_the_package_supports(environment: dict[str, Any]) -> None:
    supported = SpecifierSet(PROJECT["project"]["requires-python"])
    assert re.fullmatch(r"3\.\d+", pinned_python(environment)), "Binder reads no other form"
    assert pinned_python(environment) in supported


def test_conda_asks_conda_forge_alone(environment: dict[str, Any]) -> None:
    assert environment["channels"] == ["conda-forge"]


def test_no_lock_file_is_kept(kept_files: list[Path]) -> None:
    locks = [path.name for path in kept_files if re.search(r"\block\b|-lock\.", path.name)]
    assert locks == []
    assert "uv.lock" in read(".gitignore").splitlines()


# What the pages and scripts say


def test_the_package_alone_depends_on_nothing() -> None:
    assert PROJECT["project"]["dependencies"] == []
    assert OWN in PROJECT["dependency-groups"]["dev"], "the README's commands bring what the notebooks need"
    assert OWN in PROJECT["dependency-groups"]["classroom"]


def test_the_readme_has_each_command_on_a_line_of_its_own_the_one_of_most_systems_first() -> None:
    lines = read("README.md").splitlines()
    places = [lines.index(start + end) for end in (LAB, TESTS) for start in (POSIX, WINDOWS)]
    assert places == sorted(places)
    assert LAB in lines, "for those who have uv"


def test_ci_runs_the_test_command_of_the_readme() -> None:
    """It takes the first line that this pattern finds."""
    pattern = r"^python3 .* pytest$"
    assert f"grep -m 1 -E '{pattern}' README.md" in read(".ci/run")
    assert re.findall(pattern, read("README.md"), re.MULTILINE)[0] == TEST_COMMAND


def test_readers_do_not_get_what_teachers_grade_with() -> None:
    assert "nbgrader" in {line.name for line in CLASSROOM}
    assert "nbgrader" not in {line.name for line in RUNTIME + DEVELOPMENT}


def test_the_readme_names_every_chapter() -> None:
    readme = read("README.md")
    chapters = [path.name for path in (ROOT / "notebooks").glob("*.ipynb")]
    assert chapters
    assert [name for name in chapters if f"notebooks/{name}" not in readme] == []


def test_the_readme_shows_a_picture_and_says_what_is_on_it() -> None:
    shown = images(read("README.md"))
    assert shown
    assert [address for alt, address in shown if not alt] == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "TEACHING.md"])
def test_the_page_links_to_files_that_are_there(page: str) -> None:
    assert broken_links(read(page), ROOT / page) == []


def test_the_guide_for_teachers_names_headings_that_are_there() -> None:
    cells = re.findall(r"\| (\d\d, [^|]+) (?=\|)", read("TEACHING.md"))
    assert len(cells) > 20
    missing = []
    for part in (part for cell in cells for part in cell.split("; ")):
        if begins := re.match(r"(\d\d), ", part):
            (chapter,) = (ROOT / "notebooks").glob(f"{begins[1]}-*.ipynb")
        name = part.removeprefix(begins[0] if begins else "")
        other = re.match(r"Labs? \d|all but ", name)
        if not other and name.replace("`", "").replace(" ", "-") not in anchors(chapter):
            missing.append(f"{chapter.stem}: {name}")
    assert missing == []


@pytest.mark.parametrize("needle", HOSTS + MACHINE_PATHS)
def test_no_file_names_a_registry_or_a_path_of_one_machine(needle: str, kept_files: list[Path]) -> None:
    assert [path.name for path in kept_files if path.is_symlink()] == [], (
        "a link leads elsewhere on each machine"
    )
    found = [path.relative_to(ROOT).as_posix() for path in kept_files if needle.encode() in path.read_bytes()]
    assert found == []


def test_map_of_the_package_names_each_file_that_is_there() -> None:
    rows = re.findall(r"^\| .+ \| `([\w./]+)`.* \|$", read("CONTRIBUTING.md"), re.MULTILINE)
    assert len(rows) >= 20
    package = ROOT / "ipc_helpers"
    paths = [path for ending in ("py", "js", "css") for path in package.rglob(f"*.{ending}")]
    files = {path.relative_to(package).as_posix() for path in paths if path.name != "__init__.py"}
    by_chapter = "workers/", "exercises/"
    assert {name for name in files if not name.startswith(by_chapter)} | {*by_chapter} == set(rows)


def test_long_file_has_a_reason(kept_files: list[Path]) -> None:
    """Its first words in CONTRIBUTING are its path."""
    lines = {
        path: path.read_text(encoding="utf-8").count("\n") for path in kept_files if path.suffix == ".py"
    }
    long = {path.relative_to(ROOT).as_posix() for path, count in lines.items() if count > 400}
    assert long == set(re.findall(r"^- `([\w/.]+\.py)`: ", read("CONTRIBUTING.md"), re.MULTILINE))
