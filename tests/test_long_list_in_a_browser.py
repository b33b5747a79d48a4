"""A list of many tracks in a real Chromium: it is there at once, and the page does not grow while one scrolls."""

from collections.abc import Callable, Iterator
from time import perf_counter
from urllib.request import urlopen

import pytest
from playwright.sync_api import Page

from database import database, init_database, release
from records.indexing import index_batch, jobs_behind
from settings import Settings
from tests.conftest import Server, thorough, wait_for
from tests.played import serve
from tests.test_browser import CHROMIUM, Watched, chromium, window

__all__ = ["chromium", "window"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt install chromium")
NUMBER = thorough(100_000, 2_000)
SCROLLED = thorough(4_000, 800)  # rows
PAINTED, SEARCHED = thorough(300, 3_000), thorough(100, 1_000)  # milliseconds; more while other tests run
MOST_NODES = 25_000  # 300 rows of about 53, the rest of the page, and parts that are loading
PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
ROWS = "document.querySelectorAll('.row').length"
FILL = """WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number})
INSERT INTO {columns} FROM n"""
TABLES = (
    """job (job_id, prompt, metadata, status, created_at, updated_at)
    SELECT 'j' || i, 'folk electronic guitar ' || i, '{"genre": "Folk"}', 'completed', i * 1000000, i * 1000000""",
    """track (track_id, job_id, title, duration, take, created_at, updated_at)
    SELECT 't' || i, 'j' || i, 'Song ' || i, 95.0, 1, i * 1000000, i * 1000000""",
)


@pytest.fixture(scope="module")
def long_list(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with many tracks."""
    folder = tmp_path_factory.mktemp("long")
    init_database(Settings(_env_file=None, db_path=folder / "app.db"))
    with database.atomic():
        for table in TABLES:
            database.execute_sql(FILL.replace("{number}", str(NUMBER)).replace("{columns}", table))
    while jobs_behind():
        index_batch()
    release()
    service = serve(folder)
    yield service
    service.stop()


def best_of(number: int, measure: Callable[[], float]) -> float:
    """The smallest of several values: the others have waited for other processes of the machine."""
    return min(measure() for _ in range(number))


def seconds_for(url: str) -> float:
    """The seconds that the service needs for a page."""
    start = perf_counter()
    with urlopen(url, timeout=30) as answer:
        assert answer.read()
    return perf_counter() - start


def test_the_list_is_painted_and_searched_at_once(long_list: Server, window: Callable[..., Watched]) -> None:
    page = window().page

    def painted() -> float:
        page.goto(f"{long_list.url}/tracks", wait_until="domcontentloaded")
        return float(wait_for(lambda: page.evaluate(PAINT), 20))

    assert best_of(10, painted) <= PAINTED
    for query in ("q=song", f"q={NUMBER}", "q=nothing", "genre=Folk&sort=title", "sort=-duration"):
        assert best_of(10, lambda query=query: seconds_for(f"{long_list.url}/tracks?{query}")) * 1000 <= SEARCHED, query  # type: ignore[misc]


def test_a_page_does_not_grow_while_one_scrolls(long_list: Server, window: Callable[..., Watched]) -> None:
    page = window(viewport={"width": 1440, "height": 900}).page
    page.goto(f"{long_list.url}/tracks", wait_until="domcontentloaded")
    scroll_to(page, 300)
    before = measured(page)
    scroll_to(page, SCROLLED)
    assert page.evaluate(ROWS) <= 300
    wait_for(lambda: measured(page)["Nodes"] <= MOST_NODES, 20)
    assert measured(page)["JSHeapUsedSize"] <= before["JSHeapUsedSize"] * 1.5 + 1_000_000
    page.evaluate("scrollTo(0, 0)")
    newest = f"#job-j{NUMBER}"
    wait_for(lambda: page.locator(newest).count() == 1, 20)
    assert page.locator(newest).bounding_box()["y"] > 0  # type: ignore[index]
    ids = page.evaluate("[...document.querySelectorAll('.row')].map((row) => row.id)")
    assert len(ids) == len(set(ids)) <= 300


def scroll_to(page: Page, number: int) -> None:
    """Scroll until the row with this number, counted from the newest, is there."""
    row = page.locator(f"#job-j{NUMBER - number}")
    wait_for(lambda: page.mouse.wheel(0, 3_000) or row.count() == 1, 200)


def measured(page: Page) -> dict[str, float]:
    """What the browser says about the page after a garbage collection."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = session.send("Performance.getMetrics")["metrics"]
    session.detach()
    return {metric["name"]: metric["value"] for metric in metrics}
