"""How Loopmark measures: plan, launch, drive, record, analyse."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("loopmark")
except PackageNotFoundError:  # A checkout that nobody has installed.
    __version__ = "0+unknown"
