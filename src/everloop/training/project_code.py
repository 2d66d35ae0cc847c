"""The user's own code: its fingerprint, and loading the product it declares."""

import importlib.util
import sys
from pathlib import Path

from everloop.errors import Refused
from everloop.product import Product
from everloop_runtime.ids import digest_file, digest_json

CODE, DIFF = "code", "changes.diff"
"""In a run's folder: the project's files as they were, and how they differed from git's."""


def code_files(project: Path) -> list[Path]:
    """The project's Python files, hidden folders left out, sorted."""
    return sorted(
        path
        for path in project.rglob("*.py")
        if not any(part.startswith(".") for part in path.relative_to(project).parts)
    )


def code_digests(project: Path) -> dict[str, str]:
    """The digest of each of them, by its place in the project."""
    return {str(path.relative_to(project)): digest_file(path) for path in code_files(project)}


def fingerprint(project: Path) -> str:
    """Digest of the names and bytes of the project's Python files, hidden folders left out."""
    return digest_json(code_digests(project))


def load_product(project: Path) -> Product:
    """Import the project's `product.py` and return its one `Product`.

    This runs the user's code, so only jobs do it, in processes of their own. Raises `Refused`
    naming the user's line when the file is missing, cannot be imported or declares no product.
    """
    path = project / "product.py"
    if not path.is_file():
        raise Refused(f"no product.py in {project}; everloop init writes one")
    spec = importlib.util.spec_from_file_location("product", path)
    assert spec is not None and spec.loader is not None  # noqa: S101 - it is a .py file
    module = importlib.util.module_from_spec(spec)
    sys.modules["product"] = module
    sys.path.insert(0, str(project))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        where = user_line(error, project)
        raise Refused(f"{where}: {type(error).__name__}: {error}") from error
    products = [value for value in vars(module).values() if isinstance(value, Product)]
    if len(products) != 1:
        raise Refused(f"{path} declares {len(products)} products; exactly one is wanted")
    return products[0]


def user_line(error: BaseException, project: Path) -> str:
    """`file:line` of the innermost frame in the user's own code; product.py when none is."""
    where = "product.py"
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno}"
    trace = error.__traceback__
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if file.is_relative_to(project):
            where = f"{file.relative_to(project)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return where


def shown_line(file: str, line: int, project: Path) -> str:
    """`file:line` as people of the project know it."""
    path = Path(file)
    return f"{path.relative_to(project) if path.is_relative_to(project) else path.name}:{line}"
