"""What serving local repositories brings along."""

import asyncio
import subprocess
import sys
from pathlib import Path

import httpx

from repod.web.shelves import LocalShelf
from tests.lab.apps import open_app

_ROOT = Path(__file__).parents[2]


def test_who_has_no_bucket_never_imports_boto3() -> None:
    """It takes 0.25 s."""
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from repod import check, daemon, wiring\nfrom repod.config import parse\n"
        "from repod.serving import open_access, open_desk, open_shelves\n"
        'text = \'[signing]\\nkey = "k"\\n[[repository]]\\nname = "r"\\ninbox = "i"\\nstore = "s"\\n\'\n'
        "settings = parse(text, Path('/'))\n"
        "open_shelves(settings, open_desk()); open_access(settings)\n"
        "sys.exit('boto3' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=_ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


async def _asked(store: Path, target: str) -> httpx.Response:
    transport = httpx.ASGITransport(open_app({"test": LocalShelf(store)}))
    async with httpx.AsyncClient(transport=transport, base_url="http://evil.example") as client:
        return await client.get(target)


def test_before_there_is_a_front_page_the_url_of_a_repository_says_what_it_is(tmp_path: Path) -> None:
    answer = asyncio.run(_asked(tmp_path, "/repos/test/"))
    assert answer.status_code == 200
    assert "test.repo" in answer.text
    assert "evil.example" not in answer.text, "a link is never made of what a client says"
    assert asyncio.run(_asked(tmp_path, "/repos/test/index.html")).status_code == 404


def test_a_page_that_somebody_put_into_the_store_runs_no_script(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<script>alert(1)</script>")
    for target in ("/repos/test/", "/repos/test/index.html"):
        answer = asyncio.run(_asked(tmp_path, target))
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
        assert answer.headers["x-content-type-options"] == "nosniff"
