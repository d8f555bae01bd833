"""Whether the key that a host shows is the one that is known; if not, who is told what to do."""

from collections.abc import Sequence

import paramiko

from repod.client.fleet import HostFault, Trouble
from repod.client.transports.known import Known, fingerprint
from repod.client.transports.route import Route

_PORT = 22


def judge(route: Route, lines: Sequence[Known], key: paramiko.PKey) -> None:
    """``HostFault`` with HOST_KEY where ``key`` is revoked, another than the known one, or none is known.

    ``lines``: what is known of the host at the end of the route. The fault's ``output`` is the line that would make
    the key known.
    """
    blob, kind = key.asbytes(), key.get_name()
    shown = f"{kind} {fingerprint(blob)}"
    same = [one for one in lines if one.blob == blob]
    revoked = [one for one in same if one.marker == "@revoked"]
    if revoked:
        _refuse(
            route, key, f"it shows {shown}, which {revoked[0].place} revokes; do not connect before it has a new one"
        )
    plain = [one for one in lines if not one.marker]
    if any(one in plain for one in same):
        return
    # Another key of the same kind is the one that was changed; one of another kind is all that is known else.
    others = [one for one in plain if one.kind == kind] or plain
    if others:
        _refuse(route, key, _changed(route, shown, others[0]))
    _refuse(route, key, _unknown(route, shown, kind, lines))


def _refuse(route: Route, key: paramiko.PKey, text: str) -> None:
    line = f"{route.known_as} {key.get_name()} {key.get_base64()}"
    raise HostFault(Trouble.HOST_KEY, f"{route.name}: {text}", output=line)


def _changed(route: Route, shown: str, other: Known) -> str:
    file = other.place.rpartition(":")[0]
    return (
        f"its host key has changed: {other.place} knows {other.shown}, it shows {shown}; it was set up anew, or "
        f"somebody else answers in its place. If you know that it was, remove the old one with "
        f"ssh-keygen -R '{route.known_as}' -f {file}, and add the new one"
    )


def _unknown(route: Route, shown: str, kind: str, lines: Sequence[Known]) -> str:
    files = " and ".join(map(str, route.known_hosts[:1])) or "known_hosts"
    authorities = [one.place for one in lines if one.marker == "@cert-authority"]
    if authorities:
        return (
            f"it shows {shown}; {authorities[0]} trusts a certificate authority for it, which repoctl does not "
            f"heed: add the host's own key to {files}"
        )
    if route.jumps:
        how = f"ssh -J {','.join(map(str, route.jumps))} {route} and answer yes"
    else:
        port = "" if route.port == _PORT else f"-p {route.port} "
        how = f"ssh-keyscan -t {kind.removeprefix('ssh-').split('-')[0]} {port}{route.address} >>{files}"
    return (
        f"its host key is not known: it shows {shown}; compare that with "
        f"ssh-keygen -lf /etc/ssh/ssh_host_{_file(kind)}_key.pub on the host, and if it is the same, add it: {how}"
    )


def _file(kind: str) -> str:
    """As sshd names the files of its keys."""
    return next((name for name in ("ed25519", "ecdsa", "rsa") if name in kind), "*")
