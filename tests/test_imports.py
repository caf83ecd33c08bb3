"""What importing loads: the standard library alone in a child, widgets and plots only for their users."""

from __future__ import annotations

import ast
import graphlib
import importlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import group_workers
import pytest

import ipc_helpers
from ipc_helpers.group.starting import start_methods

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACKAGE = Path(ipc_helpers.__file__).parent
CHILD, PARENT, VIEW = range(3)
FLOORS = {
    **dict.fromkeys(("ipc_helpers", "ipc_helpers.trace"), CHILD),
    **dict.fromkeys(("ipc_helpers.workers", "ipc_helpers.child", "ipc_helpers.exercises"), CHILD),
    **dict.fromkeys(("ipc_helpers.group", "ipc_helpers.experiments", "ipc_helpers.diagnosis"), PARENT),
    "ipc_helpers.measuring": PARENT,
    "ipc_helpers.ui": VIEW,
}
"""A room, with all modules in it, and its floor."""
PEERS = {"ipc_helpers.workers.peer_workers": {"faster_fifo", "iceoryx2", "zmq"}}
"""What a module imports inside of those functions that use it, and nowhere else."""


def run(code: str) -> str:
    """Run code in an interpreter of its own; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(group_workers.__file__).parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def run_script(function: Callable[..., None], *arguments: str) -> str:
    """Run a script of group_workers in an interpreter of its own; return what it printed."""
    return run(f"import group_workers; group_workers.{function.__name__}(*{arguments!r})")


def outsiders(modules: set[str]) -> set[str]:
    """Return the top-level modules that are neither the standard library's nor the package's."""
    known = {*sys.stdlib_module_names, "ipc_helpers", "group_workers", "__main__", "__mp_main__"}
    return {name.partition(".")[0] for name in modules} - known


# What is loaded, in real interpreters.


@pytest.fixture(scope="module")
def loaded_at_start() -> set[str]:
    """Return what each interpreter loads here by itself: an environment's .pth files may name modules."""
    return set(run("import sys; print(*sys.modules)").split())


def test_package_imports_the_standard_library_alone(loaded_at_start: set[str]) -> None:
    loaded = set(run("import sys, ipc_helpers; print(*sys.modules)").split()) - loaded_at_start
    assert outsiders(loaded) == set()
    assert {name for name in loaded if name.startswith("ipc_helpers")} == {"ipc_helpers"}


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("start_method", [method for method in start_methods() if method != "fork"])
def test_child_loads_the_standard_library_alone(start_method: str, loaded_at_start: set[str]) -> None:
    loaded = set(run_script(group_workers.run_modules_of_a_child, start_method).split()) - loaded_at_start
    assert {"ipc_helpers.child.entry", "ipc_helpers.trace", "ipc_helpers.workers.queue_workers"} <= loaded
    assert outsiders(loaded) == set()
    # These would be outsiders too. They are named here for what each would cost every child.
    assert {"ipywidgets", "matplotlib", "IPython", "numpy"}.isdisjoint(loaded)
    assert "dataclasses" not in loaded, "it takes longer to import than all of the child part"
    assert {"ipc_helpers.group.worker_group", "ipc_helpers.experiments.experiment"}.isdisjoint(loaded)


@pytest.mark.usefixtures("nothing_left")
def test_package_works_without_widgets_and_plots() -> None:
    received, *complaints = run_script(group_workers.run_without_widgets_and_plots).splitlines()
    assert received == "10"
    needed = "needs ipywidgets, matplotlib, numpy: python -m pip install"
    assert [complaint.split('"')[0].strip() for complaint in complaints] == [
        f"draw: draw {needed}",
        f"Panel: Panel {needed}",
    ]
    assert [complaint.count('"') for complaint in complaints] == [6, 6], "each with its range, in quotes"


# The public names.


@pytest.mark.parametrize("name", ipc_helpers.__all__)
def test_public_name_is_there(name: str) -> None:
    value = getattr(ipc_helpers, name)
    home = importlib.import_module(f"ipc_helpers.{ipc_helpers._HOME[name]}")
    assert value is getattr(home, name)
    defined_in = getattr(value, "__module__", home.__name__)  # a dictionary does not say
    assert defined_in == home.__name__, "the table names another module than the one that defines it"
    assert name in dir(ipc_helpers)


def test_public_names_are_those_that_type_checkers_see() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    seen = {
        (alias.asname, node.module)  # "as" the same name: a type checker takes no other for public
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("ipc_helpers.")
        for alias in node.names
    }
    assert seen == {(name, f"ipc_helpers.{home}") for name, home in ipc_helpers._HOME.items()}


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'ipc_helpers' has no attribute 'nothing'"):
        _ = ipc_helpers.nothing


# The floors, read from the source.


def modules() -> dict[str, ast.Module]:
    """Return the parsed modules of the package, by their names."""
    trees = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        trees[name] = ast.parse(path.read_text(encoding="utf-8"))
    return trees


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield what a module imports when it runs: not what only a type checker sees."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "the package imports by full names"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from imports(node)


def floor_of(module: str) -> int | None:
    """Return the floor of a module of the package; None for a name that is no such module."""
    if module in FLOORS:
        return FLOORS[module]
    package = module.rpartition(".")[0]
    return FLOORS.get(package) if package != "ipc_helpers" else None


MODULES = modules()


@pytest.mark.parametrize("module", MODULES)
def test_module_imports_from_its_floor_or_below(module: str) -> None:
    floor = floor_of(module)
    assert floor is not None, f"give {module} its floor in FLOORS"
    above = {name for name in imports(MODULES[module]) if (floor_of(name) or CHILD) > floor}
    assert above == set()


@pytest.mark.parametrize(
    "module",
    [
        module
        for module in MODULES
        if floor_of(module) in (CHILD, PARENT) or module == "ipc_helpers.ui.check_exercise"
    ],
)
def test_child_and_parent_import_the_standard_library_alone(module: str) -> None:
    """A check does, too: it needs no more than diagnose."""
    assert outsiders(set(imports(MODULES[module]))) == PEERS.get(module, set())


@pytest.mark.parametrize("module", PEERS)
def test_peers_are_imported_inside_of_functions(module: str) -> None:
    outside = [node for node in MODULES[module].body if not isinstance(node, ast.FunctionDef)]
    assert outsiders(set(imports(ast.Module(outside, [])))) == set()


@pytest.mark.parametrize("path", sorted((PACKAGE / "workers").rglob("*.py")), ids=lambda path: path.stem)
def test_workers_are_what_a_reader_would_write(path: Path) -> None:
    """They import nothing of the package, anywhere in the module: who copies one has all of it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = ["ipc_helpers" if node.level else str(node.module)]
        known = sys.stdlib_module_names | PEERS.get(f"ipc_helpers.workers.{path.stem}", set())
        assert {name.partition(".")[0] for name in names} <= known


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = {
        module: {name for name in imports(tree) if name in MODULES and name != "ipc_helpers"}
        for module, tree in MODULES.items()
    }
    order = graphlib.TopologicalSorter(graph).static_order()  # a CycleError names the circle
    assert set(order) >= set(MODULES)
