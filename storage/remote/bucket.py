"""Requests to the object store, with its errors as one line each; the only module that knows `obstore`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

from storage.remote.address import check_endpoint
from storage.seal import BrokenSeal, opened

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds for which a request is repeated while the store fails or cannot be reached."""


CLIENT = ("allow_http", "allow_invalid_certificates", "proxy_url")
"""Options of connections that AWS_* variables set, too; `obstore` leaves them out when it is given any."""


class RemoteError(OSError):
    """The object store did not do what was asked; one line that names the object and the store's answer."""


class Gone(RemoteError):
    """An object that is listed is not there; one line."""


class Found(NamedTuple):
    """An object as it was read."""

    data: bytes
    etag: str


class Bucket:
    """The objects below an address. Credentials, region and endpoint come from the usual AWS_* variables."""

    def __init__(self, address: str, patience: float = PATIENCE) -> None:
        # Not at the top: commands on folders need none of it.
        try:
            from obstore.store import S3Store
        except ImportError:
            raise RemoteError(f"{address}: a bucket needs the package obstore; run `pip install 'mgi[s3]'`") from None

        check_endpoint()
        self.address = address
        backoff: Any = {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=5), "base": 2}
        limits: Any = {"max_retries": 1000, "retry_timeout": timedelta(seconds=patience), "backoff": backoff}
        # A connection that stands still counts as lost; what only is slow may take as long as it needs.
        client: Any = {"timeout": timedelta(minutes=10), "read_timeout": timedelta(seconds=max(patience / 2, 1))}
        client |= {key: os.environ[name] for key in CLIENT if (name := f"AWS_{key.upper()}") in os.environ}
        try:
            self._store = S3Store.from_url(address, client_options=client, retry_config=limits)
        except Exception as error:
            raise RemoteError(f"{address}: {said(error)}") from None

    def read(self, name: str) -> Found | None:
        """An object, or None if there is none."""

        def get() -> Found:
            import obstore

            answer = obstore.get(self._store, name)
            return Found(bytes(answer.bytes()), str(answer.meta["e_tag"]))

        try:
            return self._ask(name, get)
        except FileNotFoundError:
            return None

    def read_sealed(self, name: str, advice: str) -> tuple[dict[str, Any], str] | None:
        """The content and the etag of a sealed object (`storage.seal`), or None if there is none.

        Raises:
            RemoteError: it is not what was written; `advice` says what to do.
        """
        found = self.read(name)
        if found is None:
            return None
        try:
            content, has_seal = opened(found.data)
            if has_seal:
                return content, found.etag
            damage = "it has no seal"
        except BrokenSeal as error:
            damage = str(error)
        raise RemoteError(f"{self.address}/{name} is damaged: {damage}; {advice}")

    def pieces(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Parts of an object, as (start, length) each.

        Raises:
            FileNotFoundError: there is no such object.
        """
        import obstore

        starts, lengths = [start for start, _ in ranges], [length for _, length in ranges]
        got = self._ask(name, lambda: obstore.get_ranges(self._store, name, starts=starts, lengths=lengths))
        return [bytes(part) for part in got]

    def write(self, name: str, data: bytes) -> None:
        """Write an object whose name nobody else uses."""
        import obstore

        self._ask(name, lambda: obstore.put(self._store, name, data, use_multipart=False))

    def swap(self, name: str, data: bytes, etag: str | None) -> str | None:
        """Replace an object on the condition that nobody else has.

        `data` must never have been there before: what is found there tells whether a request whose answer got lost, or
        which was sent twice, did its work.

        Args:
            name, data: the object and its new content.
            etag: that of the object as it was read; None: there was none.

        Returns:
            The new etag; None if the object is not what it was read as.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        mode: Any = "create" if etag is None else {"e_tag": etag}
        failed: RemoteError | None = None
        try:
            return str(self._ask(name, lambda: obstore.put(self._store, name, data, mode=mode))["e_tag"])
        except (AlreadyExistsError, PreconditionError):
            pass
        except RemoteError as error:
            failed = error
        found = self.read(name)
        if found is not None and found.data == data:
            return found.etag
        if failed is not None and (found.etag if found else None) == etag:
            raise failed
        return None

    def keeps_conditions(self, name: str, data: bytes) -> bool:
        """Whether the store refuses a write whose condition does not hold, asked with the content that is there."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        modes: list[Any] = ["create", {"e_tag": '"00000000000000000000000000000000"'}]
        for mode in modes:
            try:
                self._ask(name, lambda mode=mode: obstore.put(self._store, name, data, mode=mode))  # type: ignore[misc]
            except (AlreadyExistsError, PreconditionError):
                continue
            return False
        return True

    def names(self, folder: str) -> Iterator[str]:
        """Names of all objects below a folder, relative to the address."""
        import obstore

        listed = self._ask(folder, lambda: [one["path"] for part in obstore.list(self._store, folder) for one in part])
        prefix = self.address.split("/", 3)[3] + "/"
        return (name.removeprefix(prefix) for name in listed)

    def delete(self, names: Sequence[str]) -> None:
        """Delete objects; those that are gone already do not matter."""
        import obstore

        self._ask("objects", lambda: obstore.delete(self._store, list(names)))

    def _ask(self, name: str, request: Callable[[], T]) -> T:
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        try:
            return request()
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise RemoteError(f"{self.address}: there is no such bucket; make it first") from None
            raise
        except (AlreadyExistsError, PreconditionError):
            raise
        except BaseException as error:
            if isinstance(error, Exception) or type(error).__name__ == "PanicException":
                raise RemoteError(f"{self.address}/{name}: {said(error)}") from None
            raise


def said(error: BaseException) -> str:
    """What an error of `obstore` says, on one short line: the status and the code of the answer, or the cause.

    Example:
        >>> said(ValueError("Error performing GET x in 3ms - Server returned non-2xx status code: 403 Forbidden: <E/>"))
        'the store answered 403 Forbidden'
    """
    text = " ".join(str(error).split("\nDebug source")[0].split())
    status = re.search(r"status code: (\d{3}[^:<]*)", text)
    if status:
        code = re.search(r"<Code>(\w+)</Code>", text)
        return f"the store answered {status[1].strip()}{f' ({code[1]})' if code else ''}"
    cause = re.sub(r"Generic \w+ error: |Error performing \w+ \S+ in \S+(, after \d+ retries, [^-]*)? - ", "", text)
    cause = re.sub(r"https?://[^\s)]+", "the store's address", cause)  # which may hold a password
    return cause[:300] or type(error).__name__
