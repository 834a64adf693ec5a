"""The documents as tests read them: pages, code blocks, commands."""

from __future__ import annotations

import re

from tests.support.files import ROOT

README = (ROOT / "README.md").read_text("utf-8")


PAGES = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
"""All documents by their paths."""


def blocks(language: str, text: str | None = None) -> list[str]:
    """The code blocks in a language, in order, of one page or of all."""
    pages = PAGES.values() if text is None else [text]
    pattern = rf"^```{language}\n(.*?)^```"
    return [block for page in pages for block in re.findall(pattern, page, re.MULTILINE | re.DOTALL)]


def commands() -> list[str]:
    """Each command line that begins with ftapp once, also behind another command or in the background."""
    lines = [line.removesuffix(" &") for block in blocks("sh") for line in block.splitlines()]
    found = [re.split(r" && | \| ", line)[-1].removeprefix(".venv/bin/") for line in lines if "ftapp " in line]
    return list(dict.fromkeys(found))


def page(name: str) -> str:
    """A page of docs/."""
    return PAGES[f"docs/{name}.md"]


def after(mark: str) -> str:
    """The first line of the code block that follows a comment; .ci/run looks for it in the same way."""
    found = re.search(rf"^<!-- {mark} -->\n```sh\n(.+)\n```$", README, re.MULTILINE)
    assert found, mark
    return found[1]
