"""What a host needs beside the metadata: the ``.repo`` file and the public keys."""

import contextlib
from collections.abc import Mapping

from repod.doors import Expect, Store, Version
from repod.errors import Conflict, NotFound
from repod.package import StorePath, store_path
from repod.views import METALINK, MIRRORLIST

# zypper asks for the key beside the index (repomd.xml.key).
ZYPPER_KEY = StorePath("repodata/repomd.xml.key")


def key_name(name: str) -> StorePath:
    """Where the public key of a repository lies."""
    return store_path(f"RPM-GPG-KEY-{name}")


def repo_file(name: str, url: str, *, metalink: bool) -> str:
    """The ``.repo`` file of a repository at ``url``: both signatures are checked, a broken repository is an error.

    It offers each form, of which one is active. ``metalink``: the frozen views, where index and
    signature always belong together; else the live view.
    """
    forms = [f"metalink={url}{METALINK}", f"mirrorlist={url}{MIRRORLIST}", f"baseurl={url}"]
    active = forms[0] if metalink else forms[-1]
    lines = "".join(f"{'' if form == active else '#'}{form}\n" for form in forms)
    return (
        f"[{name}]\n"
        f"name={name}\n"
        f"{lines}"
        "enabled=1\n"
        "gpgcheck=1\n"
        "repo_gpgcheck=1\n"
        f"gpgkey={url}{key_name(name)}\n"
        "metadata_expire=5m\n"
        "skip_if_unavailable=0\n"
    )


def host_files(name: str, repo: str, published: bytes) -> Mapping[StorePath, bytes]:
    """The files for hosts. ``repo``: the ``.repo`` file; ``published``: the armored certificates."""
    return {
        key_name(name): published,
        ZYPPER_KEY: published,
        store_path(f"{name}.repo"): repo.encode(),
    }


def write_host_files(store: Store, name: str, repo: str, published: bytes) -> None:
    """Put the files for hosts into the store, where they are not so already."""
    for path, data in host_files(name, repo, published).items():
        version: Version | Expect = Expect.ABSENT
        with contextlib.suppress(NotFound):
            blob = store.read(path)
            if blob.data == data:
                continue
            version = blob.version
        with contextlib.suppress(Conflict):  # another daemon with the same settings was faster
            store.write(path, data, version)
