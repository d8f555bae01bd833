"""A run as JUnit XML, which CI systems show: a test case for each host."""

from xml.sax.saxutils import escape, quoteattr

from repod.client.runs import Standing, document
from repod.reports import HostProgress, Rollout


def junit(standing: Standing) -> str:
    """The document. A host that is not proven is a failure; one that the run did not come to is skipped."""
    report = document(standing)
    cases = "".join(_case(report, host, standing.hosts[host.host].output) for host in report.hosts)
    skipped = sum(host.state == "untouched" for host in report.hosts)
    failures = sum(host.state not in {"proven", "untouched"} for host in report.hosts)
    seconds = (report.ended - report.started).total_seconds() if report.ended else 0.0
    head = (
        f'name={_attribute(report.id)} tests="{len(report.hosts)}" failures="{failures}" errors="0" '
        f'skipped="{skipped}" time="{seconds:.1f}" timestamp={_attribute(report.started.isoformat())}'
    )
    told = f"<system-out>{_text(report.problem)}</system-out>\n" if report.problem else ""
    suite = f"<testsuite {head}>\n{cases}{told}</testsuite>\n"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n{suite}</testsuites>\n'


def _case(report: Rollout, host: HostProgress, output: str) -> str:
    name = "canaries" if host.wave == 0 else f"wave {host.wave}"
    head = (
        f'classname={_attribute(f"{report.group}.{name}")} name={_attribute(host.host)} time="{host.seconds or 0:.1f}"'
    )
    if host.state == "proven":
        proof = f"{host.before or 'nothing'} -> {host.after} header {host.header_sha256}"
        return f"<testcase {head}><system-out>{_text(proof)}</system-out></testcase>\n"
    if host.state == "untouched":
        return f"<testcase {head}><skipped message={_attribute(report.problem)}/></testcase>\n"
    kind, text = host.trouble or host.state, host.problem or host.state
    body = f"<failure type={_attribute(kind)} message={_attribute(f'{host.state}: {text}')}>{_text(output)}</failure>"
    return f"<testcase {head}>{body}</testcase>\n"


def _clean(text: str) -> str:
    """Without what XML cannot hold."""
    return "".join(char if char in "\t\n" or char.isprintable() else "\ufffd" for char in text)


def _text(text: str) -> str:
    return escape(_clean(text))


def _attribute(text: str) -> str:
    return quoteattr(_clean(text).replace("\n", " "))
