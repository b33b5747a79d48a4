"""The sign-in, the security headers and the error page of all pages."""

from flask import Response, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from errors import ReadOnly
from web import guard, problems
from web.current import services

HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}
POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
OPEN = ("pages.static", "pages.show_sign_in", "pages.sign_in")
SIGN_OUT = "pages.sign_out"


def require_sign_in() -> ResponseReturnValue | None:
    """Redirect to the sign-in if the service asks for tokens and the browser has not signed in.

    Raises ReadOnly for a form if the browser has signed in with a token that may only read; its pages show no forms.
    """
    access = services().access
    if not access.is_protected() or request.endpoint in OPEN:
        return None
    grant = guard.signed_in(access, request.environ)
    if grant is not None:
        g.is_read_only = grant.read_only
        if request.endpoint != SIGN_OUT and not guard.may(grant, request.method):
            raise ReadOnly(guard.READ_ONLY)
        return None
    here = request.full_path.rstrip("?") if request.method == "GET" else "/"
    return redirect(url_for("pages.show_sign_in", next=here), 303)


def protect(answer: Response) -> Response:
    """Forbid inline scripts and styles, and those of other hosts, so that no prompt can run as a script."""
    answer.headers.update(HEADERS)
    if answer.mimetype == "text/html":
        answer.headers["Content-Security-Policy"] = POLICY
        answer.headers["Cache-Control"] = "no-cache"
    return answer


def show_problem(error: Exception) -> ResponseReturnValue:
    """Show an error as a page."""
    answer = problems.answer(error)
    if answer.status_code < 400:
        return answer
    is_of_tracks = request.path.split("/")[1] in ("tracks", "discards")
    return render_template("problem.html", problem=answer.get_json(), is_of_tracks=is_of_tracks), answer.status_code
