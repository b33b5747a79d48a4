"""The counts of requests, and their ids."""

import gc
import sys
from concurrent.futures import ThreadPoolExecutor

from maintenance.board import Board
from maintenance.traffic import ROUTE, RequestIds, Traffic

GET = {"REQUEST_METHOD": "GET", ROUTE: "/healthz"}


def test_requests_are_counted_by_how_long_they_took() -> None:
    traffic = Traffic()
    for seconds in (0.001, 0.005, 0.006, 99.0):
        traffic.add(GET, "200", seconds)
    ((seconds_in_all, *numbers),) = traffic.totals().counts.values()
    assert round(seconds_in_all, 3) == 99.012
    assert numbers == [2, 1, *[0] * 9, 1]


def test_a_method_or_route_that_is_not_known_counts_as_other() -> None:
    traffic = Traffic()
    for number in range(100):
        traffic.add({"REQUEST_METHOD": f"M{number}", "PATH_INFO": f"/{number}"}, "400", 0.1)
    assert list(traffic.totals().counts) == [("other", "other", "400")]


def test_processes_with_one_board_count_together() -> None:
    board, first, second = Board(3), Traffic(), Traffic()
    for place, traffic in enumerate((first, second)):
        traffic.share(board, place)
        traffic.add(GET, "200", 0.1)
        traffic.open = {"streams": place + 1}
        traffic.publish()
    board.write(2, {"processes": {"web": {"running": 2}}})
    for traffic in (first, second):
        assert sum(next(iter(traffic.totals().counts.values()))[1:]) == 2
        totals = traffic.totals()
        assert totals.open == {"streams": 3} and totals.processes == {"web": {"running": 2}}


def test_a_process_goes_on_counting_where_the_one_before_it_ended() -> None:
    board, first, second = Board(1), Traffic(), Traffic()
    first.share(board, 0)
    first.add(GET, "200", 0.1)
    first.publish()
    second.share(board, 0)
    second.add(GET, "200", 0.1)
    assert sum(next(iter(second.totals().counts.values()))[1:]) == 2


def test_an_id_that_was_sent_is_used_if_it_is_a_word() -> None:
    ids = RequestIds()
    assert ids.of({"HTTP_X_REQUEST_ID": "abc-1.2_3"}) == "abc-1.2_3"
    odd = [ids.of({"HTTP_X_REQUEST_ID": sent}) for sent in ("", "a b", "a\nb", "x" * 65, 'a"b', "ä")]
    assert len({*odd, ids.of({}), ids.of({})}) == 8 and all(one.startswith(ids._process) for one in odd)


def test_what_a_thread_has_counted_is_in_the_totals_that_it_reads() -> None:
    traffic = Traffic()
    for number in range(200):
        traffic.add({"REQUEST_METHOD": "GET", ROUTE: f"/{number}"}, "200", 0.1)

    def count(thread: int) -> list[float]:
        mine = {"REQUEST_METHOD": "PUT", ROUTE: f"/{thread}"}
        numbers = []
        for _ in range(30):
            traffic.add(mine, "200", 0.1)
            numbers.append(sum(traffic.totals().counts["PUT", f"/{thread}", "200"][1:]))
        return numbers

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # threads take turns often, also in the middle of a publication
    try:
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(count, range(4))) == [list(range(1, 31))] * 4
    finally:
        sys.setswitchinterval(interval)


def test_a_request_of_a_new_route_is_counted_in_the_middle_of_a_publication() -> None:
    traffic = Traffic()

    def add(number: int) -> None:
        traffic.add({"REQUEST_METHOD": "GET", ROUTE: f"/{number}"}, "200", 0.1)

    def collected(phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            add(len(traffic._counts))

    for number in range(3000):
        add(number)
    threshold = gc.get_threshold()
    gc.callbacks.append(collected)
    gc.set_threshold(1)
    try:
        traffic.publish()
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(collected)
    assert len(traffic._counts) > 3000
    assert len(traffic.totals().counts) == len(traffic._counts)
