"""What the parts on hosts read: settings, rollout documents, their own state, what clients ask the gateway for."""

import io
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from repod.hosts import place, zypper
from repod.hosts import settings as gateway
from repod.hosts.agent import document, repofile, settings, signature, state
from repod.hosts.faults import Absent, Fault, Malformed, Refused, WrongUse
from repod.package import Nevra, sha256
from repod.rings import Phase, Ring, RingBuild, RolloutFile, write
from tests.fuzz import mutate
from tests.fuzz.core import Door, Finding, of_doors

_S3 = b"[repod-s3]\nlisten = 127.0.0.1:8471\nallow = s3://bucket/el9/\n  s3://other/\nallow_users = root\nidle = 10m\n"
_AGENT = b"""[repod-agent]
repository = el9-prod
ring = early
key = /etc/pki/rpm-gpg/RPM-GPG-KEY-el9-prod
fingerprints = 0123 4567 89AB CDEF 0123  4567 89AB CDEF 0123 4567
windows = Mon-Fri 22:00-06:00
check = /usr/bin/systemctl is-active "my app"
check_within = 90s
tool = dnf
url = https://repo.example.com/el9-prod/
"""
_REPO = b"[el9-prod]\nname=x\nbaseurl=https://repo.example.com/el9-prod/\nusername=a\npassword=b\nsslverify=1\n[o]\nbaseurl=x\n"
_ARMORED = b"""-----BEGIN PGP PUBLIC KEY BLOCK-----
Comment: x

mQENBGVS
=AAAA
-----END PGP PUBLIC KEY BLOCK-----
"""
_STATE = {
    "format": 1,
    "serial": 5,
    "pending": {
        "wanted": [{"nevra": "hello-1.0-1.noarch", "header_sha256": "a" * 64}],
        "before": {"hello": [{"nevra": "hello-2:0.9-1.noarch", "header_sha256": ""}]},
        "step": "check",
        "on_failure": "stay",
        "pid": 5,
        "begun": "x",
        "why": "",
    },
    "held": ["hello-1.0-1.noarch"],
    "why": "x",
    "back": [],
    "reported": 1.7e9,
    "last": {},
}
_ALLOWED = (place.Prefix("bucket", "el9/"), place.Prefix("other", ""))


def rollout() -> bytes:
    """A rollout document as repod writes it."""
    build = RingBuild(nevra=Nevra.parse("hello-2:1.0-1.noarch"), header_sha256=sha256("a" * 64))
    ring = Ring(
        builds=[build], phases=[Phase(percent=10, since=1_700_000_000)], windows=["daily 01:00-02:00"], salt="s"
    )
    return write(
        RolloutFile(
            repository="el9-prod",
            serial=7,
            generation=3,
            issued=1_700_000_000,
            expires=1_800_000_000,
            rings={"early": ring},
        )
    ).encode()


def _followed(data: bytes) -> str:
    """A document that was proven; it need not be one that repod wrote."""
    found = document.parse(data)
    document.accept(found, "el9-prod", 3, 1.75e9)
    document.stamp(found.expires)
    return f"{len(found.rings)} rings"


def _asked(data: bytes) -> str:
    """The line of a request and its Host header."""
    request, _, host = data.partition(b" ")
    found = place.settle(request.decode("latin-1"), host.decode("latin-1"), "127.0.0.1:8471", _ALLOWED)
    inside = any(found.bucket == one.bucket and found.key.startswith(one.key) for one in _ALLOWED)
    odd = {".", "..", "", ".repod"} & set(found.key.split("/")) or any(ord(char) < 32 for char in found.key)
    if not inside or odd:
        raise Finding(f"{request!r} reaches {found}")
    return "an object"


def _framed(data: bytes) -> str:
    return str(zypper._place(zypper._frame(io.BytesIO(data))))[:12]


def _file(path: Path, read: Callable[[], object]) -> Callable[[bytes], object]:
    def given(data: bytes) -> object:
        path.write_bytes(data)
        return read()

    return given


def _doors(folder: Path) -> Mapping[str, Door]:
    logging.disable()
    agent, s3, repo = folder / "agent.conf", folder / "s3.conf", folder / "x.repo"
    key, remembered = folder / "key.asc", folder / "state.json"
    envelope = json.dumps({"format": 1, "document": rollout().decode(), "signature": "x"}).encode()
    told = settings.Settings(repository="el9-prod", ring="early", key=Path("/k"))

    def door(
        read: Callable[[bytes], object],
        *seeds: bytes,
        how: Callable[[Random, bytes], bytes],
        no: tuple[type[BaseException], ...] = (WrongUse,),
    ) -> Door:
        return Door(read=read, refusals=no, mutate=how, seeds=seeds)

    return {
        "agent.conf": door(_file(agent, lambda: settings.load(agent) and "settings"), _AGENT, how=mutate.text),
        "s3.conf": door(
            _file(s3, lambda: gateway.parse(gateway.read(s3, required=True)) and "settings"), _S3, how=mutate.text
        ),
        "repo": door(_file(repo, lambda: repofile.find(told, [folder]) and "a source"), _REPO, how=mutate.text),
        "envelope": door(
            lambda data: document.opened(data) and "opened", envelope, how=mutate.as_json, no=(Malformed,)
        ),
        "rollout": door(_followed, rollout(), how=mutate.as_json, no=(Malformed, Refused)),
        "state": door(
            _file(remembered, lambda: state.StateFile(folder).load() and "a state"),
            json.dumps(_STATE).encode(),
            how=mutate.as_json,
        ),
        "key": door(
            _file(key, lambda: signature._keys(key) and "keys"),
            _ARMORED,
            how=mutate.text,
        ),
        "request": door(
            _asked,
            b"/bucket/el9/repodata/repomd.xml 127.0.0.1:8471",
            b"http://s3.repod.invalid/bucket/el9/Packages/a%2Bb.rpm s3.repod.invalid",
            b"/other/a/../b/./c%20d?x=1 localhost",
            b"/bucket/el9/../../.repod/head.json localhost",
            how=mutate.text,
            no=(Malformed, Absent, Refused),
        ),
        "zypper": door(_framed, b"RESOLVEURL\nbucket:priv\nprefix:el9\n\n\0", how=mutate.text, no=(Fault,)),
    }


HOSTS = of_doors("hosts", "repod-agent and repod-s3: settings, documents, state, requests", _doors)
