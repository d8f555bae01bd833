"""The settings of the listener: where it listens, by which certificate, and who may read."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from repod.values import Seconds, Section, address

LOOPBACK = ("127.", "localhost:", "[::1]:", "::1:")
_LONGEST_LINK = 7 * 86400  # what S3 takes


class Http(Section):
    """``[http]``: the one listener for repositories, metrics and health."""

    listen: Annotated[str, AfterValidator(address)] = "127.0.0.1:8470"
    tls_certificate: str = ""
    tls_key: str = ""
    tls_client_ca: str = ""
    proxies: Sequence[str] = ("127.0.0.1", "::1")
    hosts: Sequence[str] = ()
    access: Literal["open", "readers"] = "open"
    tokens: str = ""
    passwords: str = ""
    metrics: Literal["auto", "open", "readers"] = "auto"
    accel: Annotated[str, Field(pattern=r"^(/([A-Za-z0-9._~-]+/)+)?$")] = ""
    pages: Literal["auto", "open", "readers", "off"] = "auto"
    host_names: Literal["auto", "open", "readers"] = "auto"
    links: Annotated[Seconds, Field(ge=1, le=_LONGEST_LINK)] = 300.0

    @property
    def host(self) -> str:
        """The address part; brackets of an IPv6 address are taken off."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port part; 0 lets the kernel choose."""
        return int(self.listen.rpartition(":")[2])

    @property
    def scheme(self) -> str:
        """``http``, or ``https`` where there is a certificate."""
        return "https" if self.tls_certificate else "http"

    @property
    def bound(self) -> Mapping[str, object]:
        """What holds from start to end: the address, and how connections to it begin."""
        return {
            "listen": self.listen,
            "tls_client_ca": self.tls_client_ca,
            "proxies": self.proxies,
        }

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return self.listen.startswith(LOOPBACK)

    @property
    def metrics_open(self) -> bool:
        """Whether ``/metrics`` is answered without credentials; ``auto``: as repositories are."""
        return self.metrics == "open" or (self.metrics == "auto" and self.access == "open")

    @property
    def host_names_open(self) -> bool:
        """Whether names of hosts are told to whoever reads a repository; ``auto``: where nobody can be known."""
        nobody = not (self.tokens or self.passwords or self.tls_client_ca)
        return self.host_names == "open" or (self.host_names == "auto" and nobody)

    def at(self, port: int) -> "Http":
        """The same with the port that the kernel chose."""
        return self.model_copy(update={"listen": f"{self.listen.rpartition(':')[0]}:{port}"})

    @model_validator(mode="after")
    def _whole(self) -> "Http":
        faults = list(_halves(self))
        if faults:
            raise ValueError("\n".join(faults))
        return self


def _halves(http: Http) -> Iterator[str]:
    """Settings that do not work without another one."""
    if bool(http.tls_certificate) != bool(http.tls_key):
        there, missing = ("tls_certificate", "tls_key") if http.tls_certificate else ("tls_key", "tls_certificate")
        yield f"{there} is given and {missing} is not; give both, or none"
    if http.tls_client_ca and not http.tls_certificate:
        yield "tls_client_ca needs tls_certificate and tls_key: client certificates are part of TLS"
    closed = [what for what in ("access", "metrics", "pages", "host_names") if getattr(http, what) == "readers"]
    if closed and not (http.tokens or http.passwords or http.tls_client_ca):
        yield f"{closed[0]} = 'readers' lets nobody in; give at least one of tokens, passwords and tls_client_ca"
