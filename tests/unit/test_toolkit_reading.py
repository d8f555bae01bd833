"""What package tools write, and what it means.

The texts of dnf 4 and zypper are from runs of theirs (and tests/system/test_bring.py meets them anew); those of
dnf 5, yum 3 and microdnf are put together from their sources and from public logs: these tests have no such host.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from repod.client.fleet import HostFault, Ran, Trouble
from repod.client.toolkit.asked import ToolName
from repod.client.toolkit.facts import framed
from repod.client.toolkit.reading import cleaned, idle, sign, verdict

DNF, DNF5, YUM, MICRODNF, ZYPPER = ToolName
_TEXTS = tomllib.loads(Path(__file__).with_name("toolkit_texts.toml").read_text())["text"]


@pytest.mark.parametrize("text", _TEXTS, ids=lambda text: f"{text['tool']}-{text['part']}")
def test_each_failure_is_recognised_and_said_with_what_to_do(text: Mapping[str, Any]) -> None:
    found = verdict(ToolName(text["tool"]), text["code"], text["output"])
    assert found.trouble == text["trouble"]
    assert text["part"] in found.text
    assert "\n" not in found.text
    assert found.trouble is Trouble.FAILED or "; " in found.text  # a remedy follows


@pytest.mark.parametrize("tool", [DNF, DNF5, YUM, MICRODNF])
def test_only_zero_is_an_end_without_a_complaint(tool: ToolName) -> None:
    assert verdict(tool, 0, "Complete!").trouble is None
    for code in (1, 3, 100, 102, 127):
        assert verdict(tool, code, "").trouble is Trouble.FAILED


def test_zypper_says_by_its_exit_code_that_a_restart_is_due_after_it_was_done() -> None:
    assert [verdict(ZYPPER, code, "").trouble for code in (0, 102, 103, 107)] == [None] * 4


def test_a_scriptlet_that_fails_after_its_package_is_in_place_is_a_warning() -> None:
    output = (
        "warning: %post(bad-post-1.0-1.noarch) scriptlet failed, exit status 3\n"
        "Error in POSTIN scriptlet in rpm package bad-post\nComplete!\n"
    )
    found = verdict(DNF, 0, output)
    assert found.trouble is None
    assert found.text == "warning: %post(bad-post-1.0-1.noarch) scriptlet failed, exit status 3"


def test_an_end_with_zero_that_did_nothing_tells_why_where_it_can() -> None:
    done_nothing = (
        "Failed to download metadata for repo 'lab-prod': Curl error (7)\nDependencies resolved.\nNothing to do.\n"
    )
    assert sign(done_nothing).trouble is Trouble.UNREADABLE
    assert sign("Dependencies resolved.\nNothing to do.\nComplete!\n").trouble is None
    assert idle("Dependencies resolved.\nNothing to do.\nComplete!\n") == "Nothing to do."
    assert idle("Package foo of lowest version already installed, cannot downgrade it.\n").startswith("Package foo")


def test_output_is_shown_without_passwords_and_without_what_steers_terminals() -> None:
    text = cleaned(
        "username: ann\npassword: s3cret word\nproxy_password = x\nbaseurl: http://ann:s3cret@host/\n\x1b[31mred\x1b[0m\r\n\x07"
    )
    assert "s3cret" not in text
    assert "ann" not in text
    assert text == "username: …\npassword: …\nproxy_password = …\nbaseurl: http://host/\nred\n"


@pytest.mark.parametrize(
    "line",
    [
        "state\tended\t",
        "state\tended",
        "state",
        "state\tput",
        "lock\tpid\tdnf\t/run/dnf.pid",
        "step\tforth1-x",
        "package\tfoo\tnone\t1\t1\tnoarch\t",
        f"package\tfoo\t{'9' * 5000}\t1\t1\tnoarch\t",
    ],
)
def test_a_host_that_answers_what_its_script_does_not_is_a_fault_of_that_host(line: str) -> None:
    out = f"noise\n@@repod-begin@@\n{line}\n@@repod-end@@\n"
    with pytest.raises(HostFault, match=r"the host answers what host\.sh does not: ") as caught:
        framed(Ran(code=0, out=out))
    assert caught.value.trouble is Trouble.FAILED
    assert len(str(caught.value)) < 300
