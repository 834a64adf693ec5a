"""The findings of an experiment: what the lesson reports, what was measured, and whether it holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual.content import Content

from ftapp.recipe import Finding
from ftapp.tui.widgets.pane import Pane

_TABLE = 84  # cells that a table needs; where there are fewer, a finding takes lines of its own
_STYLES = {"yes": "success", "no": "error"}


class FindingsPane(Pane):
    """Shows the table of findings, with verdicts and notes below."""

    def __init__(self) -> None:
        super().__init__("Findings", id="findings")
        self._shown: object = None

    def show(self, expected: Sequence[Finding], result: Mapping[str, Any] | None, missing: str) -> None:
        """Show findings.

        Args:
            expected: The findings of the recipe, which are shown while there is no result.
            result: What `ftapp.report.experiment` wrote.
            missing: Why there is no result, in words.
        """
        self._again = partial(self.show, expected, result, missing)
        if self._shown == (shown := (expected, result, missing, self.size.width)):
            return
        self._shown = shown
        found = result.get("findings", []) if result else []
        rows = found or [finding.model_dump() for finding in expected]
        held = sum(row["holds"] == "yes" for row in found)
        self.border_title = "Findings" if rows else "Conclusions"
        has_conclusions = not rows and bool(result and result.get("report"))
        self.border_subtitle = Content(f"{held} of {len(found)} hold" if found else "" if has_conclusions else missing)
        parts: list[RenderableType] = []
        if rows:
            parts = [self._make_table(rows)] if self.size.width >= _TABLE else list(self._list_findings(rows))
        folds = list(self._list_folds(result or {}, gap=bool(rows)))
        self.put(Group(*parts, *folds, *self._list_verdicts(result or {}, gap=bool(rows or folds))))

    def _make_table(self, rows: Sequence[Mapping[str, Any]]) -> Table:
        muted = self.color("secondary")
        table = Table(box=None, padding=(0, 2, 0, 0), header_style=muted, expand=True)
        table.add_column("finding", ratio=5)
        table.add_column("lesson's value", ratio=3)
        if "holds" in rows[0]:
            table.add_column("ours (95% interval)", min_width=25, no_wrap=True)
            table.add_column("holds?", min_width=14, no_wrap=True)
        for row in rows:
            ours = [row["told"], self._describe_verdict(row)] if "holds" in row else []
            table.add_row(self._describe_finding(row), Text(row["lesson"], muted), *ours)
        return table

    def _list_findings(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[Text]:
        for row in rows:
            text = self._describe_finding(row)
            text.append(f"\n  lesson: {row['lesson']}", self.color("secondary"))
            if "holds" in row:
                text.append(f"\n  ours: {row['told']}  ").append_text(self._describe_verdict(row))
            yield text

    def _describe_finding(self, row: Mapping[str, Any]) -> Text:
        """Describe a finding with its bounds, and why it was not measured or what to note."""
        text = Text(row["says"])
        if bounds := row.get("bounds"):
            text.append(f"\n  holds where: {bounds}", self.color("secondary"))
        if note := row.get("note"):
            text.append(f"\n  {note}", self.color("warning"))
        return text

    def _describe_verdict(self, row: Mapping[str, Any]) -> Text:
        holds = row["holds"]
        return Text(holds, f"bold {self.color(_STYLES[holds])}" if holds in _STYLES else self.color("secondary"))

    def _list_folds(self, result: Mapping[str, Any], *, gap: bool) -> Iterator[RenderableType]:
        """A table of the metrics over the folds for each arm."""
        for number, each in enumerate(result.get("folds", [])):
            if gap or number:
                yield Text()
            yield Text(each["title"], "bold")
            table = Table(box=None, padding=(0, 2, 0, 0), header_style=self.color("secondary"))
            for heading in each["header"]:
                table.add_column(heading)
            for row in each["rows"]:
                table.add_row(*row)
            yield table
        if result.get("folds"):
            yield Text()
            yield Text(result["folds"][0]["method"], self.color("secondary"))

    def _list_verdicts(self, result: Mapping[str, Any], *, gap: bool) -> Iterator[Text]:
        verdicts = [line for each in result.get("comparisons", []) for line in each["verdicts"]]
        notes = [Text(line, self.color("secondary")) for line in result.get("notes", [])]
        lines = [*map(Text, verdicts), *notes]
        yield from [Text(), *lines] if gap and lines else lines
