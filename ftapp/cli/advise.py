"""`ftapp advise`: a recommendation of how to train on your data."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ftapp.cli.failure import refuse_bad_recipes
from ftapp.cli.options import JsonOption, OfflineOption, ProfileOption, SetOption, complete_recipe

if TYPE_CHECKING:
    from ftapp.recipe import Recipe
    from ftapp.rpc.messages import Survey


def advise(
    recipe_name: Annotated[
        str | None,
        typer.Argument(
            metavar="RECIPE",
            help="The recipe with the pretrained model. By default a VGG16 or BERT recipe, as fits the data.",
            autocompletion=complete_recipe,
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="Your data, such as folder:photos or csv:reviews.csv. By default the recipe's data.", metavar="URI"
        ),
    ] = None,
    profile: ProfileOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Recommend a strategy for your data, with the command that runs it.

    The size of the data: data are large from about 1,000 training examples of a class, by a rule of thumb. The
    similarity to the pretraining data: a linear classifier learns the classes from the features of each block. If an
    earlier block's features are better than the last block's, the data are different. Small and similar: a feature
    extractor. Large and similar: fine-tuning in two phases. Small and different: a feature extractor on early layers.
    Large and different: everything trains, from the pretrained weights.
    """
    from ftapp.analysis import advice

    with refuse_bad_recipes():
        name = advice.choose_recipe(recipe_name, source)
        asked = advice.load_asked(name, source, profile, overrides or [])
        from ftapp.cli import activity

        activity.check([advice.with_all_data(asked)])
    survey = survey_data(asked, name, source, offline=offline)
    given = advice.advise(asked, survey, profile)
    from ftapp.cli import advice_text
    from ftapp.tui.editor.draft import Draft

    def command(course: advice.Recommendation) -> str:
        return Draft.of(course).command()

    if as_json:
        from msgspec import to_builtins

        best, *others = ({"command": command(course)} | to_builtins(course) for course in (given.best, *given.others))
        notes = list(map(advice_text.describe_note, given.notes))
        parts = {"best": best, "others": others, "notes": notes, "survey": to_builtins(survey)}
        print(json.dumps(to_builtins(given) | parts))
        return
    from ftapp.common.console import PlainConsole

    console = PlainConsole()
    for part in advice_text.render_advice(asked, survey, given, command):
        console.print(part)


def survey_data(asked: Recipe, name: str, source: str | None, *, offline: bool) -> Survey:
    """Have a helper process survey a recipe's data.

    Args:
        asked: The recipe.
        name: Its name or file.
        source: The value of --source, if any.
        offline: Whether the process makes no network call.

    Returns:
        The survey.

    Raises:
        typer.Exit: It cannot be made, and the reason is printed: code 2 for the recipe, 1 for something else.
    """
    from ftapp import recipe
    from ftapp.cli.ask_helper import ask_helper
    from ftapp.common.errors import RunError
    from ftapp.recipe import presets, sources
    from ftapp.rpc.inspector_client import InspectorClient

    with refuse_bad_recipes():
        try:
            inspector = InspectorClient(offline=offline)
            return ask_helper("the survey", inspector, lambda client, progress: client.survey(asked, progress))
        except RunError as error:
            print(error, file=sys.stderr)
        of_hub = presets.is_on_hub(asked.model.preset) or (source is None and sources.is_on_hub(asked.data.source))
        if of_hub and (profiles := recipe.list_hubless_profiles(recipe.find(name))):
            print(f"'--profile {profiles[0]}' works without it", file=sys.stderr)
    raise typer.Exit(1)
