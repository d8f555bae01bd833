"""What a package tool's exit code and output mean.

The texts are those of dnf 4, dnf 5, zypper (tried in tests), yum 3 and microdnf (from their sources), in the locale
C.UTF-8. Tools end with 0 where they did nothing, so an end that looks good proves nothing either: see
``planning.unproven``.
"""

import re
from collections.abc import Mapping, Sequence

from repod.client.fleet import Trouble
from repod.client.toolkit.asked import ToolName, Verdict

_LOCKED = 200  # dnf 4 and yum, with exit_on_lock
_ZYPPER_LOCKED = 7
# zypper: done, but a reboot (102) or a restart of zypper (103) is due, or a scriptlet failed after the package was put
# in place (107).
_ZYPPER_DONE = frozenset({0, 102, 103, 107})
TIMED_OUT = frozenset({124, 137})
"""Exit codes of ``timeout``."""

_LONGEST = 400

# In this order: a lock or a full disk explains all that follows it, a repository that cannot be read or trusted
# explains that a build is not found, a filter too.
_SIGNS: Mapping[Trouble, Sequence[str]] = {
    Trouble.LOCKED: [
        r"already locked by \d+",
        r"another copy is running as pid",
        r"holding the yum lock",
        r"System management is locked by",
        r"[Ff]ailed to obtain (rpm transaction )?lock",
        r"can't create transaction lock",
        r"waiting for transaction lock",
        r"Waiting for a lock on the system repository",
    ],
    Trouble.FULL: [
        r"No space left on device",
        r"more space needed on the",
        r"[Ii]nsufficient space",
        r"needs \d+\w* (more )?(space )?on the",
        r"Curl error \(23\)",
        r"Failed writing received data",
        r"Not enough (free |disk )*space",
        r"Disk quota exceeded",
    ],
    Trouble.UNTRUSTED: [
        r"package signing key received",
        r"Do you want to reject the key",
        r"not correct for this package",
        r"You have enabled checking of packages via GPG keys",
        r"(GPG|PGP|OpenPGP) signature verification error",
        r"[Pp]ublic key .*is not (installed|trusted)",
        r"GPG key retrieval failed",
        r"Didn't install any keys",
        r"(PGP|OpenPGP) check for package",
        r"signed with (an )?unknown key",
        r"Refusing to automatically import keys",
        r"is not signed",
        r"No public key",
        r"Failed to retrieve (GPG|PGP|OpenPGP) key",
        r"GPG check FAILED",
    ],
    Trouble.UNREADABLE: [
        r"Curl error",
        r"Status code: \d+ for",
        r"Failed to download metadata",
        r"Errors during downloading metadata",
        r"Cannot retrieve (repository )?meta",
        r"failure: repodata/",
        r"Valid metadata not found",
        r"[Mm]irrors were (already )?tried",
        r"No more mirrors to try",
        r"have not been refreshed because",
        r"Error downloading packages",
        r"Signature verification failed",
        r"checksum doesn't match",
        r"Download \(curl\) error",
        r"cannot update repo",
        r"not found on medium",
        r"Librepo error",
        r"Cannot download",
        r"Error building the cache",
    ],
    Trouble.FILTERED: [
        r"filtered out by .{1,40}filtering",
        r"matches only (excluded packages|packages excluded by)",
        r"due to versionlock",
        r"it is locked\. Use",
        r"remove lock to allow",
        r"excluded by .{1,40}(exclude|versionlock)",
    ],
    Trouble.NOT_OFFERED: [
        r"No match for argument",
        r"Unable to find a match",
        r"No package \S+ available",
        r"No provider of",
        r"No package matches",
        r"Installed package .* not available",
        r"No [Pp]ackages marked for",
        r"No packages found for",
        r"No matching packages",
    ],
    Trouble.SCRIPTLET: [
        r"%?pre(in|un|trans)?\(.*\) scriptlet failed",
        r"Error in PRE\w+ scriptlet",
        r"Error in pre-\w+ scriptlet",
        r"scriptlet failed, exit status",
    ],
    Trouble.UNMET: [
        r"nothing provides",
        r"requires .*, but none of",
        r"^\s*Problem( \d+)?: ",
        r"^Error: Package: ",
        r"conflicting requests",
        r"[Cc]ould not depsolve",
        r"conflicts with file from package",
        r"[Tt]ransaction (check|test) (error|failed)",
    ],
}


def _form(*signs: str) -> re.Pattern[str]:
    """An expression for any of them, that looks at an output of any length once.

    What may stand between two words has an end, and stays in its line: a host may print what fits almost, again and
    again, and each time all that follows would be looked at.
    """
    bounded = "|".join(signs).replace(".*", ".{0,300}").replace(r"\s*", "[ \\t]{0,40}")
    return re.compile(bounded, re.MULTILINE)


_TABLE = {trouble: _form(*signs) for trouble, signs in _SIGNS.items()}
_AFTER = _form(
    r"%?post(in|un|trans)?\(.*\) scriptlet failed",
    r"Error in POST\w+ scriptlet",
    r"Non-fatal \w+ scriptlet",
    r"Error in post-\w+",
)
_NOTHING = re.compile(r"Nothing to do|already installed|of lowest version|cannot downgrade|No packages marked for")
_SECRET = re.compile(r"(?im)^([ \t]*(?:proxy_)?(?:password|username)[ \t]*[:=][ \t]*)\S.*$")
_CREDENTIALS = re.compile(r"://[^/\s]+@")  # a password may have an @ in it: the last one ends it
_NEVER_SHOWN = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")

# Said better: the tool's own line is long, or leaves out what is likely.
_MEANS: Mapping[str, str] = {
    "signature verification error": "the index was altered, or signed by a key that the host does not trust for it",
}

_WAITING: Mapping[str, str] = {
    "waiting for transaction lock": "rpm's transaction lock",
    "Waiting for a lock on the system repository": "the lock of another dnf 5",
}
_NO_KEYS = "You have enabled checking of packages"  # what dnf begins with where rpm has no key; never which one it is
_WANTED = re.compile(r"key ID ([0-9A-Fa-f]{8,40}): NOKEY")
_PLACE = re.compile(r"^Problem repository: (\S+)", re.MULTILINE)

_REMEDY: Mapping[Trouble, str] = {
    Trouble.LOCKED: "wait until it ends, or end it",
    Trouble.FULL: "make room on the host",
    Trouble.UNTRUSTED: (
        "import the right key on the host (rpm --import FILE, after comparing its fingerprint),"
        " or pin it in repoctl.toml: [repository.NAME] keys"
    ),
    Trouble.UNREADABLE: "see whether the host reaches the URL in its .repo file, and whether repod verify is content",
    Trouble.FILTERED: "look at excludes, version locks and modules on the host",
    Trouble.NOT_OFFERED: "see whether the repository lists it and whether the host's .repo file names that repository",
    Trouble.UNMET: "name the repositories that have what it requires in [repository.NAME] bases, or publish it",
    Trouble.SCRIPTLET: "correct the scriptlet and publish a new release",
    Trouble.TIME_LIMIT: "see what it waits for on the host",
}


def cleaned(output: str) -> str:
    """Output as it may be shown and kept: without passwords, and without what steers terminals."""
    plain = _NEVER_SHOWN.sub("", output.replace("\r\n", "\n").replace("\r", "\n"))
    return _CREDENTIALS.sub("://", _SECRET.sub(r"\1…", plain))


def verdict(tool: ToolName, code: int, output: str) -> Verdict:
    """What the end of a command means; ``output`` is cleaned."""
    locked = code == (_ZYPPER_LOCKED if tool is ToolName.ZYPPER else _LOCKED)
    if code in TIMED_OUT:
        return _late(output)
    if locked:
        return _told(
            Trouble.LOCKED,
            _line(output, _TABLE[Trouble.LOCKED]) or "another process holds the lock of the package tool",
        )
    if code == 0 or (tool is ToolName.ZYPPER and code in _ZYPPER_DONE):
        return Verdict(text=warning(output))
    found = sign(output)
    return found if found.trouble else Verdict(trouble=Trouble.FAILED, text=f"exit code {code}: {last(output)}")


def sign(output: str) -> Verdict:
    """What the output tells to have gone wrong, whatever the exit code; no trouble where it tells nothing."""
    for trouble, signs in _TABLE.items():
        if line := _line(output, signs):
            return _told(trouble, _with_key(line, output) if trouble is Trouble.UNTRUSTED else line)
    return Verdict()


def _with_key(line: str, output: str) -> str:
    """A line about keys that says which one is missing, as far as the output does."""
    wanted, place = _WANTED.search(output), _PLACE.search(output)
    key = f"key {wanted[1]}" if wanted else ""
    if _NO_KEYS in line:
        of = f" of {place[1]}" if place else ""
        return f"rpm on the host has no key at all, expected {key or 'that'}{of} (repoctl keys shows it)"
    return line if not key or key[4:] in line else f"{line} (signed by {key})"


def _late(output: str) -> Verdict:
    for sign, lock in _WAITING.items():
        if sign in output:
            return _told(Trouble.LOCKED, f"waited for {lock} until its time was over")
    wrote = last(output)
    said = f"it wrote last: {wrote!r}" if wrote else "it wrote nothing"
    return _told(Trouble.TIME_LIMIT, f"it did not end in its time and was ended; {said}")


def _told(trouble: Trouble, line: str) -> Verdict:
    meaning = next((means for part, means in _MEANS.items() if part in line), "")
    if meaning:
        return Verdict(trouble=trouble, text=f"{meaning} ({line}); {_REMEDY[trouble]}")
    return Verdict(trouble=trouble, text=f"{line}; {_REMEDY[trouble]}")


def _line(output: str, signs: re.Pattern[str]) -> str:
    match = signs.search(output)
    if match is None:
        return ""
    start = output.rfind("\n", 0, match.start() + 1) + 1
    end = output.find("\n", match.end())
    line = output[start : end if end >= 0 else None]
    return " ".join(line.split()).removeprefix("Error: ")[:_LONGEST]


def last(output: str) -> str:
    """The last line that says something."""
    lines = [" ".join(line.split()) for line in output.splitlines() if line.strip()]
    return lines[-1][-_LONGEST:] if lines else ""


def warning(output: str) -> str:
    """What failed although the packages are in place: scriptlets that run after that; empty for none."""
    return _line(output, _AFTER)


def idle(output: str) -> str:
    """The line in which the tool says that it had nothing to do; empty where it says no such thing."""
    return _line(output, _NOTHING)
