"""What a run does on hosts, each time over a connection of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from repod.client.bring import Record, bring, look, restore
from repod.client.fleet import Aim, Connection, Host, HostFault, Installed, Outcome, Transport, Trouble
from repod.client.restarts import Policy, settle
from repod.client.runs import Plan
from repod.client.talk import Patience
from repod.errors import RepodError


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolHands:
    """See ``rollout.Hands``: the hosts' package tools, over a transport.

    ``record`` as in ``bring``, ``restart`` and ``services`` as in ``restarts.settle``.
    """

    transport: Transport
    aim: Aim
    patience: Patience
    record: Record
    restart: Policy = "report"
    services: Sequence[str] = ()

    def bring(self, host: Host, run: str, note: Callable[[Sequence[Installed]], object]) -> Outcome:
        """See ``rollout.Hands``."""

        def job(connection: Connection) -> Outcome:
            outcome = bring(connection, self.aim, run_id=run, patience=self.patience, note=note, record=self.record)
            return self._settled(connection, run, outcome)

        return self._with(host, job)

    def look(self, host: Host) -> Outcome:
        """See ``rollout.Hands``."""
        return self._with(host, lambda connection: look(connection, self.aim, patience=self.patience))

    def restore(self, host: Host, run: str, before: Sequence[Installed]) -> Outcome:
        """See ``rollout.Hands``."""

        def job(connection: Connection) -> Outcome:
            outcome = restore(connection, self.aim, before, run_id=run, patience=self.patience)
            return self._settled(connection, run, outcome)

        return self._with(host, job)

    def _settled(self, connection: Connection, run: str, outcome: Outcome) -> Outcome:
        return settle(
            connection,
            self.aim,
            outcome,
            run_id=run,
            policy=self.restart,
            services=self.services,
            patience=self.patience,
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
    how = plan.strategy
    patience = Patience(limit=how.limit, lock=how.lock_wait, reboot=how.reboot_within)
    return ToolHands(
        transport=transport,
        aim=plan.aim,
        patience=patience,
        record=record,
        restart=how.restart,
        services=how.services,
    )
