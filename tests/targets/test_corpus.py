"""The corpus is the same everywhere, and there as a whole or not at all."""

import hashlib
from pathlib import Path

from loopmark.targets import corpus

# Changed on purpose only: figures on another corpus cannot be compared.
DIGEST = "6d9447e0ab2379366174ac230c69c062ac52b77d8c252414827b206242256da7"


def test_the_bytes_are_the_same_on_every_machine(corpus_folder: Path) -> None:
    found = hashlib.sha256()
    for name in corpus.NAMES:
        found.update(hashlib.sha256((corpus_folder / name).read_bytes()).digest())
    assert found.hexdigest() == DIGEST


def test_names_counts_and_sizes(tmp_path: Path) -> None:
    corpus.make(tmp_path / "corpus")
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "corpus").iterdir()}
    expected = {
        f"{size}-{n:03}.txt": kib * 1024
        for size, kib, count in (
            ("1k", 1, 256),
            ("10k", 10, 256),
            ("100k", 100, 64),
            ("1m", 1024, 16),
            ("10m", 10240, 4),
        )
        for n in range(count)
    }
    assert sizes == expected
    assert list(tmp_path.iterdir()) == [tmp_path / "corpus"], "nothing else is left"


def test_every_file_is_text_of_its_own(corpus_folder: Path) -> None:
    texts = [(corpus_folder / name).read_text(encoding="utf-8") for name in corpus.NAMES]
    assert len(set(texts)) == len(texts)
    for text in texts:
        assert len(text.split()) > 50
        assert text.count("\n") > 5
        assert not text.isascii()
        assert text.endswith("\n")


def test_what_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "mine.txt").write_text("mine")
    corpus.make(tmp_path / "corpus")
    assert [path.name for path in (tmp_path / "corpus").iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    corpus.make(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(corpus.NAMES)
