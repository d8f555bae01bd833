"""Uploads over HTTP into an inbox that is a prefix of a bucket, on a real S3 server."""

from pathlib import Path

import pytest

from repod.errors import Unavailable
from repod.inbox.parcels import BucketLetterbox
from repod.values import S3Place
from tests.lab.bucketinboxes import credentials, reach
from tests.lab.clients import Dnf
from tests.lab.daemon import Repod
from tests.lab.inboxes import wanted
from tests.lab.rpms import quick
from tests.lab.seaweed import REGION, Seaweed
from tests.lab.uploads import TOKENS, Curl, token
from tests.lab.wait import until

WAIT = ("-H", "Prefer: wait=60")


def test_what_curl_brings_goes_through_the_bucket_to_a_host(s3: Seaweed, key_file: Path, tmp_path: Path) -> None:
    client, bucket = s3.client(), s3.bucket()
    place = {"inbox": f"s3://{bucket}/in/", "store": f"s3://{bucket}/www/"}
    settings = TOKENS | {
        "s3": {"endpoint": s3.endpoint, "region": REGION, "addressing": "path"},
        # Long enough that nothing but the upload itself wakes the loop.
        "inbox": {"scan_interval": 600.0},
    }
    with Repod(tmp_path, key_file, {"test": place}, settings=settings, s3=s3) as repod:
        curl = Curl(repod, token(repod))
        done = curl.put(quick(tmp_path, "bucketed"), *WAIT)
        assert (done.status, done.body.get("packages")) == (200, ["bucketed-1.0-1.noarch"]), done.text
        (tmp_path / "junk.rpm").write_bytes(b"no package")
        rejected = curl.put(tmp_path / "junk.rpm", *WAIT)
        assert (rejected.status, rejected.body["arrival"]["state"]) == (422, "rejected"), rejected.text

        def keys() -> list[str]:
            return [one["Key"] for one in client.list_objects_v2(Bucket=bucket, Prefix="in/").get("Contents", ())]

        # The arrival itself goes last.
        rejected_keys = ["in/rejected/junk.rpm", "in/rejected/junk.rpm.reason.json"]
        until(lambda: keys() == rejected_keys, 30, "nothing else to lie there")
        with Dnf(tmp_path / "host", repod.repo_file()) as host:
            assert host.install("bucketed").rc == 0


def test_a_bucket_that_does_not_take_it_is_told_and_nothing_stays(s3: Seaweed, tmp_path: Path) -> None:
    place = S3Place(bucket=s3.bucket(), prefix="in/")
    with credentials(s3), pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        box = BucketLetterbox(place, reach(s3), workspace=tmp_path, limit=1 << 30, wanted=wanted, knock=lambda: None)
        letter = box.open("a.rpm", 4)
        letter.write(b"data")
        with pytest.raises(Unavailable):
            letter.deliver(lambda _: None)
        letter.close()
    assert list(tmp_path.iterdir()) == []
    assert "Contents" not in s3.client().list_objects_v2(Bucket=place.bucket)
