"""What a first repository needs: a settings file, folders, a key, and for the demo a package to install."""

from pathlib import Path

import rpm_rs

from repod.errors import Misconfigured

_TEMPLATE = """\
# Settings of repod. Every key with its default and unit: config/repod.toml in repod's sources.
# Relative places are relative to this file. Check it with: repod check -c {path}

state_dir = "state"                      # caches only: may be deleted at any time

[http]
listen = "{listen}"               # serves the repositories, status pages, the API, /metrics, /healthz, /readyz
tokens = "tokens.json"                   # who may upload and change over HTTP: repod token add NAME --may upload

[audit]
file = "audit.jsonl"                     # who changed what; see it: repod audit list, prove it: repod audit verify

[signing]
key = "signing-key.asc"                  # or "gpg:FINGERPRINT", "command:/usr/bin/sign-it", "credential:NAME"

[[repository]]
name = "{name}"
inbox = "inbox/{name}"                   # drop RPMs here
store = "www/{name}"                     # hosts read this
arches = ["x86_64", "aarch64", "noarch"]
duplicates = "reject"                    # a published NEVRA keeps its bytes

# Older builds than the newest 5 of a name and architecture are let go; what would: repod prune {name} --dry-run
#[repository.retention]
#keep = 5
"""


def write_settings(folder: Path, name: str, listen: str) -> Path:
    """Make ``folder`` with ``repod.toml`` and the folders it names; ``Misconfigured`` where there is one."""
    path = folder / "repod.toml"
    if path.exists():
        msg = f"{path} is there already; expected a new folder: give another one, or edit that file"
        raise Misconfigured(msg)
    try:
        for part in ("state", f"inbox/{name}", f"www/{name}"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        path.write_text(_TEMPLATE.format(path=path, name=name, listen=listen))
    except OSError as error:
        msg = f"{folder} cannot be written ({error}); give a folder where repod may write"
        raise Misconfigured(msg) from error
    return path


def write_key(folder: Path, secret: bytes) -> Path:
    """Keep the secret key beside the settings, readable by its owner only."""
    path = folder / "signing-key.asc"
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(secret)
    return path


def write_pair(path: Path, secret: bytes, public: bytes) -> Path:
    """Keep a key in new files: the secret part, its owner's alone, and beside it the public part, at the answer."""
    beside = path.with_name(f"{path.name}.pub")
    try:
        for file, data, mode in ((path, secret, 0o600), (beside, public, 0o644)):
            file.touch(mode=mode, exist_ok=False)
            file.write_bytes(data)
    except OSError as error:
        msg = (
            f"{error.filename} cannot be made ({error.strerror}); give the path of a new file in a folder you may write"
        )
        raise Misconfigured(msg) from error
    return beside


def sample_package(folder: Path, name: str, version: str, release: str) -> Path:
    """Build a small real RPM that installs one text file, and put it into ``folder`` at once, whole."""
    builder = rpm_rs.PackageBuilder(name, version, "GPL-2.0-or-later", "noarch")
    builder.using_config(rpm_rs.BuildConfig(format=rpm_rs.RpmFormat.V4, compression=rpm_rs.CompressionType.Gzip))
    builder.release(release)
    builder.description("A package to try repod with: it installs one text file.")
    text = f"{name} {version}-{release}, installed from a repod repository.\n"
    builder.with_file_contents(text.encode(), rpm_rs.FileOptions.new(f"/usr/share/{name}/README"))
    package = builder.build()
    target = folder / f"{name}-{version}-{release}.noarch.rpm"
    stage = folder / f".{target.name}.part"
    package.write_file(str(stage))
    stage.replace(target)
    return target
