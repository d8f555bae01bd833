"""Who may read: tokens, passwords and client certificates, with real clients."""

import json
import ssl
import stat
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import bcrypt
import httpx
import pytest

from tests.lab.certificates import Authority
from tests.lab.clients import Dnf, Zypper, run
from tests.lab.daemon import Ended, Repod
from tests.lab.rpms import quick
from tests.lab.wait import until

_PASSWORD = "geheim @ß:/ñ%+"
_INDEX = "/repos/{}/repodata/repomd.xml"


class Guarded(NamedTuple):
    """A running daemon that asks who reads: ``test``, ``other`` (host-* only) and ``free`` (anyone)."""

    repod: Repod
    folder: Path
    authority: Authority

    def token(self, *words: str) -> Ended:
        return self.repod.cli(f"token {words[0]}", *words[1:])

    def made(self, name: str, *words: str) -> str:
        done = self.token("add", name, *words)
        assert done.rc == 0, done.err
        return done.out.strip()

    def client(self, certificate: str = "") -> httpx.Client:
        context = ssl.create_default_context(cafile=str(self.authority.file))
        if certificate:
            pair = self.authority.issue(certificate)
            context.load_cert_chain(pair.certificate, pair.key)
        return httpx.Client(base_url=self.repod.url.replace("127.0.0.1", "localhost"), verify=context, timeout=60)

    def status(self, name: str = "test", auth: tuple[str, str] | None = None, **headers: str) -> int:
        with self.client() as client:
            return client.get(_INDEX.format(name), auth=auth, headers=headers).status_code


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, key_file: Path, long_lived: set[int]) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("access")
    authority = Authority(folder / "ca")
    pair = authority.issue("localhost")
    secrets = folder / "secrets"
    secrets.mkdir()
    hashed = bcrypt.hashpw(_PASSWORD.encode(), bcrypt.gensalt(10)).decode()
    (secrets / "htpasswd").write_text(f"# readers\nweb1:{hashed}\nhost-7:{hashed}\n")
    http = {
        "access": "readers",
        "tokens": "secrets/tokens.json",
        "passwords": "secrets/htpasswd",
        "tls_certificate": str(pair.certificate),
        "tls_key": str(pair.key),
        "tls_client_ca": str(authority.file),
    }
    repositories = {"test": {}, "other": {"readers": ["host-*"]}, "free": {"public": True}}
    repod = Repod(folder, key_file, repositories, settings={"http": http})
    repod.tls = ssl.create_default_context(cafile=str(authority.file))
    with repod:
        long_lived.add(repod.pid)
        for name in repositories:
            quick(repod.inbox(name), "hello")
        until(lambda: len(repod.find_events("published")) == 3, 30, "the packages to be live")
        yield Guarded(repod, folder, authority)


def repo(guarded: Guarded, *lines: str, name: str = "test", user: str = "") -> str:
    """A ``.repo`` file as a person writes it, with what the host needs to show."""
    base = guarded.repod.url.replace("127.0.0.1", "localhost")
    text = [
        f"[{name}]",
        f"name={name}",
        f"baseurl={base.replace('://', f'://{user}')}/repos/{name}/",
        "gpgcheck=1",
        "repo_gpgcheck=1",
        f"gpgkey=file://{guarded.repod.store(name)}/RPM-GPG-KEY-{name}",
        f"sslcacert={guarded.authority.file}",
        *lines,
    ]
    return "\n".join(text) + "\n"


# ---------------------------------------------------------------- dnf and zypper


def test_dnf_reads_with_name_and_password(guarded: Guarded, tmp_path: Path) -> None:
    with Dnf(tmp_path, repo(guarded, "username=web1", f"password={_PASSWORD}")) as host:
        done = host.install("hello")
        assert (done.rc, host.installed()) == (0, ["hello-1.0-1.noarch"]), done.out


def test_dnf_reads_with_a_token_as_its_password(guarded: Guarded, tmp_path: Path) -> None:
    secret = guarded.made("web-tier", "--repository", "test")
    with Dnf(tmp_path, repo(guarded, "username=token", f"password={secret}")) as host:
        done = host.install("hello")
        assert (done.rc, host.installed()) == (0, ["hello-1.0-1.noarch"]), done.out


def test_dnf_reads_with_a_client_certificate(guarded: Guarded, tmp_path: Path) -> None:
    pair = guarded.authority.issue("host-9")
    lines = (f"sslclientcert={pair.certificate}", f"sslclientkey={pair.key}")
    with Dnf(tmp_path, repo(guarded, *lines, name="other")) as host:
        done = host.install("hello")
        assert (done.rc, host.installed()) == (0, ["hello-1.0-1.noarch"]), done.out


@pytest.mark.parametrize("lines", [(), ("username=web1", "password=wrong")], ids=["none", "wrong"])
def test_dnf_is_refused_without_and_with_a_wrong_password(
    lines: tuple[str, ...], guarded: Guarded, tmp_path: Path
) -> None:
    with Dnf(tmp_path, repo(guarded, *lines)) as host:
        done = host.install("hello")
        assert (done.rc, host.installed()) == (1, []), done.out
        assert "401" in done.out


def test_zypper_reads_with_name_and_password_in_the_url(guarded: Guarded, tmp_path: Path) -> None:
    text = zypper_repo(guarded, "web1", _PASSWORD)
    with Zypper(tmp_path, text) as host:
        done = host.install("hello")
        assert (done.rc, host.installed()) == (0, ["hello-1.0-1.noarch"]), done.out


def test_zypper_reads_with_a_file_of_credentials(guarded: Guarded, tmp_path: Path) -> None:
    secret = guarded.made("zypper-file")
    folder = tmp_path / "etc/zypp/credentials.d"
    folder.mkdir(parents=True)
    (folder / "repod").write_text(f"username=token\npassword={secret}\n")
    with Zypper(tmp_path, zypper_repo(guarded, query="credentials=repod")) as host:
        done = host.install("hello")
        assert (done.rc, host.installed()) == (0, ["hello-1.0-1.noarch"]), done.out


def test_zypper_is_refused_with_a_wrong_password(guarded: Guarded, tmp_path: Path) -> None:
    with Zypper(tmp_path, zypper_repo(guarded, "web1", "wrong")) as host:
        done = host.install("hello")
        assert done.rc != 0
        assert host.installed() == []


def zypper_repo(guarded: Guarded, user: str = "", password: str = "", query: str = "") -> str:
    """Name and password as part of the URL, as zypper wants them."""
    part = f"{user}:{urllib.parse.quote(password, safe='')}@" if user else ""
    text = repo(guarded, user=part)
    return text.replace("/repos/test/", f"/repos/test/?ssl_capath={guarded.authority.folder}&{query}".rstrip("&"))


# ---------------------------------------------------------------- others


def test_curl_reads_with_a_token_as_bearer(guarded: Guarded, tmp_path: Path) -> None:
    url = f"{guarded.repod.url}{_INDEX.format('test')}"
    words = ["curl", "-fsS", "--cacert", guarded.authority.file, "-H", f"Authorization: Bearer {guarded.made('curl')}"]
    assert "<repomd" in run([*words, url], tmp_path).out


def test_who_shows_nothing_is_told_what_to_show(guarded: Guarded) -> None:
    with guarded.client() as client:
        answer = client.get(_INDEX.format("test"))
        assert answer.status_code == 401
        assert answer.headers.get_list("www-authenticate") == [
            'Basic realm="repod", charset="UTF-8"',
            'Bearer realm="repod"',
        ]
        assert "a token, or name and password" in answer.text
        nowhere = client.get(_INDEX.format("no-such-repository"))
        assert (nowhere.status_code, nowhere.text) == (401, answer.text)


def test_health_and_public_repositories_ask_nobody(guarded: Guarded) -> None:
    with guarded.client() as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").json() == {"ready": True}
        assert client.get(_INDEX.format("free")).status_code == 200
        assert client.get("/metrics").status_code == 401


def test_metrics_take_a_token_that_may_read_them(guarded: Guarded) -> None:
    reader, scraper = guarded.made("only-reads"), guarded.made("prometheus", "--may", "metrics")
    with guarded.client() as client:
        asked = [client.get("/metrics", headers={"Authorization": f"Bearer {one}"}) for one in (reader, scraper)]
        assert [answer.status_code for answer in asked] == [403, 200]
        ready = client.get("/readyz", auth=("any", scraper)).json()
        assert ready == {"ready": True, "faults": {}}
    assert guarded.status(Authorization=f"Bearer {scraper}") == 403


def test_a_reader_reads_what_it_may_and_nothing_else(guarded: Guarded) -> None:
    bound = guarded.made("bound", "--repository", "other")
    assert guarded.status("other", Authorization=f"Bearer {bound}") == 200
    assert guarded.status("test", Authorization=f"Bearer {bound}") == 403
    assert guarded.status("no-such", Authorization=f"Bearer {bound}") == 403
    assert guarded.status("test", auth=("web1", _PASSWORD)) == 200
    assert guarded.status("other", auth=("web1", _PASSWORD)) == 403
    assert guarded.status("other", auth=("host-7", _PASSWORD)) == 200
    for name, wanted in (("host-1", 200), ("web-1", 403)):
        with guarded.client(name) as client:
            assert client.get(_INDEX.format("other")).status_code == wanted


def test_a_certificate_of_another_authority_is_refused(guarded: Guarded, tmp_path: Path) -> None:
    pair = Authority(tmp_path / "stranger").issue("host-1")
    context = ssl.create_default_context(cafile=str(guarded.authority.file))
    context.load_cert_chain(pair.certificate, pair.key)
    url = guarded.repod.url + _INDEX.format("other")
    with pytest.raises(httpx.TransportError):
        httpx.get(url, verify=context, timeout=60)


# ---------------------------------------------------------------- tokens


def test_a_token_is_told_once_and_only_its_hash_is_kept(guarded: Guarded) -> None:
    secret = guarded.made("once")
    file = guarded.folder / "secrets/tokens.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert secret not in file.read_text()
    (row,) = (one for one in json.loads(guarded.token("list", "--json").out) if one["name"] == "once")
    assert (row["may"], row["repositories"], row["state"]) == (["read"], ["*"], "good")
    assert secret not in guarded.token("list").out
    again = guarded.token("add", "once")
    assert again.rc == 4
    assert "repod token revoke once" in again.err


def test_a_revoked_token_is_refused_at_once(guarded: Guarded) -> None:
    secret = guarded.made("short")
    assert guarded.status(Authorization=f"Bearer {secret}") == 200
    assert guarded.token("revoke", "short").rc == 0
    assert guarded.status(Authorization=f"Bearer {secret}") == 401
    gone = guarded.token("revoke", "short")
    assert gone.rc == 1
    assert "there is no token 'short'; there are: " in gone.err


def test_an_expired_token_is_refused_by_name(guarded: Guarded) -> None:
    secret = guarded.made("brief", "--expires", "500ms")
    until(lambda: guarded.status(Authorization=f"Bearer {secret}") == 401, 60, "the token to expire")
    problem = "token brief: this token has expired; have a new one made with: repod token add"
    assert guarded.repod.find_events("refused", problem=problem)
    assert "brief" in guarded.made("brief", "--json")


def test_a_token_for_a_repository_that_is_not_there_is_not_made(guarded: Guarded) -> None:
    done = guarded.token("add", "typo", "--repository", "tset")
    assert done.rc == 2
    assert "'tset' is not in the settings" in done.err


def test_tokens_made_at_once_are_all_kept(guarded: Guarded) -> None:
    names = [f"many-{number}" for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(guarded.made, names))
    assert set(names) <= {one["name"] for one in json.loads(guarded.token("list", "--json").out)}


# ---------------------------------------------------------------- guessing, and the log


def test_who_guesses_must_wait_and_who_knows_need_not(guarded: Guarded) -> None:
    secret = guarded.made("patient")
    assert guarded.status(auth=("web1", _PASSWORD)) == 200
    # From an address of its own: failures of other tests count from when they were, and their minute may end just now.
    here = {"X-Forwarded-For": "192.0.2.77"}
    with guarded.client() as client:
        found = [
            client.get(_INDEX.format("test"), auth=("web1", f"guess{number}"), headers=here) for number in range(14)
        ]
    assert [answer.status_code for answer in found][-3:] == [429, 429, 429]
    assert 0 < int(found[-1].headers["retry-after"]) <= 61
    assert guarded.status(auth=("web1", _PASSWORD), **here) == 200
    assert guarded.status(Authorization=f"Bearer {secret}", **here) == 200


def test_no_secret_is_ever_in_the_log_and_refusals_are_a_line_each(guarded: Guarded) -> None:
    secret, wrong = guarded.made("logged"), "repod_" + "w" * 43
    before = len(guarded.repod.find_events("refused", problem="these credentials are not known"))
    guarded.status(Authorization=f"Bearer {secret}")
    for _ in range(5):
        guarded.status(Authorization=f"Bearer {wrong}")
        guarded.status(auth=(secret, "x"))
        guarded.status(auth=("web1", wrong))
        guarded.status(auth=("nobody-knows", "hunter2"))
        guarded.status(Authorization="Basic %%%")
        guarded.status(Authorization=f"Token {secret}")
    text = guarded.repod.log.read_text()
    for hidden in (secret, wrong, _PASSWORD, "hunter2", "nobody-knows"):
        assert hidden not in text
    # 25 refusals; one line for each kind, and one more where a minute ends just now.
    assert len(guarded.repod.find_events("refused", problem="these credentials are not known")) - before <= 2
    assert guarded.repod.noise() == []


def test_who_may_read_and_the_certificate_follow_the_files_on_sighup(tmp_path: Path, key_file: Path) -> None:
    first, second = Authority(tmp_path / "first"), Authority(tmp_path / "second")
    pair, other = first.issue("localhost"), second.issue("localhost")
    http = {"listen": "127.0.0.1:0", "tls_certificate": str(pair.certificate), "tls_key": str(pair.key)}
    repod = Repod(tmp_path, key_file, settings={"http": http})
    repod.tls = ssl.create_default_context(cafile=str(first.file))
    with repod:
        assert repod.get("/repos/test/test.repo")[0] == 200
        assert repod.url.startswith("https://")
        assert f"=https://127.0.0.1:{repod.url.rpartition(':')[2]}/repos/test/" in repod.repo_file()
        for old, new in zip(pair, other, strict=True):
            old.write_bytes(new.read_bytes())
        repod.configure("http", **http, access="readers", tokens="tokens.json")
        repod.reload()
        assert repod.get("/repos/test/test.repo")[0] == 0
        repod.tls = ssl.create_default_context(cafile=str(second.file))
        assert repod.get("/repos/test/test.repo")[0] == 401


def test_a_file_that_cannot_be_read_lets_nobody_in_and_says_so_once(tmp_path: Path, key_file: Path) -> None:
    http = {"access": "readers", "tokens": "tokens.json"}
    with Repod(tmp_path, key_file, settings={"http": http}) as repod:
        assert repod.get("/repos/test/test.repo")[0] == 401
        secret = repod.cli("token add", "one").out.strip()
        (tmp_path / "tokens.json").write_text("{")
        header = {"Authorization": f"Bearer {secret}"}
        for _ in range(3):
            answer = httpx.get(f"{repod.url}/repos/test/test.repo", headers=header, timeout=60)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        (event,) = repod.find_events("callers cannot be told apart, so none is let in")
        assert "not a file of tokens" in event["problem"]
        assert repod.get("/healthz")[0] == 200


def test_what_only_readers_may_read_is_kept_by_no_shared_cache(guarded: Guarded) -> None:
    path = "/repos/{}/Packages/h/hello-1.0-1.noarch.rpm"
    with guarded.client() as client:
        free = client.get(path.format("free"))
        private = client.get(path.format("test"), auth=("web1", _PASSWORD))
        again = client.get(
            path.format("test"), auth=("web1", _PASSWORD), headers={"If-None-Match": private.headers["etag"]}
        )
    assert free.headers["cache-control"].startswith("public")
    assert (private.status_code, again.status_code) == (200, 304)
    for answer in (private, again):
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert "Authorization" in answer.headers["vary"]
