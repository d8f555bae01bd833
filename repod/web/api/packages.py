"""Packages: searched page by page, and all that is known of one."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from repod import package
from repod.errors import NotFound, Unavailable
from repod.office import Catalog, Details, Office, Page, Search
from repod.web import veil
from repod.web.api.door import Door, Name
from repod.web.api.models import Package
from repod.web.api.pieces import LINK, TEXT, Limit, link
from repod.web.api.problems import asked, documented

_Text = Annotated[str, Query(max_length=200, pattern=TEXT, description="Anywhere in name or summary.")]
_Name = Annotated[str, Query(max_length=200, pattern=TEXT, description="Builds of that name.")]
_Nevra = Annotated[str, Query(max_length=300, pattern=TEXT, description="A NEVRA, or a shell pattern over NEVRAs.")]
_Arch = Annotated[str, Query(max_length=50, pattern=TEXT, description="Builds for that architecture.")]
_Order = Annotated[Literal["newest", "name"], Query(description="By when they came, or by name.")]
_After = Annotated[str, Query(max_length=1000, pattern=TEXT, description="``next`` of the page before.")]


def make_packages(door: Door) -> APIRouter:
    """The routes about packages."""
    api = APIRouter(prefix="/repositories/{name}/packages", tags=["packages"], dependencies=[Depends(door.reads)])
    _search(api, door)
    _one(api, door)
    return api


def _search(api: APIRouter, door: Door) -> None:
    @api.get(
        "",
        operation_id="searchPackages",
        response_model=Page,
        responses={200: {"headers": {"Link": LINK}}, **documented("not-found")},
    )
    async def packages(
        request: Request,
        response: Response,
        name: Name,
        *,
        text: _Text = "",
        named: Annotated[_Name, Query(alias="name")] = "",
        nevra: _Nevra = "",
        arch: _Arch = "",
        order: _Order = "newest",
        after: _After = "",
        limit: Limit = 50,
    ) -> Any:
        """The packages that are listed now, page by page.

        ``next``, and ``Link``, lead to the next page. It may be a moment behind what was just published.
        """
        search = Search(text=text, name=named, nevra=nevra, arch=arch, order=order, after=after, limit=limit)
        with asked():
            page = await door.ask(lambda office: _catalog(office, name).search(search))
        if page.next:
            response.headers["Link"] = link(request, after=page.next)
        return page


def _one(api: APIRouter, door: Door) -> None:
    @api.get("/{nevra}", operation_id="getPackage", response_model=Package, responses=documented("not-found"))
    async def one(
        name: Name,
        nevra: Annotated[str, Path(max_length=300, pattern=TEXT, description="NAME-[EPOCH:]VERSION-RELEASE.ARCH.")],
        request: Request,
    ) -> Any:
        """All that is known of a NEVRA.

        Where its builds came from and are listed, who signed them, what their header says, which hosts run them (their
        names are for callers that are known).
        """
        found = await door.ask(lambda office: office.looks.builds(name, nevra))
        sees = await door.sight(request)
        hosts = await door.gate.names_hosts(request, name)
        builds = [veil.veiled(build, sees, hosts=hosts) for build in found]
        running = await door.ask(lambda office: office.looks.hosts(name, nevra))
        return {
            "package": builds[0]["package"],
            "builds": builds,
            "details": await door.ask(lambda office: _details(office, name, nevra)),
            "running": running if hosts else veil.running(running),
        }


def _catalog(office: Office, name: str) -> Catalog:
    catalog = office.catalogs.get(name)
    if catalog is None:
        msg = f"{name}: its packages are not read yet; try again"
        raise Unavailable(msg)
    return catalog


def _details(office: Office, name: str, nevra: str) -> Details | None:
    """None where it is not listed, or not read yet."""
    try:
        return _catalog(office, name).details(package.Nevra.parse(nevra))
    except (NotFound, Unavailable, ValueError):
        return None
