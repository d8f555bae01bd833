"""The files for systemd: sound, tight, in agreement with the settings, and repod lives with them."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import confined
from tests.lab.daemon import Repod
from tests.lab.rpms import quick
from tests.lab.wait import until

_ROOT = Path(__file__).parents[2]
_SYSTEMD = _ROOT / "systemd"
_OF_HOSTS = (
    "repod-s3.service",
    "repod-s3.socket",
    "repod-agent.service",
    "repod-agent.timer",
    "repod-report.service",
    "repod-report.timer",
    "repod-report.path",
)
_EXPOSURE = 20  # tenths; the gate of the project
_CI_USER = 54321


def _run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ | {"LC_ALL": "C.UTF-8"})


def _installed(folder: Path, change: Callable[[str], str] = str, name: str = "repod.service") -> Path:
    """The unit in ``folder``, with a program in ExecStart= that this machine has."""
    text = (_SYSTEMD / name).read_text()
    text = re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", text)
    path = folder / name
    path.write_text(change(text))
    return path


def _verify(unit: Path) -> tuple[int, list[str]]:
    """How ``systemd-analyze verify`` ended, and what it said of this unit (of others it may say more)."""
    done = _run("systemd-analyze", "verify", unit)
    return done.returncode, [line for line in done.stderr.splitlines() if "repod" in line]


def test_the_unit_is_one_that_systemd_understands_to_the_last_key(tmp_path: Path) -> None:
    assert _verify(_installed(tmp_path)) == (0, [])


def test_a_misspelt_key_in_the_unit_would_be_noticed(tmp_path: Path) -> None:
    unit = _installed(tmp_path, lambda text: text.replace("ProtectHome=", "ProtectHouse="))
    code, said = _verify(unit)
    assert code == 0
    assert any("ProtectHouse" in line for line in said)


def test_the_unit_exposes_less_of_the_machine_than_the_gate_allows(tmp_path: Path) -> None:
    words = ("systemd-analyze", "security", "--offline=true", f"--threshold={_EXPOSURE}")
    done = _run(*words, _installed(tmp_path))
    assert done.returncode == 0, done.stdout
    open_unit = _installed(tmp_path, lambda text: re.sub(r"(?m)^(Protect|Private|Restrict|SystemCall).*$", "", text))
    assert _run(*words, open_unit).returncode != 0


def test_the_units_of_hosts_are_understood_to_the_last_key(tmp_path: Path) -> None:
    units = [_installed(tmp_path, name=name) for name in _OF_HOSTS]
    assert [_verify(unit) for unit in units] == [(0, [])] * len(units)


@pytest.mark.parametrize("name", ["repod-s3.service", "repod-report.service"])
def test_the_service_of_hosts_exposes_less_of_the_machine_than_the_gate_allows(tmp_path: Path, name: str) -> None:
    words = ("systemd-analyze", "security", "--offline=true", f"--threshold={_EXPOSURE}")
    done = _run(*words, _installed(tmp_path, name=name))
    assert done.returncode == 0, done.stdout


def test_socket_and_settings_of_hosts_agree_on_the_address() -> None:
    (address,) = re.findall(r"(?m)^ListenStream=(.+)$", (_SYSTEMD / "repod-s3.socket").read_text())
    assert f"#listen = {address}\n" in (_ROOT / "config" / "repod-s3.conf").read_text()
    assert confined.read_unit(_SYSTEMD / "repod-s3.service")["ExecStart"] == ["/usr/local/bin/repod-s3 serve"]


def test_who_asks_a_proxy_is_known_where_its_unit_shows_processes_only(tmp_path: Path) -> None:
    probe = (
        "import socket; from repod.hosts import peers; a = socket.create_server(('127.0.0.1', 0)); "
        "b = socket.create_connection(a.getsockname()); print(peers.uid(a.accept()[0]))"
    )
    script = 'mount -t proc -o subset=pid,hidepid=invisible proc /proc; test ! -e /proc/uptime; exec "$@"'
    done = _run("unshare", "--mount", "--pid", "--fork", "sh", "-euc", script, "sh", sys.executable, "-c", probe)
    assert done.stdout == "0\n", done.stderr


def test_unit_settings_and_folders_agree_on_where_things_are() -> None:
    unit = confined.read_unit()
    settings = (_ROOT / "config" / "repod.toml").read_text()
    active = tomllib.loads(settings)
    folders = dict(re.findall(r"(?m)^d (\S+) +(\S+ +\S+ +\S+)$", (_SYSTEMD / "repod.tmpfiles.conf").read_text()))
    (repository,) = active["repository"]
    writable = unit["ReadWritePaths"][0]
    for place in (repository["inbox"], repository["store"]):
        assert place.startswith(writable + "/")
        assert place in folders
    assert f'#state_dir = "/var/lib/{unit["StateDirectory"][0]}"' in settings
    name, _, file = unit["LoadCredential"][0].partition(":")
    assert active["signing"]["key"] == f"credential:{name}"
    assert str(Path(file).parent) in folders
    assert unit["ExecStart"][0].endswith(f" run -c {Path(file).parent}/repod.toml")


def _users(base: Path) -> Path:
    """A folder with the users that the sysusers file makes on a bare machine, and root."""
    etc = base / "etc"
    etc.mkdir(parents=True)
    (etc / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (etc / "group").write_text("root:x:0:\n")
    done = _run("systemd-sysusers", f"--root={base}", _SYSTEMD / "repod.sysusers.conf")
    assert done.returncode == 0, done.stderr
    return base


def _rows(path: Path) -> dict[str, list[str]]:
    return {line.split(":")[0]: line.split(":") for line in path.read_text().splitlines()}


def test_the_user_repod_cannot_log_in_and_belongs_to_those_who_upload(tmp_path: Path) -> None:
    base = _users(tmp_path)
    passwd, group = _rows(base / "etc/passwd"), _rows(base / "etc/group")
    assert passwd["repod"][5:] == ["/var/lib/repod", "/usr/sbin/nologin"]
    assert passwd["repod"][3] == group["repod"][2]
    assert group["repod-upload"][3] == "repod"


def test_sysusers_has_nothing_to_say_against_its_file() -> None:
    done = _run("systemd-sysusers", "--dry-run", _SYSTEMD / "repod.sysusers.conf")
    assert (done.returncode, [line for line in done.stderr.splitlines() if "conf:" in line]) == (0, [])


class _Manager:
    """The end of sd_notify's socket that systemd holds; read at once, since a full one makes repod wait."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._channel.bind(str(path))
        self._told: list[list[str]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while message := self._channel.recv(4096):
            self._told.append(message.decode().splitlines())

    def told(self) -> list[str]:
        """The first line of each message, in order."""
        return [message[0] for message in self.messages()]

    def messages(self) -> list[list[str]]:
        """Every message so far, as its lines."""
        return list(self._told)

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", str(self.path))
        self._reader.join()
        self._channel.close()


@pytest.fixture
def manager() -> Iterator[_Manager]:
    # A socket's path is short; that of pytest's folders may be long.
    with tempfile.TemporaryDirectory() as folder:
        manager = _Manager(Path(folder, "notify"))
        yield manager
        manager.close()


@pytest.fixture
def notifying(tmp_path: Path, key_file: Path, manager: _Manager) -> Repod:
    return Repod(tmp_path, key_file, env={"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "200000"})


def test_systemd_is_told_of_readiness_life_and_end(notifying: Repod, manager: _Manager) -> None:
    notifying.spawn()
    until(lambda: "READY=1" in manager.told(), 60, "READY=1")
    assert manager.told()[0] == "READY=1"
    assert notifying.get("/healthz")[0] == 200
    until(lambda: manager.told().count("WATCHDOG=1") >= 3, 30, "three signs of life")
    assert "STOPPING=1" not in manager.told()
    assert notifying.stop() == 0
    until(lambda: manager.told()[-1] == "STOPPING=1", 10, "STOPPING=1")
    assert manager.told().count("READY=1") == 1


def _reload(repod: Repod, manager: _Manager) -> list[list[str]]:
    """What systemd was told from SIGHUP to the next READY=1, signs of life aside."""
    before = len(manager.messages())
    os.kill(repod.pid, signal.SIGHUP)
    until(lambda: "READY=1" in manager.told()[before:], 60, "the end of the reload")
    return [message for message in manager.messages()[before:] if message != ["WATCHDOG=1"]]


def test_systemd_is_told_when_a_reload_begins_and_ends(notifying: Repod, manager: _Manager) -> None:
    with notifying:
        reloading, ready = _reload(notifying, manager)
        assert reloading[0] == "RELOADING=1"
        assert re.fullmatch(r"MONOTONIC_USEC=[1-9][0-9]+", reloading[1])
        assert ready[0] == "READY=1"
        assert notifying.find_events("reloaded")
        until(lambda: manager.told()[-1] == "WATCHDOG=1", 30, "life after the reload")


def test_a_reload_of_wrong_settings_is_logged_and_leaves_the_service_ready(notifying: Repod, manager: _Manager) -> None:
    with notifying:
        notifying.config.write_text("[signing]\n")
        told = [message[0] for message in _reload(notifying, manager)]
        assert told == ["RELOADING=1", "READY=1"]
        (event,) = notifying.find_events("reload failed, the settings stay as they were")
        assert "signing.key: is required and missing" in event["problem"]
        assert notifying.get("/readyz")[0] == 200


class _Confined(Repod):
    """The daemon with the files, user, privileges and system calls that repod.service gives it."""

    def __init__(self, base: Path, key: Path) -> None:
        self.outside = _users(base)
        shutil.copy(key, base / "signing-key")
        inside = base / "srv" / "repod"
        inside.mkdir(parents=True)
        # A long settle: a file is taken at once only where the kernel says that its writer is done.
        settings = {"state_dir": "/var/lib/repod", "inbox": {"settle": 100.0}}
        super().__init__(inside, Path("credential:signing-key"), ("el9-prod",), settings)

    def spawn(self) -> None:
        command = (sys.executable, "-m", "repod", "run", "-c", "/srv/repod/repod.toml")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                confined.words(self.outside, *command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def drop(self, rpm: Path, script: str) -> None:
        """Run ``script`` in the inbox as a CI user with a private umask; the package is its input."""
        upload = int(_rows(self.outside / "etc/group")["repod-upload"][2])
        with rpm.open("rb") as package:
            subprocess.run(
                ["sh", "-euc", script],
                cwd=self.inbox("el9-prod"),
                stdin=package,
                user=_CI_USER,
                group=_CI_USER,
                extra_groups=[upload],
                umask=0o077,
                check=True,
            )


@pytest.fixture
def confined_repod(tmp_path: Path, key_file: Path) -> Iterator[_Confined]:
    with _Confined(tmp_path / "machine", key_file) as repod:
        yield repod


def _published(repod: _Confined, name: str) -> bool:
    return bool(repod.find_events("package published", package=f"{name}-1.0-1.noarch"))


def test_as_the_unit_confines_it_repod_publishes_what_a_ci_user_drops(
    confined_repod: _Confined, tmp_path: Path
) -> None:
    repod = confined_repod
    repod.drop(quick(tmp_path, "plain"), "cat > plain.rpm")
    repod.drop(quick(tmp_path, "nested"), "mkdir nightly && cat > nightly/nested.rpm")
    repod.drop(quick(tmp_path, "foreign", arch="s390x"), "cat > foreign.rpm")
    until(lambda: _published(repod, "plain") and _published(repod, "nested"), 60, "the packages to be published")
    until(lambda: not list(repod.inbox("el9-prod").rglob("*.rpm")), 30, "the inbox to be empty")
    until(lambda: list(repod.rejected("el9-prod").glob("foreign.rpm.reason.json")), 30, "the refused one's reason")
    repomd = repod.store("el9-prod") / "repodata" / "repomd.xml"
    assert repomd.stat().st_mode & 0o777 == 0o644, "a web server of another user reads the store"
    assert repod.get("/repos/el9-prod/repodata/repomd.xml") == (200, repomd.read_bytes())
    assert repod.find_events("package not taken in, tried again later") == []
    assert repod.find_events("processes that read packages are not wholly confined") == []
    assert repod.noise() == []


def test_one_ci_user_cannot_touch_what_another_dropped(confined_repod: _Confined, tmp_path: Path) -> None:
    inbox = confined_repod.inbox("el9-prod")
    incomplete = inbox / "others.rpm"
    incomplete.write_bytes(quick(tmp_path).read_bytes()[:500])
    os.chown(incomplete, _CI_USER + 1, _CI_USER + 1)
    for script in ("rm -f others.rpm", "mv others.rpm mine.rpm", "echo > others.rpm", "rmdir ../el9-prod"):
        with pytest.raises(subprocess.CalledProcessError):
            confined_repod.drop(quick(tmp_path), f"{script} 2>/dev/null")
    assert incomplete.stat().st_size == 500


_PROBE = """
import errno, mmap, os, socket, sys
def no(what, *arguments, **named):
    try:
        what(*arguments, **named)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "allowed"
print(
    no(open, "/etc/probe", "w"), no(open, "/srv/probe", "w"), no(os.chmod, "/var/lib/repod", 0o2700),
    no(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW), no(mmap.mmap, -1, 4096, prot=7),
    no(os.setpriority, os.PRIO_PROCESS, 0, 5), no(os.kill, 1, 0), os.path.exists("/proc/1"),
    no(open, "/var/lib/repod/probe", "w"),
)
"""


def test_the_confinement_of_these_tests_is_no_empty_promise(tmp_path: Path) -> None:
    base = _users(tmp_path)
    (base / "srv" / "repod").mkdir(parents=True)
    (base / "signing-key").write_text("secret")
    done = _run(*confined.words(base, sys.executable, "-c", _PROBE))
    assert done.stdout.split() == [
        "EROFS", "EACCES", "EPERM", "EAFNOSUPPORT", "EPERM", "EPERM", "EPERM", "False", "allowed",
    ], done.stderr  # fmt: skip


def test_what_is_made_for_uploads_is_open_to_those_who_upload_and_to_nobody_else(tmp_path: Path) -> None:
    base = _users(tmp_path)
    (base / "srv" / "repod").mkdir(parents=True)
    (base / "signing-key").write_text("secret")
    assert _run(*confined.words(base, "/bin/true")).returncode == 0
    user = int(_rows(base / "etc/passwd")["repod"][2])
    upload = int(_rows(base / "etc/group")["repod-upload"][2])
    own = int(_rows(base / "etc/group")["repod"][2])
    found = {}
    for path in (base / "srv" / "repod").rglob("*"):
        status = path.stat()
        found[str(path.relative_to(base))] = (oct(status.st_mode & 0o7777), status.st_uid, status.st_gid)
    assert found == {
        "srv/repod/inbox": ("0o2755", user, upload),
        "srv/repod/inbox/el9-prod": ("0o3770", user, upload),
        "srv/repod/www": ("0o755", user, own),
        "srv/repod/www/el9-prod": ("0o755", user, own),
    }
