"""Addresses of runs and of stores, and stores that cannot be asked."""

from __future__ import annotations

import pytest

from storage.folders import InputError
from storage.remote.address import checked
from storage.remote.bucket import Bucket, RemoteError


@pytest.mark.parametrize(
    "wrong", ["s3://", "s3://bucket", "s3://bucket/", "s3://B/x", "s3://me:secret@bucket/x", "s3://bucket/a/../b"]
)
def test_addresses_that_are_none(wrong: str) -> None:
    with pytest.raises(InputError, match="expected an address such as") as refused:
        checked(wrong)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("endpoint", "word"),
    [
        ("nonsense", "AWS_ENDPOINT_URL: expected an address"),
        ("https://me:secret@host", "AWS_ENDPOINT_URL: expected an address"),
        ("https://host:port", "AWS_ENDPOINT_URL: expected an address"),
        ("http://host", "AWS_ALLOW_HTTP=true"),
    ],
)
def test_stores_that_cannot_be_asked(monkeypatch: pytest.MonkeyPatch, endpoint: str, word: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.delenv("AWS_ALLOW_HTTP", raising=False)
    with pytest.raises(InputError, match=word) as refused:
        Bucket("s3://bucket/run")
    assert "secret" not in str(refused.value)


def test_a_store_that_nobody_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ALLOW_HTTP": "true"}
    for name, value in {**variables, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RemoteError, match=r"^s3://bucket/run/root.json: HTTP error: error sending request$"):
        Bucket("s3://bucket/run", patience=0.3).read("root.json")
