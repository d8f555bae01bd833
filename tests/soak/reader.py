"""Polling clients on librepo, the library under dnf: ``python3 reader.py``, told what to do by JSON on standard input.

For the system's Python, which has librepo. The first line is ``{"home": GNUPGHOME, "folder": DIR, "seed": N, "clients":
[{"id", "repository", "way", "address", "every"}, ...]}``; it reads on until its standard input ends. Every read
starts with nothing kept, has librepo check the signature of the index and the checksums of primary and filelists,
and, one time in five, fetches a package that primary lists, its checksum checked. A JSON line for each read.
"""

import gzip
import hashlib
import heapq
import json
import pathlib
import random
import re
import select
import shutil
import sys
import tempfile
import time

import librepo

_PACKAGE = re.compile(
    rb'<checksum type="sha256" pkgid="YES">([0-9a-f]{64})</checksum>'
    rb'.*?<size package="(\d+)".*?<location href="([^"]+)"',
    re.DOTALL,
)


def handle_of(client, home, folder):
    """A handle with nothing kept."""
    handle = librepo.Handle()
    handle.repotype = librepo.YUMREPO
    if client["way"] == "baseurl":
        handle.urls = [client["address"]]
    elif client["way"] == "mirrorlist":
        handle.mirrorlisturl = client["address"]
    else:
        handle.metalinkurl = client["address"]
    handle.destdir = folder
    handle.gpgcheck = True
    handle.gnupghomedir = home
    handle.yumdlist = ["primary", "filelists"]
    return handle


def read(client, home, folder, package):
    """One read: the generation that was read, how many packages it lists, and the one that was fetched."""
    handle = handle_of(client, home, folder)
    result = librepo.Result()
    handle.perform(result)
    with gzip.open(result.yum_repo["primary"]) as file:
        listed = _PACKAGE.findall(file.read())
    fetched = ""
    if package and listed:
        checksum, size, href = (part.decode() for part in random.choice(listed))
        target = librepo.PackageTarget(
            href,
            handle=handle,
            dest=folder + "/package.rpm",
            checksum_type=librepo.SHA256,
            checksum=checksum,
            expectedsize=int(size),
        )
        librepo.download_packages([target])
        if target.err not in (None, "Already downloaded"):
            raise librepo.LibrepoException(0, "package " + href, target.err)
        fetched = href
    return int(result.yum_repomd["revision"]), len(listed), fetched


def index_of(folder):
    """The checksum of the index that was fetched; empty where none was."""
    try:
        return hashlib.sha256(pathlib.Path(folder, "repodata/repomd.xml").read_bytes()).hexdigest()
    except OSError:
        return ""


def main():
    """Until standard input ends."""
    told = json.loads(sys.stdin.readline())
    random.seed(told["seed"])
    start = time.monotonic()
    due = [(start + random.uniform(0, client["every"]), number) for number, client in enumerate(told["clients"])]
    heapq.heapify(due)
    reads = 0
    while due:
        at, number = heapq.heappop(due)
        if select.select([sys.stdin], [], [], max(0.0, at - time.monotonic()))[0]:
            return
        client = told["clients"][number]
        reads += 1
        folder = tempfile.mkdtemp(prefix="read-", dir=told["folder"])
        line = {"client": client["id"], "repository": client["repository"], "way": client["way"]}
        begun = time.monotonic()
        try:
            line["generation"], line["packages"], line["fetched"] = read(client, told["home"], folder, reads % 5 == 0)
        except librepo.LibrepoException as error:
            line["error"] = str(error.args[1:])
            line["index"] = index_of(folder)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run is told
            line["error"] = repr(error)
        finally:
            shutil.rmtree(folder)
        line["seconds"] = time.monotonic() - begun
        print(json.dumps(line), flush=True)
        heapq.heappush(due, (max(time.monotonic(), at + client["every"]), number))


if __name__ == "__main__":
    main()
