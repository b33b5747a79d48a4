"""Collects the routes of the pages in each module, so that one place registers all of them."""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Blueprint

View = TypeVar("View", bound=Callable[..., Any])


class Routes:
    """The routes of one module, in the order of the source."""

    def __init__(self) -> None:
        self.all: list[tuple[str, dict[str, Any]]] = []

    def get(self, path: str, **options: Any) -> Callable[[View], View]:
        """A decorator for a GET view. The options go to add_url_rule() of Flask."""
        return self._declare(path, "GET", options)

    def post(self, path: str, **options: Any) -> Callable[[View], View]:
        """A decorator for a POST view."""
        return self._declare(path, "POST", options)

    def add_to(self, blueprint: Blueprint) -> None:
        """Register every route with a blueprint."""
        for path, options in self.all:
            blueprint.add_url_rule(path, **options)

    def _declare(self, path: str, method: str, options: dict[str, Any]) -> Callable[[View], View]:
        def declare(view: View) -> View:
            self.all.append((path, {"view_func": view, "methods": [method], **options}))
            return view

        return declare
