"""IAM policies as far as repod's go: filled in, and asked whether they allow a request.

What each request needs: the service authorization references of Amazon S3, SQS, EC2 and Systems Manager.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

FOLDER = Path(__file__).parents[2] / "config" / "iam"

PLACES: Mapping[str, str] = {
    "STORE-BUCKET": "yum-bucket",
    "STORE-PREFIX": "el9-prod",
    "INBOX-BUCKET": "ci-inbox",
    "INBOX-PREFIX": "el9-prod",
    "OUTPUT-BUCKET": "run-command",
    "OUTPUT-PREFIX": "repoctl",
    "TAG-KEY": "role",
    "TAG-VALUE": "web",
    "ACCOUNT": "123456789012",
    "REGION": "us-east-1",
    "QUEUE": "repod-arrivals",
}

# By the names of boto3's methods.
ACTIONS: Mapping[str, Sequence[str]] = {
    "get_object": ("s3:GetObject",),
    "head_object": ("s3:GetObject",),
    "put_object": ("s3:PutObject",),
    "copy_object": ("s3:PutObject", "s3:GetObject"),
    "delete_object": ("s3:DeleteObject",),
    "delete_objects": ("s3:DeleteObject",),
    "list_objects_v2": ("s3:ListBucket",),
    "head_bucket": ("s3:ListBucket",),
    "create_multipart_upload": ("s3:PutObject",),
    "upload_part": ("s3:PutObject",),
    "upload_part_copy": ("s3:PutObject", "s3:GetObject"),
    "complete_multipart_upload": ("s3:PutObject",),
    "abort_multipart_upload": ("s3:AbortMultipartUpload",),
    "list_multipart_uploads": ("s3:ListBucketMultipartUploads",),
    "list_parts": ("s3:ListMultipartUploadParts",),
    "list_object_versions": (),  # asked of servers beside Amazon only
    "get_bucket_notification_configuration": ("s3:GetBucketNotification",),
    "receive_message": ("sqs:ReceiveMessage",),
    "delete_message": ("sqs:DeleteMessage",),
    "delete_message_batch": ("sqs:DeleteMessage",),
    "change_message_visibility": ("sqs:ChangeMessageVisibility",),
    "change_message_visibility_batch": ("sqs:ChangeMessageVisibility",),
    "get_queue_attributes": ("sqs:GetQueueAttributes",),
}

# What repoctl asks beside.
OPERATOR_ACTIONS: Mapping[str, str] = {
    "describe_instances": "ec2:DescribeInstances",
    "describe_instance_information": "ssm:DescribeInstanceInformation",
    "send_command": "ssm:SendCommand",
    "get_command_invocation": "ssm:GetCommandInvocation",
    "cancel_command": "ssm:CancelCommand",
}


class Need(NamedTuple):
    """An action on a resource; the prefix that a listing asks for, where it is one; the tags of an instance."""

    action: str
    resource: str
    prefix: str | None = None
    tags: Mapping[str, str] = MappingProxyType({})


def policy(name: str, **places: str) -> Any:
    """A policy of ``config/iam`` with its placeholders filled in."""
    text = (FOLDER / f"{name}.json").read_text()
    for placeholder, value in {**PLACES, **{key.replace("_", "-"): value for key, value in places.items()}}.items():
        text = text.replace(placeholder, value)
    return json.loads(text)


def allows(document: Any, need: Need) -> bool:
    """Whether a policy allows it: a statement does, and none denies it."""
    effects = {one["Effect"] for one in document["Statement"] if _speaks_of(one, need)}
    return effects == {"Allow"}


def actions(document: Any, effect: str = "Allow") -> set[str]:
    """All actions of a policy."""
    return {action for one in document["Statement"] if one["Effect"] == effect for action in _texts(one["Action"])}


def needs(operation: str, parameters: Mapping[str, Any]) -> Iterator[Need]:
    """What a call of boto3, by its method's name, needs."""
    bucket, key = parameters.get("Bucket", ""), parameters.get("Key", "")
    for action in ACTIONS[operation]:
        if action.startswith("sqs:"):
            queue = parameters["QueueUrl"].rpartition("/")[2]
            yield Need(action, f"arn:aws:sqs:{PLACES['REGION']}:{PLACES['ACCOUNT']}:{queue}")
        elif action == "s3:GetObject" and "CopySource" in parameters:
            source = parameters["CopySource"]
            yield Need(action, f"arn:aws:s3:::{source['Bucket']}/{source['Key']}")
        elif key:
            yield Need(action, f"arn:aws:s3:::{bucket}/{key}")
        else:
            yield Need(action, f"arn:aws:s3:::{bucket}", parameters.get("Prefix"))


def _speaks_of(statement: Any, need: Need) -> bool:
    named = any(fnmatchcase(need.action, one) for one in _texts(statement["Action"]))
    placed = any(fnmatchcase(need.resource, one) for one in _texts(statement["Resource"]))
    return named and placed and _holds(statement.get("Condition", {}), need)


def _holds(condition: Any, need: Need) -> bool:
    assert set(condition) <= {"StringLikeIfExists", "StringEquals"}, f"the lab does not know the condition {condition}"
    wanted = condition.get("StringEquals", {}).items()
    if any(need.tags.get(key.removeprefix("ssm:resourceTag/")) != value for key, value in wanted):
        return False
    patterns = _texts(condition.get("StringLikeIfExists", {}).get("s3:prefix", "*"))
    return need.prefix is None or any(fnmatchcase(need.prefix, one) for one in patterns)


def _texts(value: Any) -> Sequence[str]:
    return [value] if isinstance(value, str) else value
