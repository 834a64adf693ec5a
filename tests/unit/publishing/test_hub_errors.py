"""What the libraries of hubs raise and print, without tokens."""

from __future__ import annotations

import traceback

import pytest

from ftapp.common.errors import RunError
from ftapp.publishing.hub_errors import explain_refusals

TOKEN = "hf_a_token_that_nobody_sees"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            ValueError(f"Illegal header value b'Bearer {TOKEN}'"),
            "ValueError: Illegal header value b'Bearer \\(token\\)'",
        ),
        (ConnectionResetError("by peer"), "Hub cannot be reached, or a file cannot be read: by peer"),
        (KeyError(), "nothing more was sent to hf://a/b: KeyError: KeyError"),
    ],
)
def test_no_sentence_traceback_or_print_shows_the_token(
    error: Exception, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    @explain_refusals("Hub", "hf://a/b", "log in", lambda: [TOKEN])
    def ask() -> None:
        print(f"Authorization: Bearer {TOKEN}")
        raise error

    with pytest.raises(RunError, match=message) as caught:
        ask()
    output = "".join(traceback.format_exception(caught.value))
    assert TOKEN not in output + capsys.readouterr().out
