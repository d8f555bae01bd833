"""A signing key with a passphrase in a GnuPG home directory, ready for a burst."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from repod.config import Signing
from tests.lab.keys import Key, end_agent, export, generate, gnupghome

PASSPHRASE = "correct horse battery staple"


@contextmanager
def keyring(folder: Path, algorithm: str) -> Iterator[tuple[Signing, Key]]:
    """``[signing]`` over a key in a GnuPG home directory, with its passphrase in a file; no agent runs."""
    secret = folder / "passphrase"
    secret.write_text(PASSPHRASE + "\n")
    with gnupghome() as home:
        # The agent makes guessing take 0.1 s, and every use of the key with it; a burst would take minutes.
        (home / "gpg-agent.conf").write_text("s2k-count 65536\n")
        found = export(home, generate(home, algorithm, passphrase=PASSPHRASE), passphrase=PASSPHRASE)
        end_agent(home)
        (home / "gpg-agent.conf").unlink()
        yield Signing(key=f"gpg:{found.fingerprint}", gnupghome=str(home), passphrase_file=str(secret)), found
