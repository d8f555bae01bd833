"""The targets, by name."""

from collections.abc import Mapping

from tests.fuzz.core import Target
from tests.fuzz.targets.adoption import ADOPTION
from tests.fuzz.targets.answers import ANSWERS
from tests.fuzz.targets.documents import DOCUMENTS
from tests.fuzz.targets.events import EVENTS
from tests.fuzz.targets.hosts import HOSTS
from tests.fuzz.targets.http import HTTP
from tests.fuzz.targets.keys import KEYS
from tests.fuzz.targets.packages import PACKAGES
from tests.fuzz.targets.records import RECORDS
from tests.fuzz.targets.settings import SETTINGS

TARGETS: Mapping[str, Target] = {
    target.name: target
    for target in (PACKAGES, DOCUMENTS, ADOPTION, EVENTS, SETTINGS, HTTP, RECORDS, HOSTS, ANSWERS, KEYS)
}
