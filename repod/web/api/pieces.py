"""Long answers, piece by piece."""

from typing import Annotated

from fastapi import Query, Request

TEXT = r"^[^\x00-\x1f\x7f]*$"
"""A line of text."""

LINK = {"description": "The next piece, as rel=next; none at the end.", "schema": {"type": "string"}}
"""The header ``Link``, for ``responses``."""

Limit = Annotated[int, Query(ge=1, le=500, description="How many at the most.")]


def link(request: Request, **more: object) -> str:
    """The header that leads to the next piece: as this request, but for ``more``."""
    url = request.url.include_query_params(**more)
    return f'<{url.path}?{url.query}>; rel="next"'
