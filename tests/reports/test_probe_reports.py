"""What a probe found, in each of its formats."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from loopmark.harness.vocabulary.blocking import (
    Call,
    Culprit,
    Frame,
    HeldConnection,
    Kind,
    LoopTimeline,
    LostCoroutine,
    ResourceUse,
    StoodStill,
)
from loopmark.harness.vocabulary.probe_result import (
    Asked,
    Finding,
    LagPercentiles,
    LostFinding,
    ProbeResult,
    Unblamed,
)
from loopmark.harness.vocabulary.route_request import RouteAnswers, SkippedRoute
from loopmark.reports.catalog import PROBE_FORMATS, render_probe

OWN = Frame("/home/me/shop/orders.py", 31, "read_order")
LIBRARY = Frame("/home/me/.venv/lib/python3.12/site-packages/requests/api.py", 73, "get")
STANDARD = Frame("/usr/lib/python3.12/socket.py", 706, "readinto")
ROUTES = ("GET /orders/{order_id}", "GET /b", "GET /c")


def finding(  # noqa: PLR0913 - what differs
    line: Frame | None = OWN,
    place: Frame = STANDARD,
    *,
    kind: Kind = Kind.CALL,
    times: int = 12,
    recurs: bool = True,
    allowed_by: str = "",
) -> Finding:
    call = Call("recvfrom", "10.0.0.7:5432") if kind is Kind.CALL else None
    worst_ms = 412.3 if times else 0.0
    culprit = Culprit(kind, place, line, ROUTES, call, times, 4900.0, worst_ms, recurs)
    code = 'reply = requests.get(f"http://stock/{order_id}", timeout=5)'
    return Finding(culprit, ROUTES, recurs, allowed_by, code)


LOST = LostFinding(
    LostCoroutine("note", "/home/me/shop/orders.py", 40, "read_order", 7),
    Frame("/home/me/shop/notes.py", 5, "later"),
    "",
    "return note(text)",
)
EMPTY = ProbeResult(
    application="shop.main:app",
    folder="/home/me",
    python="3.12.1",
    loop="uvloop",
    processes=1,
    users=10,
    findings=(),
    lost=(),
    threads=None,
    pools=(),
    held=(),
    lag_ms=None,
    starved=Unblamed(),
    contended=Unblamed(),
    unnamed=Unblamed(),
    answers=(),
    skipped=(),
    needs_authorization=False,
    authorization_from="LOOPMARK_AUTHORIZATION",
    allowed_in_vain=(),
    has_kinds=True,
    timeline=LoopTimeline((), ()),
    asked=(),
)
FULL = replace(
    EMPTY,
    findings=(
        finding(),
        finding(None, LIBRARY, kind=Kind.COMPUTING_GIL, times=0),
        finding(replace(OWN, line=50), replace(OWN, line=50), times=1, recurs=False),
        finding(replace(OWN, line=60), times=3, allowed_by="orders.py:60"),
    ),
    lost=(LOST,),
    threads=ResourceUse(40, 40, 12, 0),
    pools=(ResourceUse(30, 30, 10, 2),),
    held=(HeldConnection("/srv/shop/db.py", 12, "load", 2),),
    lag_ms=LagPercentiles(0.31, 210.0, 1412.0),
    starved=Unblamed(3, 120.0),
    contended=Unblamed(2, 80.0),
    unnamed=Unblamed(1, 50.0),
    answers=(
        RouteAnswers("GET /orders/{order_id}", 300, {200: 290}, {"timeout": 10}, 2.5, 90.0, 1, 2),
        RouteAnswers("GET /x/<b>", 100, {404: 100}, {}, 2.5, 90.0, 3, 4),
        RouteAnswers("GET /hang", 10, {}, {"timeout": 10}, None, None, 5, 6),
        RouteAnswers("", 1000, {200: 1000}, {}, 2.5, 90.0, 7, 8),
    ),
    skipped=(
        SkippedRoute("POST /a", "it may change data; --write asks it too"),
        SkippedRoute("PUT /a", "it may change data; --write asks it too"),
        SkippedRoute("GET /c", "it needs the cookie sid"),
    ),
    allowed_in_vain=("gone.py",),
    has_kinds=False,
    timeline=LoopTimeline(
        ((0.0, 0.3), (0.02, 412.0), (1.0, 0.2)), (StoodStill(0.02, 412.0, Kind.CALL),)
    ),
    asked=(Asked("GET /orders/{order_id}", 0.0, 0.9), Asked("", 0.95, 1.0)),
)


def one_line(text: str) -> str:
    return " ".join(text.split())


# ---- text ----


@pytest.mark.parametrize("result", [EMPTY, FULL])
def test_text_fits_a_terminal(result: ProbeResult) -> None:
    for line in render_probe("text", result).splitlines():
        assert len(line) <= 80
        assert line == line.rstrip()


def test_the_text_has_the_effect_first() -> None:
    text = render_probe("text", FULL)
    assert one_line(text.partition("\n\n")[0]) == (
        "2 lines block the event loop of shop.main:app; worst: shop/orders.py:31 (reply = "
        'requests.get(f"http://stock/{order_id}"…), 412 ms; 1 coroutine is never awaited: note, '
        "shop/notes.py:5"
    )


def test_the_text_has_all_that_was_seen() -> None:
    text = one_line(render_probe("text", FULL))
    for said in (
        "12 4.9 s 412 ms shop/orders.py:31 read_order",
        "blocking call: recvfrom, 10.0.0.7:5432, in socket.py:706 readinto",
        "GET /orders/{order_id} and 2 others",
        "often 4.9 s short requests/api.py:73 get",
        "computing, GIL held",
        "7 shop/notes.py:5 later return note(text) note is not awaited; dropped in shop/orders.py",
        "Happened once (an import, a first use): TIMES TOTAL WORST LINE 1 4.9 s 412 ms shop/order",
        "Requests waited: at most 12 for one of 40 worker threads and 10 for one of 30 pooled conn",
        "40 threads against 30 connections: the pool decides.",
        "2 of 30 connections are still checked out at the end: 2 taken at /srv/shop/db.py:12.",
        "Event-loop lag: p50 0.310 ms, p99 210 ms, max 1.4 s",
        "The host took the processor away 3 times (120 ms): no line is to blame.",
        "It stood still once (50 ms) without one line",
        "This system does not tell what threads do",
        "Allowed by orders.py:60: shop/orders.py:60.",
        "Allowed, and not seen: gone.py.",
        "Asked: 3 routes, 1,410 requests by 10 users: 1,290 x 200, 100 x 404, 20 timeout.",
        "GET /x/<b>: only 404.",
        "GET /hang: only timeout.",
        "Not asked: POST /a, PUT /a: it may change data; --write asks it too.",
        "Not asked: GET /c: it needs the cookie sid.",
    ):
        assert said in text


def test_nothing_found_is_said_with_the_highest_lag() -> None:
    clean = replace(EMPTY, lag_ms=LagPercentiles(0.1, 1.0, 3.0))
    assert one_line(render_probe("text", clean)).startswith(
        "No line blocks the event loop of shop.main:app again and again; its highest lag was 3.00"
    )


def test_one_of_each_is_said_in_the_singular() -> None:
    one = replace(EMPTY, findings=(finding(),))
    assert one_line(render_probe("text", one)).startswith("1 line blocks the event loop of shop")
    lost = replace(EMPTY, lost=(LOST,))
    assert one_line(render_probe("text", lost)).startswith(
        "1 coroutine is never awaited by shop.main:app: note, shop/notes.py:5"
    )


def test_missing_authorization_is_said() -> None:
    answers = (RouteAnswers("GET /a", 1, {401: 1}, {}, 1.0, 1.0, 1, 2),)
    result = replace(EMPTY, needs_authorization=True, answers=answers)
    assert "401 everywhere: set LOOPMARK_AUTHORIZATION" in render_probe("text", result)


def test_threads_that_decide() -> None:
    result = replace(EMPTY, threads=ResourceUse(4, 4, 9, 0), pools=(ResourceUse(30, 4, 0, 0),))
    text = one_line(render_probe("text", result))
    assert "Requests waited: at most 9 for one of 4 worker threads, at once." in text
    assert "4 threads against 30 connections: the thread limit decides." in text
    assert "still checked out" not in text


def test_collections_are_counted_together_and_what_happened_once_is_cut_short() -> None:
    lines = [replace(OWN, line=number) for number in range(100, 107)]
    once = [finding(line, line, kind=Kind.COLLECTION, times=1, recurs=False) for line in lines]
    text = one_line(render_probe("text", replace(EMPTY, findings=tuple(once))))
    assert "Garbage collection stopped it 7 times (34.3 s), at whichever line was running" in text
    assert "orders.py:104" in text
    assert "orders.py:105" not in text
    assert "and 2 more; --format json has them all" in text
    text = render_probe("text", replace(EMPTY, findings=tuple(once[:1])))
    assert "Garbage" not in text
    assert "more;" not in text


# ---- JSON ----


def test_json_has_what_others_read() -> None:
    told = json.loads(render_probe("json", FULL))
    assert told["is_guilty"] is True
    assert told["culprits"][0] == {
        "file": STANDARD.file,
        "line": 706,
        "function": "readinto",
        "application_file": OWN.file,
        "application_line": 31,
        "application_function": "read_order",
        "code": 'reply = requests.get(f"http://stock/{order_id}", timeout=5)',
        "kind": "blocking-call",
        "routes": list(ROUTES),
        "call": "recvfrom",
        "peer": "10.0.0.7:5432",
        "times": 12,
        "total_ms": 4900.0,
        "worst_ms": 412.3,
        "recurring": True,
        "allowed_by": None,
    }
    assert told["culprits"][1]["application_file"] is None
    assert told["culprits"][3]["allowed_by"] == "orders.py:60"
    assert told["asked"][0]["statuses"] == {"200": 290}
    assert told["asked"][3]["route"] is None
    assert told["not_awaited"][0]["created"]["line"] == 5
    assert json.loads(render_probe("json", EMPTY))["culprits"] == []


# ---- SARIF ----


def sarif(result: ProbeResult) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(render_probe("sarif", result))
    return told


@pytest.mark.parametrize("result", [EMPTY, FULL])
def test_sarif_has_what_code_hosts_require(result: ProbeResult) -> None:
    log = sarif(result)
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "Loopmark"
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(ids) == len(set(ids))
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"]
        assert rule["fullDescription"]["text"]
    assert len(run["results"]) == len(result.findings) + len(result.lost)
    for row in run["results"]:
        assert ids[row["ruleIndex"]] == row["ruleId"]
        assert row["level"] in {"error", "warning", "note", "none"}
        assert row["message"]["text"].endswith(".")
        (location,) = row["locations"]
        place = location["physicalLocation"]
        assert place["region"]["startLine"] >= 1
        assert not place["artifactLocation"]["uri"].startswith("/")
        assert place["artifactLocation"].get("uriBaseId", "SRCROOT") in run["originalUriBaseIds"]
        assert row["partialFingerprints"]
    for base in run["originalUriBaseIds"].values():
        assert re.fullmatch(r"file:///.*/", base["uri"])


def test_sarif_names_lines_relative_to_the_folder() -> None:
    rows = sarif(FULL)["runs"][0]["results"]
    places = [row["locations"][0]["physicalLocation"] for row in rows]
    assert places[0]["artifactLocation"] == {"uri": "shop/orders.py", "uriBaseId": "SRCROOT"}
    assert places[0]["region"] == {"startLine": 31}
    assert [row["level"] for row in rows] == ["error", "error", "note", "error", "error"]
    assert [row["ruleId"] for row in rows][-1] == "not-awaited"
    assert [bool(row.get("suppressions")) for row in rows] == [False, False, False, True, False]
    outside = replace(FULL, folder="/elsewhere")
    first = sarif(outside)["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert first["artifactLocation"] == {"uri": "file:///home/me/shop/orders.py"}


def test_every_kind_that_accuses_has_a_rule() -> None:
    for kind in set(Kind) - {Kind.HOST}:
        result = replace(EMPTY, findings=(finding(kind=kind),))
        assert sarif(result)["runs"][0]["results"][0]["ruleId"] == kind.value


# ---- the page ----


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("result", [EMPTY, FULL])
def test_the_page_is_whole_and_needs_nothing(result: ProbeResult) -> None:
    page = _Page()
    page.feed(render_probe("html", result))
    assert page.links == []
    assert "script" not in page.tags
    assert page.open == []


def test_the_page_shows_the_loop_and_escapes_what_is_not_ours() -> None:
    text = render_probe("html", FULL)
    assert text.count('class="still"') == 1
    assert text.count('class="asked"') == 2
    assert "412 ms: blocking call" in text
    assert "GET /x/&lt;b&gt;" in text
    assert "<b>" not in text
    points = re.search(r'<polyline points="([^"]+)"', text)
    assert points is not None
    heights = [float(point.partition(",")[2]) for point in points[1].split()]
    assert min(heights) == 26.0  # The highest lag is at the top.
    assert "<polyline" not in render_probe("html", EMPTY)


def test_all_formats_are_tested() -> None:
    assert set(PROBE_FORMATS) == {"text", "json", "sarif", "html"}
