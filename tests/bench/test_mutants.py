"""The tool behind `make mutants`: which mistakes it makes, and what it says of them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from tests.bench.mutants.mutations import mutants_of

ROOT = Path(__file__).parents[2]


def mistakes(source: str) -> list[str]:
    """The lines that a mutant changes, as they are then."""
    found = mutants_of("m", source)
    original = ast.dump(ast.parse(source))
    assert all(ast.dump(ast.parse(one.applied_to(source))) != original for one in found)
    assert found == sorted(found, key=lambda one: one.start)
    return [one.diff(source)[1] for one in found]


MISTAKES: tuple[tuple[str, list[str]], ...] = (
    ("a < b", ["a <= b", "a >= b"]),
    ("a == b", ["a != b"]),
    ("a is not b", ["a is b"]),
    ("a in b", ["a not in b"]),
    ("(a) + (b)", ["(a) - (b)"]),
    ("a // b", ["a / b"]),
    ("a and b", ["True and b", "a or b", "a and True"]),
    ("a or 0", ["False or 0", "a and 0", "a or 1"]),
    ("not a", ["a"]),
    ("-a", ["a"]),
    ("3", ["4"]),
    ("0.5, 0.5", ["0.55, 0.5", "0.5, 0.55"]),
    ("True", ["False"]),
    ("a + 1e-9", ["a - 1e-9", "a + 0.0"]),
    ("a if b else c", ["a if not (b) else c"]),
    ("[a for a in b if c]", ["[a for a in b if True]", "[a for a in b if not (c)]"]),
    ("low, high", ["high, low"]),
    ("np.median", ["np.mean"]),
    ("f(a, k=b)", ["pass", "f(a)"]),
    ("x = f(k=b, l=c)", ["x = f(l=c)", "x = f(k=b)"]),
    ("x = Value(k=b)", []),
    ("x = f(strict=True)", []),
    ("x -= y", ["pass"]),
    ("x[y] = z", ["pass"]),
    ("def f(a=1):\n    return a", ["def f(a=2):", "return None"]),
    ("while a:\n    break", ["while not (a):", "pass"]),
    ("raise a", ["pass"]),
    # What no test could notice:
    ('"""Text of 3."""', []),
    ("x: Literal[3]", []),
    ("x: TypeAlias = Literal[3]", []),
    ("x = Annotated[int, str]", []),
    ("@f(3)\ndef f() -> Literal[3]:\n    assert a < b", []),
    ("import a", []),
    ('f"{a + b}"', []),
)


def test_each_mistake_is_one_edit() -> None:
    for source, expected in MISTAKES:
        assert mistakes(source) == expected, source


def test_a_line_says_which_tests_can_notice() -> None:
    source = "A = 1\ndef f(x=2):\n    if x < A:\n        y = (\n          x + A)\n    return y\n"
    reached = {(one.line, one.reached) for one in mutants_of("m", source)}
    assert reached == {(1, None), (2, (3, 6)), (3, (3, 3)), (5, (4, 5)), (6, (6, 6))}


TOY = """\
LAST = (3, 1)[1]

def rest(n):
    while n > LAST:
        n -= 2
    return n

def unused():
    return LAST
"""
TESTS = """\
import pytest, toy

@pytest.fixture(scope="module")
def four():
    return toy.rest(4)

def test_four(four):
    assert four == 0

def test_again(four):
    assert four == 0
"""
PROGRAM = """\
import sys
from pathlib import Path
from tests.bench.mutants.__main__ import score
from tests.bench.mutants.mutations import mutants_of
from tests.bench.mutants.trials import Project, Trials

root = Path(sys.argv[1])
toy = root / "toy.py"
trials = Trials(Project(root, {"toy": toy}, ("test_toy.py",), start_s=2.0), at_once=2)
assert all(one.reaches("toy", (4, 4)) for one in trials.tests), trials.tests
source = toy.read_text()
mutants = {one.diff(source)[1]: one for one in mutants_of("toy", source)}
wanted = ("n -= 3", "pass", "while n <= LAST:", "LAST = (3, 1)[2]", "LAST = (4, 1)[1]")
chosen = [one for text, one in mutants.items() if text in wanted or one.line == 9]
outcomes = dict(trials.outcomes(chosen))
for one in chosen:
    print(one.line, one.diff(source)[1], outcomes[one], sep="; ")
print(score(list(outcomes.values())))
"""


def test_what_becomes_of_a_mutant(tmp_path: Path) -> None:
    (tmp_path / "toy.py").write_text(TOY)
    (tmp_path / "test_toy.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
        timeout=300,
    )
    *outcomes, said = done.stdout.splitlines()
    assert outcomes == [
        "1; LAST = (4, 1)[1]; survived",
        "1; LAST = (3, 1)[2]; not importable",
        "4; while n <= LAST:; killed",
        "5; pass; timed out",
        "5; n -= 3; killed",
        "9; return None; not reached by any test",
    ]
    assert said == (
        "60.0% killed (95% interval 23.1% to 88.2%): 2 killed, 1 timed out, 1 survived, "
        "1 not reached by any test, 1 not importable"
    )
