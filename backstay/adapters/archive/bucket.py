"""A bucket of an S3-compatible server keeps evidence; address and keys come from the usual `AWS_` variables."""

import contextlib
from collections.abc import Generator

from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from backstay.errors import ArchiveError, ConfigurationError

_MEND = "write `s3://bucket/prefix`, and set AWS_ENDPOINT_URL, AWS_REGION and credentials as other programs read them"


class Bucket:
    """A bucket, or a part of one."""

    def __init__(self, written: str, variable: str = "BACKSTAY_ARCHIVE") -> None:
        """Takes `s3://bucket/prefix`, and the setting that names it.

        Raises:
            ConfigurationError: the address or a variable cannot be used.
        """
        try:
            self._store = S3Store.from_url(written, retry_config={"max_retries": 0})  # retries belong to the engine
        except BaseError as error:
            raise ConfigurationError(_words(error), where=f"`{variable}`", mend=_MEND) from None

    async def put(self, name: str, data: bytes) -> None:
        """Keeps a file; the server itself refuses to write over one, where it knows conditional writes."""
        with _told(), contextlib.suppress(AlreadyExistsError):
            await self._store.put_async(name, data, mode="create")

    async def get(self, name: str) -> bytes:
        """Reads a file."""
        with _told():
            found = await self._store.get_async(name)
            return bytes(await found.bytes_async())

    async def names(self, prefix: str) -> list[str]:
        """Lists the names below a folder."""
        with _told():
            pages = self._store.list(prefix or None)  # pyright: ignore[reportUnknownMemberType]
            return sorted([one["path"] async for page in pages for one in page])

    async def delete(self, name: str) -> None:
        """Deletes a file."""
        with _told():
            await self._store.delete_async(name)


@contextlib.contextmanager
def _told() -> Generator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        raise ArchiveError(f"the archive does not answer as it should: {_words(error)}") from error


def _words(error: BaseException) -> str:
    """Returns the first line of an error: the library writes its whole structure below it."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
