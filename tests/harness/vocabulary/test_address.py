from __future__ import annotations

import pytest

from loopmark.harness.errors import UserError
from loopmark.harness.vocabulary.address import MASTER_PORT, Address, parse_address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("10.0.0.1", "10.0.0.1", MASTER_PORT),
        ("10.0.0.1:6000", "10.0.0.1", 6000),
        (" load-1.example ", "load-1.example", MASTER_PORT),
        ("load-1.example:80", "load-1.example", 80),
        ("::1", "::1", MASTER_PORT),
        ("[::1]", "::1", MASTER_PORT),
        ("[fe80::2]:7000", "fe80::2", 7000),
    ],
)
def test_an_address_is_read_as_it_is_written(text: str, host: str, port: int) -> None:
    found = parse_address(text, "--master")
    assert found == Address(host, port)
    assert parse_address(str(found), "--master") == found


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("host:0", "from 1 to 65535"),
        ("host:65536", "from 1 to 65535"),
        ("host:http", "from 1 to 65535"),
        ("host:", "from 1 to 65535"),
        ("host:٣", "from 1 to 65535"),
        ("", "the address"),
        ("*", "the address"),
        ("0.0.0.0:5557", "the address"),
        ("[::]", "the address"),
        ("http://host", "HOST or HOST:PORT"),
        ("two words", "HOST or HOST:PORT"),
    ],
)
def test_what_is_no_address_is_refused_by_name(text: str, what: str) -> None:
    with pytest.raises(UserError, match=what) as refused:
        parse_address(text, "--master")
    assert str(refused.value).startswith("--master: ")
