"""Writes evidence to its place, and reads it again: bodies first, so that no manifest names what is not there."""

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.converter import PayloadCodec, WithSerializationContext, WorkflowSerializationContext

from backstay.adapters.payload.converter import data_converter
from backstay.contracts.archive import Archived, Segment
from backstay.errors import ArchiveError
from backstay.kernel.audit_file import Signer, line_of, object_of
from backstay.settings import Settings

from .keys import audit_keys
from .manifest import ENDING, Manifest, digest_of, file_name, folder_of, read_manifest, spelled
from .place import Place, place_of

_PLAIN = {"encoding": b"binary/plain"}


class Sealing:
    """Encrypts files as payloads are, where payloads are encrypted: with the same keys, bound to the run."""

    def __init__(self, codec: PayloadCodec | None, namespace: str) -> None:
        self._codec = codec
        self._namespace = namespace

    @property
    def on(self) -> bool:
        """True where files are encrypted."""
        return self._codec is not None

    async def seal(self, run_id: str, data: bytes) -> bytes:
        """Encrypts a file of a run; without keys it stays as it is."""
        if self._codec is None:
            return data
        [sealed] = await self._of(run_id, self._codec).encode([Payload(metadata=_PLAIN, data=data)])
        return sealed.SerializeToString()

    async def open(self, run_id: str, data: bytes) -> bytes:
        """Decrypts a file of a run.

        Raises:
            CodecError: the key that encrypted it is not here.
            ArchiveError: there are no keys here, or it is nothing that was encrypted.
        """
        if self._codec is None:
            raise ArchiveError("the evidence is encrypted, and there are no keys here: set `BACKSTAY_CODEC_KEYS`")
        try:
            payload = Payload.FromString(data)
        except DecodeError as error:
            raise ArchiveError("the evidence is no encrypted file, though its manifest says so") from error
        [opened] = await self._of(run_id, self._codec).decode([payload])
        return opened.data

    def _of(self, run_id: str, codec: PayloadCodec) -> PayloadCodec:
        if not isinstance(codec, WithSerializationContext):
            return codec
        return codec.with_context(WorkflowSerializationContext(namespace=self._namespace, workflow_id=run_id))


def archive_of(settings: Settings, client: Client | None = None, namespace: str = "default") -> "Store | None":
    """Returns the archive that the settings name; None where they name none.

    Args:
        settings: the place, and the keys that sign.
        client: has the codec that encrypts payloads, where there is one; without it, the settings have the keys.
        namespace: that of the runs, where there is no client.

    Raises:
        ConfigurationError: the place or a key cannot be used.
    """
    if not settings.archive:
        return None
    keys = audit_keys(settings.audit_key)
    converter = client.data_converter if client else data_converter(settings)
    sealing = Sealing(converter.payload_codec, client.namespace if client else namespace)
    return Store(place_of(settings.archive), sealing, keys[0] if keys else None)


class Store:
    """An archive at a place; `signer` signs each manifest, `sealing` encrypts what it names."""

    def __init__(self, place: Place, sealing: Sealing, signer: Signer | None = None) -> None:
        self._place = place
        self._sealing = sealing
        self._signer = signer

    @property
    def opens(self) -> bool:
        """True where there are keys to decrypt what it holds."""
        return self._sealing.on

    async def keep(self, segment: Segment) -> Archived:
        """Keeps a part of a run's evidence.

        Raises:
            ArchiveError: the place did not take it.
        """
        folder = f"{folder_of(segment.run.workflow_id)}/{segment.run.run_id}"
        files: dict[str, tuple[str, bytes]] = {}
        for kind, lines in (("records", segment.records), ("transcript", segment.items)):
            data = await self._sealing.seal(segment.run.workflow_id, b"".join(map(line_of, lines)))
            files[kind] = (file_name(segment, kind, data), data)
            await self._place.put(f"{folder}/{files[kind][0]}", data)
        manifest = spelled(segment, files, self._sealing.on, self._signer)
        name = f"{folder}/{file_name(segment, '', manifest).rstrip('.')}{ENDING}"
        await self._place.put(name, manifest)
        return Archived(key=self._signer.key if self._signer else None, name=name)

    async def manifests(self, run_id: str | None = None) -> tuple[list[Manifest], list[str]]:
        """Reads the manifests of a run, or all; second are the names of those that cannot be read.

        Raises:
            ArchiveError: the place does not answer.
        """
        found, broken = list[Manifest](), list[str]()
        for name in await self._place.names("" if run_id is None else folder_of(run_id)):
            if not name.endswith(ENDING):
                continue
            manifest = read_manifest(name, await self._place.get(name))
            if manifest is None or manifest.astray or run_id not in (None, manifest.run_id):
                broken.append(name)
            else:
                found.append(manifest)
        return sorted(found, key=lambda one: (one.run_id, one.head.records, one.at)), broken

    async def whole(self, manifest: Manifest) -> str | None:
        """Returns which file of a manifest is missing or was changed; None where all are as they were written."""
        for name, digest in manifest.files.values():
            try:
                data = await self._place.get(f"{manifest.folder}/{name}")
            except ArchiveError:
                return f"`{name}` is missing"
            if digest_of(data) != digest:
                return f"`{name}` was changed"
        return None

    async def lines(self, manifest: Manifest, kind: str) -> Sequence[Mapping[str, Any]]:
        """Reads records or transcript of a part.

        Raises:
            ArchiveError: the file is missing, or was changed.
            CodecError: it is encrypted with a key that is not here.
        """
        name, digest = manifest.files[kind]
        data = await self._place.get(f"{manifest.folder}/{name}")
        if digest_of(data) != digest:
            raise ArchiveError(f"`{manifest.folder}/{name}` was changed after it was written")
        if manifest.sealed:
            data = await self._sealing.open(manifest.run_id, data)
        found = [object_of(line) for line in data.split(b"\n")[:-1]]
        if None in found:
            raise ArchiveError(f"`{manifest.folder}/{name}` holds no evidence")
        return [one for one in found if one is not None]

    async def delete(self, manifest: Manifest) -> None:
        """Deletes a part: its manifest last, so that what is left of it can still be found.

        Raises:
            ArchiveError: the place does not let it go.
        """
        for name, _ in manifest.files.values():
            await self._place.delete(f"{manifest.folder}/{name}")
        await self._place.delete(manifest.name)
