"""Opens the store of a repository where the settings say that it lies: a directory, or a prefix of a bucket."""

from pathlib import Path

from repod.config import Repository, Settings
from repod.doors import Store
from repod.store.local import LocalStore
from repod.values import S3Place


def open_store(settings: Settings, repository: Repository) -> Store:
    """The store of a repository; ``Misconfigured`` where its place cannot be used.

    Nothing is written to a bucket by that: who is going to change a repository calls ``open_writable``.
    """
    place = S3Place.parse(repository.store)
    if place is None:
        return LocalStore(Path(repository.store))
    from repod.store.s3 import S3Store  # noqa: PLC0415 - it brings boto3

    return S3Store(place, settings.s3.of(place.bucket))


def open_writable(settings: Settings, repository: Repository) -> Store:
    """``open_store``, after a proof that several writers can share it, or that this is the only one."""
    store = open_store(settings, repository)
    store.prove()
    return store
