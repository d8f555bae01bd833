"""The house keeps its shape: imports point down only, files and functions stay small."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_LINES_PER_FILE = 400
_LINES_PER_FUNCTION = 40

Imports = Mapping[str, set[str]]
"""Which modules of repod each module of repod imports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A storey of the house.

    ``rows`` are its rooms from below: a room may import the rooms of rows before its own, never
    one beside it. A room is a module, or with ``.*`` a package whose modules may import each
    other. ``below`` names layers of which it may import everything, ``also`` single rooms.
    """

    name: str
    rows: Sequence[Sequence[str]]
    below: Sequence[str] = ()
    also: Sequence[str] = ()


_LAYERS = (
    # What hosts run. It stands alone, and nothing imports it; of repod it has the version, what windows mean, and JSON.
    Layer(name="hosts", rows=(("repod.hosts.*",),), also=("repod", "repod.jsontext", "repod.windows")),
    Layer(
        name="vocabulary",
        rows=(
            ("repod",),
            (
                "repod.access",
                "repod.beside",
                "repod.errors",
                "repod.footing",
                "repod.happenings",
                "repod.heap",
                "repod.jsontext",
                "repod.numerals",
                "repod.plainfile",
                "repod.times",
            ),
            ("repod.confinement.*",),
            (
                "repod.children",
                "repod.doubt",
                "repod.processes",
                "repod.memo",
                "repod.patient",
                "repod.scratch",
                "repod.tomltext",
                "repod.windows",
                "repod.wording",
            ),
            ("repod.package", "repod.profiles", "repod.hostkeys", "repod.values"),
            ("repod.auditing", "repod.hooking", "repod.listening", "repod.reports"),
            ("repod.generation", "repod.rpmhead", "repod.served"),
            ("repod.config",),
            ("repod.aws",),
            ("repod.builds", "repod.doors", "repod.elsewhere", "repod.listings", "repod.placed"),
            ("repod.signed",),
            ("repod.rings", "repod.statement"),
            ("repod.carrying", "repod.idle", "repod.letterbox", "repod.office", "repod.refused", "repod.relating"),
            ("repod.rpmindex",),
            ("repod.rpmproof",),
            ("repod.welcome",),
        ),
    ),
    Layer(
        name="decisions",
        rows=(
            (
                "repod.acceptance",
                "repod.adoption",
                "repod.comparison",
                "repod.needed",
                "repod.phasing",
                "repod.promotion",
                "repod.removal",
                "repod.retention",
                "repod.rotation",
                "repod.selection",
                "repod.tidings",
            ),
            ("repod.guidance",),
        ),
        below=("vocabulary",),
    ),
    Layer(
        name="adapters",
        rows=(
            (
                "repod.auditlog.*",
                "repod.callers.*",
                "repod.catalog.*",
                "repod.frontpage.*",
                "repod.hooks.*",
                "repod.hostreports",
                "repod.inbox.*",
                "repod.idlefile",
                "repod.machine",
                "repod.metrics",
                "repod.relations.*",
                "repod.repodata.*",
                "repod.rpmfile.*",
                "repod.signing.*",
                "repod.source.*",
                "repod.store.*",
            ),
            ("repod.preload",),
        ),
        below=("vocabulary",),
    ),
    Layer(
        name="use cases",
        rows=(
            ("repod.sealing",),
            ("repod.copies", "repod.claims", "repod.stating"),
            ("repod.drafting", "repod.views", "repod.pointer"),
            ("repod.intake",),
            ("repod.publish",),
            ("repod.documents",),
            ("repod.turn",),
            ("repod.history",),
            (
                "repod.ledger",
                "repod.headers",
                "repod.hostbook",
                "repod.ringing",
                "repod.rollouts",
                "repod.outbox",
            ),
            ("repod.backlog",),
            ("repod.delivery",),
            ("repod.cataloguing", "repod.fronting"),
            ("repod.finding", "repod.objects"),
            ("repod.retire",),
            ("repod.prune",),
            ("repod.signatures",),
            ("repod.resign",),
            ("repod.adopt", "repod.promote"),
            ("repod.announced",),
            ("repod.hostfiles",),
            ("repod.showing",),
            ("repod.records", "repod.holdings"),
            ("repod.rollback", "repod.remove", "repod.past"),
            ("repod.audit", "repod.rebuild"),
            ("repod.repair",),
            ("repod.start",),
        ),
        below=("vocabulary", "decisions"),
    ),
    Layer(
        name="entrances",
        rows=(
            ("repod.notify", "repod.prompt"),
            ("repod.log",),
            ("repod.show",),
            ("repod.lazy", "repod.options", "repod.progress"),
            ("repod.sheets",),
            ("repod.board", "repod.bus"),
            ("repod.web.*",),
            ("repod.pruning",),
            ("repod.courier", "repod.following", "repod.gauges", "repod.renewing"),
            ("repod.telling", "repod.reporting"),
            ("repod.accounting",),
            ("repod.loop",),
            ("repod.reminder",),
            ("repod.daemon",),
        ),
        below=("vocabulary", "decisions", "use cases"),
        also=("repod.metrics",),
    ),
    Layer(
        name="client",
        rows=(
            ("repod.client",),
            (
                "repod.client.buckets",
                "repod.client.fleet",
                "repod.client.places",
                "repod.client.rolling",
                "repod.client.waves",
            ),
            ("repod.client.grouping", "repod.client.sshing"),
            ("repod.client.settings", "repod.client.runs"),
            ("repod.client.hostranges", "repod.client.hostgroups", "repod.client.members"),
            ("repod.client.hostpatterns", "repod.client.toolkit.*"),
            ("repod.client.pinned", "repod.client.talk"),
            ("repod.client.bring", "repod.client.restarts"),
            ("repod.client.journal", "repod.client.rundoors"),
            ("repod.client.rollout",),
            ("repod.client.inventory.*", "repod.client.transports.*"),
            ("repod.client.tokens", "repod.client.problems"),
            ("repod.client.wire",),
            ("repod.client.asking",),
            ("repod.client.api",),
            ("repod.client.pushing",),
            ("repod.client.fetching", "repod.client.proving", "repod.client.reading"),
            ("repod.client.drops.*", "repod.client.fresh", "repod.client.trust", "repod.client.verdict"),
            ("repod.client.chain", "repod.client.sighting", "repod.client.watermark"),
            ("repod.client.mirrors",),
            ("repod.client.awaiting", "repod.client.opening"),
            ("repod.client.push",),
            ("repod.client.bars",),
            ("repod.client.hearing",),
            ("repod.client.standing",),
            ("repod.client.looking",),
            ("repod.client.wiring",),
            ("repod.client.health", "repod.client.planning", "repod.client.teller"),
            ("repod.client.aim", "repod.client.hands", "repod.client.junit", "repod.client.live"),
            ("repod.client.outfit",),
            ("repod.client.commands.*",),
            ("repod.client.cli",),
            ("repod.client.__main__",),
        ),
        below=("vocabulary", "decisions"),
        # Inboxes, documents and signatures are the same on both sides of a push.
        also=(
            "repod.show",
            "repod.lazy",
            "repod.options",
            "repod.progress",
            "repod.sheets",
            "repod.inbox.*",
            "repod.repodata.*",
            "repod.signing.*",
        ),
    ),
    Layer(
        name="wiring",
        rows=(
            ("repod.problems",),
            ("repod.inboxes", "repod.places", "repod.recording"),
            ("repod.posting",),
            ("repod.tools", "repod.related"),
            ("repod.retaining", "repod.serving"),
            ("repod.wiring",),
            ("repod.care", "repod.catalogs", "repod.workplace", "repod.keyring"),
            ("repod.outlets",),
            ("repod.checkhooks", "repod.checkhttp", "repod.checkkeys", "repod.checks3"),
            ("repod.check",),
            ("repod.actions.*", "repod.steps"),
            ("repod.service",),
            ("repod.public",),
            ("repod.commands.*",),
            ("repod.cli",),
            ("repod.__main__",),
        ),
        below=("vocabulary", "decisions", "adapters", "use cases", "entrances"),
    ),
)

# Parts of others that are kept behind a door, and who may know them.
_KEPT_APART = {
    "solv": ("repod.relations.*",),
    "pysequoia": ("repod.signing.*", "repod.rpmfile.worker", "repod.rpmfile.issuers"),
    "boto3": ("repod.aws",),
    "botocore": (
        "repod.aws",
        "repod.client.transports.ssm",
        "repod.hosts.*",
        "repod.inbox.*",
        "repod.source.bucket",
        "repod.store.*",
    ),
}


@cache
def _trees() -> Mapping[str, ast.Module]:
    """Every module of repod by its name, parsed."""
    found = {}
    for path in sorted((_ROOT / "repod").rglob("*.py")):
        name = ".".join(path.relative_to(_ROOT).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = ast.parse(path.read_text(), str(path))
    return found


def _file(module: str) -> Path:
    path = _ROOT / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _names(module: str, tree: ast.Module, known: set[str]) -> Iterator[str]:
    """What a module imports, anywhere in it; ``from P import M`` is P.M where that is a module."""
    package = module if _file(module).name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner in known else base


@cache
def _all_names() -> Imports:
    """What each module imports, of repod or not."""
    return {module: set(_names(module, tree, set())) for module, tree in _trees().items()}


@cache
def _imports() -> Imports:
    known = set(_trees())
    return {module: set(_names(module, tree, known)) & known for module, tree in _trees().items()}


def _is_in(module: str, room: str) -> bool:
    package = room.removesuffix(".*")
    return module == package or (room != package and module.startswith(package + "."))


def _place(module: str) -> tuple[Layer, int, str] | None:
    """Layer, row and room of a module; None where the table has none for it."""
    for layer in _LAYERS:
        for row, rooms in enumerate(layer.rows):
            for room in rooms:
                if _is_in(module, room):
                    return layer, row, room
    return None


def _breaches(imports: Imports) -> Iterator[str]:
    """Imports that point up or sideways."""
    for module, others in sorted(imports.items()):
        for other in sorted(others - {module}):
            here, there = _place(module), _place(other)
            if here and there and not _allowed(*here, *there):
                yield f"{module} ({here[0].name}) imports {other} ({there[0].name})"


def _allowed(layer: Layer, row: int, room: str, to_layer: Layer, to_row: int, to_room: str) -> bool:
    if room == to_room or to_layer.name in layer.below or to_room in layer.also:
        return True
    return layer == to_layer and to_row < row


def test_every_module_has_its_place_in_the_table_of_layers() -> None:
    strangers = [str(_file(module).relative_to(_ROOT)) for module in _trees() if _place(module) is None]
    assert not strangers, (
        f"{', '.join(strangers)}: in no layer; add each to its row of _LAYERS in tests/unit/test_layers.py, "
        "the lowest from which its imports point down, and to the map in repod/README.md"
    )


def test_the_table_of_layers_names_nothing_that_is_gone() -> None:
    rooms = [room for layer in _LAYERS for row in layer.rows for room in row]
    assert [room for room in rooms if not any(_is_in(module, room) for module in _trees())] == []


def test_imports_point_down_never_up_or_sideways() -> None:
    assert list(_breaches(_imports())) == []


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {module: others - {module} for module, others in _imports().items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("imports in a circle: " + " <- ".join(error.args[1]))


@pytest.mark.parametrize(
    ("module", "other"),
    [
        ("repod.errors", "repod.package"),
        ("repod.generation", "repod.config"),
        ("repod.package", "repod.acceptance"),
        ("repod.acceptance", "repod.store.local"),
        ("repod.store.local", "repod.inbox.directory"),
        ("repod.signing.gpg", "repod.metrics"),
        ("repod.rpmfile.worker", "repod.acceptance"),
        ("repod.publish", "repod.store.local"),
        ("repod.publish", "repod.turn"),
        ("repod.intake", "repod.publish"),
        ("repod.turn", "repod.metrics"),
        ("repod.web.serve", "repod.daemon"),
        ("repod.loop", "repod.store.local"),
        ("repod.daemon", "repod.wiring"),
        ("repod.wiring", "repod.commands.run"),
    ],
)
def test_an_import_that_points_up_or_sideways_is_noticed(module: str, other: str) -> None:
    assert len(list(_breaches({module: {other}}))) == 1


@pytest.mark.parametrize(
    ("module", "other"),
    [
        ("repod.doors", "repod.generation"),
        ("repod.signing.gpg", "repod.signing.openpgp"),
        ("repod.store.local", "repod.doors"),
        ("repod.turn", "repod.publish"),
        ("repod.intake", "repod.acceptance"),
        ("repod.loop", "repod.metrics"),
        ("repod.cli", "repod"),
        ("repod.wiring", "repod.store.local"),
    ],
)
def test_an_import_that_points_down_or_stays_in_its_package_is_fine(module: str, other: str) -> None:
    assert list(_breaches({module: {other}})) == []


def test_every_way_to_write_an_import_is_seen() -> None:
    source = (
        "import a.b\nfrom repod import doors\nfrom repod.store import local as l, X\ndef f():\n    from . import log\n"
    )
    known = {"repod.doors", "repod.store", "repod.store.local", "repod.log"}
    found = set(_names("repod.cli", ast.parse(source), known))
    assert found == {"a.b", "repod.doors", "repod.store.local", "repod.store", "repod.log"}


@pytest.mark.parametrize("part", _KEPT_APART)
def test_a_part_of_others_is_known_only_where_it_is_wrapped(part: str) -> None:
    users = {
        module
        for module, names in _all_names().items()
        if any(name == part or name.startswith(part + ".") for name in names)
    }
    assert {user for user in users if not any(_is_in(user, room) for room in _KEPT_APART[part])} == set()


def test_no_file_is_so_long_that_it_hides_a_second_idea() -> None:
    lengths = {module: len(_file(module).read_text().splitlines()) for module in _trees()}
    assert {module: lines for module, lines in lengths.items() if lines > _LINES_PER_FILE} == {}


def test_no_function_is_so_long_that_it_hides_a_second_idea() -> None:
    lengths = {
        f"{module}.{node.name}": _length(node)
        for module, tree in _trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {function: lines for function, lines in lengths.items() if lines > _LINES_PER_FUNCTION} == {}


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from ``def`` to the end, without the docstring."""
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    said = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - said
