"""Who guesses tokens must wait, whatever he guesses at and says of his address; nobody else does."""

from pathlib import Path

import httpx

from tests.lab.daemon import Repod
from tests.lab.rpms import quick
from tests.lab.uploads import token
from tests.lab.wait import until

_API = "/api/v1/repositories/test/rollbacks"


def _status(repod: Repod, secret: str, client: str, *, form: bool = False) -> int:
    headers = {"X-Forwarded-For": client}
    if form:
        # The form comes back with what is wrong: with 401 a browser would ask for a password.
        answer = httpx.post(f"{repod.url}/r/test/generations/1", data={"token": secret}, headers=headers, timeout=20)
        assert answer.status_code == 403, answer.text
        return 429 if "too many failures from your address" in answer.text else 401
    headers["Authorization"] = f"Bearer {secret}"
    return httpx.post(repod.url + _API, json={"dry_run": True}, headers=headers, timeout=20).status_code


def test_behind_a_proxy_of_the_settings_each_client_is_counted_by_itself(tmp_path: Path, key_file: Path) -> None:
    with Repod(tmp_path, key_file, settings={"http": {"tokens": "tokens.json"}}) as repod:
        secret = token(repod, "--may", "rollback")
        quick(repod.inbox(), "hello")
        until(lambda: repod.find_events("published"), 30, "a second generation, so that there is a form")
        guesses = [_status(repod, f"repod_guess{number}", "192.0.2.1", form=number % 2 == 0) for number in range(12)]
        assert guesses == [401] * 10 + [429] * 2
        assert _status(repod, "repod_guess", "192.0.2.1", form=True) == 429
        assert _status(repod, "repod_guess", "192.0.2.2") == 401
        # Who has a right token is let in, whoever guesses from the same address.
        assert _status(repod, secret, "192.0.2.1") not in {401, 403, 429}


def test_without_a_proxy_nobody_is_believed_that_he_is_another_one(tmp_path: Path, key_file: Path) -> None:
    with Repod(tmp_path, key_file, settings={"http": {"tokens": "tokens.json", "proxies": []}}) as repod:
        guesses = [_status(repod, "repod_guess", f"192.0.2.{number}") for number in range(12)]
        assert guesses == [401] * 10 + [429] * 2
