"""Joins settings and audit log: where changes are written down."""

import time
from pathlib import Path

from repod.auditlog.file import AuditFile
from repod.config import Settings
from repod.loop import Log
from repod.office import Record, Unrecorded


def open_record(settings: Settings, log: Log) -> Record:
    """The audit log that the settings name; ``log`` is told what was found wrong with its file."""
    if not settings.audit.file:
        return Unrecorded()

    def hear(text: str) -> None:
        log.error("audit log", problem=text)

    return AuditFile(Path(settings.audit.file), time.time, hear)
