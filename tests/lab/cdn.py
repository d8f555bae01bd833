"""A CDN that is set up wrongly: nginx that keeps ``repomd.xml`` for an hour, whatever anybody says about that."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab.nginx import running
from tests.lab.ports import free_port

_MAIN = """\
daemon off;
{user}
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{ worker_connections 256; }}
http {{
    log_format asked '$request_method $uri $status $upstream_cache_status';
    access_log {folder}/access.log asked;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_cache_path {folder}/cache keys_zone=cdn:1m;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass {upstream};
            proxy_set_header Host {host};
        }}
        location ~ /(repomd\\.xml|mirrorlist|metalink\\.xml)$ {{
            proxy_pass {upstream};
            proxy_set_header Host {host};
            proxy_cache cdn;
            proxy_ignore_headers Cache-Control Expires Vary Set-Cookie;
            proxy_cache_valid 200 1h;
        }}
    }}
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cdn:
    """It runs at ``url``, without a slash at the end."""

    url: str
    folder: Path

    def forget(self) -> None:
        """Let it ask anew for everything: as after the hour."""
        for path in (self.folder / "cache").rglob("*"):
            if path.is_file():
                path.unlink()

    def asked(self, ending: str) -> list[str]:
        """How each request for what ends so was answered: ``HIT`` or ``MISS``, or ``-`` where nothing is kept."""
        lines = (self.folder / "access.log").read_text().splitlines()
        return [line.split()[3] for line in lines if line.split()[1].endswith(ending)]


@contextmanager
def cdn(folder: Path, upstream: str) -> Iterator[Cdn]:
    """Run one before the daemon at ``upstream``, a URL without a path."""
    folder.mkdir()
    port = free_port()
    main = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    host = upstream.rpartition("/")[2]
    main.write_text(_MAIN.format(folder=folder, user=user, port=port, upstream=upstream, host=host))
    with running(main, port):
        yield Cdn(url=f"http://127.0.0.1:{port}", folder=folder)
