"""nginx as its users run it, with ``config/nginx/repod.conf``, on loopback and without privileges of its own."""

import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.certificates import Pair
from tests.lab.rpms import tool
from tests.lab.wait import until

_CONFIG = Path(__file__).parents[2] / "config/nginx/repod.conf"
_MAIN = """\
daemon off;
{user}
worker_processes {workers};
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/repod.conf;
}}
"""


def written(folder: Path, *, port: int, upstream: str, stores: Path, pair: Pair | None, workers: int = 1) -> Path:
    """Settings for ``nginx -c``: those of ``config/nginx``, with what stands in capitals there changed.

    ``stores``: the folder that has the stores; ``upstream``: HOST:PORT of repod. Without ``pair`` it is plain HTTP.
    """
    folder.mkdir(exist_ok=True)
    text = _CONFIG.read_text()
    text = re.sub(r"(?m)^    listen \[::\].*\n", "", text)
    text = text.replace("listen 443 ssl http2;", f"listen 127.0.0.1:{port}{' ssl http2' if pair else ''};")
    if pair:
        text = text.replace("/etc/nginx/tls/repo.example.com.pem", str(pair.certificate))
        text = text.replace("/etc/nginx/tls/repo.example.com.key", str(pair.key))
    else:
        text = re.sub(r"(?m)^    ssl_.*\n", "", text)
    text = text.replace("server_name repo.example.com;", "server_name localhost;")
    text = text.replace("127.0.0.1:8470;", f"{upstream};").replace("/srv/repod/www", str(stores))
    (folder / "repod.conf").write_text(text)
    main = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    main.write_text(_MAIN.format(folder=folder, user=user, workers=workers))
    return main


@contextmanager
def running(main: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """nginx by the settings ``main``, until it answers on ``port``."""
    words = [tool("nginx"), "-c", str(main), "-p", str(main.parent), "-e", str(main.parent / "error.log")]
    done = subprocess.run([*words, "-t"], check=False, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr, done.stderr
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: _answers(port), 60, "nginx to listen")
        yield process
    finally:
        process.terminate()
        process.wait(10)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        time.sleep(0.01)
        return False
