"""Limits of what clients may have open: which client an address is, its share, and that nothing is counted for ever."""

import ipaddress

import pytest

from access.shares import LOOPBACK, REMEMBERED, Clients, Limit
from errors import Busy, TooMany

PROXIES = frozenset(map(ipaddress.ip_network, ("10.0.0.0/8", "fd00::/8")))


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("127.0.0.1", ""),
        ("::ffff:127.0.0.1", ""),
        ("::1", ""),
        ("10.1.2.3", ""),
        ("fd00::1", ""),
        ("", ""),
        ("unknown", ""),
    ],
)
def test_a_client_is_an_address_or_the_network_of_one(address: str, client: str) -> None:
    assert Clients(PROXIES | LOOPBACK).of(address) == client


def test_many_addresses_take_little_memory() -> None:
    clients = Clients(LOOPBACK)
    for number in range(2 * REMEMBERED):
        clients.of(str(ipaddress.ip_address(0xCB007100 + number)))
    assert clients.of.cache_info().currsize == REMEMBERED  # type: ignore[attr-defined]


def test_one_client_gets_its_share_and_others_the_rest() -> None:
    limit = Limit(8, "things")
    limit.take("a", 2)
    with pytest.raises(TooMany, match="^Your address has too many things open: "):
        limit.take("a")
    limit.take("b", 2)
    limit.take("", 4)  # no share is counted
    for client in ("c", ""):
        with pytest.raises(Busy, match="^Too many things are open: ") as error:
            limit.take(client)
        assert type(error.value) is Busy
    assert limit.used == 8 and limit.by_client == {"a": 2, "b": 2}


def test_a_client_that_has_nothing_is_forgotten() -> None:
    limit = Limit(8, "things")
    limit.take("a", 2)
    limit.give_back("a")
    assert limit.by_client == {"a": 1}
    limit.take("a")
    limit.give_back("a", 2)
    limit.give_back("b", 0)
    assert (limit.used, limit.by_client) == (0, {})


def test_a_small_limit_lets_every_client_have_one() -> None:
    limit = Limit(2, "things")
    limit.take("a")
    with pytest.raises(TooMany):
        limit.take("a")
    limit.take("b")
