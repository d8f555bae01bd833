"""Secrets stay where they are: a whole daemon at log level debug, errors on all paths, and a search of all it left."""

import base64
import os
import signal
import subprocess
import sys
import tempfile
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import bcrypt
import httpx

from repod.confinement import hiding
from tests.lab import keys, processes, rpms
from tests.lab.daemon import Repod
from tests.lab.processes import environment
from tests.lab.seaweed import Seaweed
from tests.lab.wait import until

_PASSPHRASE = "Canary-passphrase zwölf/+%1"
_PASSWORD = "Canary-password dreizehn/+%2"
_HOOK = "Canary-hook-secret-vierzehn"
_IN_URL = "Canary-token-in-the-url-of-a-hook"
_REFUSED = "reload failed, the settings stay as they were"
_GUESS = "repod_Canary" + "g" * 37


def _forms(secret: bytes) -> Iterator[bytes]:
    """How a secret may be written: plain, quoted for a URL, hexadecimal, base64 wherever it stands in a text."""
    yield secret
    yield urllib.parse.quote(secret, safe="").encode()
    yield urllib.parse.quote_plus(secret).encode()
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for before in range(3):
        # What comes before and behind shares its first and last letters.
        whole = base64.b64encode(b"x" * before + secret)
        inner = whole[4 if before else 0 : len(whole) - 4]
        yield inner
        yield inner.replace(b"+", b"-").replace(b"/", b"_")
    yield secret.decode("utf-8", "replace").encode("unicode_escape")


def _found(secrets: Mapping[str, bytes], places: Mapping[str, bytes]) -> list[str]:
    return [
        f"{name} in {place}"
        for name, secret in secrets.items()
        for form in set(_forms(secret))
        for place, text in places.items()
        if form in text
    ]


def _of_processes(pid: int) -> Iterator[tuple[str, bytes]]:
    """Command lines of the daemon and all that it started, and environments of the latter."""
    for process in processes.session(pid) | processes.children(pid):
        for what in ("cmdline", "environ"):
            with suppress(OSError):
                # The daemon's own holds what its user put there.
                if process != pid or what == "cmdline":
                    yield f"{what} of {process}", Path(f"/proc/{process}/{what}").read_bytes()


def _of_files(*folders: Path) -> Iterator[tuple[str, bytes]]:
    for top in folders:
        for folder, _, files in os.walk(top):
            for path in (Path(folder, name) for name in files):
                with suppress(FileNotFoundError):  # the daemon goes on, and what is gone holds nothing
                    if path.is_file() and not path.is_symlink():
                        yield str(path), path.read_bytes()


def _temporary(pid: int) -> Path:
    """Where a process makes temporary files."""
    environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return Path(next(os.fsdecode(text[7:]) for text in environ if text.startswith(b"TMPDIR=")))


def _guarded(tmp_path: Path, s3: Seaweed, key: keys.Key) -> Repod:
    """A daemon with every kind of secret there is; they lie in ``tmp_path/secrets``."""
    secrets, base = tmp_path / "secrets", tmp_path / "repod"
    secrets.mkdir()
    base.mkdir()
    hashed = bcrypt.hashpw(_PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    for name, text in {
        "key.asc": key.secret.decode(), "passphrase": _PASSPHRASE, "hook": _HOOK, "htpasswd": f"web1:{hashed}",
    }.items():  # fmt: skip
        (secrets / name).write_text(text + "\n")
    hook = f"http://127.0.0.1:9/hooks/{_IN_URL}?token={_IN_URL}"  # nobody listens there
    settings = {
        "signing": {"passphrase_file": str(secrets / "passphrase")},
        "http": {"access": "readers", "tokens": "tokens.json", "passwords": str(secrets / "htpasswd")},
        "audit": {"file": "audit.jsonl"},
        "hook": [{"name": "ci", "url": hook, "secret": str(secrets / "hook"), "timeout": "1s"}],
    }
    repositories = {"test": {}, "bucket": {"store": f"s3://{s3.bucket()}/a/"}}
    prefix = ["prlimit", "--core=unlimited"]
    return Repod(base, secrets / "key.asc", repositories, settings=settings, s3=s3, prefix=prefix)


def _provoke(repod: Repod, token: str, folder: Path) -> dict[str, bytes]:
    """Errors on every path that a secret takes; what was answered."""
    answers = {}
    offers: list[tuple[str, httpx.BasicAuth | None, dict[str, str]]] = [
        ("token", None, {"Authorization": f"Bearer {token}"}),
        ("guess", None, {"Authorization": f"Bearer {_GUESS}"}),
        ("odd", None, {"Authorization": f"Basic {_GUESS}"}),
        ("password", httpx.BasicAuth("web1", _PASSWORD), {}),
        ("confused", httpx.BasicAuth(token, _PASSWORD), {}),
        ("cookie", None, {"Cookie": f"session={_GUESS}", "X-Forwarded-For": "::1"}),
    ]
    paths = ["/metrics", "/", "/healthz", "/repos/test/repodata/repomd.xml", "/repos/none/x", "/api/v1/repositories"]
    with httpx.Client(base_url=repod.url, timeout=60) as client:
        for what, auth, headers in offers:
            for path in paths:
                answer = client.get(path, auth=auth, headers=headers)
                answers[f"GET {path} with {what}"] = answer.content + repr(answer.headers).encode()
            answer = client.post("/api/v1/repositories/test/prune", auth=auth, headers=headers, content=b"{")
            answers[f"POST with {what}"] = answer.content
        answers["query"] = client.get(f"/api/v1/repositories?token={_GUESS}").content
    for name in ("test", "bucket"):
        (repod.inbox(name) / "damaged.rpm").write_bytes(b"\xed\xab\xee\xdb" + bytes(200))
        (repod.inbox(name) / "comps.xml").write_text("<comps>")
    rpms.quick(folder, "good").rename(repod.inbox() / "good.rpm")
    until(lambda: repod.find_events("package published"), 60, "a package to be live")
    return answers


def _failing_commands(repod: Repod, token: str) -> Iterator[tuple[str, bytes]]:
    """Commands that meet a wrong passphrase, a wrong secret of S3, a hook that nobody hears."""
    env = repod.env
    for name, words in {"hooks": ("hooks test", "ci"), "tokens": ("token list",), "check": ("check",)}.items():
        done = repod.cli(*words)
        yield name, (done.out + done.err).encode()
    repod.env = {**env, "AWS_SECRET_ACCESS_KEY": env["AWS_SECRET_ACCESS_KEY"][::-1]}
    done = repod.cli("status")
    yield "wrong S3 secret", (done.out + done.err).encode()
    repod.env = env
    client = [sys.executable, "-m", "repod.client", "--json", "status"]
    asked = os.environ | {"REPOCTL_URL": repod.url + "/none", "REPOCTL_TOKEN": token}
    ended = subprocess.run(client, env=asked, capture_output=True, check=False)
    yield "repoctl", ended.stdout + ended.stderr


def test_no_secret_is_found_in_anything_that_a_daemon_says_shows_or_leaves(s3: Seaweed, tmp_path: Path) -> None:
    """Not in log, answers, process list, environments, state, stores, audit log; nor in a core dump: there is none."""
    key = keys.make_key("ed25519", passphrase=_PASSPHRASE)
    repod = _guarded(tmp_path, s3, key)
    places: dict[str, bytes] = {}
    with repod:
        token = repod.cli("token add", "ci", "--push", "*").out.strip() or repod.cli("token add", "ci").out.strip()
        assert token.startswith("repod_")
        secrets = {
            "passphrase": _PASSPHRASE.encode(), "password": _PASSWORD.encode(), "hook secret": _HOOK.encode(),
            "token in a URL": _IN_URL.encode(), "guess": _GUESS.encode(), "token": token.encode(),
            "S3 secret": s3.secret_key.encode(), "secret key": key.secret.splitlines()[4],
        }  # fmt: skip
        places |= _provoke(repod, token, tmp_path)
        places |= dict(_of_processes(repod.pid))
        places |= dict(_failing_commands(repod, token))
        (tmp_path / "secrets/passphrase").write_text(_GUESS + "\n")
        places["wrong passphrase"] = repr(repod.cli("check")).encode()
        os.kill(repod.pid, signal.SIGHUP)
        until(lambda: repod.find_events(_REFUSED), 30, "the settings to be read")
        places |= dict(_of_processes(repod.pid))
        limits = Path(f"/proc/{repod.pid}/limits").read_text()
        places |= dict(_of_files(repod.base, _temporary(repod.pid)))
        places.pop(str(repod.config))  # the hook's URL stands there: its user wrote it
        places |= dict(_of_files(repod.store("bucket")))
        assert repod.process is not None
        repod.process.send_signal(signal.SIGABRT)
        assert repod.process.wait(60) == -signal.SIGABRT
        repod._abandon()
    assert any(line.split()[4:6] == ["0", "0"] for line in limits.splitlines() if line.startswith("Max core file size"))
    assert not [path for path in (Path.cwd(), repod.base) for path in path.glob("core*") if path.is_file()]
    assert len(places) > 100
    assert _found(secrets, places) == []


def test_a_secret_is_found_however_it_is_written() -> None:
    """The search itself: what it must find, it finds."""
    secret = _PASSPHRASE.encode()
    written = [
        b"x" + secret, urllib.parse.quote(_PASSPHRASE).encode().replace(b"/", b"%2F"), secret.hex().encode(),
        *(base64.b64encode(b"y" * before + secret + b"zz") for before in range(5)),
    ]  # fmt: skip
    for text in written:
        assert _found({"it": secret}, {"place": b"before " + text + b" after"}), text


def test_who_is_hidden_can_be_read_by_nobody_of_its_user_and_leaves_no_core_dump(tmp_path: Path) -> None:
    """Tried as an ordinary user without privileges, on a process that is hidden, and on one that is not."""
    script = Path(hiding.__file__).read_text() + (
        "\nimport os, resource, signal, sys\n"
        "os.chdir(sys.argv[1])\n"
        "for hidden in (False, True):\n"
        "    ready, say = os.pipe()\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)\n"
        "        if hidden: hide()\n"
        "        os.write(say, b'x')\n"
        "        signal.pause()\n"
        "    os.read(ready, 1)\n"
        "    for what in ('mem', 'environ'):\n"
        "        try: print(hidden, what, os.open(f'/proc/{pid}/{what}', os.O_RDONLY) > 0)\n"
        "        except OSError as error: print(hidden, what, error.errno)\n"
        "    os.kill(pid, signal.SIGABRT)\n"
        "    _, status = os.waitpid(pid, 0)\n"
        "    print(hidden, 'core', os.WCOREDUMP(status))\n"
    )
    words = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # which that user can reach
        Path(folder).chmod(0o777)
        words += ["/usr/bin/python3", "-", folder]
        env = environment(tmp_path)
        done = subprocess.run(words, input=script, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = done.stdout.splitlines()
    assert seen[:2] == ["False mem True", "False environ True"]
    assert seen[3:] == ["True mem 13", "True environ 13", "True core False"]
