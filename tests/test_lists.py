"""Lists that are merged from one list for each status."""

import pytest
from flask.testing import FlaskClient

from models import Loop


@pytest.mark.parametrize("query", ["sort=updated_at", "sort=-updated_at&status=PENDING&status=FAILED"])
@pytest.mark.parametrize("path", ["jobs", "loops"])
def test_lists_of_several_statuses_have_the_order_of_the_last_change(
    client: FlaskClient, loop: Loop, path: str, query: str
) -> None:
    answer = client.get(f"/api/{path}?{query.lower() if path == 'jobs' else query}")
    assert answer.status_code == 200 and len(answer.json["items"]) == 1
