# ruff: noqa: ARG002 - paper answers whatever it is asked
"""Offices in memory, with what pages are looked at with: nothing, as usual, and far too much of everything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from repod.builds import Host, Running
from repod.errors import NotFound, Unavailable
from repod.office import Deed, Details, Named, Names, Page, Refusal, Row, Search, State, Waiting
from repod.package import Nevra
from repod.reports import HostBuild, HostPage, HostProgress, HostRow, Reported, Rollout, Strategy, Summary, summary
from repod.times import stamp

NOW = 1_795_700_000.0
DAY = 86400.0


class PaperCatalog:
    """A ``Catalog`` over a list."""

    def __init__(self, rows: Sequence[Row], generation: int, details: Details | None = None) -> None:
        self._rows = rows
        self._generation = generation
        self._details = details

    def search(self, search: Search) -> Page:
        found = [row for row in self._rows if search.text in row.name or search.text in row.summary]
        found = [row for row in found if search.arch in {"", row.arch} and search.name in {"", row.name}]
        if search.order == "newest":
            found.sort(key=lambda row: row.since or "", reverse=True)
        begin = int(search.after or 0)
        end = begin + search.limit
        more = str(end) if end < len(found) else ""
        return Page(rows=found[begin:end], total=len(found), next=more, generation=self._generation)

    def names(self, limit: int) -> Names:
        rows = [Named(newest=row, builds=1, arches=[row.arch]) for row in self._rows[:limit]]
        return Names(rows=rows, total=len(self._rows), packages=len(self._rows), generation=self._generation)

    def builds_of(self, name: str) -> Sequence[Row]:
        return [row for row in self._rows if row.name == name]

    def arches(self) -> Mapping[str, int]:
        return dict.fromkeys(sorted({row.arch for row in self._rows}), 1)

    def details(self, nevra: Nevra) -> Details:
        if self._details is None or str(nevra) not in {row.package for row in self._rows}:
            msg = f"{nevra} is not listed"
            raise NotFound(msg)
        return self._details


class Unread:
    """A catalog that is not read yet."""

    def __getattr__(self, _name: str) -> Any:
        def answer(*_: object) -> Any:
            msg = "the packages are being read; try again in a moment"
            raise Unavailable(msg)

        return answer


class PaperReports:
    """``Reports`` of a ``Paper``."""

    def __init__(self, paper: "Paper") -> None:
        self._paper = paper

    def rollouts(self, repository: str, *, limit: int = 20) -> Sequence[Summary]:
        return [summary(one) for one in self._paper.reported][:limit] if repository == "el9-prod" else []

    def rollout(self, repository: str, name: str) -> Reported:
        for one in self._paper.reported:
            if one.rollout.id == name and repository == "el9-prod":
                return one
        msg = f"there is no rollout {name!r} in {repository}"
        raise NotFound(msg)

    def hosts(self, repository: str, *, package: str = "", after: str = "", limit: int = 50) -> HostPage:
        rows = self._paper.hosts_reported if repository == "el9-prod" else ()
        rest = [one for one in rows if one.host > after]
        return HostPage(
            hosts=rest[:limit],
            total=len(rows),
            stale=sum(one.stale for one in rows),
            differs=sum(any(build.differs for build in one.builds) for one in rows),
            next=rest[limit - 1].host if len(rest) > limit else "",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """What an office answers, and as ``looks`` of itself what those do."""

    rows: Sequence[State] = ()
    catalogs: Mapping[str, Any] = None  # type: ignore[assignment]
    generations: Mapping[str, Sequence[dict[str, Any]]] = None  # type: ignore[assignment]
    known: Sequence[Mapping[str, Any]] = ()
    change: Mapping[str, Any] = None  # type: ignore[assignment]
    arrivals: Sequence[Waiting] = ()
    refusals: Sequence[Refusal] = ()
    reported: Sequence[Reported] = ()

    running: Sequence[str] = ()
    hosts_reported: Sequence[HostRow] = ()

    @property
    def looks(self) -> "Paper":
        return self

    @property
    def deeds(self) -> "Paper":
        return self

    @property
    def reports(self) -> "PaperReports":
        return PaperReports(self)

    @property
    def repositories(self) -> Sequence[str]:
        return [row.repository for row in self.rows]

    def hosts(self, repository: str, nevra: str) -> Running:
        return Running(hosts=[Host(host=name, time=stamp(NOW - DAY)) for name in self.running])

    def rollback(self, repository: str, number: int | None, by: Any, *, dry_run: bool) -> Deed:
        refused = [{"missing": f"Packages/h/hello-1.0.0-{number}.noarch.rpm"}] if number and number < 25 else []
        pinned = ["nginx-1.0.1-3.el9.x86_64 is pinned and is not listed at that generation"]
        return Deed(
            repository=repository,
            generation=None if dry_run or refused else 43,
            rows=refused,
            warnings=pinned,
            refused=bool(refused),
        )

    def states(self) -> Sequence[State]:
        return self.rows

    def history(
        self, repository: str, *, package: str = "", before: int = 0, limit: int = 20
    ) -> Sequence[dict[str, Any]]:
        rows = (self.generations or {}).get(repository, ())
        return [row for row in rows if not before or row["generation"] < before][:limit]

    def builds(self, repository: str, nevra: str, *, fate: bool = True) -> Sequence[Mapping[str, Any]]:
        found = [row for row in self.known if row["package"] == nevra]
        if nevra.startswith("none"):
            msg = f"nothing is known of {nevra!r} in {repository}"
            raise NotFound(msg)
        return found or [known(nevra)]

    def diff(self, repository: str, number: int | None, other: str, other_number: int | None) -> Mapping[str, Any]:
        return self.change

    def waiting(self, repository: str) -> Sequence[Waiting]:
        return self.arrivals

    def rejected(self, repository: str, *, limit: int = 50, before: str = "") -> Sequence[Refusal]:
        ids = [one.id for one in self.refusals]
        begin = ids.index(before) + 1 if before else 0
        return self.refusals[begin : begin + limit]


def state(name: str, **more: Any) -> State:
    """A repository that is published and has nothing on its way."""
    plain = State(
        repository=name,
        generation=42,
        packages=1234,
        published=stamp(NOW - 150),
        inbox=0,
        rejected=0,
        url=f"https://repo.example.com/repos/{name}/",
        profile="el9",
        actor="inbox",
        why="hello-1.0.0-42.noarch arrived",
    )
    return replace(plain, **more)


def row(name: str, version: str, release: str, arch: str = "x86_64", **more: Any) -> Row:
    """A listed package."""
    package = f"{name}-{version}-{release}.{arch}"
    plain = Row(
        package=package,
        name=name,
        evr=f"{version}-{release}",
        arch=arch,
        size=1_234_567,
        sha256="ab" * 32,
        path=f"Packages/{name[0]}/{package}.rpm",
        summary=f"What {name} does, in a few words",
        built=stamp(NOW - 3 * DAY),
        generation=40,
        since=stamp(NOW - 2 * DAY),
    )
    return replace(plain, **more)


def generation(number: int, **more: Any) -> dict[str, Any]:
    """A row of ``Looks.history``."""
    plain = {
        "generation": number,
        "time": stamp(NOW - (42 - number) * 0.4 * DAY - 150),
        "actor": "inbox",
        "why": f"hello-1.0.0-{number}.noarch arrived",
        "packages": 1192 + number,
        "added": [f"hello-1.0.0-{number}.noarch"],
        "from": [{"how": "arrival", "of": f"hello-1.0.0-{number}.noarch.rpm", "checksum": "cd" * 32}],
        "removed": [],
        "documents": [],
    }
    return plain | more


def details(**more: Any) -> Details:
    """What a header says."""
    plain = Details(
        summary="A fast and small web server",
        description="It serves files and passes requests on.\n\nModules are loaded at run time.",
        license="BSD-2-Clause",
        url="https://nginx.org/",
        vendor="Example Org",
        packager="Build Team <build@example.com>",
        group="Unspecified",
        buildhost="builder-7.example.com",
        built=stamp(NOW - 3 * DAY),
        source="nginx-2.0.1-39.el9.src.rpm",
        installed_size=4_500_000,
        provides=["nginx = 2.0.1-39.el9", "webserver", "nginx(x86-64) = 2.0.1-39.el9"],
        requires=["/bin/sh", "libc.so.6(GLIBC_2.34)(64bit)", "libssl.so.3()(64bit)", "systemd"],
        conflicts=[],
        obsoletes=["nginx-all < 2"],
        recommends=[],
        files=["/etc/nginx/", "/etc/nginx/nginx.conf", "/usr/sbin/nginx", "/usr/share/doc/nginx/README"],
        changelog=[
            {"author": "Ada <ada@example.com> - 2.0.1-39", "date": stamp(NOW - 4 * DAY), "text": "- a fix\n- another"},
            {"author": "Bob <bob@example.com> - 2.0.0-1", "date": stamp(NOW - 90 * DAY), "text": "- first build"},
        ],
        file_count=4,
    )
    return replace(plain, **more)


def known(package: str, **more: Any) -> dict[str, Any]:
    """A row of ``Looks.builds``."""
    coming = {"generation": 40, "time": stamp(NOW - 2 * DAY), "actor": "alice", "why": "ticket 4711"}
    first = {"generation": 30, "time": stamp(NOW - 3 * DAY), "actor": "inbox", "why": f"{package} arrived"}
    plain = {
        "package": package,
        "listed": True,
        "since": coming,
        "went": None,
        "came": [
            {"repository": "el9-prod", **coming, "how": "promotion", "of": "el9-test@44", "checksum": "ab" * 32},
            {"repository": "el9-test", **first, "how": "arrival", "of": f"{package}.rpm", "checksum": "cd" * 32},
        ],
        "signed": [{"key": "0123456789ABCDEF0123456789ABCDEF01234567", "time": stamp(NOW - 3 * DAY)}],
        "sha256": "ab" * 32,
        "header_sha256": "ef" * 32,
        "size": 1_234_567,
        "path": f"Packages/n/{package}.rpm",
        "stored": True,
        "generations": [[40, 42]],
        "elsewhere": {"el9-test": "the same bytes"},
        "labels": {"tested": {"actor": "token ci", "time": stamp(NOW - 2.5 * DAY), "why": "run 812 passed"}},
        "pin": {"actor": "alice", "time": stamp(NOW - DAY), "why": "the shop runs on it"},
        "module": [],
        "advisories": ["EX-2026-12 (security, important)"],
        "retention": {"kept": True, "why": ["it is pinned", "one of the 5 newest builds of nginx"]},
    }
    return plain | more


def reported(name: str, hosts: Sequence[HostProgress], **more: Any) -> Reported:
    """A rollout as it was reported last."""
    began = datetime.fromtimestamp(NOW - 1800, UTC)
    plain = {
        "id": name,
        "package": "nginx-2.0.1-39.el9",
        "builds": ["nginx-2.0.1-39.el9.x86_64", "nginx-core-2.0.1-39.el9.x86_64"],
        "group": "web",
        "strategy": Strategy(canary=1, wave="25%", max_failures="10%"),
        "state": "running",
        "actor": "alice",
        "started": began,
        "hosts": hosts,
    }
    rollout = Rollout(**(plain | more))
    return Reported(rollout=rollout, reported_by="token rollouts", reported=began + timedelta(minutes=20))


def progress(number: int, state: str, wave: int = 1, **more: Any) -> HostProgress:
    """One host of a rollout."""
    done = {"after": "nginx-2.0.1-39.el9.x86_64", "header_sha256": "ef" * 32, "seconds": 12.34 + number}
    plain = {"host": f"web{number}.example.com", "wave": wave, "state": state, "before": "nginx-1.0.1-3.el9.x86_64"}
    return HostProgress(**(plain | (done if state == "proven" else {}) | more))


def change(**more: Any) -> dict[str, Any]:
    """An answer of ``Looks.diff``."""
    nothing: dict[str, Any] = {kind: [] for kind in ("added", "removed", "upgraded", "downgraded", "replaced")}
    lists: dict[str, list[str]] = {"came": [], "went": [], "changed": []}
    return nothing | {"others": {"came": [], "went": []}, "advisories": lists, "documents": lists} | more


def refusal(file: str, *faults: tuple[str, str], **more: Any) -> Refusal:
    """A rejected arrival."""
    plain = Refusal(
        file=file,
        sha256="12" * 32,
        size=1_234_567,
        time=stamp(NOW - 3600),
        place=f"/srv/repod/inbox/rejected/{file}",
        id=file,
        faults=[
            {"code": code, "text": text, "remedy": "Build it anew, and look at what is left of it before it is copied."}
            for code, text in faults
        ],
    )
    return replace(plain, **more)


def host(number: int, builds: Sequence[HostBuild], **more: Any) -> HostRow:
    return HostRow.model_validate(
        {
            "host": f"web{number:05}.example.com",
            "reported": datetime.fromtimestamp(NOW - number * 3600, UTC),
            "reported_by": "token hosts",
            "stale": False,
            "packages": 412,
            "builds": builds,
            "previous": [],
        }
        | more
    )


def some_hosts(number: int, builds: int = 2) -> Sequence[HostRow]:
    fine = [HostBuild(package=f"lib{n}-1.0.0-1.el9.x86_64", newest=f"lib{n}-1.0.0-1.el9.x86_64") for n in range(builds)]
    old = HostBuild(package="nginx-1.0.0-1.el9.x86_64", newest="nginx-1.0.1-3.el9.x86_64", differs=True)
    return [
        host(n, [*fine, old] if n % 3 == 0 else fine, stale=n % 7 == 6, previous=["nginx-0.9-1.el9.x86_64"][: n % 2])
        for n in range(number)
    ]


def usual() -> Paper:
    """Three repositories on a working day."""
    names = ["hello", "nginx", "postgresql16-server", "python3.12-cryptography", "zlib-ng"]
    rows = [row(name, f"{1 + number}.0.{number}", f"{40 - number}.el9") for number, name in enumerate(names * 6)]
    past, other = ([generation(number) for number in range(last, 20, -1)] for last in (42, 44))
    past[1] |= {"actor": "alice", "why": "ticket 4711: nginx 1.26.3 breaks websockets", "removed": past[0]["added"]}
    past[3] |= {"actor": "retention", "why": "", "added": [], "from": [], "removed": ["nginx-1.0.1-3.el9.x86_64"] * 7}
    nginx = "nginx-2.0.1-39.el9.x86_64"
    past[5] |= {"documents": ["group", "updateinfo"], "added": [], "from": [], "why": "2 documents arrived"}
    ended = datetime.fromtimestamp(NOW - 900, UTC)
    web = [
        progress(1, "proven", 0),
        *(progress(number, "proven") for number in (2, 3)),
        progress(4, "failed", problem="dnf ended with 1: nothing provides libssl.so.4 needed by nginx"),
        *(progress(number, "updating", 2) for number in (5, 6)),
        *(progress(number, "pending", 3) for number in (7, 8)),
    ]
    gone = {"generation": 39, "time": stamp(NOW - 3 * DAY), "actor": "retention", "why": ""}
    return Paper(
        rows=[
            state("el9-prod"),
            state("el9-test", generation=44, packages=2345, inbox=2, published=stamp(NOW - 40), profile="el9"),
            state("sles15", profile="sles15", rejected=3, published=stamp(NOW - 9 * DAY), why="", actor="alice"),
        ],
        catalogs={name: PaperCatalog(rows, 42, details()) for name in ("el9-prod", "el9-test", "sles15")},
        known=[known(nginx), known("nginx-1.0.1-3.el9.x86_64", listed=False, went=gone, pin=None, labels={})],
        running=[f"web{number}.example.com" for number in range(1, 8)],
        hosts_reported=some_hosts(9),
        reported=[
            reported("2026-11-26-nginx", web),
            reported("2026-11-20-hello", web[:2], state="succeeded", ended=ended, package="hello", group="all"),
            reported(
                "2026-11-19-zlib",
                web[3:5],
                state="stopped",
                ended=ended,
                problem="2 of 8 hosts failed; 10% may",
                action="downgrade",
            ),
        ],
        change=change(
            upgraded=[{"before": "hello-1.0.0-41.noarch", "after": "hello-1.0.0-42.noarch"}],
            downgraded=[{"before": nginx, "after": "nginx-1.0.1-3.el9.x86_64"}],
            added=[{"before": None, "after": "zlib-ng-5.0.4-36.el9.x86_64"}],
            documents={"came": [], "went": [], "changed": ["updateinfo"]},
        ),
        refusals=[
            refusal("hello-1.0.0-41.noarch.rpm", ("conflict", "hello-1.0.0-41.noarch is listed with other bytes")),
            refusal(
                "broken.rpm",
                ("not-rpm", "not an RPM: expected the lead edabeedb, found bytes b'<html>404</h'"),
                ("size", "expected at least 96 bytes, found 17"),
                time=stamp(NOW - 5 * DAY),
            ),
        ],
        generations={"el9-prod": past, "el9-test": other, "sles15": past},
        arrivals=[
            Waiting(file="nginx-1.27.0-1.el9.x86_64.rpm", size=1_300_000, age=4, why=""),
            Waiting(file="big-data-9-1.el9.x86_64.rpm", size=812_000_000, age=70, why="its header promises 1.2 GB"),
        ],
    )


def empty() -> Paper:
    """Nothing was ever published."""
    nothing = {"generation": None, "packages": None, "published": None, "actor": "", "why": ""}
    return Paper(rows=[state("new", **nothing)], catalogs={"new": PaperCatalog([], 0)}, generations={})


def large() -> Paper:
    """Too much of everything, and a fault."""
    long = "libreoffice-langpack-with-a-name-that-somebody-thought-was-a-good-idea-for-everybody"
    reason = ("the pipeline of the payments team rebuilt this after the incident; " * 6)[:300]
    rows = [
        row(f"{long}-{number}", f"7.{number}.3.2~rc1^git20261126.abcdef0123456789", "1.el9_5.2.0.1")
        for number in range(500)
    ]
    long_actor = "token the-token-of-the-deployment-pipeline-of-payments"
    past = [generation(number) for number in range(42, 0, -1)]
    past[0] |= {"why": reason, "actor": long_actor}
    past[0] |= {"added": [one.package for one in rows], "removed": [one.package for one in rows]}
    teams = [f"team-{number:02}" for number in range(20)]
    wide = details(
        description=reason * 8,
        license=" AND ".join(["LicenseRef-Callaway-MPLv2.0-or-later"] * 12),
        url=f"https://example.com/{'long/' * 40}",
        provides=[f"{long}({number}) = 7.{number}~rc1-1.el9_5.2.0.1" for number in range(800)],
        requires=[f"lib{long}{number}.so.6(GLIBC_2.34)(64bit)" for number in range(700)],
        files=[f"/usr/share/{long}/{'deeply/' * 12}file-{number}.txt" for number in range(10_000)],
        file_count=54_321,
        changelog=[
            {"author": f"{long} <a@example.com>", "date": stamp(NOW - day * DAY), "text": f"- {reason}\n" * 4}
            for day in range(10)
        ],
    )
    mark = {"actor": "token the-token-of-the-deployment-pipeline", "time": stamp(NOW - DAY), "why": reason}
    marks = {f"label-{number}": mark for number in range(12)}
    fault = "the place /srv/repod/www/el9-broken cannot be read (Permission denied); let the user repod read it"
    names = [
        "el9-prod",
        "a-repository-with-a-name-of-a-hundred-characters-that-is-as-long-as-names-can-be-here-now-x-y-z",
    ]
    return Paper(
        rows=[
            *(state(name, packages=1_234_567, generation=42, why=reason, rejected=12_345, inbox=500) for name in names),
            state("el9-broken", generation=None, packages=None, published=None, inbox=None, rejected=None, fault=fault),
            *(state(name) for name in teams),
        ],
        catalogs={name: PaperCatalog(rows, 42, wide) for name in names + teams + ["el9-broken"]},
        known=[known(rows[0].package, generations=[[n * 3, n * 3 + 1] for n in range(200)], labels=marks)],
        reported=[
            reported(
                f"2026-11-26-{number}-{'x' * 60}",
                [
                    progress(
                        host,
                        ("proven", "failed", "pending")[host % 3],
                        host // 200,
                        host=f"{long}-{host}.example",
                        problem=reason,
                    )
                    for host in range(1200)
                ],
                problem=reason,
                package=f"{long}-7.1.3.2~rc1^git20261126.abcdef0123456789-1.el9_5.2.0.1",
            )
            for number in range(3)
        ],
        running=[f"host-with-a-long-name-{number}.region.example.com" for number in range(1000)],
        hosts_reported=some_hosts(120, 300),
        change=change(upgraded=[{"before": one.package, "after": one.package + "1"} for one in rows + rows]),
        refusals=[
            refusal(f"{long}-{number}.rpm", *[(code, reason) for code in ("digest", "unverifiable", "text")])
            for number in range(300)
        ],
        generations=dict.fromkeys(names + teams, past),
        arrivals=[Waiting(file=f"{long}-{number}.rpm", size=10**9, age=3600, why=reason) for number in range(40)],
    )


def with_unread_catalogs() -> Paper:
    """The usual, right after a start: nothing can be searched yet."""
    office = usual()
    return replace(office, catalogs={name: Unread() for name in office.catalogs})
