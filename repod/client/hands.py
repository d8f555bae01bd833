"""What a run does on hosts, each time over a connection of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from repod.client.bring import Record, bring, look, restore
from repod.client.fleet import Connection, Host, HostFault, Installed, Outcome, Transport, Trouble
from repod.client.restarts import settle
from repod.client.runs import Plan
from repod.client.talk import Patience
from repod.errors import RepodError


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolHands:
    """See ``rundoors.Hands``: the hosts' package tools, over a transport. ``record`` as in ``bring``."""

    transport: Transport
    plan: Plan
    record: Record

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

        def job(connection: Connection) -> Outcome:
            outcome = bring(
                connection, self.plan.aim, run_id=run, patience=self._patience, note=note, record=self.record
            )
            return self._settled(connection, run, outcome if before is None else replace(outcome, before=before))

        return self._with(host, job)

    def look(self, host: Host) -> Outcome:
        """See ``rundoors.Hands``."""
        return self._with(host, lambda connection: look(connection, self.plan.aim, patience=self._patience))

    def restore(self, host: Host, run: str, before: Sequence[Installed]) -> Outcome:
        """See ``rundoors.Hands``."""

        def job(connection: Connection) -> Outcome:
            outcome = restore(connection, self.plan.aim, before, run_id=run, patience=self._patience)
            return self._settled(connection, run, outcome)

        return self._with(host, job)

    def _settled(self, connection: Connection, run: str, outcome: Outcome) -> Outcome:
        strategy = self.plan.strategy
        return settle(
            connection,
            self.plan.aim,
            outcome,
            run_id=run,
            policy=strategy.restart,
            services=strategy.services,
            patience=self._patience,
        )

    def _with(self, host: Host, job: Callable[[Connection], Outcome]) -> Outcome:
        """What came of it; a host that cannot be reached is an outcome too."""
        try:
            with self.transport.connect(host) as connection:
                return job(connection)
        except HostFault as fault:
            return Outcome(proven=False, trouble=fault.trouble, text=str(fault), output=fault.output)
        except RepodError as error:
            return Outcome(proven=False, trouble=Trouble.FAILED, text=str(error))


def open_hands(transport: Transport, plan: Plan, record: Record) -> ToolHands:
    """The hands of a plan."""
    return ToolHands(transport=transport, plan=plan, record=record)
