"""/docs in a real Chromium: its policy blocks nothing that it needs."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.conftest import Server
from tests.test_browser import Watched, chromium, pytestmark, window

__all__ = ["chromium", "pytestmark", "window"]
VIOLATIONS = "document.addEventListener('securitypolicyviolation', (event) => console.error(event.violatedDirective))"


def test_docs_show_and_try_an_operation_under_their_policy(
    server: Callable[..., Server], window: Callable[..., Watched]
) -> None:
    service, shown = server().start(), window()
    page: Page = shown.page
    page.add_init_script(VIOLATIONS)
    page.goto(f"{service.url}/docs/")
    page.get_by_role("button", name="GET /healthz", exact=False).first.click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table .response .response-col_status").first).to_contain_text("200")
    shown.check(service)
