"""The targets, by name."""

from collections.abc import Mapping

from tests.fuzz.core import Target
from tests.fuzz.targets.packages import PACKAGES

TARGETS: Mapping[str, Target] = {target.name: target for target in (PACKAGES,)}
