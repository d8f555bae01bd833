"""What goes wrong, as a page tells it: what it is, and what to do."""

import time

from fastapi import Request, Response

from repod.web.api.problems import Problem
from repod.web.pages.render import page, raw_path

_REMEDIES = {
    "credentials": "Reload the page and give your name and password; a token works as the password with any name. "
    "Who runs this repod makes tokens with: repod token add NAME --repository REPO",
    "forbidden": "Ask who runs this repod for a token that may do it.",
    "not-found": "Builds leave when retention lets them go. The overview shows what there is now.",
    "method": "Go to the overview and start from there.",
    "conflict": "Load the page again to see what is there now, then decide anew.",
    "misdirected": "Use the address that you were given, or have this name added to the settings: [http] hosts.",
    "throttled": "Wait a minute, then try again.",
    "failed": "The log of repod says more. Who runs this repod can look with: repod check, repod verify REPO",
    "unavailable": "Try again in a few seconds. If it stays so, the log of repod says why.",
}
_NOT_FOR_PEOPLE = ("/repos/", "/metrics", "/healthz", "/readyz", "/api/")


def tell(problem: Problem, request: Request) -> Response | None:
    """The page; None where what asks is no browser, or asks for what is for programs."""
    if request.scope["path"].startswith(_NOT_FOR_PEOPLE) or "text/html" not in request.headers.get("accept", ""):
        return None
    said = problem.faults or ([] if problem.detail == problem.title else [problem.detail])
    values = {
        "hides": False,
        "caller": "",
        "status": problem.status,
        "title": problem.title,
        "said": [f"{line[:1].upper()}{line[1:]}" for line in said],
        "remedy": _REMEDIES.get(problem.type.rpartition("/")[2], ""),
    }
    return page("error.html", raw_path(request), values, now=time.time(), status=problem.status)
