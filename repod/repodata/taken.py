"""What of another repository's carried documents comes along with packages: ``Papers``."""

from collections.abc import Collection, Mapping

from repod.doors import Edit
from repod.package import Nevra
from repod.repodata import bulletins, comps, modules, updateinfo
from repod.repodata.carried import MergeAdvisories, MergeModules, SetDocument


class TakenDocuments:
    """See ``Papers``."""

    modules = modules.TYPE

    def advisories(self, documents: Mapping[str, bytes]) -> Mapping[str, Collection[Nevra]]:
        """See ``Papers.advisories``."""
        data = documents.get(updateinfo.TYPE)
        return updateinfo.references(data) if data else {}

    def with_advisories(self, documents: Mapping[str, bytes], ids: Collection[str]) -> Edit:
        """See ``Papers.with_advisories``."""
        data = updateinfo.only(documents[updateinfo.TYPE], ids)
        return MergeAdvisories(ids=tuple(bulletins.ids_of(data)), data=data)

    def with_modules(
        self, documents: Mapping[str, bytes], packages: Collection[Nevra], present: bytes | None
    ) -> Edit | None:
        """See ``Papers.with_modules``."""
        data = modules.of(documents.get(modules.TYPE, b""), packages, present)
        return MergeModules(data=data) if data else None

    def whole(self, documents: Mapping[str, bytes]) -> list[Edit]:
        """See ``Papers.whole``."""
        edits: list[Edit] = []
        if comps.TYPE in documents:
            edits.append(SetDocument(type=comps.TYPE, data=documents[comps.TYPE]))
        if modules.TYPE in documents:
            edits.append(MergeModules(data=documents[modules.TYPE]))
        if updateinfo.TYPE in documents:
            edits.append(self.with_advisories(documents, bulletins.ids_of(documents[updateinfo.TYPE])))
        return edits
