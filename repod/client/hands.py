"""What a run does on hosts, each time over a connection of its own."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from repod.client.bring import Record, bring, look, restore
from repod.client.fleet import Connection, Host, HostFault, Installed, Limits, Outcome, Transport, Trouble
from repod.client.restarts import settle
from repod.client.runs import Plan
from repod.client.talk import Patience, Seen
from repod.client.teller import Heard
from repod.errors import RepodError, Unavailable

_LISTING = Limits(seconds=30.0, output=1 << 22)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolHands:
    """See ``rundoors.Hands``: the hosts' package tools, over a transport. ``record`` as in ``bring``.

    ``heard`` gets what a host runs in the end, where that is wanted.
    """

    transport: Transport
    plan: Plan
    record: Record
    heard: Heard

    @property
    def _patience(self) -> Patience:
        how = self.plan.strategy
        return Patience(limit=how.limit, lock=how.lock_wait, reboot=how.reboot_within)

    def bring(
        self,
        host: Host,
        run: str,
        before: Sequence[Installed] | None,
        note: Callable[[Sequence[Installed]], object],
    ) -> Outcome:
        """See ``rundoors.Hands``; what is to be restarted then is."""

        def job(connection: Connection, seen: Seen) -> Outcome:
            aim, patience = self.plan.aim, self._patience
            outcome = bring(connection, aim, run_id=run, patience=patience, note=note, seen=seen, record=self.record)
            outcome = outcome if before is None else replace(outcome, before=before)
            return self._settled(connection, run, outcome, seen)

        return self._with(host, job)

    def look(self, host: Host) -> Outcome:
        """See ``rundoors.Hands``."""
        return self._with(host, lambda connection, _: look(connection, self.plan.aim, patience=self._patience))

    def restore(self, host: Host, run: str, before: Sequence[Installed]) -> Outcome:
        """See ``rundoors.Hands``."""

        def job(connection: Connection, seen: Seen) -> Outcome:
            outcome = restore(connection, self.plan.aim, before, run_id=run, patience=self._patience, seen=seen)
            return self._settled(connection, run, outcome, seen)

        return self._with(host, job)

    def _settled(self, connection: Connection, run: str, outcome: Outcome, seen: Seen) -> Outcome:
        strategy = self.plan.strategy
        return settle(
            connection,
            self.plan.aim,
            outcome,
            run_id=run,
            policy=strategy.restart,
            services=strategy.services,
            patience=self._patience,
            seen=seen,
        )

    def _with(self, host: Host, job: Callable[[Connection, Seen], Outcome]) -> Outcome:
        """What came of it; a host that cannot be reached is an outcome too."""
        self.heard.put(host.name, "")
        seen = Seen(counting=self.heard.wanted)
        try:
            with self.transport.connect(host) as connection:
                outcome = job(connection, seen)
                if self.heard.wanted and outcome.after:
                    with suppress(RepodError):  # it is asked once more then
                        self.heard.put(host.name, seen.packages or listed(connection, host))
                return outcome
        except HostFault as fault:
            return Outcome(proven=False, trouble=fault.trouble, text=str(fault), output=fault.output)
        except RepodError as error:
            return Outcome(proven=False, trouble=Trouble.FAILED, text=str(error))


def listed(connection: Connection, host: Host) -> str:
    """What a host runs, as ``rpm -qa`` prints it; ``Unavailable`` where it does not say."""
    ran = connection.run(["rpm", "-qa"], limits=_LISTING)
    if ran.code or ran.cut:
        raise Unavailable(f"{host.name}: rpm -qa ends with {ran.code}")
    return ran.out


def open_hands(transport: Transport, plan: Plan, record: Record, heard: Heard) -> ToolHands:
    """The hands of a plan."""
    return ToolHands(transport=transport, plan=plan, record=record, heard=heard)
