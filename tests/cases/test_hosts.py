"""Cases about hosts that read a private bucket."""

from pathlib import Path

from tests.lab.hosts import proxy, raw
from tests.lab.seaweed import Seaweed


def test_c063_a_plus_sign_is_itself_raw_or_encoded(s3: Seaweed, tmp_path: Path) -> None:
    """A plus sign in a file name gives 404 on S3: dnf sends ``%2b``, zypper sends ``+``, and both get the object."""
    bucket = s3.bucket()
    key = "p/Packages/l/libx++-1.0~rc1^git é 100%.rpm"
    s3.client().put_object(Bucket=bucket, Key=key, Body=b"the package")
    with proxy(tmp_path / "home", f"s3://{bucket}/p/", environ=s3.environ) as running:
        for name in (
            "libx++-1.0~rc1^git%20%C3%A9%20100%25.rpm",
            "libx%2b%2b-1.0%7erc1%5egit%20%c3%a9%20100%25.rpm",
            "libx%2B+-1.0~rc1^git é 100%.rpm",
        ):
            said = raw(running, f"GET /{bucket}/p/Packages/l/{name} HTTP/1.0\r\n\r\n")
            assert said.endswith(b"\r\n\r\nthe package"), said
