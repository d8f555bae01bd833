"""A certificate authority of a test, by openssl."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Pair(NamedTuple):
    """Files of a certificate and its key, PEM."""

    certificate: Path
    key: Path


class Authority:
    """It signs certificates; ``folder`` holds them, and its own by the name that OpenSSL looks for."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.file = folder / "authority.pem"
        self._key = folder / "authority.key"
        ends = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
        _request("lab authority", Pair(self.file, self._key), ends)
        subprocess.run(["openssl", "rehash", str(folder)], check=True, capture_output=True, timeout=30)

    def issue(self, name: str) -> Pair:
        """A certificate for ``name``, at 127.0.0.1 too, for servers and clients; each a new one."""
        number = len(list(self.folder.glob("*.pem")))
        pair = Pair(self.folder / f"{name}-{number}.pem", self.folder / f"{name}-{number}.key")
        more = ["-CA", str(self.file), "-CAkey", str(self._key), "-addext", "basicConstraints=CA:FALSE"]
        more += ["-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1"]
        _request(name, pair, more)
        return pair


def _request(name: str, pair: Pair, more: Sequence[str]) -> None:
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-days", "2", "-subj", f"/CN={name}", "-keyout", str(pair.key), "-out", str(pair.certificate), *more]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
