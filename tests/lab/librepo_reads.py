"""Reads a repository again and again with librepo, the library under dnf: ``python3 FILE WAY ADDRESS HOME READS``.

For the system's Python, which has librepo. ``HOME`` is a GnuPG home with the repository's key alone.
Every read starts with nothing kept, checks the signature of the index, and fetches primary and
filelists. Prints one JSON line: how often each error came.
"""

import collections
import json
import shutil
import sys
import tempfile

import librepo


def read(way: str, address: str, home: str, folder: str) -> None:
    """One read; ``LibrepoException`` where it fails."""
    handle = librepo.Handle()
    handle.repotype = librepo.YUMREPO
    if way == "baseurl":
        handle.urls = [address]
    elif way == "mirrorlist":
        handle.mirrorlisturl = address
    else:
        handle.metalinkurl = address
    handle.destdir = folder
    handle.gpgcheck = True
    handle.gnupghomedir = home
    handle.yumdlist = ["primary", "filelists"]
    handle.perform(librepo.Result())


def main(way: str, address: str, home: str, reads: int) -> None:
    errors = collections.Counter()
    for _ in range(reads):
        folder = tempfile.mkdtemp(prefix="librepo-")
        try:
            read(way, address, home, folder)
        except librepo.LibrepoException as error:
            errors[str(error.args[1])] += 1
        finally:
            shutil.rmtree(folder)
    print(json.dumps(errors))


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]))
