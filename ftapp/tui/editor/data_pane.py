"""The pane of the data: its fields, the sizes of the splits, the classes, and the first examples."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Static

from ftapp.common.formatting import format_quantity
from ftapp.recipe import TASKS
from ftapp.recipe.sources import TABLES
from ftapp.rpc.messages import Example, Preview, Tokens
from ftapp.tui.editor.class_bars import ClassBars
from ftapp.tui.editor.edits import Form
from ftapp.tui.editor.field_line import FieldLine
from ftapp.tui.widgets import shallow_classes
from ftapp.tui.widgets.pictures import Pictures, fit_width

_TEXT = 240  # characters of an example that are shown
_PICTURE = 14  # columns of a picture at most


class DataPane(VerticalScroll, can_focus=False):
    """Fields of [data], with a preview of the data."""

    DEFAULT_CSS = """
    DataPane > .for-tables, DataPane > .for-folders, DataPane > .for-images, DataPane > .for-labelled {
        display: none; height: auto;
    }
    DataPane.-tables > .for-tables, DataPane.-folders > .for-folders, DataPane.-images > .for-images,
    DataPane.-labelled > .for-labelled { display: block; }
    DataPane > #data-preview { height: auto; }
    #data-preview > #sizes, #data-preview > #data-state { height: auto; margin-top: 1; }
    #data-preview > #data-state { color: $text-muted; display: none; }
    #data-preview > ClassBars { margin: 1 0; }
    #data-preview .example { height: auto; margin-bottom: 1; }
    #data-preview > #texts { height: auto; }
    #data-preview > #fetch-data { display: none; margin-top: 1; }
    #data-preview.-unfetched > #fetch-data { display: block; }
    #data-preview > #advise { display: none; margin-top: 1; }
    DataPane.-classes > #data-preview > #advise { display: block; }
    #data-preview.-waiting > .preview, DataPane.-classes > #data-preview.-waiting > #advise { display: none; }
    #data-preview.-waiting > #data-state, #data-preview.-stale > #data-state { display: block; }
    #data-preview.-stale > #sizes, #data-preview.-stale > ClassBars, #data-preview.-stale > #texts { opacity: 40%; }
    """

    class Fetch(Message):
        """The user wants data to be fetched from a hub."""

    class Advise(Message):
        """The user wants advice on the data."""

    def __init__(self) -> None:
        super().__init__(id="data", classes="pane")
        self.border_title = "Data"
        self._preview: Preview | None = None
        self._tokens: Tokens | None = None

    def compose(self) -> ComposeResult:
        yield FieldLine("data.source")
        with Vertical(classes="for-tables"):
            yield FieldLine("data.text_column")
            yield FieldLine("data.image_column")
            yield FieldLine("data.prompt_column")
            yield FieldLine("data.completion_column")
            yield FieldLine("data.chat_column", empty="none")
            yield FieldLine("data.template", empty="the usual one")
            yield FieldLine("data.label_column")
            yield FieldLine("data.label_columns", empty="none")
            yield FieldLine("data.label_separator")
            yield FieldLine("data.split_column", empty="none")
            yield FieldLine("data.group_column", empty="none")
            yield FieldLine("data.order_column", empty="none")
            yield FieldLine("data.weight_column", empty="none")
            yield FieldLine("data.merge_labels")
            yield FieldLine("data.skip_incomplete")
            yield FieldLine("data.encoding")
        with Vertical(classes="for-folders"):
            yield FieldLine("data.splits", "split folders", empty="from the folders")
        with Vertical(classes="for-images"):
            yield FieldLine("data.skip_broken")
        yield FieldLine("task")
        yield FieldLine("data.classes", empty="all that occur")
        with Vertical(classes="for-labelled"):
            yield FieldLine("data.conflicts")
        yield FieldLine("data.limit", empty="all examples")
        yield FieldLine("data.validation")
        yield FieldLine("data.test")
        yield FieldLine("data.folds", empty="none")
        yield FieldLine("data.fold", empty="all folds")
        # Its state changes with each key, and the fields above need no new styles then.
        with Vertical(id="data-preview", classes="-waiting"):
            yield Static(id="data-state", markup=False)
            yield Static(id="sizes", classes="preview")
            yield Button("Fetch the data", id="fetch-data", compact=True)
            yield Button("Advise a strategy (v)", id="advise", compact=True)
            yield ClassBars(classes="preview")
            yield Pictures(classes="preview")
            yield Vertical(id="texts", classes="preview")

    def show(self, form: Form) -> None:
        """Show the fields that suit the task and the source."""
        task = TASKS.get(form.task)
        source = str(form.value("data.source"))
        is_image = task is not None and task.inputs == "images"
        is_table = source.startswith(tuple(f"{scheme}:" for scheme in TABLES))
        has_rows = task is not None and task.splitter == "stratified"
        shallow_classes.update_classes(
            self,
            {
                "-tables": has_rows and (is_table or not is_image),
                "-images": is_image,
                "-folders": source.startswith(("folder:", "text:")),
                "-labelled": task is None or task.is_labelled,
                "-classes": task is None or task.labels == "classes",
            },
            [self.query_one("#advise", Button)],
        )

    def wait(self, message: str, *, unfetched: bool = False) -> None:
        """Show a message in place of the preview.

        Args:
            message: Why there is no preview.
            unfetched: Whether to offer a button that fetches the data.
        """
        self._preview = None
        preview = self.query_one("#data-preview", Vertical)
        preview.add_class("-waiting").remove_class("-stale").set_class(unfetched, "-unfetched")
        self.query_one("#data-state", Static).update(message)

    def mark_stale(self, message: str) -> None:
        """Make the preview faint, since it is of other data, and show a message."""
        self.query_one("#data-preview", Vertical).add_class("-stale").remove_class("-unfetched")
        self.query_one(Pictures).dim(True)
        self.query_one("#data-state", Static).update(message)

    def know(self, preview: Preview) -> None:
        """Show a preview of the data."""
        self._preview, self._tokens = preview, None
        self.query_one("#sizes", Static).update(_sizes(preview, None))
        totals = [sum(counts) for counts in zip(*preview.counts.values(), strict=True)] if preview.classes else []
        self.query_one(ClassBars).counts = tuple(zip(preview.classes, totals, strict=True))
        self.query_one(ClassBars).examples = sum(preview.sizes.values())
        self.query_one(ClassBars).display = bool(preview.classes)
        self.query_one("#data-preview", Vertical).remove_class("-waiting", "-unfetched", "-stale")
        self.query_one(Pictures).dim(False)
        self.call_later(self._show_examples)  # by the pane itself, one time after another, whatever ends who asks

    def count(self, tokens: Tokens) -> None:
        """Show the number of tokens of each text."""
        if self._preview:
            self._tokens = tokens
            self.query_one("#sizes", Static).update(_sizes(self._preview, tokens))
            self.call_later(self._show_examples)

    async def _show_examples(self) -> None:
        if self._preview is None or not self.query(Pictures):  # a screen that is being left has none
            return
        examples = self._preview.examples
        pictures = [(each.file, each.label or "") for each in examples if each.file]
        self.query_one(Pictures).display = bool(pictures)
        if pictures:
            across = max(2, self.content_size.width // (_PICTURE + 1))
            rows = [pictures[start : start + across] for start in range(0, len(pictures), across)]
            await self.query_one(Pictures).show(rows, fit_width(self, across, _PICTURE))
        texts = self.query_one("#texts", Vertical)
        counts = self._tokens.counts if self._tokens else (None,) * len(examples)
        limit = self._tokens.length if self._tokens else None
        contents = [_text(each, count, limit) for each, count in zip(examples, counts, strict=False) if each.text]
        if len(texts.children) != len(contents):
            await texts.remove_children()
            await texts.mount_all(Static(classes="example") for _ in contents)
        for widget, content in zip(texts.query(Static), contents, strict=False):  # none where this is being closed
            widget.update(content)

    async def on_resize(self) -> None:
        await self._show_examples()

    @on(Button.Pressed, "#fetch-data")
    def _fetch(self) -> None:
        self.post_message(self.Fetch())

    @on(Button.Pressed, "#advise")
    def _advise(self) -> None:
        self.post_message(self.Advise())


def _sizes(preview: Preview, tokens: Tokens | None) -> Content:
    parts = []
    for name, size in preview.sizes.items():
        if tokens and tokens.sequences:
            more = f" ({format_quantity(tokens.sequences[name], 'sequence')})"
        else:
            more = f" ({format_quantity(preview.characters[name], 'character')})" if preview.characters else ""
        parts.append(Content.assemble((f"{size:,}", "bold"), (f" {name}{more}", "$foreground 60%")))
    dropped = f"{format_quantity(preview.duplicates, 'duplicate')} dropped"
    sizes = Content.styled(" · ", "$foreground 60%").join([*parts, Content.styled(dropped, "$foreground 60%")])
    return Content("\n").join([sizes, *(Content.styled(note, "$foreground 60%") for note in preview.notes)])


def _text(example: Example, tokens: int | None, limit: int | None) -> Content:
    text = " ".join((example.text or "").split())
    whole = len(example.text or "") + len(example.completion or "")
    cut = len(text) > _TEXT or (example.characters or 0) > whole
    facts = []
    if tokens is not None:
        facts.append(format_quantity(tokens, "token") + (f", cut at {limit}" if limit and tokens > limit else ""))
    elif example.characters:
        facts.append(format_quantity(example.characters, "character"))
    label = (f"{example.label}  " if example.label else "", "bold")
    head = Content.assemble(label, (" ".join(facts), "$foreground 60%"))
    lines = [head, Content(text[:_TEXT] + ("…" if cut else ""))]
    if example.completion is not None:
        completion = " ".join(example.completion.split())
        more = "…" if len(completion) > _TEXT else ""
        lines.append(Content.assemble(("→ ", "$foreground 60%"), (completion[:_TEXT] + more, "$primary")))
    return Content("\n").join(lines)
