"""Operations: routes with their parameters and responses, used by Flask, the validator and the OpenAPI document."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from flask import Response, request
from pydantic import BaseModel
from werkzeug.routing import BaseConverter

from database.groups import committing_later
from models import ID_PATTERN
from records.waits import COMMIT, HAS_LEFT, Commit
from web import problems, schemas
from web.reading import read_body, read_if_match, read_lease_token, read_lines, read_query
from web.uploads import Upload

View = TypeVar("View", bound=Callable[..., Response])
IfMatch = list[int] | None  # versions
LeaseToken = str | None


class IdConverter(BaseConverter):
    """A path segment that can be an id. A path with any other segment is answered 404."""

    regex = ID_PATTERN.strip("^$")


@dataclass(frozen=True)
class Operation:
    """One method of one path. query and body are the schemas of the arguments of its view.

    lines: the body may also be lines of text, so the view gets it unread.
    """

    method: str
    path: str
    view: Callable[..., Response]
    answers: dict[int, type[BaseModel] | tuple[str, ...] | None]
    problems: tuple[int, ...]
    query: type[schemas.Query] = schemas.NoQuery
    body: type[schemas.Body] | None = None
    conditional: bool = False
    lines: bool = False
    upload: bool = False
    lease: Any = None
    commits_later: bool = False
    headers: tuple[str, ...] = ()

    def __call__(self, **arguments: Any) -> Response:
        """Read the arguments of the view from the request, and call the view."""
        query = read_query(self.query)
        if self.query is not schemas.NoQuery:
            arguments["query"] = query
        if self.lines:
            arguments["lines"] = read_lines()
        elif self.body is not None:
            arguments["body"] = read_body(self.body)
        if self.upload:
            arguments["upload"] = Upload()
        if self.conditional:
            arguments["if_match"] = read_if_match()
        if self.lease is not None:
            arguments["lease_token"] = read_lease_token(required=self.lease is str)
        if self.commits_later and HAS_LEFT in request.environ and "Prefer" not in request.headers:
            return self._commit_later(arguments)
        return self.view(**arguments)

    def _commit_later(self, arguments: dict[str, Any]) -> Response:
        """Call the view. This thread does not wait for the commit; the server sends the response after the commit."""
        with committing_later() as uncommitted:
            try:
                return self.view(**arguments)
            finally:  # an error must wait, too: it may come from a record that is not committed yet
                group = uncommitted()
                if group is not None:
                    request.environ[COMMIT] = Commit(group, problems.answer)


@dataclass
class Operations:
    """The operations of a module, in the order of the source. All paths begin with the prefix."""

    prefix: str
    all: list[Operation] = field(default_factory=list)

    def route(
        self,
        method: str,
        path: str,
        *,
        answers: dict[int, Any],
        problems: Sequence[int] = (),
        headers: Sequence[str] = (),
        commits_later: bool = False,
    ) -> Callable[[View], View]:
        """A decorator for a view. Its arguments query, body, lines, upload, if_match and lease_token come from the
        request.

        headers: the names of the request headers that the view itself reads. commits_later: the view has one
        transaction, and after it the view only makes the response.
        """

        def declare(view: View) -> View:
            takes = inspect.signature(view).parameters
            options: dict[str, Any] = {name: takes[name].annotation for name in ("query", "body") if name in takes}
            if "lines" in takes:
                options |= {"body": schemas.JobBatch, "lines": True}
            if "lease_token" in takes:
                options["lease"] = takes["lease_token"].annotation
            options |= {"conditional": "if_match" in takes, "upload": "upload" in takes, "headers": tuple(headers)}
            options["commits_later"] = commits_later
            self.all.append(Operation(method, self.prefix + path, view, answers, tuple(problems), **options))
            return view

        return declare
