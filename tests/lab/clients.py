"""Clients of a repository, each in a directory of its own: dnf, zypper, rpmkeys, createrepo_c."""

import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import createrepo_c

from tests.lab.processes import end_agents, environment
from tests.lab.rpms import tool

_LIMIT = 120.0


class Completed(NamedTuple):
    """How a command ended: exit status, and output and errors as one text."""

    rc: int
    out: str


def run(words: Sequence[str | Path], home: Path, **more: str) -> Completed:
    """Run a client to its end in a constant environment, without input."""
    done = subprocess.run(
        words,
        env=environment(home, **more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=_LIMIT,
        check=False,
    )
    return Completed(done.returncode, done.stdout)


def choosing(repo: str, form: str) -> str:
    """A ``.repo`` file with that one of its forms active: ``metalink``, ``mirrorlist`` or ``baseurl``."""
    lines = re.sub(r"(?m)^#?(metalink|mirrorlist|baseurl)=", r"#\1=", repo)
    return lines.replace(f"#{form}=", f"{form}=")


class Host:
    """A machine as far as packages go: an install root with its own rpm database."""

    def __init__(self, root: Path, repos: str) -> None:
        """``repos``: directory of ``.repo`` files below ``root``."""
        self.root = root
        self.environ: dict[str, str] = {}  # beside the constant one
        self.repos = root / repos
        self.repos.mkdir(parents=True, exist_ok=True)

    def subscribe(self, text: str, name: str = "lab") -> None:
        """Put a ``.repo`` file on the host, as it is."""
        (self.repos / f"{name}.repo").write_text(text)

    def rpm(self, *words: str) -> Completed:
        """``rpm`` on the host's database."""
        return run([tool("rpm"), "--root", self.root, *words], self.root)

    def installed(self) -> list[str]:
        """NEVRA of all installed packages, sorted; an epoch of 0 is left out."""
        return sorted(self.header_digests())

    def header_digests(self) -> dict[str, str]:
        """NEVRA of all installed packages with the SHA-256 of their headers."""
        done = self.rpm("-qa", "--qf", r"@%{NAME}|%{EPOCHNUM}|%{EVR}|%{ARCH}|%{SHA256HEADER}\n")
        found = {}
        for line in done.out.splitlines():
            if line.startswith("@") and not line.startswith("@gpg-pubkey|"):
                name, epoch, evr, arch, digest = line[1:].split("|")
                evr = evr if epoch != "0" else evr.removeprefix("0:")
                found[f"{name}-{evr}.{arch}"] = digest
        return found

    def close(self) -> None:
        """End the agents that checking signatures left behind."""
        end_agents(self.root)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Dnf(Host):
    """A host with dnf. ``repo`` is the text of its ``.repo`` file; nothing of the machine leaks in."""

    def __init__(self, root: Path, repo: str = "") -> None:
        super().__init__(root, "etc/yum.repos.d")
        for folder in ("etc/dnf/vars", "var/cache/dnf", "var/log", "var/lib/dnf"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        # Debian's dnf.conf says skip_if_unavailable=1, which turns a broken repository into success.
        self.plugin: Path | None = None  # a folder of plugins, of which repod_s3 is used
        (root / "etc/dnf/dnf.conf").write_text("[main]\ngpgcheck=1\nskip_if_unavailable=0\nbest=1\n")
        if repo:
            self.subscribe(repo)

    def run(self, *words: str, plugins: Path | None = None) -> Completed:
        """``dnf -y WORDS`` on the host; ``plugins``: where their Python packages lie (None: without any)."""
        root = self.root
        options = {
            "reposdir": self.repos,
            "cachedir": root / "var/cache/dnf",
            "logdir": root / "var/log",
            "varsdir": root / "etc/dnf/vars",
            "persistdir": root / "var/lib/dnf",
            "module_platform_id": "platform:el9",
            "install_weak_deps": "0",
        }
        if plugins is not None:
            options |= {"pluginpath": plugins / "dnf-plugins", "pluginconfpath": root / "etc/dnf/plugins"}
        if self.plugin is not None:
            options |= {"pluginpath": self.plugin, "pluginconfpath": root / "etc/dnf/plugins"}
        wanted = "reposync" if plugins else "repod_s3" if self.plugin else ""
        sets = [f"--setopt={name}={value}" for name, value in options.items()]
        sets += ["--disableplugin=*", f"--enableplugin={wanted}"] if wanted else ["--noplugins"]
        more = {} if plugins is None else {"PYTHONPATH": str(plugins)}
        base: list[str | Path] = [tool("dnf"), "--installroot", root, "-c", root / "etc/dnf/dnf.conf"]
        try:
            return run([*base, "--releasever=9", *sets, "-y", *words], root, **more, **self.environ)
        finally:
            end_agents(root)

    def install(self, *specs: str) -> Completed:
        """Install after asking the repository for news."""
        return self.run("--refresh", "install", *specs)

    def upgrade(self, *specs: str) -> Completed:
        """Upgrade after asking the repository for news."""
        return self.run("--refresh", "upgrade", *specs)

    def downgrade(self, *specs: str) -> Completed:
        """Downgrade after asking the repository for news."""
        return self.run("--refresh", "downgrade", *specs)

    def available(self) -> list[str]:
        """NEVRA of all that the repositories offer, sorted; ``AssertionError`` where dnf fails."""
        form = r"@%{name}|%{epoch}|%{version}-%{release}.%{arch}"
        done = self.run("--refresh", "repoquery", "--available", "--qf", form)
        if done.rc:
            msg = f"dnf repoquery ended with {done.rc}:\n{done.out}"
            raise AssertionError(msg)
        rows = [line[1:].split("|") for line in done.out.splitlines() if line.startswith("@")]
        return sorted(f"{name}-{epoch + ':' if epoch != '0' else ''}{rest}" for name, epoch, rest in rows)


class Zypper(Host):
    """A host with zypper."""

    def __init__(self, root: Path, repo: str = "") -> None:
        super().__init__(root, "etc/zypp/repos.d")
        self.prefix: list[str | Path] = []  # words before the command that replace themselves by it
        if repo:
            self.subscribe(repo)

    def run(self, *words: str) -> Completed:
        """``zypper WORDS`` on the host, trusting the keys that the ``.repo`` file names."""
        options = ["--non-interactive", "--gpg-auto-import-keys"]
        try:
            base = [*self.prefix, tool("zypper"), "--root", self.root]
            return run([*base, *options, *words], self.root, **self.environ)
        finally:
            end_agents(self.root)

    def install(self, *specs: str) -> Completed:
        """Refresh and install; ``--oldpackage`` as first word allows an older version."""
        refreshed = self.run("refresh", "--force")
        return refreshed if refreshed.rc else self.run("install", "--no-recommends", *specs)


class Verdict(NamedTuple):
    """What rpmkeys says of one file; ``ok`` means every digest and the signature were right."""

    ok: bool
    text: str


def rpmkeys_check(public_key: bytes | None, *rpms: Path) -> dict[Path, Verdict]:
    """Check files with real rpm and a keyring that holds ``public_key`` only (None: no key).

    With a key an unsigned package is not OK; without one, digests alone decide.
    """
    with tempfile.TemporaryDirectory(prefix="rpmkeys-") as work:
        home = Path(work)
        words: list[str | Path] = [tool("rpmkeys"), "--dbpath", home / "db"]
        level = "digest"
        if public_key is not None:
            (home / "key.asc").write_bytes(public_key)
            done = run([*words, "--import", home / "key.asc"], home)
            if done.rc:
                msg = f"rpm cannot import the public key: {done.out}"
                raise AssertionError(msg)
            level = "all"
        out = run([*words, "--define", f"_pkgverify_level {level}", "--checksig", *rpms], home).out
    # A file that rpm cannot open at all leaves its line open, so the next may follow on it.
    return {rpm: _verdict(out, rpm) for rpm in rpms}


def _verdict(out: str, rpm: Path) -> Verdict:
    match = re.search(re.escape(f"{rpm}:") + r" ([^/\n]*)$", out, re.MULTILINE)
    text = match[1] if match else ""
    return Verdict(ok=text.endswith("OK") and "NOT OK" not in text, text=text or out)


def createrepo_c_list(repo: Path) -> list[createrepo_c.Package]:
    """All packages of a repository directory as createrepo_c reads them, in document order.

    A warning of its parser is an ``AssertionError``.
    """
    repomd = createrepo_c.Repomd(str(repo / "repodata" / "repomd.xml"))
    hrefs = {record.type: str(repo / record.location_href) for record in repomd.records}

    def warn(kind: int, message: str) -> bool:
        msg = f"createrepo_c warns ({kind}): {message}"
        raise AssertionError(msg)

    return list(
        createrepo_c.PackageIterator(
            primary_path=hrefs["primary"],
            filelists_path=hrefs["filelists"],
            other_path=hrefs["other"],
            warningcb=warn,
        )
    )
