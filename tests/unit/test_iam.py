"""The policies in config/iam allow what the code asks of S3, SQS, EC2 and Systems Manager."""

import ast
from functools import cache
from pathlib import Path

import botocore.session
from botocore import xform_name

from tests.lab.iam import ACTIONS, FOLDER, OPERATOR_ACTIONS, PLACES, Need, actions, allows, policy

_ROOT = Path(__file__).parents[2]
_STORE = "arn:aws:s3:::yum-bucket/el9-prod/"
_INBOX = "arn:aws:s3:::ci-inbox/el9-prod/"


@cache
def _operations(*services: str) -> set[str]:
    """All that these can be asked, by the names of boto3's methods."""
    session = botocore.session.get_session()
    models = (session.get_service_model(name) for name in services)
    return {xform_name(name) for model in models for name in model.operation_names}


@cache
def _said() -> set[str]:
    """All names of attributes and all texts of repod's code."""
    found = set()
    for path in (_ROOT / "repod").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


def _asked(*services: str) -> set[str]:
    """What repod asks of them: methods that are called, and names given to paginators and presigned URLs."""
    return _said() & _operations(*services)


def test_the_policy_of_the_daemon_allows_what_the_code_asks_and_nothing_more() -> None:
    asked = _asked("s3", "sqs")
    assert {"get_object", "list_objects_v2", "get_queue_attributes"} <= asked
    assert asked - ACTIONS.keys() == set(), "say in tests/lab/iam.py which actions these need"
    needed = {action for operation in asked for action in ACTIONS[operation]}
    assert actions(policy("daemon")) == needed


def test_every_policy_is_filled_in_whole() -> None:
    for path in FOLDER.glob("*.json"):
        text = str(policy(path.stem))
        assert policy(path.stem)["Version"] == "2012-10-17"
        assert not [name for name in PLACES if name in text], path.name


def test_ci_may_put_packages_into_the_inbox_and_nothing_else() -> None:
    writer = policy("inbox-writer")
    assert actions(writer) == {"s3:PutObject", "s3:AbortMultipartUpload"}
    assert allows(writer, Need("s3:PutObject", f"{_INBOX}hello.rpm"))
    for need in (
        Need("s3:PutObject", f"{_INBOX}rejected/hello.rpm"),
        Need("s3:PutObject", "arn:aws:s3:::ci-inbox/other/hello.rpm"),
        Need("s3:PutObject", f"{_STORE}hello.rpm"),
        Need("s3:GetObject", f"{_INBOX}hello.rpm"),
        Need("s3:DeleteObject", f"{_INBOX}hello.rpm"),
    ):
        assert not allows(writer, need), need


def test_hosts_may_read_what_they_are_served_and_nothing_else() -> None:
    reader = policy("reader")
    assert actions(reader) == {"s3:GetObject"}
    for path in (
        "repodata/repomd.xml",
        "repodata/statement.json",
        "Packages/h/hello-1-1.noarch.rpm",
        "generations/7/repodata/repomd.xml",
    ):
        assert allows(reader, Need("s3:GetObject", _STORE + path))
    for need in (
        Need("s3:GetObject", f"{_STORE}.repod/head.json"),
        Need("s3:GetObject", f"{_INBOX}hello.rpm"),
        Need("s3:PutObject", f"{_STORE}repodata/repomd.xml"),
        Need("s3:ListBucket", "arn:aws:s3:::yum-bucket", "el9-prod/"),
    ):
        assert not allows(reader, need), need


def test_the_daemon_may_do_nothing_beside_its_places() -> None:
    daemon = policy("daemon")
    for need in (
        Need("s3:GetObject", "arn:aws:s3:::yum-bucket/other/x"),
        Need("s3:PutObject", f"{_INBOX}hello.rpm"),
        Need("s3:ListBucket", "arn:aws:s3:::yum-bucket", "other/"),
        Need("s3:ListBucket", "arn:aws:s3:::ci-inbox", ""),
        Need("sqs:ReceiveMessage", "arn:aws:sqs:us-east-1:123456789012:other"),
        Need("sqs:SendMessage", "arn:aws:sqs:us-east-1:123456789012:repod-arrivals"),
    ):
        assert not allows(daemon, need), need


def test_what_is_missing_is_not_found_and_not_forbidden_to_the_daemon() -> None:
    """S3 answers 404 only to who may list the bucket, and asks that without any prefix."""
    for bucket in ("yum-bucket", "ci-inbox"):
        assert allows(policy("daemon"), Need("s3:ListBucket", f"arn:aws:s3:::{bucket}"))


def test_only_the_inbox_bucket_may_send_to_the_queue() -> None:
    (statement,) = policy("queue-policy")["Statement"]
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
    assert statement["Condition"]["ArnLike"] == {"aws:SourceArn": "arn:aws:s3:::ci-inbox"}
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}


def test_the_policies_of_operators_allow_what_the_client_asks_and_nothing_more() -> None:
    asked = _asked("ec2", "ssm")
    assert asked - OPERATOR_ACTIONS.keys() == set(), "say in tests/lab/iam.py which actions these need"
    needed = {OPERATOR_ACTIONS[operation] for operation in asked}
    ec2, ssm = actions(policy("operator-ec2")), actions(policy("operator-ssm"))
    assert ec2 == {"ec2:DescribeInstances"}
    assert ec2 | ssm == needed | {"s3:GetObject", "s3:DeleteObject"}


def test_operators_run_shell_scripts_on_hosts_with_the_tag_and_on_no_others() -> None:
    operator, web, db = policy("operator-ssm"), {"role": "web"}, {"role": "db"}
    instance = "arn:aws:ec2:us-east-1:123456789012:instance/i-0123456789abcdef0"
    assert allows(operator, Need("ssm:SendCommand", "arn:aws:ssm:us-east-1::document/AWS-RunShellScript"))
    assert allows(operator, Need("ssm:SendCommand", instance, tags=web))
    for need in (
        Need("ssm:SendCommand", instance, tags=db),
        Need("ssm:SendCommand", instance),
        Need("ssm:SendCommand", "arn:aws:ssm:us-east-1::document/AWS-RunRemoteScript"),
        Need("ssm:SendCommand", "arn:aws:ssm:us-east-1:123456789012:document/mine"),
        Need("s3:GetObject", "arn:aws:s3:::run-command/other/x"),
    ):
        assert not allows(operator, need), need


def test_hosts_may_store_outputs_of_commands_and_read_none() -> None:
    host = policy("host-ssm-output")
    assert actions(host) == {"s3:PutObject"}
    assert allows(host, Need("s3:PutObject", "arn:aws:s3:::run-command/repoctl/c/i/awsrunShellScript/stdout"))
    assert not allows(host, Need("s3:PutObject", "arn:aws:s3:::run-command/other/x"))
