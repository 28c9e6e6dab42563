"""How Loopmark measures: plan, launch, drive, record, analyse."""


def __getattr__(name: str) -> str:
    """`__version__`, looked up when it is asked for: the look-up is slow to import."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version("loopmark")
    except PackageNotFoundError:  # A checkout that is not installed.
        return "0+unknown"
