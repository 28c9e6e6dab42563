"""Texts of the repository: sentences that say less than they mean, or the opposite, stay out."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEXTS = ("*.py", "*.html", "*.md", "*.toml")
UNCLEAR = re.compile(
    r"may (not )?be believed|nobody looked|stops? to (keep|read)|cannot be had|to be had|"
    r"leaves? 1 out|likewise|as above|nothing speaks against|to and fro|nothing is said of|"
    r"asks both|not believable|that nobody awaits|there is no figure that|did not get to|"
    r"it is not known how many|kept up with no|answers per second are nothing|"
    r"cannot be (judged|told|said)|had too few rounds|too few numbers|at most so wrong|"
    r"had to connect again|listened on|heard all the same|held against|gravest|"
    r"laid down beforehand|whatever the target does|\bas ever\b|clients that read\b|"
    r"locustfile asks of|waited for its processor",
    re.IGNORECASE,
)


def texts() -> list[Path]:
    folders = ("docs", "harness", "loopmark", "reports", "scenarios", "targets", "tests")
    found = [path for text in TEXTS for path in ROOT.glob(text)]
    # Through no link: the folders in `loopmark` are those beside it.
    found += [path for name in folders for text in TEXTS for path in (ROOT / name).rglob(text)]
    return [path for path in found if path != Path(__file__)]


def test_no_text_has_an_unclear_sentence() -> None:
    files = texts()
    assert len(files) > 300
    assert [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in files
        # A sentence may go on in the next line, of a string too.
        for match in UNCLEAR.finditer(re.sub(r'"?\s*\n\s*f?"?', " ", path.read_text("utf-8")))
    ] == []
