"""Results as JSON: the content of `results.json`."""

from pydantic import TypeAdapter

from loopmark.harness.vocabulary.result import RunResults

_RESULTS = TypeAdapter(RunResults)


def render(results: RunResults) -> str:
    """The results as JSON text."""
    return _RESULTS.dump_json(results, indent=1).decode()
