"""The settings of the audit log."""

from repod.values import Section


class Audit(Section):
    """``[audit]``: where changes are written down; an empty ``file``: nowhere."""

    file: str = ""
