"""Imported by Python at its start, as this folder is on PYTHONPATH: puts the probe in place.

Then the `sitecustomize` that Python would have imported without it.
"""

import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

NAME = "_loopmark_probe"


def _load() -> None:
    folder = Path(__file__).resolve().parent.parent
    spec = spec_from_file_location(
        NAME, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None, "the file is there"  # noqa: PT018 - one claim
    package = module_from_spec(spec)
    sys.modules[NAME] = package
    spec.loader.exec_module(package)
    from _loopmark_probe import loading  # type: ignore[import-not-found]  # noqa: PLC0415 - named only now

    loading.begin()


def _import_the_next() -> None:
    here = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != here]
    this = sys.modules.pop("sitecustomize", None)
    try:
        import_module("sitecustomize")  # theirs
    except ModuleNotFoundError as error:
        if error.name != "sitecustomize":
            raise
        if this is not None:
            sys.modules["sitecustomize"] = this


_load()
_import_the_next()
