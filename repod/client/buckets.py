"""``[s3]``: how buckets are reached from here. Credentials are those that boto3 finds."""

from typing import Annotated, Literal

from pydantic import Field

from repod.config import Bucket
from repod.values import Seconds, Section


class S3(Section):
    """For all buckets; empty texts leave it to boto3. See ``config.Bucket``, whose names these are."""

    endpoint: str = ""
    region: str = ""
    profile: str = ""
    addressing: Literal["auto", "path", "virtual"] = "auto"
    encryption: Literal["", "AES256", "aws:kms", "aws:kms:dsse"] = ""
    kms_key: str = ""
    checksums: bool = True
    attempts: Annotated[int, Field(ge=1, le=100)] = 5
    timeout: Annotated[Seconds, Field(ge=1)] = 30.0

    def bucket(self) -> Bucket:
        """The same for who reaches them."""
        return Bucket.model_validate(self.model_dump())
