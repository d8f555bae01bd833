"""Settings of rollouts: what is taken, what is refused, what the command line changes."""

from typing import Any

import pytest
from pydantic import ValidationError

from repod.client.rolling import Query, Rollout, fill, fits


def test_without_settings_one_canary_comes_first_and_a_tenth_may_fail() -> None:
    found = Rollout()
    assert (found.canary, found.wave, found.max_failures, found.on_failure, found.downgrade) == (
        1,
        "25%",
        "10%",
        "stop",
        "all",
    )


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("wave", 5, "5"),
        ("max_failures", "0", "0"),
        ("pause", "5m", 300.0),
        ("check", "systemctl is-active web", ["sh", "-c", "systemctl is-active web"]),
        ("check", ["curl", "-f", "http://localhost"], ["curl", "-f", "http://localhost"]),
        ("wave_check", "./errors.sh", ["sh", "-c", "./errors.sh"]),
    ],
)
def test_a_setting_is_taken_in_each_of_its_forms(key: str, value: Any, found: Any) -> None:
    assert getattr(Rollout.model_validate({key: value}), key) == found


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("wave", "0", "at least one host"),
        ("wave", "0%", "at least one host"),
        ("wave", "150%", "at most 100%"),
        ("max_failures", "some", "found 'some'"),
        ("check_http", "http://localhost/health", "{host} or {address}"),
        ("check_http", "ftp://{host}/", "{host} or {address}"),
        ("check_http", "http://{name}/", "{host} or {address}"),
        ("wave_check", {"url": "http://p:9090", "query": "up", "expect": "small"}, "expected a comparison"),
        ("check", "", "an empty text"),
        ("rings", ["a", "a"], "each group once"),
        ("canaries", 1, "Extra inputs"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_with_its_reason(key: str, value: Any, fault: str) -> None:
    with pytest.raises(ValidationError, match=fault.replace("{", r"\{")):
        Rollout.model_validate({key: value})


def test_what_the_command_line_says_stands_in_place_of_the_settings() -> None:
    query = {"url": "http://p:9090", "query": "errors", "expect": "< 0.01", "for": "1m"}
    found = Rollout.model_validate({"canary": 2, "wave": "10%", "wave_check": query}).over(
        {"canary": 0, "wave": None, "check": "true"}
    )
    assert (found.canary, found.wave, found.check) == (0, "10%", ["sh", "-c", "true"])
    assert isinstance(found.wave_check, Query)
    assert found.wave_check.lasting == 60


def test_an_address_of_ipv6_is_put_in_brackets() -> None:
    assert fill("http://{address}:80/{host}", host="web1", address="fd00::1") == "http://[fd00::1]:80/web1"


@pytest.mark.parametrize(
    ("expect", "number", "fit"),
    [
        ("< 0.01", 0.0, True),
        ("< 0.01", 0.01, False),
        (">=1", 1, True),
        ("== 3", 3, True),
        ("!= 0", float("nan"), False),
    ],
)
def test_a_number_is_as_expected_or_not_and_what_is_no_number_never_is(expect: str, number: float, fit: bool) -> None:
    assert fits(expect, number) is fit
