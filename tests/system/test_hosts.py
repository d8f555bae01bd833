"""`repod-s3` as a process before a real S3 server: who may ask, what for, and what happens when things fail."""

import concurrent.futures
import http.client
import http.server
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest

from tests.lab.hosts import ROOT, WORDS, Proxy, Said, ask, hosts, installed, proxy, raw
from tests.lab.ports import free_port
from tests.lab.processes import environment
from tests.lab.seaweed import Seaweed
from tests.lab.wait import until

_NOBODY = 65534
_BIG = secrets.token_bytes(5_000_000)


@pytest.fixture(scope="module")
def bucket(s3: Seaweed) -> str:
    """A bucket with a few objects below ``p/``, and one beside."""
    name = s3.bucket()
    client = s3.client()
    for key in (
        "p/repodata/repomd.xml",
        "p/repodata/statement.json",
        "p/Packages/l/libx++-1.0~rc1^git é 100%.rpm",
        "q/secret",
        "p/.repod/head.json",
    ):
        client.put_object(Bucket=name, Key=key, Body=key.encode(), ContentType="text/x-lab", CacheControl="no-cache")
    client.put_object(Bucket=name, Key="p/big", Body=_BIG)
    return name


@pytest.fixture
def running(s3: Seaweed, bucket: str, tmp_path: Path) -> Iterator[Proxy]:
    with proxy(tmp_path / "home", f"s3://{bucket}/p/", environ=s3.environ) as started:
        yield started


@pytest.mark.parametrize("name", ["repomd.xml", "statement.json"])
def test_headers_come_back_and_a_head_has_no_body(name: str, running: Proxy, bucket: str) -> None:
    got = running.ask(f"{bucket}/p/repodata/{name}")
    assert (got.status, got.body) == (200, f"p/repodata/{name}".encode())
    assert got.headers["Content-Type"] == "text/x-lab"
    assert got.headers["Cache-Control"] == "no-cache"
    assert got.headers["Accept-Ranges"] == "bytes"
    assert re.fullmatch(r'"[0-9a-f]{32}"', got.headers["ETag"])
    head = running.ask(f"{bucket}/p/repodata/{name}", "HEAD")
    assert (head.status, head.body) == (200, b"")
    same = ("Content-Length", "Content-Type", "ETag", "Last-Modified", "Cache-Control")
    assert [head.headers[name] for name in same] == [got.headers[name] for name in same]


def test_conditions_are_handed_on(running: Proxy, bucket: str) -> None:
    path = f"{bucket}/p/repodata/repomd.xml"
    first = running.ask(path)
    assert running.ask(path, If_None_Match=first.headers["ETag"]).status == 304
    assert running.ask(path, If_None_Match='"other"').status == 200
    assert running.ask(path, If_Modified_Since=first.headers["Last-Modified"]).status == 304
    assert running.ask(path, If_Modified_Since="Mon, 01 Jan 2001 00:00:00 GMT").status == 200
    assert running.ask(path, If_Modified_Since="yesterday").status == 200


def test_a_range_is_part_of_the_same_object_or_all_of_another(running: Proxy, bucket: str) -> None:
    path = f"{bucket}/p/big"
    etag = running.ask(path, "HEAD").headers["ETag"]
    part = running.ask(path, Range="bytes=1000000-")
    assert (part.status, part.body) == (206, _BIG[1_000_000:])
    assert part.headers["Content-Range"] == f"bytes 1000000-{len(_BIG) - 1}/{len(_BIG)}"
    assert running.ask(path, Range="bytes=-5").body == _BIG[-5:]
    assert running.ask(path, Range="bytes=9000000-").status == 416
    assert running.ask(path, Range="bytes=0-9", If_Range=etag).body == _BIG[:10]
    for other in ('"other"', f"W/{etag}", "Mon, 01 Jan 2001 00:00:00 GMT"):
        whole = running.ask(path, Range="bytes=0-9", If_Range=other)
        assert (whole.status, whole.body == _BIG) == (200, True), other


def test_curl_resumes_a_download_that_was_cut_off(running: Proxy, bucket: str, tmp_path: Path) -> None:
    target = tmp_path / "big"
    target.write_bytes(_BIG[:2_345_678])
    subprocess.run(["curl", "-sS", "-C", "-", "-o", target, f"{running.url}{bucket}/p/big"], check=True)
    assert target.read_bytes() == _BIG


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT"])
def test_only_get_and_head_are_answered(running: Proxy, bucket: str, method: str) -> None:
    said = raw(running, f"{method} /{bucket}/p/big HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b" 405 " in said.splitlines()[0]
    assert b"Allow: GET, HEAD" in said


def test_what_is_beside_the_prefix_stays_out_of_reach(running: Proxy, bucket: str) -> None:
    for path in ("q/secret", "p/../q/secret", "p/%2e%2e/q/secret", "p%2f..%2fq/secret", "p/.repod/head.json"):
        said = raw(running, f"GET /{bucket}/{path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 403 " in said.splitlines()[0]
    assert running.ask(f"{bucket}/p/generations/4/../../repodata/repomd.xml").status == 200
    assert running.ask(f"{bucket}/p/repodata/repomd.xml?acl").body == b"p/repodata/repomd.xml"
    assert running.ask(f"{bucket}/p/absent").status == 404


def test_what_zypper_asks_in_vain_is_answered_without_asking_s3(s3: Seaweed, running: Proxy, bucket: str) -> None:
    """Where a host may not list the bucket S3 answers 403 for what is missing, and zypper gives up."""
    s3.client().put_object(Bucket=bucket, Key="p/media.1/media", Body=b"there")
    assert running.ask(f"{bucket}/p/media.1/media").status == 404


def test_it_is_no_proxy_for_other_hosts(running: Proxy, bucket: str) -> None:
    said = raw(running, "GET http://example.com/x HTTP/1.1\r\nHost: example.com\r\n\r\n")
    assert b" 403 " in said.splitlines()[0]
    said = raw(running, f"GET http://s3.repod.invalid/{bucket}/p/repodata/repomd.xml HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b" 200 " in said.splitlines()[0]


def test_a_connection_serves_one_request_after_another(running: Proxy, bucket: str) -> None:
    host, _, port = running.url.removeprefix("http://").rstrip("/").partition(":")
    connection = http.client.HTTPConnection(host, int(port))
    for path in ("p/big", "p/absent", "q/secret", "p/repodata/repomd.xml"):
        connection.request("GET", f"/{bucket}/{path}")
        channel = connection.sock
        connection.getresponse().read()
        assert connection.sock is channel
    connection.close()


def test_two_hundred_connections_at_once_each_get_their_bytes(running: Proxy, bucket: str) -> None:
    together = threading.Barrier(200)
    url = running.url

    def fetch(number: int) -> bool:
        together.wait(60)
        begin = number * 20_000
        return ask(f"{url}{bucket}/p/big", Range=f"bytes={begin}-").body[:20_000] == _BIG[begin : begin + 20_000]

    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        assert all(pool.map(fetch, range(200)))
    peak = int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{running.process.pid}/status").read_text())[1])  # type: ignore[index]
    assert peak < 400_000, "kB: answers are handed on, not held"


_ASK = """
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1]).status)
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
"""


def _as_nobody(url: str) -> str:
    words = ["/usr/bin/python3", "-c", _ASK, url]
    return subprocess.run(
        words, user=_NOBODY, group=_NOBODY, extra_groups=[], cwd="/", capture_output=True, text=True, check=True
    ).stdout


def test_another_user_of_the_host_is_refused_unless_root_allows_it(
    running: Proxy, s3: Seaweed, bucket: str, tmp_path: Path
) -> None:
    path = f"{bucket}/p/repodata/repomd.xml"
    line = f"the user with uid {_NOBODY} may not use this proxy; root may allow it: allow_users in repod-s3.conf"
    assert _as_nobody(running.url + path) == f"403 repod-s3: {line}\n\n"
    assert running.log().count(f"repod-s3: refused the user with uid {_NOBODY}: not in allow_users") == 1
    allowing = ["--allow-user", "nobody"]
    with proxy(tmp_path / "other", f"s3://{bucket}/p/", environ=s3.environ, options=allowing) as other:
        assert _as_nobody(other.url + path) == "200\n"


def test_it_knows_its_peers_over_ipv6_too(s3: Seaweed, bucket: str, tmp_path: Path) -> None:
    options = ["--listen", "[::1]:0"]
    with proxy(tmp_path / "home", f"s3://{bucket}/p/", environ=s3.environ, options=options) as six:
        assert six.ask(f"{bucket}/p/repodata/repomd.xml").status == 200
        assert _as_nobody(f"{six.url}{bucket}/p/repodata/repomd.xml").startswith("403 ")


def test_a_wrong_secret_is_one_line_in_answer_and_log(s3: Seaweed, bucket: str, tmp_path: Path) -> None:
    wrong = {**s3.environ, "AWS_SECRET_ACCESS_KEY": "wrong"}
    with proxy(tmp_path / "home", f"s3://{bucket}/p/", environ=wrong) as started:
        said = started.ask(f"{bucket}/p/repodata/repomd.xml")
        line = (
            f"repod-s3: s3://{bucket}/p/repodata/repomd.xml: S3 refused env {s3.access_key} (SignatureDoesNotMatch); "
            "the secret key does not belong to the access key: correct the credentials of this host\n"
        )
        assert (said.status, said.body.decode()) == (403, line)
        assert started.log().endswith(line)


def test_a_server_that_cannot_be_reached_is_a_bad_gateway(s3: Seaweed, bucket: str, tmp_path: Path) -> None:
    options = ["--endpoint", "http://127.0.0.1:9", "--listen", "127.0.0.1:0"]
    environ = {**s3.environ, "AWS_MAX_ATTEMPTS": "1"}
    with proxy(tmp_path / "home", f"s3://{bucket}/p/", environ=environ, options=options) as started:
        said = started.ask(f"{bucket}/p/repodata/repomd.xml")
        assert said.status == 502
        assert b"S3 cannot be reached" in said.body


class _Server:
    """A small HTTP server on loopback whose answers a function makes of path and headers."""

    def __init__(self, answer: Callable[[str, str, Mapping[str, str]], tuple[int, bytes]]) -> None:
        self.seen: list[str] = []
        seen = self.seen

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                self.rfile.read(length)
                seen.append(f"{self.command} {self.path}")
                status, body = answer(self.command, self.path, self.headers)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("x-aws-ec2-metadata-token-ttl-seconds", "21600")
                self.end_headers()
                self.wfile.write(body)

            do_PUT = do_GET  # noqa: N815 - http.server's name

            def log_message(self, *args: object) -> None:
                """Nothing: the test reports."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _keys(s3: Seaweed, seconds: float) -> dict[str, str]:
    """Credentials as the services of containers and instances give them, that end in ``seconds``."""
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
    return {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "LastUpdated": ends,
        "AccessKeyId": s3.access_key,
        "SecretAccessKey": s3.secret_key,
        "Token": "",
        "Expiration": ends,
    }


def _without_keys(s3: Seaweed) -> dict[str, str]:
    return {name: s3.environ[name] for name in ("AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_S3")}


def _asked(tmp_path: Path, bucket: str, environ: Mapping[str, str], *options: str) -> list[int]:
    with proxy(tmp_path / "home", f"s3://{bucket}/p/", environ=environ, options=options) as started:
        return [started.ask(f"{bucket}/p/repodata/repomd.xml").status for _ in range(2)]


def test_credentials_of_a_profile(s3: Seaweed, bucket: str, tmp_path: Path) -> None:
    aws = tmp_path / "home" / ".aws"
    aws.mkdir(parents=True)
    (aws / "credentials").write_text(
        f"[hosts]\naws_access_key_id = {s3.access_key}\naws_secret_access_key = {s3.secret_key}\n"
    )
    environ = {**_without_keys(s3), "AWS_EC2_METADATA_DISABLED": "true"}
    assert _asked(tmp_path, bucket, environ, "--profile", "hosts") == [200, 200]
    assert _asked(tmp_path, bucket, environ, "--profile", "absent") == [503, 503]


def test_credentials_of_a_container_are_asked_for_again_when_they_end(s3: Seaweed, bucket: str, tmp_path: Path) -> None:
    def answer(_method: str, _path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        if headers.get("Authorization") != "Bearer of-this-pod":
            return 403, b""
        # The first will end within the time in which botocore renews them, the next in an hour.
        return 200, json.dumps(_keys(s3, 3600 if len(server.seen) > 1 else 60)).encode()

    with _Server(answer) as server:
        environ = {
            **_without_keys(s3),
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{server.url}/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "Bearer of-this-pod",
        }
        assert _asked(tmp_path, bucket, environ) == [200, 200]
        assert server.seen == ["GET /credentials"] * 2


def test_credentials_of_an_instance_are_asked_for_by_imdsv2(s3: Seaweed, bucket: str, tmp_path: Path) -> None:
    role = "/latest/meta-data/iam/security-credentials/"

    def answer(method: str, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        if (method, path) == ("PUT", "/latest/api/token"):
            return 200, b"a-token"
        if headers.get("x-aws-ec2-metadata-token") != "a-token":
            return 401, b""
        return 200, b"host-role" if path == role else json.dumps(_keys(s3, 3600)).encode()

    with _Server(answer) as server:
        environ = {
            **_without_keys(s3),
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url,
            "AWS_METADATA_SERVICE_TIMEOUT": "60",  # a second, of its own, within which a loaded machine may not answer
        }
        assert _asked(tmp_path, bucket, environ) == [200, 200]
        assert server.seen == ["PUT /latest/api/token", f"GET {role}", f"GET {role}host-role"]


def test_a_profile_with_new_keys_is_read_again_after_s3_refused_the_old_ones(
    s3: Seaweed, bucket: str, tmp_path: Path
) -> None:
    file = tmp_path / "home" / ".aws" / "credentials"
    file.parent.mkdir(parents=True)
    file.write_text("[default]\naws_access_key_id = AKOLD\naws_secret_access_key = old\n")
    environ = {**_without_keys(s3), "AWS_EC2_METADATA_DISABLED": "true"}
    with proxy(tmp_path / "home", f"s3://{bucket}/p/", environ=environ) as started:
        path = f"{bucket}/p/repodata/repomd.xml"
        assert started.ask(path).status == 403
        file.write_text(f"[default]\naws_access_key_id = {s3.access_key}\naws_secret_access_key = {s3.secret_key}\n")
        until(lambda: started.ask(path).status == 200, 30, "the new keys to be used")


def test_where_s3_breaks_off_in_the_middle_the_rest_is_asked_for(s3: Seaweed, bucket: str, tmp_path: Path) -> None:
    with (
        _cutting(s3.endpoint, 1_500_000) as (endpoint, count),
        proxy(
            tmp_path / "home",
            f"s3://{bucket}/p/",
            environ=s3.environ,
            options=["--endpoint", endpoint, "--listen", "127.0.0.1:0"],
        ) as started,
    ):
        assert started.ask(f"{bucket}/p/big").body == _BIG
        assert count() == 4


@contextmanager
def _cutting(endpoint: str, limit: int) -> Iterator[tuple[str, Callable[[], int]]]:
    """A way to ``endpoint`` on which a connection ends after ``limit`` bytes of answers; and how many there were."""
    host, _, port = endpoint.removeprefix("http://").partition(":")
    listener = socket.create_server(("127.0.0.1", 0))
    made = []

    def carry(client: socket.socket) -> None:
        with client, socket.create_connection((host, int(port))) as server:
            threading.Thread(target=_pump, args=(client, server, 1 << 40), daemon=True).start()
            _pump(server, client, limit)
            for channel in (client, server):
                with_suppressed(channel)

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            made.append(client)
            threading.Thread(target=carry, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", lambda: len(made)
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


def with_suppressed(channel: socket.socket) -> None:
    """Both directions closed, for whoever else still reads of it."""
    try:
        channel.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _pump(source: socket.socket, sink: socket.socket, limit: int) -> None:
    try:
        while limit > 0 and (piece := source.recv(min(65536, limit))):
            sink.sendall(piece)
            limit -= len(piece)
    except OSError:
        return


@contextmanager
def _activated(s3: Seaweed, bucket: str, home: Path, *options: str) -> Iterator[tuple[str, Any]]:
    """`repod-s3` as systemd starts it: by the first connection to a socket that systemd holds."""
    port = free_port()
    home.mkdir()
    words = ["systemd-socket-activate", f"--listen=127.0.0.1:{port}", *WORDS]
    # It hands on what it is told to, and no more.
    names = [*s3.environ, "PYTHONPATH", "REPOD_TEST_RUN"]
    words[1:1] = [f"--setenv={name}" for name in names]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [*words, "serve", "--allow", f"s3://{bucket}/p/", *options],
            env=environment(home, PYTHONPATH=str(ROOT), **s3.environ),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        until(lambda: b"Listening on" in (home / "log").read_bytes(), 60, "the socket")
        yield f"http://127.0.0.1:{port}/", process
    finally:
        process.terminate()
        process.wait(40)


def test_systemd_starts_it_by_a_connection_and_it_ends_when_idle(s3: Seaweed, bucket: str, tmp_path: Path) -> None:
    with _activated(s3, bucket, tmp_path / "home", "--idle", "1s") as (url, process):
        said: Said = ask(f"{url}{bucket}/p/repodata/repomd.xml")
        assert said.status == 200
        assert process.wait(60) == 0


def test_it_does_not_end_while_it_is_asked(s3: Seaweed, bucket: str, tmp_path: Path) -> None:
    with _activated(s3, bucket, tmp_path / "home", "--idle", "1s") as (url, process):
        host, _, port = url.removeprefix("http://").rstrip("/").partition(":")
        with socket.socket() as channel:
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 200_000)
            channel.settimeout(60)
            channel.connect((host, int(port)))
            channel.sendall(f"GET /{bucket}/p/big HTTP/1.0\r\n\r\n".encode())
            got = len(channel.recv(1000))
            # Slower than the limit for idleness: a client on a thin line.
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(2.5)
            while piece := channel.recv(1 << 20):
                got += len(piece)
        assert got > len(_BIG)
        assert process.wait(60) == 0


def test_systemd_is_told_when_it_is_ready_and_when_it_stops(s3: Seaweed, bucket: str, tmp_path: Path) -> None:
    path = Path("/tmp", f"repod-s3-{os.getpid()}.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(60)
        try:
            environ = {**s3.environ, "NOTIFY_SOCKET": str(path)}
            with proxy(tmp_path / "home", f"s3://{bucket}/p/", environ=environ):
                assert manager.recv(100) == b"READY=1"
            assert manager.recv(100) == b"STOPPING=1"
        finally:
            path.unlink()


def test_a_port_that_is_taken_is_told(running: Proxy, bucket: str, tmp_path: Path) -> None:
    address = running.url.removeprefix("http://").rstrip("/")
    done = hosts(tmp_path, "serve", "--listen", address, "--allow", f"s3://{bucket}/p/")
    assert done.rc == 4
    assert done.out.startswith(f"repod-s3: listen: {address} cannot be had (Address already in use)")


def test_nothing_to_allow_is_wrong_use(tmp_path: Path) -> None:
    done = hosts(tmp_path, "serve", "--listen", "127.0.0.1:0")
    assert (done.rc, "allow: expected at least one s3://BUCKET/PREFIX/" in done.out) == (2, True)


def test_check_says_whose_credentials_and_which_prefixes_can_be_read(
    running: Proxy, s3: Seaweed, bucket: str, tmp_path: Path
) -> None:
    address = running.url.removeprefix("http://").rstrip("/")
    allow = ("--allow", f"s3://{bucket}/p/", "--allow", f"s3://{bucket}/empty/", "--allow", "s3://no-such-bucket-here/")
    done = hosts(tmp_path, "check", "--listen", address, *allow, environ=s3.environ)
    assert done.rc == 1
    assert done.out.splitlines() == [
        f"ok    credentials: env {s3.access_key}; {s3.endpoint}, region us-east-1",
        f"ok    s3://{bucket}/p/: readable, repodata/repomd.xml of 21 bytes",
        f"ok    s3://{bucket}/empty/: readable; no repository right here (repodata/repomd.xml is not there)",
        "FAIL  s3://no-such-bucket-here/: no such bucket",
        f"ok    proxy: listens on {address}",
    ]
    found = hosts(tmp_path, "check", "--json", environ={"AWS_EC2_METADATA_DISABLED": "true"})
    report = json.loads(found.out)
    assert (found.rc, report["well"], report["findings"][0]["what"]) == (1, False, "credentials")
    assert "give it a role" in report["findings"][0]["found"]


def test_install_puts_everything_in_place_and_a_second_time_changes_nothing(tmp_path: Path) -> None:
    plugins = tmp_path / "usr/lib/python3.9/site-packages/dnf-plugins"
    (plugins.parent / "dnf").mkdir(parents=True)
    (plugins.parent / "dnf/plugin.py").touch()
    parts = ("--dnf", "--zypper", "--systemd")
    first = installed(tmp_path, *parts)
    names = [
        "usr/local/bin/repod-s3", "etc/repod-s3.conf", "usr/lib/python3.9/site-packages/dnf-plugins/repod_s3.py",
        "etc/dnf/plugins/repod_s3.conf", "usr/lib/zypp/plugins/urlresolver/s3",
        "etc/systemd/system/repod-s3.socket", "etc/systemd/system/repod-s3.service",
    ]  # fmt: skip
    assert first.rc == 0
    assert first.out.splitlines()[:-1] == [f"written    {tmp_path}/{name}" for name in names]
    modes = [oct((tmp_path / name).stat().st_mode & 0o777) for name in names]
    assert modes == ["0o755", "0o644", "0o644", "0o644", "0o755", "0o644", "0o644"]
    (tmp_path / "etc/repod-s3.conf").write_text("[repod-s3]\nidle = 1h\n")
    (tmp_path / names[-1]).write_text("spoilt")
    second = [line.split() for line in installed(tmp_path, *parts).out.splitlines()[:-1]]
    assert [what for what, _ in second] == ["unchanged", "kept", *["unchanged"] * 4, "replaced"]
    assert (tmp_path / "etc/repod-s3.conf").read_text() == "[repod-s3]\nidle = 1h\n"
    again = tmp_path / "again"
    done = subprocess.run(
        [tmp_path / names[0], "install", "--root", again, "--zypper", "--python", sys.executable],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (again / names[0]).read_bytes() == (tmp_path / names[0]).read_bytes(), "installed from the one file itself"


def test_install_without_dnf_or_without_a_part_says_what_to_do(tmp_path: Path) -> None:
    done = installed(tmp_path, "--dnf")
    assert (done.rc, "expected dnf 4 below usr/lib" in done.out) == (2, True)
    done = installed(tmp_path)
    assert (done.rc, "expected at least one of --dnf --zypper --systemd" in done.out) == (2, True)
    assert list(tmp_path.iterdir()) == []
