"""`ftapp generate` refuses wrong arguments before a model is loaded."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from ftapp.cli import app


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "there is no prompt; --prompt TEXT gives one"),
        (["--prompt", " "], "--prompt is empty; a prompt has words"),
        (["--prompt", "a", "--temperature", "inf"], "temperature is a finite number from 0 on, such as 0.8; got inf"),
        (["--prompt", "a", "--top-p", "nan"], "top_p is above 0 and at most 1, and 1 allows all tokens; got nan"),
        (["--prompt", "a", "--seed", "4294967296"], "seed is from 0 to 2,147,483,647"),
        (["--prompt", "a", "--encoding", "latin-x"], "there is no encoding 'latin-x'; did you mean 'latin-1'?"),
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(app.app, ["generate", "last", *arguments])
    assert done.exit_code == 2
    assert message in done.output
