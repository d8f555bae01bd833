"""The plugin of dnf 4: repositories with `baseurl=s3://BUCKET/PREFIX/`, or `metalink=` or `mirrorlist=` below it.

It runs in dnf's own Python, which is 3.6 on EL 8, and imports nothing but that, and dnf. The signing is
done by `repod-s3`, a process of its own: libdnf keeps the interpreter to itself while it downloads.
"""

import json
import logging
import os
import secrets
import shutil
import subprocess
from typing import Any, List
from urllib.parse import quote

import dnf

_SCHEME = "s3://"
_HOST = "http://s3.repod.invalid/"  # never asked for: the URL is a constant, so dnf's cache is kept
_PLACES = ("/usr/local/bin/repod-s3", "/usr/bin/repod-s3")

logger = logging.getLogger("dnf.plugin.repod_s3")


class RepodS3(dnf.Plugin):  # type: ignore[misc]
    """Starts `repod-s3` for the enabled repositories in buckets, and has dnf ask it."""

    name = "repod_s3"

    def __init__(self, base: Any, cli: Any) -> None:
        """See dnf."""
        super().__init__(base, cli)
        self._child = None  # type: Any

    def config(self) -> None:
        """See dnf: repositories are known by now, and nothing was downloaded."""
        repos = [repo for repo in self.base.repos.iter_enabled() if _is_in_bucket(repo)]
        if not repos:
            return
        password = secrets.token_urlsafe(24)
        try:
            port = self._start(sorted({_prefix(repo) for repo in repos}), password)
        except (OSError, ValueError) as error:
            ids = ", ".join(repo.id for repo in repos)
            logger.error("repod-s3: %s cannot be read: %s; try: repod-s3 check", ids, error)  # noqa: TRY400 - for who runs dnf
            return
        for repo in repos:
            _point(repo, port, password)

    def _start(self, allow: List[str], password: str) -> int:
        """The port of a child that ends with this process: its input does."""
        command = self._command()
        # Its complaints go to the terminal: dnf itself says only that all mirrors were tried.
        self._child = subprocess.Popen([command, "serve", "--child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        errand = {"allow": allow, "password": password}
        self._child.stdin.write(json.dumps(errand).encode("ascii") + b"\n")
        self._child.stdin.flush()
        port = self._child.stdout.readline().strip()
        if not port.isdigit():
            raise ValueError("%s ended with status %d" % (command, self._child.wait()))
        return int(port)

    def _command(self) -> str:
        """Where `repod-s3` is: as the plugin's settings say, or in its usual places."""
        parser = self.read_config(self.base.conf)
        if parser.has_option("main", "command"):
            return str(parser.get("main", "command"))
        places = [path for path in _PLACES if os.access(path, os.X_OK)]
        found = places[0] if places else shutil.which("repod-s3")
        if found is None:
            raise ValueError("repod-s3 is not in %s nor in PATH: run repod-s3.pyz install" % " ".join(_PLACES))
        return found


def _is_in_bucket(repo: Any) -> bool:
    return any(url.startswith(_SCHEME) for url in _urls(repo))


def _urls(repo: Any) -> List[str]:
    return [url for url in [repo.metalink, repo.mirrorlist, *repo.baseurl] if url]


def _prefix(repo: Any) -> str:
    """Where the repository lies, by the first of its URLs."""
    url = next(url for url in _urls(repo) if url.startswith(_SCHEME))
    is_file = url in (repo.metalink, repo.mirrorlist)
    return (url.rpartition("/")[0] if is_file else url.rstrip("/")) + "/"


def _point(repo: Any, port: int, password: str) -> None:
    """Have dnf ask the child for everything of the repository, keys included."""
    repo.baseurl = [_web(url) for url in repo.baseurl]
    repo.gpgkey = [_web(url) for url in repo.gpgkey]
    for name in ("metalink", "mirrorlist"):
        if getattr(repo, name):
            setattr(repo, name, _web(getattr(repo, name)))
    repo.proxy = "http://127.0.0.1:%d" % port
    repo.proxy_username = "repod"
    repo.proxy_password = password
    repo.proxy_auth_method = "basic"


def _web(url: str) -> str:
    if not url.startswith(_SCHEME):
        return url
    return _HOST + quote(url[len(_SCHEME) :], safe="/%")
