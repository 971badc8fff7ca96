"""A bucket keeps evidence and large payloads: a real server of buckets, spoken to over HTTP."""

from __future__ import annotations

import logging
import urllib.request
import uuid
from collections.abc import Iterator

import pytest
from moto.server import ThreadedMotoServer
from temporalio.client import Client

from backstay.adapters.archive.bucket import Bucket
from backstay.adapters.archive.judge import judge_archive
from backstay.adapters.archive.place import place_of
from backstay.adapters.archive.store import Sealing, Store
from backstay.client.trails import archived_trail
from backstay.errors import ArchiveError, ConfigurationError
from backstay.testing import Reply
from backstay.testing.runtime import local_runtime
from tests.unit.adapters.archive.evidence import segment


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    one = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    one.start()
    host, port = one.get_host_and_port()
    yield f"http://{host}:{port}"
    one.stop()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"evidence-{uuid.uuid4().hex}"
    given = {"ENDPOINT_URL": server, "ALLOW_HTTP": "true", "REGION": "us-east-1"}
    for variable, value in {**given, "ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(f"AWS_{variable}", value)
    with urllib.request.urlopen(urllib.request.Request(f"{server}/{name}", data=b"", method="PUT")):
        return f"s3://{name}/runs"


async def test_what_is_put_is_there_and_not_written_over(bucket: str) -> None:
    place = place_of(bucket)
    await place.put("run/e-1/1.json", b"one")
    await place.put("run/e-1/1.json", b"two")
    await place.put("other/2.json", b"three")
    assert await place.get("run/e-1/1.json") == b"one"
    assert await place.names("run") == ["run/e-1/1.json"]
    assert await place.names("") == ["other/2.json", "run/e-1/1.json"]
    await place.delete("other/2.json")
    await place.delete("other/2.json")
    assert await place.names("") == ["run/e-1/1.json"]


async def test_what_is_not_there_is_told_in_one_line(bucket: str) -> None:
    with pytest.raises(ArchiveError) as missing:
        await place_of(bucket).get("nothing")
    assert len(str(missing.value).splitlines()) == 1


async def test_a_server_that_is_away_is_told(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(ArchiveError, match="does not answer as it should"):
        await place_of(bucket).put("run/1.json", b"one")


def test_an_address_without_a_bucket_is_refused() -> None:
    with pytest.raises(ConfigurationError) as refused:
        Bucket("s3://")
    assert refused.value.where == "`BACKSTAY_ARCHIVE`"


async def test_a_run_leaves_its_evidence_in_a_bucket(client: Client, bucket: str) -> None:
    async with local_runtime([Reply("hello")], client=client, archive=bucket) as runtime:
        handle = await runtime.start({"goal": "hello"})
        result = await handle.result()
    archive = Store(place_of(bucket), Sealing(None, "default"))
    kept = await archived_trail(archive, handle.id)
    assert kept is not None
    assert kept.head.head == result["audit"]["head"]
    assert (await judge_archive(archive, [])).faults == []


async def test_the_evidence_of_a_run_with_an_odd_id_lies_in_its_own_folder_of_a_bucket(bucket: str) -> None:
    archive = Store(place_of(bucket), Sealing(None, "default"))
    await archive.keep(segment(run_id="refund/A 17:\u00fc+%"))
    [manifest], broken = await archive.manifests()
    assert (manifest.run_id, broken) == ("refund/A 17:\u00fc+%", [])
    assert await archive.whole(manifest) is None


async def test_a_run_keeps_its_large_payloads_in_a_bucket(client: Client, bucket: str) -> None:
    long = "hello " * 50_000
    async with local_runtime([Reply(long)], client=client, payload_store=bucket) as runtime:
        handle = await runtime.start({"goal": "hello"})
        assert (await handle.result())["answer"] == long
        execution = (await handle.describe()).raw_description.workflow_execution_info
    assert execution.history_size_bytes < 30_000
    assert len(await place_of(bucket).names("")) > 1
