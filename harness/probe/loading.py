"""Waits until a server loads its application, and puts the probe around it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = "LOOPMARK_PROBE"
"""Environment variable: the folder for what the probe writes. Without it there is no probe."""

OLDEST = (3, 10)
"""Version of Python."""


def begin() -> None:
    """Look out for the modules that matter. Nothing else is imported before they are.

    An older Python, of a program that the target starts, is left alone.
    """
    folder = os.environ.get(FOLDER)
    if folder and sys.version_info >= OLDEST:
        _After.put_in_place(
            {
                "uvicorn.config": _around_uvicorn(Path(folder)),
                "hypercorn.app_wrappers": _around_hypercorn(Path(folder)),
                "sqlalchemy.pool.impl": _around_pools,
            }
        )


def _around_uvicorn(folder: Path) -> Callable[[ModuleType], None]:
    def change(module: ModuleType) -> None:
        load = module.Config.load

        def load_probed(config: Any) -> None:  # noqa: ANN401 - uvicorn's Config
            load(config)
            config.loaded_app = _probed(config.loaded_app, folder, _package(config.app))

        module.Config.load = load_probed

    return change


def _around_hypercorn(folder: Path) -> Callable[[ModuleType], None]:
    def change(module: ModuleType) -> None:
        begin_wrapper = module.ASGIWrapper.__init__

        def begin_probed(wrapper: Any, app: Any) -> None:  # noqa: ANN401 - hypercorn's
            begin_wrapper(wrapper, _probed(app, folder))

        module.ASGIWrapper.__init__ = begin_probed

    return change


def _around_pools(module: ModuleType) -> None:
    from . import capacity, checkouts  # noqa: PLC0415 - not before they are needed

    capacity.watch_pools(module)
    checkouts.watch(module)


def _probed(app: Any, folder: Path, own: str = "") -> Any:  # noqa: ANN401 - any ASGI application
    from .application import ProbedApplication  # noqa: PLC0415 - not before it is needed

    return ProbedApplication(app, folder, own)


def _package(name: object) -> str:
    """The folder of the package that names an application; empty for a module or an object."""
    if not isinstance(name, str):
        return ""
    package = sys.modules.get(name.partition(":")[0].partition(".")[0])
    return next(iter(getattr(package, "__path__", ())), "")


class _After(MetaPathFinder):
    """Calls a function after the first import of a module."""

    def __init__(self, changes: dict[str, Callable[[ModuleType], None]]) -> None:
        self._changes = changes

    @classmethod
    def put_in_place(cls, changes: dict[str, Callable[[ModuleType], None]]) -> None:
        """Look out for these modules."""
        sys.meta_path.insert(0, cls(changes))

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - as Python calls it
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Find a module that is looked out for, with a loader that changes it; None for others."""
        change = self._changes.pop(fullname, None)
        if change is None:
            return None
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Changing(spec.loader, change)
        return spec


class _Changing(Loader):
    def __init__(self, loader: Loader, change: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self._change = change

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self._loader
        self._change(module)
