"""Opens where packages of a repository are pushed to, and what hosts read of it, as settings and daemon say."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from repod.client.fetching import Fetching
from repod.client.fresh import Fresh
from repod.client.pushing import Drop
from repod.client.settings import Repository, Settings
from repod.client.tokens import Token
from repod.errors import Misconfigured, NotFound, Refused, RepodError
from repod.package import Nevra
from repod.values import S3Place

if TYPE_CHECKING:
    from repod.client.api import Api


def repository_of(settings: Settings, name: str) -> Repository:
    """What the settings say of a repository; the defaults where they do not name it."""
    return settings.repository.get(name, Repository())


def open_drop(settings: Settings, name: str, api: "Api") -> Drop:
    """Where packages of a repository are pushed. ``Misconfigured`` where that place cannot be used."""
    inbox = repository_of(settings, name).inbox
    try:
        place = S3Place.parse(inbox)
    except ValueError as error:
        raise Misconfigured(f"[repository.{name}] inbox: {error}") from error
    if place:
        from repod.client.drops.bucket import BucketDrop  # noqa: PLC0415 - it brings boto3

        return BucketDrop(place, settings.s3.bucket())
    if inbox:
        from repod.client.drops.directory import DirectoryDrop  # noqa: PLC0415 - most pushes go elsewhere

        return DirectoryDrop(Path(inbox))
    from repod.client.drops.api import ApiDrop  # noqa: PLC0415 - as above

    return ApiDrop(api, name)


def public_url(settings: Settings, name: str, api: "Api") -> str:
    """Where hosts read a repository: as the settings say, else as the daemon does.

    ``Misconfigured`` where neither does; then what the daemon answered is said too.
    """
    if url := repository_of(settings, name).url:
        return url
    why = "the daemon does not say it"
    try:
        if url := api.state(name).url:
            return url
    except RepodError as error:
        if not repository_of(settings, name).inbox and not isinstance(error, Refused):
            raise  # where the daemon takes it in, nothing works without it
        why = str(error).splitlines()[0]
    remedy = f"set [repository.{name}] url in repoctl.toml, or use a token that may read it"
    raise Misconfigured(f"where hosts read {name} is not known ({why}); {remedy}")


def open_fresh(settings: Settings, name: str, api: "Api", token: Token | None) -> Fresh:
    """What a fresh client sees of a repository, by its public URL; signed by the keys that the settings pin, if any.

    ``token`` is shown to the daemon, where the URL is its own, and to nobody else.
    """
    keys = repository_of(settings, name).keys
    own = api.url + "/"

    def headers(url: str) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {token.text}"} if token and url.startswith(own) else {}

    fetching = Fetching(settings.s3, headers=headers, ca=settings.server.ca)
    return Fresh(public_url(settings, name, api), fetching, signed=_signed_by(keys) if keys else None)


def listed_headers(name: str, api: "Api", fresh: Callable[[], Fresh]) -> Callable[[Nevra], Sequence[str]]:
    """What ``push.Headers`` asks: the daemon, and where it does not tell, the repository as hosts see it.

    Where neither tells nothing is known: then the daemon refuses what it must when it takes it in.
    """
    silent = False

    def headers(nevra: Nevra) -> Sequence[str]:
        nonlocal silent
        if silent:
            return _seen(fresh, nevra)
        try:
            builds = api.package(name, str(nevra))["builds"]
        except NotFound:
            return ()
        except RepodError:
            silent = True  # where it did not answer once, nobody waits for it again
            return _seen(fresh, nevra)
        return [str(build["header_sha256"]) for build in builds if build["listed"] and build["header_sha256"]]

    return headers


def _seen(fresh: Callable[[], Fresh], nevra: Nevra) -> Sequence[str]:
    try:
        seen = fresh()
        return [seen.header_of(one) for one in seen.now({nevra.name}) if one.nevra == nevra]
    except RepodError:
        return ()


def _signed_by(keys: Sequence[str]) -> Callable[[bytes, bytes, bytes], bool]:
    """See ``fresh.Signed``."""

    def signed(published: bytes, data: bytes, signature: bytes) -> bool:
        from repod.signing.openpgp import armor_certificate, certificates  # noqa: PLC0415 - few pin keys
        from repod.signing.published import split_keys  # noqa: PLC0415
        from repod.signing.verify import verify_detached  # noqa: PLC0415

        for certificate in split_keys("repomd.xml.key", published):
            (components,) = certificates(certificate)
            pinned = components[0].fingerprint in keys
            if pinned and verify_detached(armor_certificate(certificate), data, signature):
                return True
        return False

    return signed
