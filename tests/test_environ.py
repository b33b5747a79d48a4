"""The environ that is made from the head of a request: headers, path, host, and proxies."""

import ipaddress
from typing import Any

import pytest

from access.clients import parsed
from server import environ
from server.environ import MOST_PROXIES, BadRequest, Environs

PROXIES = frozenset(map(ipaddress.ip_network, ("127.0.0.1", "10.0.0.0/8", "::1")))
HOST = (b"Host", b"localhost")
PROXY = "10.0.0.1"


def make(url: bytes = b"/", *headers: tuple[bytes, bytes], peer: str = "127.0.0.1", version: str = "1.1") -> Any:
    """The environ of a GET."""
    return Environs(8000, PROXIES).make("GET", version, url, [HOST, *headers], peer)


def test_a_header_that_comes_twice_is_joined() -> None:
    made = make(b"/", (b"accept", b"a"), (b"Accept", b"b"), (b"Cookie", b"a=1"), (b"cookie", b"b=2"))
    assert (made["HTTP_ACCEPT"], made["HTTP_COOKIE"]) == ("a,b", "a=1; b=2")


def test_a_name_with_an_underscore_cannot_pass_for_another() -> None:
    made = make(b"/", (b"Lease_Token", b"stolen"), (b"Content_Length", b"5"))
    assert "HTTP_LEASE_TOKEN" not in made and "CONTENT_LENGTH" not in made


def test_a_long_header_name_is_read_and_not_kept() -> None:
    kept = environ._kept_key.cache_info().currsize
    made = make(b"/", (b"x" * 65, b"1"), (b"x" * 60_000, b"2"))
    assert (made["HTTP_" + "X" * 65], made["HTTP_" + "X" * 60_000]) == ("1", "2")
    assert environ._kept_key.cache_info().currsize <= max(kept, 1)  # Host


def test_the_path_is_decoded_once_and_kept_as_it_came() -> None:
    made = make(b"/api/jobs/a%2525%C3%BC?q=%20a#end")
    assert made["PATH_INFO"] == "/api/jobs/a%25\xc3\xbc" and made["QUERY_STRING"] == "q=%20a"
    assert made["REQUEST_URI"] == "/api/jobs/a%2525%C3%BC?q=%20a#end"


def test_the_host_of_the_target_wins() -> None:
    made = make(b"http://studio.lan:8000/api/jobs?limit=1")
    assert (made["HTTP_HOST"], made["PATH_INFO"], made["QUERY_STRING"]) == ("studio.lan:8000", "/api/jobs", "limit=1")


@pytest.mark.parametrize("url", [b"http://", b"nothing", b"http://[::1/"])
def test_a_target_that_is_no_url_is_refused(url: bytes) -> None:
    with pytest.raises(BadRequest, match="no URL"):
        make(url)


def test_http_1_1_needs_one_host() -> None:
    with pytest.raises(BadRequest, match="two Host headers"):
        make(b"/", HOST)
    with pytest.raises(BadRequest, match="no Host header"):
        Environs(8000, PROXIES).make("GET", "1.1", b"/", [], "127.0.0.1")
    assert "HTTP_HOST" not in Environs(8000, PROXIES).make("GET", "1.0", b"/", [], "127.0.0.1")


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("127.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("::1", "2001:db8::7", "2001:db8::7"),
        ("127.0.0.1", "192.0.2.66, 192.0.2.7, 10.1.2.3", "192.0.2.7"),  # the first is what the client says of itself
        ("192.0.2.1", "192.0.2.7", "192.0.2.1"),  # no proxy of ours
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "unknown", "127.0.0.1"),
        ("127.0.0.1", "192.0.2.7, <script>", "127.0.0.1"),
    ],
)
def test_only_a_trusted_proxy_says_who_the_client_is(peer: str, forwarded: str, client: str) -> None:
    made = make(b"/", (b"X-Forwarded-For", forwarded.encode()), peer=peer)
    assert made["REMOTE_ADDR"] == client


@pytest.mark.parametrize(("peer", "scheme"), [("127.0.0.1", "https"), ("192.0.2.1", "http")])
def test_only_a_trusted_proxy_says_that_the_client_uses_https(peer: str, scheme: str) -> None:
    assert make(b"/", (b"X-Forwarded-Proto", b"http, https"), peer=peer)["wsgi.url_scheme"] == scheme


def test_the_type_and_the_length_of_the_body_have_no_prefix() -> None:
    made = make(b"/", (b"content-type", b"text/plain"), (b"Content-Length", b"5"))
    assert (made["CONTENT_TYPE"], made["CONTENT_LENGTH"]) == ("text/plain", "5")
    assert "HTTP_CONTENT_TYPE" not in made and "HTTP_CONTENT_LENGTH" not in made


def test_one_request_leaves_nothing_to_the_next() -> None:
    environs = Environs(8000, frozenset())
    environs.make("POST", "1.0", b"/a?b", [HOST, (b"Lease-Token", b"t")], "192.0.2.1")
    made = environs.make("GET", "1.1", b"/", [HOST], "192.0.2.2")
    assert "HTTP_LEASE_TOKEN" not in made and made["QUERY_STRING"] == ""
    assert (made["SERVER_PROTOCOL"], made["REMOTE_ADDR"], made["SERVER_PORT"]) == ("HTTP/1.1", "192.0.2.2", "8000")


@pytest.mark.parametrize(
    ("url", "path", "query"),
    [
        (b"/a%20b?c%20d", "/a b", "c%20d"),
        (b"/a%2541", "/a%41", ""),  # decoded once
        (b"/%C3%A9", "\xc3\xa9", ""),  # the bytes of UTF-8, as PEP 3333 wants them
        (b"/a%2Fb", "/a/b", ""),
        (b"/a%3Fb?c?d", "/a?b", "c?d"),
        (b"/%zz%", "/%zz%", ""),
        (b"/a#b?c", "/a", ""),
        (b"//a/b", "//a/b", ""),
        (b"/?", "/", ""),
        (b"*", "*", ""),
        (b"http://studio:81/a%20b?c", "/a b", "c"),
        (b"http://studio", "/", ""),
    ],
)
def test_each_form_of_target_has_its_path_and_query(url: bytes, path: str, query: str) -> None:
    made = make(url)
    assert made["PATH_INFO"].removeprefix("/") == path.removeprefix("/")
    assert (made["QUERY_STRING"], made["REQUEST_URI"]) == (query, url.decode())


@pytest.mark.parametrize(
    ("url", "host"),
    [
        (b"http://studio/", "studio"),
        (b"http://studio:81/", "studio:81"),
        (b"http://[::1]/", "[::1]"),
        (b"http://[::1]:81/", "[::1]:81"),
    ],
)
def test_the_host_of_the_target_has_its_port_and_brackets(url: bytes, host: str) -> None:
    assert make(url)["HTTP_HOST"] == host


@pytest.mark.parametrize(
    ("peer", "sent", "client"),
    [
        ("192.0.2.1", b"198.51.100.1", "192.0.2.1"),  # anyone can send this header
        (PROXY, b"198.51.100.1", "198.51.100.1"),
        (PROXY, b"203.0.113.9, 198.51.100.1", "198.51.100.1"),  # the first was sent by the client
        (PROXY, b"203.0.113.9, 198.51.100.1, 10.0.0.2,10.0.0.3", "198.51.100.1"),
        (PROXY, b"10.0.0.3, 10.0.0.2", "10.0.0.3"),
        (PROXY, b"203.0.113.9, unknown, 10.0.0.2", "10.0.0.2"),
        (PROXY, b"203.0.113.9, 198.51.100.1:5000, 10.0.0.2:80", "198.51.100.1"),  # some proxies add the port
        (PROXY, b"[2001:db8::7]:5000", "2001:db8::7"),
        (PROXY, b"[2001:db8::7]", "2001:db8::7"),
        (PROXY, b"::ffff:198.51.100.1, ::ffff:10.0.0.2", "198.51.100.1"),  # IPv4 on a socket for IPv6
        (PROXY, b"198.51.100.1:, 10.0.0.2", "10.0.0.2"),
        (PROXY, b"unknown", PROXY),
        (PROXY, b"", PROXY),
        (PROXY, b"203.0.113.9,", PROXY),
        ("::1", b"0:0::1, 2A00::1", "2a00::1"),
        ("", b"198.51.100.1", ""),
    ],
)
def test_the_last_address_that_is_no_proxy_wins(peer: str, sent: bytes, client: str) -> None:
    assert make(b"/", (b"X-Forwarded-For", sent), peer=peer)["REMOTE_ADDR"] == client


def test_only_the_last_addresses_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []
    monkeypatch.setattr(environ, "parsed", lambda text: reads.append(text) or parsed(text))  # type: ignore[func-returns-value]
    sent = (b"X-Forwarded-For", b",".join([b"198.51.100.1", *[b"10.0.0.2"] * 6000]))
    assert make(b"/", sent, peer=PROXY)["REMOTE_ADDR"] == "10.0.0.2"
    assert len(reads) == 1 + MOST_PROXIES


def test_addresses_in_two_headers_are_one_list() -> None:
    forwarded = ((b"X-Forwarded-For", b"203.0.113.9"), (b"X-Forwarded-For", b"198.51.100.1"))
    assert make(b"/", *forwarded, peer=PROXY)["REMOTE_ADDR"] == "198.51.100.1"


@pytest.mark.parametrize(
    ("peer", "sent", "scheme"),
    [
        ("192.0.2.1", b"https", "http"),
        (PROXY, b"https", "https"),
        (PROXY, b"HTTPS", "https"),
        (PROXY, b"http, https", "https"),
        (PROXY, b"https, http", "http"),
        (PROXY, b"ftp", "http"),
    ],
)
def test_only_the_last_proxy_may_say_that_the_client_came_by_https(peer: str, sent: bytes, scheme: str) -> None:
    assert make(b"/", (b"X-Forwarded-Proto", sent), peer=peer)["wsgi.url_scheme"] == scheme


def test_without_proxies_nobody_is_believed() -> None:
    headers = [HOST, (b"X-Forwarded-For", b"198.51.100.1"), (b"X-Forwarded-Proto", b"https")]
    made = Environs(8000, frozenset()).make("GET", "1.1", b"/", headers, "127.0.0.1")
    assert (made["REMOTE_ADDR"], made["wsgi.url_scheme"]) == ("127.0.0.1", "http")
