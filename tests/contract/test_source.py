"""What every ``Source`` promises, asked of a directory, a file URL and a web server; then each one's own."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from repod.elsewhere import Source
from repod.errors import Misconfigured, NotFound, RepodError, Unavailable
from repod.source import open_source
from tests.lab.mirror import Mirror, mirror
from tests.lab.seaweed import Seaweed

NAMES = [
    "Packages/l/libstdc++-1.0~rc1-1.gita^b.x86_64.rpm",
    "a b.rpm",
    "é/ü-日本語.rpm",
    "100%25#?&'\"<>;$(x)`y`*[z].rpm",
    "a%2Bb.rpm",
    "-rf",
]
DATA = bytes(range(256)) * 2000

Open = Callable[[str], Source]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "a repo%20+"
    for name in NAMES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() + DATA)
    return folder


@pytest.fixture
def server(tmp_path: Path, root: Path) -> Iterator[Mirror]:
    with mirror(tmp_path) as one:
        yield one


@pytest.fixture
def pauses() -> list[int]:
    return []


@pytest.fixture
def opened(pauses: list[int]) -> Iterator[Open]:
    with ExitStack() as stack:
        yield lambda text: stack.enter_context(open_source(text, pauses.append))


def _url(server: Mirror, root: Path) -> str:
    return f"{server.url}/a%20repo%2520+"


@pytest.fixture(scope="module")
def prefix(s3: Seaweed) -> str:
    """Where the same files lie in a bucket, beside others of no concern."""
    client, bucket = s3.client(), s3.bucket()
    for name in NAMES:
        client.put_object(Bucket=bucket, Key=f"a repo/{name}", Body=name.encode() + DATA)
    client.put_object(Bucket=bucket, Key="nothing.rpm", Body=b"outside")
    return f"s3://{bucket}/a repo/"


@pytest.fixture(params=["directory", "file URL", "http", "bucket"])
def source(
    request: pytest.FixtureRequest, opened: Open, root: Path, server: Mirror, monkeypatch: pytest.MonkeyPatch
) -> Source:
    if request.param == "bucket":
        for name, value in request.getfixturevalue("s3").environ.items():
            monkeypatch.setenv(name, value)
        return opened(request.getfixturevalue("prefix"))
    texts = {"directory": str(root), "file URL": root.as_uri(), "http": _url(server, root)}
    return opened(texts[request.param])


def _read(source: Source, href: str, base: str = "") -> bytes:
    return b"".join(source.open(href, base))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_raw_whatever_it_holds(source: Source, name: str) -> None:
    assert _read(source, name) == name.encode() + DATA
    assert source.size(name) == len(name.encode()) + len(DATA)


@pytest.mark.parametrize("name", ["nothing.rpm", "a+b.rpm", "a%20b.rpm", "-rf/inside"])
def test_what_is_not_there_is_not_found(source: Source, name: str) -> None:
    with pytest.raises(NotFound, match=r"nothing|a.*b|rf"):
        source.size(name)
    with pytest.raises(NotFound):
        _read(source, name)


def test_a_folder_is_no_file(source: Source) -> None:
    with pytest.raises(NotFound):
        source.size("Packages")


def test_a_local_file_has_a_path_and_another_has_none(source: Source, root: Path) -> None:
    path = source.path("-rf")
    assert path == (root / "-rf" if source.name.startswith("/") else None)


def test_a_relative_base_is_below_the_repository_and_a_whole_one_elsewhere(
    source: Source, tmp_path: Path, server: Mirror
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/x+y.rpm").write_bytes(b"other")
    assert _read(source, "l/libstdc++-1.0~rc1-1.gita^b.x86_64.rpm", "Packages/").startswith(b"Packages")
    assert _read(source, "x+y.rpm", f"{server.url}/other") == b"other"
    assert source.size("x+y.rpm", f"{server.url}/other/") == 5


@pytest.mark.parametrize("base", ["ftp://host/x", "media://1234#1", "http://"])
def test_a_base_that_cannot_be_read_is_a_missing_file(source: Source, base: str) -> None:
    with pytest.raises(NotFound, match="xml:base"):
        source.size("-rf", base)


# ---------------------------------------------------------------- a directory


def test_a_file_base_is_followed_from_a_directory_and_never_for_a_server(
    opened: Open, root: Path, server: Mirror, tmp_path: Path
) -> None:
    """What a server says must not make this machine read its own files."""
    (tmp_path / "secret").write_bytes(b"secret")
    base = tmp_path.as_uri()
    assert _read(opened(str(root)), "secret", base) == b"secret"
    with pytest.raises(NotFound, match="xml:base"):
        _read(opened(_url(server, root)), "secret", base)


def test_a_file_that_must_not_be_read_is_not_taken_for_missing(opened: Open, root: Path) -> None:
    (root / "bad-sector.rpm").symlink_to("/proc/self/mem")  # reading its start is EIO
    source = opened(str(root))
    assert source.size("bad-sector.rpm") == 0
    with pytest.raises(Unavailable, match="cannot be read"):
        _read(source, "bad-sector.rpm")


@pytest.mark.parametrize("name", ["loop.rpm", "dangling.rpm", "a\0b.rpm", "x" * 300])
def test_what_can_be_no_file_is_missing(opened: Open, root: Path, name: str) -> None:
    (root / "loop.rpm").symlink_to("loop.rpm")
    (root / "dangling.rpm").symlink_to("nothing")
    with pytest.raises(NotFound):
        opened(str(root)).size(name)


def test_links_of_a_mirror_are_followed_and_pipes_are_not_read(opened: Open, root: Path) -> None:
    (root / "link.rpm").symlink_to("-rf")
    os.mkfifo(root / "pipe.rpm")
    source = opened(str(root))
    assert _read(source, "link.rpm").startswith(b"-rf")
    with pytest.raises(NotFound, match="found a folder, pipe or device"):
        _read(source, "pipe.rpm")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/nowhere/at/all", "expected the directory of a repository"),
        ("ftp://host/repo", "found ftp://"),
        ("s3://x", "expected a directory or s3://BUCKET/PREFIX/"),
        ("http://", "with a host"),
        ("https://host:port/", "not a URL"),
        ("https://host/repo?token=1", "without \\? and #"),
    ],
)
def test_what_can_be_no_source_is_told_at_once(text: str, said: str, pauses: list[int]) -> None:
    with pytest.raises(Misconfigured, match=said):
        open_source(text, pauses.append)


# ---------------------------------------------------------------- a server


def test_a_name_is_encoded_exactly_once(opened: Open, root: Path, server: Mirror) -> None:
    _read(opened(_url(server, root) + "/"), NAMES[0])
    _read(opened(_url(server, root)), "a%2Bb.rpm")
    paths = [path for _, path, _ in server.asked]
    assert paths == [
        "/a%20repo%2520+/Packages/l/libstdc%2B%2B-1.0~rc1-1.gita%5Eb.x86_64.rpm",
        "/a%20repo%2520+/a%252Bb.rpm",
    ]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_transfer_that_breaks_off_is_carried_on(
    opened: Open, root: Path, server: Mirror, pauses: list[int], ranges: bool
) -> None:
    server.ranges = ranges
    server.troubles["/a repo%20+/-rf"] = ["cut", 503, "cut"]
    assert _read(opened(_url(server, root)), "-rf") == b"-rf" + DATA
    assert pauses == [0, 1, 2]
    whole = 3 + len(DATA)
    starts = [wanted for _, _, wanted in server.asked]
    assert starts[:3] == ["", f"bytes={whole // 2}-", f"bytes={whole // 2}-"]


def test_a_file_that_changes_while_it_is_read_is_never_mixed(opened: Open, root: Path, server: Mirror) -> None:
    server.troubles["/a repo%20+/-rf"] = ["cut"]

    def change(path: str) -> None:
        server.etag = f'"{len(server.asked)}"'

    server.before = change
    with pytest.raises(Unavailable, match="changed while it was read"):
        _read(opened(_url(server, root)), "-rf")


def test_a_file_that_becomes_shorter_while_it_is_read_is_never_mixed(opened: Open, root: Path, server: Mirror) -> None:
    server.etag = ""
    server.troubles["/a repo%20+/-rf"] = ["cut"]
    pieces = opened(_url(server, root)).open("-rf")
    next(pieces)
    (root / "-rf").write_bytes(b"short")
    with pytest.raises(Unavailable, match="became shorter"):
        list(pieces)


def test_a_server_that_leaves_bytes_out_is_not_believed(opened: Open, root: Path, server: Mirror) -> None:
    server.shifted = 7
    server.troubles["/a repo%20+/-rf"] = ["cut"]
    with pytest.raises(Unavailable, match="got later ones"):
        _read(opened(_url(server, root)), "-rf")


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_a_server_in_trouble_is_asked_again_and_not_for_ever(
    opened: Open, root: Path, server: Mirror, pauses: list[int], status: int
) -> None:
    server.troubles["/a repo%20+/-rf"] = [status]
    assert _read(opened(_url(server, root)), "-rf").startswith(b"-rf")
    server.troubles["/a repo%20+/-rf"] = [status] * 100
    with pytest.raises(Unavailable, match=f"answers {status}.*6 times"):
        _read(opened(_url(server, root)), "-rf")
    assert len(server.troubles["/a repo%20+/-rf"]) == 94


def test_a_server_that_is_not_there_is_unavailable(opened: Open, root: Path, server: Mirror, tmp_path: Path) -> None:
    with mirror(tmp_path) as gone:
        url = gone.url
    with pytest.raises(Unavailable, match="ConnectError"):
        opened(url).size("x")


@pytest.mark.parametrize(("status", "error"), [(403, NotFound), (410, NotFound), (400, Unavailable)])
def test_what_a_server_refuses_is_not_asked_again(
    opened: Open, root: Path, server: Mirror, pauses: list[int], status: int, error: type[RepodError]
) -> None:
    server.troubles["/a repo%20+/-rf"] = [status]
    with pytest.raises(error, match=str(status)):
        _read(opened(_url(server, root)), "-rf")
    assert pauses == []


def test_redirects_are_followed_and_not_in_circles(opened: Open, root: Path, server: Mirror) -> None:
    server.troubles["/moved.rpm"] = [f"{server.url}/a%20repo%2520+/a%2520b.rpm".replace("%2520b", "%20b")]
    source = opened(server.url)
    assert _read(source, "moved.rpm").startswith(b"a b.rpm")
    server.troubles["/circle"] = [f"{server.url}/circle"] * 100
    with pytest.raises(Unavailable, match="TooManyRedirects"):
        _read(source, "circle")


def test_a_server_without_head_tells_the_size_with_get(opened: Open, root: Path, server: Mirror) -> None:
    server.refused_methods = ("HEAD",)
    assert opened(_url(server, root)).size("-rf") == 3 + len(DATA)


def test_bytes_come_as_they_lie_there_whatever_the_server_calls_them(opened: Open, root: Path, server: Mirror) -> None:
    server.encoding = "gzip"
    source = opened(_url(server, root))
    assert _read(source, "-rf") == b"-rf" + DATA
    assert source.size("-rf") is None


def test_the_password_goes_to_its_own_server_only_and_into_no_message(
    opened: Open, root: Path, server: Mirror, tmp_path: Path
) -> None:
    server.needs = "lab user:p@ss/word"
    with mirror(tmp_path) as other:
        (tmp_path / "elsewhere.rpm").write_bytes(b"elsewhere")
        address = server.url.removeprefix("http://")
        source = opened(f"http://lab%20user:p%40ss%2Fword@{address}/")
        assert source.name == f"http://{address}/"
        server.troubles["/moved.rpm"] = [f"{other.url}/elsewhere.rpm"]
        assert _read(source, "moved.rpm") == b"elsewhere"
        assert _read(source, "elsewhere.rpm", f"{server.url}/") == b"elsewhere"
        assert _read(source, "elsewhere.rpm", f"{other.url}/") == b"elsewhere"
        assert set(other.authorizations) == {""}
        with pytest.raises(NotFound) as missing:
            source.size("nothing")
    wrong = opened(f"http://lab%20user:nope@{address}/")
    with pytest.raises(Unavailable, match=r"401.*USER:PASSWORD") as refused:
        wrong.size("elsewhere.rpm")
    for secret in ("p@ss", "p%40ss", "nope", "lab%20user"):
        assert secret not in f"{missing.value}{refused.value}"
