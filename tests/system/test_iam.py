"""What the daemon really asks of S3, held against its policy, object by object."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.client import BaseClient

from repod.cli import main
from tests.lab.iam import allows, needs, policy
from tests.lab.rpms import quick
from tests.lab.seaweed import Seaweed

Calls = list[tuple[str, Mapping[str, Any]]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Every request of this process to AWS: the method's name and its parameters."""
    seen: Calls = []
    lock, real = threading.Lock(), BaseClient._make_api_call

    def record(client: BaseClient, operation: str, parameters: Mapping[str, Any]) -> Any:
        with lock:
            seen.append((xform_name(operation), dict(parameters)))
        return real(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", record)
    return seen


def test_the_policy_allows_each_request_of_a_repository_s_life(
    calls: Calls, s3: Seaweed, tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.environ.items():
        monkeypatch.setenv(name, value)
    bucket, inbox = s3.bucket(), s3.bucket()
    config = tmp_path / "repod.toml"
    config.write_text(
        f'state_dir = "{tmp_path}/state"\n[signing]\nkey = "{key_file}"\n[workers]\ncount = 1\n'
        f'[[repository]]\nname = "el9"\ninbox = "s3://{inbox}/el9-prod/"\nstore = "s3://{bucket}/el9-prod/"\n'
    )
    (tmp_path / "state").mkdir()

    def repod(*words: str) -> None:
        main.main([*words[:1], "-c", str(config), *words[1:]], standalone_mode=False)

    def upload(*files: Path) -> None:
        for file in files:
            s3.client().upload_file(str(file), inbox, f"el9-prod/{file.name}")

    (tmp_path / "broken.rpm").write_bytes(b"no package")
    upload(quick(tmp_path, "hello", "1"), tmp_path / "broken.rpm")
    calls.clear()
    with pytest.raises(SystemExit):
        repod("once")  # 3: one was refused
    before = len(calls)
    upload(quick(tmp_path, "hello", "2"))
    del calls[before:]
    repod("once")
    repod("check")
    repod("rollback", "el9")
    repod("remove", "el9", "hello-1-1.noarch")
    repod("verify", "el9")
    repod("prune", "el9", "--dry-run")
    allowed = policy("daemon", STORE_BUCKET=bucket, INBOX_BUCKET=inbox)
    found = [need for operation, parameters in calls for need in needs(operation, parameters)]
    wanted = [*{str(need): need for need in found}.values()]
    assert {"rejected", "Packages"} <= {need.resource.split("/")[2] for need in wanted if need.resource.count("/") > 1}
    assert [need for need in sorted(wanted, key=str) if not allows(allowed, need)] == []
