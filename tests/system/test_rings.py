"""Rings by command, by API and by repoctl; their file as a daemon serves it, keeps it fresh, and hears of hosts."""

import asyncio
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from repod.config import Bucket
from repod.errors import Corrupt, Refused
from repod.values import S3Place
from repod.web.bucket import BucketShelf
from repod.web.desk import Desk
from tests.lab.apps import open_app
from tests.lab.clients import choosing, run
from tests.lab.daemon import Ended, Repod
from tests.lab.hosts import proxy, upload
from tests.lab.keys import Key
from tests.lab.offices import BY, Service
from tests.lab.pull import NAME, PullHost, hello, set_ring
from tests.lab.repoctl import answered
from tests.lab.seaweed import Seaweed
from tests.lab.wait import until


@pytest.fixture(scope="module")
def repod(tmp_path_factory: pytest.TempPathFactory, key_file: Path, long_lived: set[int]) -> Iterator[Repod]:
    """A daemon that asks who reads, with two builds of hello, and keeps what hosts report."""
    base = tmp_path_factory.mktemp("rings")
    (base / "hosts").mkdir()
    found = Repod(
        base,
        key_file,
        {NAME: {"retention": {"hosts": "hosts"}}},
        settings={
            "http": {"listen": "127.0.0.1:0", "access": "readers", "tokens": "tokens.json"},
            "audit": {"file": "audit.jsonl"},
        },
    )
    for release in ("1", "2"):
        hello(found.inbox(NAME), release)
    assert found.once().rc == 0
    with found:
        long_lived.add(found.pid)
        yield found


def token(repod: Repod, name: str, *words: str) -> str:
    done = repod.cli("token add", name, *words)
    assert done.rc == 0, done.err
    return done.out.strip()


def asking(repod: Repod, secret: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {secret}"}
    return httpx.Client(base_url=f"{repod.url}/api/v1/repositories/{NAME}", headers=headers, timeout=60)


def test_a_ring_is_set_read_and_removed_over_http_by_who_may_and_stands_in_the_audit_log(repod: Repod) -> None:
    with asking(repod, token(repod, "reader")) as client:
        assert client.get("/rings").json() == {
            "repository": NAME, "serial": None, "issued": None, "expires": None, "rings": [],
        }  # fmt: skip
        assert client.put("/rings/web", json={"names": ["hello"]}).status_code == 403
    with asking(repod, token(repod, "ci", "--may", "ring", "--may", "read")) as client:
        made = client.put("/rings/web", json={"names": ["hello-1.0-2"], "percent": 10, "why": "try it"})
        assert (made.status_code, made.json()["text"]) == (200, "ring web: hello-1.0-2.noarch, 10 %")
        ring = client.get("/rings/web").json()
        assert (ring["percent"], ring["actor"], ring["why"]) == (10, "token ci", "try it")
        before = client.get("/rings").json()["serial"]
        assert client.put("/rings/web", json={"paused": True}).status_code == 200
        assert client.get("/rings").json()["serial"] > before
        for body in ({"percent": 101}, {"windows": ["night"]}, {"colour": "red"}, {"percent": True}):
            assert client.put("/rings/web", json=body).status_code == 422
        assert client.put("/rings/other", json={}).status_code == 404
        assert client.put("/rings/other", json={"names": ["nope"]}).status_code == 404
        assert client.put("/rings/a%20b", json={"names": ["hello"]}).status_code == 422
        assert client.delete("/rings/web").status_code == 200
        assert (client.delete("/rings/web").status_code, client.get("/rings/web").status_code) == (404, 404)
    records = [json.loads(line) for line in (repod.base / "audit.jsonl").read_text().splitlines()]
    told = [(one["what"], one["details"]["ring"]) for one in records if "ring" in one.get("details", {})]
    assert told[:2] == [("set ring", "web"), ("set ring", "web")]
    assert ("remove ring", "web") in told


def test_a_host_reads_a_private_repository_as_its_repo_file_says_and_reports_what_it_runs(
    repod: Repod, tmp_path: Path, key: Key
) -> None:
    secret = token(repod, "host", "--repository", NAME)
    status = repod.cli("ring set", NAME, "web", "hello-1.0-2", "--spread", "0s")
    assert status.rc == 0, status.err
    with asking(repod, secret) as client:
        file = client.get(f"{repod.url}/repos/{NAME}/rollout.json")
        assert (file.status_code, file.headers["Cache-Control"]) == (200, "no-cache")
        text = client.get(f"{repod.url}/repos/{NAME}/{NAME}.repo").text
    repo = f"{choosing(text, 'baseurl')}username=token\npassword={secret}\n"
    (tmp_path / "token").write_text(token(repod, "reports", "--may", "report"))
    report = {"report": repod.url, "token_file": str(tmp_path / "token")}
    host = PullHost(tmp_path / "host", key, repo, install="hello", **report)
    assert host.agent("run") == (0, "updated: runs hello-1.0-2.noarch\n")
    assert "hello-1.0-2.noarch\n" in (repod.base / "hosts/web1").read_text()
    (said,) = json.loads((repod.store(NAME) / ".repod/hosts/web1.json").read_text())["packages"]
    assert (said[0], len(said[1])) == ("hello-1.0-2.noarch", 64)
    (tmp_path / "token").write_text("wrong")
    hello(repod.inbox(NAME), "3")
    until(lambda: repod.cli("ring set", NAME, "web", "hello-1.0-3", "--spread", "0s").rc == 0, 60, "it to be listed")
    done = host.agent("run")
    assert (done.rc, done.out.startswith("updated: runs hello-1.0-3.noarch; not reported: ")) == (0, True)
    host.configure(url=f"{repod.url}/repos/{NAME}/", install="hello")
    (host.root / "etc/yum.repos.d/apps.repo").write_text(choosing(text, "baseurl"))
    refused = host.agent("run")
    assert (refused.rc, "expected an answer 200, found 401" in refused.out) == (4, True)


def document(service: Service) -> Mapping[str, Any]:
    """What the file of a repository says."""
    found: Mapping[str, Any] = json.loads((service.store(NAME) / "rollout.json").read_text())
    said: Mapping[str, Any] = json.loads(found["document"])
    return said


def test_the_daemon_signs_the_file_anew_where_it_is_due_and_not_what_somebody_else_put_there(
    tmp_path: Path, key_file: Path
) -> None:
    with Service(tmp_path, key_file, {NAME: {"rings": {"valid": "1h"}}}) as service:
        service.publish(NAME, hello(tmp_path, "1"))
        set_ring(service, "hello")
        first = document(service)
        service.loop(NAME).follow()
        assert document(service) == first
    with Service(tmp_path, key_file, {NAME: {"rings": {"valid": "2h"}}}) as service:
        service.loop(NAME).follow()
        second = document(service)
        assert (second["serial"] > first["serial"], second["rings"]) == (True, first["rings"])
        assert [line[1] for line in service.log.lines if "rollout" in line[1]] == ["rollout file signed anew"]
        path = service.store(NAME) / "rollout.json"
        path.write_text(path.read_text().replace("hello", "other"))
        with pytest.raises(Corrupt, match="expected a signature by a key that hosts get, found none"):
            set_ring(service, "hello")
        service.loop(NAME).follow()
        assert "other" in path.read_text()
        assert [line[1] for line in service.log.lines][-1].startswith("rollout file not signed anew")


def test_what_a_ring_names_and_the_build_before_it_are_kept(tmp_path: Path, key_file: Path) -> None:
    with Service(tmp_path, key_file, {NAME: {"retention": {"keep": 1}}}) as service:
        service.publish(NAME, *(hello(tmp_path, release) for release in ("1", "2", "3", "4", "5")))
        set_ring(service, "hello-1.0-3")
        service.office.deeds.prune(NAME, BY, lambda *_: None)
        (found,) = service.office.looks.builds(NAME, "hello-1.0-2.noarch")
        assert found["listed"]
        assert "ring web names hello-1.0-3.noarch: hosts go back from it to this one" in found["retention"]["why"]
        (found,) = service.office.looks.builds(NAME, "hello-1.0-3.noarch")
        assert found["retention"]["why"] == ["ring web names it"]
        with pytest.raises(Refused, match="first: repod ring set apps web BUILD"):
            service.office.deeds.remove(NAME, ["hello-*"], BY, dry_run=False)
        gone = [service.office.looks.builds(NAME, f"hello-1.0-{release}.noarch")[0]["listed"] for release in "14"]
        assert gone == [False, False]


def test_a_private_bucket_is_read_through_the_proxy_of_the_host_or_a_daemon(
    s3: Seaweed, tmp_path: Path, key: Key, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.client().create_bucket(Bucket="rings")
    with Service(tmp_path / "repod", key_file, [NAME]) as service:
        service.publish(NAME, hello(tmp_path, "1"))
        set_ring(service, "hello")
        upload(s3, service.store(NAME), "rings", "apps/")
        file = (service.store(NAME) / "rollout.json").read_bytes()
    with proxy(tmp_path / "proxy", "s3://rings/apps/", environ=s3.environ) as running:
        place = {"url": "s3://rings/apps/", "s3_proxy": running.url}
        host = PullHost(tmp_path / "host", key, f"[{NAME}]\nname=x\n", install="hello", **place)
        assert host.agent("run", "--dry-run") == (0, "act: to run hello-1.0-1.noarch\n")
    for name, value in s3.environ.items():
        monkeypatch.setenv(name, value)
    answer = asyncio.run(_from_daemon(S3Place(bucket="rings", prefix="apps/"), s3.endpoint))
    assert (answer.content, answer.headers["Cache-Control"]) == (file, "no-cache")


async def _from_daemon(place: S3Place, endpoint: str) -> httpx.Response:
    """What the gateway of a daemon answers for the file in a bucket."""
    desk = Desk(threads=2, waiting=8)
    try:
        shelf = BucketShelf(place, Bucket(endpoint=endpoint, region="us-east-1"), links=60, desk=desk)
        transport = httpx.ASGITransport(app=open_app({"r": shelf}))
        async with httpx.AsyncClient(transport=transport, base_url="http://repod", timeout=60) as client:
            return await client.get("/repos/r/rollout.json")
    finally:
        desk.close()


def test_the_agent_is_one_file_that_needs_nothing_but_python(tmp_path: Path) -> None:
    words = [sys.executable, "-S", "-m", "repod.hosts.agent"]
    root = str(Path(__file__).parents[2])
    done = run([*words, "install", "--root", tmp_path / "root"], tmp_path, PYTHONPATH=root)
    names = ["usr/local/bin/repod-agent", "etc/repod-agent.conf"]
    names += [f"etc/systemd/system/repod-agent.{unit}" for unit in ("timer", "service")]
    assert done.out.splitlines()[:-1] == [f"written    {tmp_path}/root/{name}" for name in names]
    program = tmp_path / "root" / names[0]
    conf = tmp_path / "root" / names[1]
    checked = run(["/usr/bin/python3", "-IS", program, "check", "-c", conf], tmp_path)
    assert checked.rc == 1
    assert [line.split()[0] for line in checked.out.splitlines()] == ["ok", "ok", "ok", "FAIL", "FAIL"]
    status = run([program, "status", "-c", conf], tmp_path)
    assert status == (0, "it has not run yet\n")
    again = run([program, "install", "--root", tmp_path / "root"], tmp_path)
    assert [line.split()[0] for line in again.out.splitlines()[:-1]] == ["unchanged"] * 4
    assert run([program, "run", "-c", tmp_path / "none"], tmp_path).rc == 2


def test_repoctl_and_repod_say_the_same_of_rings(repod: Repod) -> None:
    secret = token(repod, "client", "--may", "ring", "--may", "read")
    env = {"REPOCTL_URL": repod.url, "REPOCTL_TOKEN": secret}

    def ctl(*words: str) -> Ended:
        return answered("repoctl", "ring", *words, env=env)

    made = ctl("set", NAME, "db", "hello-1.0-1", "--percent", "5", "--spread", "4h", "--window", "daily 01:00-02:00")
    assert made.rc == 0, made.err
    (line,) = [line for line in made.out.splitlines() if line.startswith("db")]
    assert re.fullmatch(r"db +hello-1\.0-1\.noarch +5 +\S+Z +4 h +daily 01:00-02:00 +runs +token client", line)
    assert ctl("pause", NAME, "db").out.splitlines()[-1].split()[-3] == "paused"
    assert ctl("resume", NAME, "db").rc == 0
    assert ctl("set", NAME, "db", "--window", "", "--percent", "7").rc == 0
    assert ctl("list", NAME).out == repod.cli("ring list", NAME).out
    assert json.loads(ctl("list", NAME, "--json").out)[0]["windows"] == []
    assert ctl("remove", NAME, "db").out.splitlines()[-1].split()[:2] == ["db", "removed"]
    assert (ctl("remove", NAME, "db").rc, ctl("set", NAME, "x").rc, ctl("set", NAME, "x", "--spread", "soon").rc) == (
        1,
        1,
        2,
    )


def test_a_rollout_file_that_hosts_could_not_follow_is_told(tmp_path: Path, key_file: Path) -> None:
    with Service(tmp_path, key_file, [NAME]) as service:
        service.publish(NAME, hello(tmp_path, "1"))
        set_ring(service, "hello")
        path = service.store(NAME) / "rollout.json"
        good = path.read_text()

        def found() -> list[str]:
            deed = service.office.deeds.verify(NAME, BY, lambda *_: None, repair=False)
            return [row["what"] for row in deed.rows if row["path"] == "rollout.json"]

        assert found() == []
        path.write_text(good.replace("hello", "other"))
        assert found()[0].startswith("its signature does not verify with the configured key")
        path.write_text("{}")
        assert "is unreadable" in found()[0]
