"""What was published and heard: duplicates, order and what is missing, against counting by hand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.drivers.websocket_driver.publications import Hearer, Publications
from loopmark.harness.vocabulary.sample import ErrorKind


def published(*moments: tuple[int, int]) -> Publications:
    """Publications that were sent, and acknowledged (0: never), at these moments."""
    publications = Publications()
    for number, (sent_ns, acknowledged_ns) in enumerate(moments):
        assert publications.begin(f"key-{number}") == number
        publications.due_ns[number] = publications.sent_ns[number] = sent_ns
        publications.acknowledged_ns[number] = acknowledged_ns
    return publications


def test_a_publication_is_found_by_its_key() -> None:
    publications = published((1, 2), (3, 4))
    assert publications.number_of("key-1") == 1
    for other in ("key-2", "", None, 1, ["key-1"], {"key-1": 1}):
        assert publications.number_of(other) is None


def test_in_order_all_is_well() -> None:
    hearer = Hearer(published((1, 2), (3, 4), (5, 6)))
    assert [hearer.hear(number) for number in range(3)] == ["", "", ""]
    assert list(hearer.missed()) == []


def test_what_was_heard_before_is_a_duplicate() -> None:
    hearer = Hearer(published((1, 2), (3, 4)))
    assert [hearer.hear(number) for number in (0, 0, 1, 0)] == [
        "",
        ErrorKind.DUPLICATE,
        "",
        ErrorKind.DUPLICATE,
    ]


def test_what_was_acknowledged_before_another_was_sent_must_come_before_it() -> None:
    hearer = Hearer(published((1, 2), (3, 4)))
    assert hearer.hear(1) == ""
    assert hearer.hear(0) == ErrorKind.OUT_OF_ORDER
    assert hearer.hear(0) == ErrorKind.DUPLICATE


def test_publications_that_overlap_have_no_order() -> None:
    hearer = Hearer(published((1, 4), (3, 5)))
    assert [hearer.hear(number) for number in (1, 0)] == ["", ""]


def test_what_is_not_acknowledged_has_no_order_and_need_not_be_heard() -> None:
    hearer = Hearer(published((1, 0), (3, 4)))
    assert list(hearer.missed()) == [1]
    assert [hearer.hear(number) for number in (1, 0)] == ["", ""]
    assert list(hearer.missed()) == []


MOMENTS = st.lists(st.tuples(st.integers(1, 50), st.integers(-10, 20)), max_size=40)


@given(MOMENTS, st.data())
def test_hearing_agrees_with_counting_by_hand(
    moments: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Sent in order, as a driver does; a length of nought or less is no acknowledgement."""
    sent = sorted(at for at, _ in moments)
    acknowledged = [
        at + took if took > 0 else 0 for at, (_, took) in zip(sent, moments, strict=True)
    ]
    publications = published(*zip(sent, acknowledged, strict=True))
    numbers = range(len(moments))
    heard = data.draw(st.lists(st.sampled_from(numbers), max_size=60)) if moments else []
    hearer = Hearer(publications)
    before: list[int] = []
    for number in heard:
        expected = ""
        if number in before:
            expected = ErrorKind.DUPLICATE
        elif acknowledged[number] and any(sent[one] > acknowledged[number] for one in before):
            expected = ErrorKind.OUT_OF_ORDER
        assert hearer.hear(number) == expected
        before.append(number)
    missed = [number for number in numbers if acknowledged[number] and number not in before]
    assert list(hearer.missed()) == missed
    start_ns, end_ns = 10, 30
    in_window = {number for number in numbers if start_ns <= sent[number] < end_ns}
    assert hearer.count_in(start_ns, end_ns) == len(in_window & set(before))
    right = sum(1 for number in in_window if acknowledged[number])
    assert publications.in_window(start_ns, end_ns) == (right, len(in_window) - right)


def test_many_publications_are_kept_apart() -> None:
    count = 5000
    publications = published(*((at, at) for at in range(1, count + 1)))
    hearer = Hearer(publications)
    for number in range(0, count, 2):
        assert hearer.hear(number) == ""
    assert list(hearer.missed()) == list(range(1, count, 2))
