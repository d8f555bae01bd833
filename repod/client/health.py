"""Whether hosts do their work after an update: a command on the host, a URL, a query of Prometheus, a command here."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from repod.client.fleet import Host, HostFault, Limits, Transport, Trouble
from repod.client.inventory.program import without_token
from repod.client.rolling import Query, Rollout, fill, fits
from repod.client.waves import Wave
from repod.errors import Misconfigured, Unavailable, Unfit

_TRY_SECONDS = 10.0
_COMMAND_SECONDS = 60.0
_PAUSE = 1.0
_TICK = 0.2
_SAMPLES = 10
"""How often at least a query is asked in the time for which its answer must hold."""

_SHOWN = 300


class Checks:
    """The checks of a group. May be used by many threads."""

    def __init__(
        self,
        strategy: Rollout,
        transport: Transport,
        *,
        environ: Mapping[str, str],
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``environ``: what the command that checks a wave gets."""
        self._strategy = strategy
        self._transport = transport
        self._environ = environ
        self._sleep = sleep
        self._clock = clock

    def host(self, host: Host) -> None:
        """See ``rundoors.Health``: each check is tried again until it succeeds, for ``check_within`` seconds."""
        if self._strategy.check:
            self._again(lambda seconds: self._command(host, seconds))
        if self._strategy.check_http:
            url = fill(self._strategy.check_http, host=host.name, address=host.address)
            self._again(lambda seconds: self._ask(url, seconds))

    def wave(self, wave: Wave, run: str, go_on: Callable[[], object]) -> None:
        """See ``rundoors.Health``."""
        check = self._strategy.wave_check
        if isinstance(check, Query):
            self._query(check, go_on)
        elif check:
            self._here(check, wave, run, go_on)

    # ------------------------------------------------------------------ hosts

    def _again(self, check: Callable[[float], None]) -> None:
        """Until it raises nothing more; ``check`` is given how long it may take. The last fault is what is told."""
        end = self._clock() + self._strategy.check_within
        while True:
            try:
                return check(max(_PAUSE, min(_COMMAND_SECONDS, end - self._clock())))
            except HostFault:
                if self._clock() + _PAUSE > end:
                    raise
            self._sleep(_PAUSE)

    def _command(self, host: Host, seconds: float) -> None:
        words = self._strategy.check or ()
        told = words[-1] if list(words[:2]) == ["sh", "-c"] else " ".join(words)
        with self._transport.connect(host) as connection:
            ran = connection.run(words, limits=Limits(seconds=seconds))
        if ran.code:
            said = _end(ran.err) or _end(ran.out)
            text = f"check {told!r} ends with {ran.code}, expected 0" + (f": {said}" if said else "")
            raise HostFault(Trouble.UNHEALTHY, text, output=ran.out + ran.err)

    def _ask(self, url: str, seconds: float) -> None:
        expected = self._strategy.check_status
        try:
            answer = httpx.get(url, timeout=min(seconds, _TRY_SECONDS), follow_redirects=False)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise HostFault(
                Trouble.UNHEALTHY, f"{url} does not answer ({_reason(error)}), expected {expected}"
            ) from error
        if answer.status_code != expected:
            text = f"{url} answers {answer.status_code}, expected {expected}"
            raise HostFault(Trouble.UNHEALTHY, text, output=answer.text[:_SHOWN])

    # ------------------------------------------------------------------ waves

    def _here(self, words: Sequence[str], wave: Wave, run: str, go_on: Callable[[], object]) -> None:
        told = {"REPOCTL_RUN": run, "REPOCTL_WAVE": str(wave.number), "REPOCTL_HOSTS": " ".join(wave.hosts)}
        try:
            process = subprocess.Popen(
                words,
                env={**without_token(self._environ), **told},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,  # Ctrl-C is for the run, which ends in its own time
            )
        except OSError as error:
            raise Unfit(f"wave_check {words[0]!r} cannot be run here ({error.strerror})") from error
        with process:
            try:
                out, err = self._ended(process, words, go_on)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        if process.returncode:
            said = _end(err) or _end(out)
            text = f"wave_check {words[-1]!r} ends with {process.returncode}, expected 0"
            raise Unfit(text + (f": {said}" if said else ""))

    def _ended(
        self, process: "subprocess.Popen[str]", words: Sequence[str], go_on: Callable[[], object]
    ) -> tuple[str, str]:
        """What it wrote, when it has ended."""
        end = self._clock() + self._strategy.limit
        while True:
            go_on()
            try:
                return process.communicate(timeout=_TICK)
            except subprocess.TimeoutExpired:
                if self._clock() > end:
                    msg = f"wave_check {words[-1]!r} did not end within {self._strategy.limit:g} s"
                    raise Unfit(msg) from None

    def _query(self, query: Query, go_on: Callable[[], object]) -> None:
        """Every answer in the time for which it must hold is as expected; one that is not had is asked for again."""
        end, silent_since = self._clock() + query.lasting, None
        while True:
            try:
                self._fitting(query, self._numbers(query))
                silent_since = None
            except Unavailable:
                silent_since = silent_since or self._clock()
                if self._clock() - silent_since >= self._strategy.check_within:
                    raise
            if silent_since is None and self._clock() >= end:
                return
            self._rest(max(_PAUSE, query.lasting / _SAMPLES), go_on)

    def _rest(self, seconds: float, go_on: Callable[[], object]) -> None:
        end = self._clock() + seconds
        while (left := end - self._clock()) > 0:
            go_on()
            self._sleep(min(left, _TICK))

    def _fitting(self, query: Query, numbers: Mapping[str, float]) -> None:
        if not numbers:
            raise Unfit(f"{query.query!r} has no sample in {query.url}; expected {query.expect}")
        for labels, number in numbers.items():
            if not fits(query.expect, number):
                raise Unfit(f"{query.query!r} is {number:g}{labels}, expected {query.expect}")

    def _numbers(self, query: Query) -> Mapping[str, float]:
        """The numbers that Prometheus answers, by their labels; ``Unavailable`` where it does not."""
        url = f"{query.url.rstrip('/')}/api/v1/query"
        try:
            answer = httpx.post(url, data={"query": query.query}, headers=_token(query), timeout=_TRY_SECONDS)
            body: Any = answer.json()
            if answer.status_code != httpx.codes.OK:
                problem = f"{url} answers {answer.status_code} ({body.get('error', '')}); correct wave_check"
                raise (Unfit if answer.is_client_error else Unavailable)(problem)
            return _samples(body["data"])
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(f"{url} does not answer ({_reason(error)})") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unavailable(f"{url} answers as no Prometheus does ({_reason(error)})") from error


def _samples(data: Mapping[str, Any]) -> Mapping[str, float]:
    if data["resultType"] == "scalar":
        return {"": float(data["result"][1])}
    if data["resultType"] != "vector":
        raise Unfit(f"expected a query whose answer is a number or an instant vector, found {data['resultType']}")
    return {_labels(one["metric"]): float(one["value"][1]) for one in data["result"]}


def _labels(metric: Mapping[str, str]) -> str:
    return " of " + ", ".join(f"{key}={value}" for key, value in sorted(metric.items())) if metric else ""


def _token(query: Query) -> Mapping[str, str]:
    if not query.token_file:
        return {}
    try:
        return {"Authorization": f"Bearer {Path(query.token_file).read_text(encoding='ascii').strip()}"}
    except (OSError, ValueError) as error:
        raise Misconfigured(f"wave_check: token_file {query.token_file} cannot be read ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _end(text: str) -> str:
    """The last line, for a message."""
    return (text.strip().splitlines() or [""])[-1][:_SHOWN]
