"""The requests and answers of a served run, as its OpenAPI document describes them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, create_model

from ftapp.recipe import TASKS, Recipe
from ftapp.rpc.messages import Loaded
from ftapp.rpc.prediction_messages import PredictedRow, Sampling
from ftapp.serving.model_process import State

_MOST_LISTED = 100  # labels that the document lists
_MOST_TOKENS = 4096  # of a model that reads any number

_PROMPT = "Once upon a time"
_TEXT = "It was a pleasure from the first minute to the last."
# A blue square of 16 pixels as a PNG file.
_IMAGE = "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAFklEQVR42mPQiDpBEmIY1TCqYfhqAADQmEoQ5RcxtAAAAABJRU5ErkJggg=="


class Failure(BaseModel):
    """An input that has no answer."""

    error: Annotated[str, Field(description="The reason, in a sentence.")]


class Refusal(BaseModel):
    """Why a request has no answer."""

    error: Annotated[str, Field(description="The reason, in a sentence.")]
    answers: Annotated[
        list[Failure] | None, Field(description="The reason of each input, where no input has an answer.")
    ] = None


class Health(BaseModel):
    """Whether the model answers."""

    status: Annotated[State, Field(description="`starting` after the model's process has ended.")]


class GenerateRequest(BaseModel):
    """A prompt, and how its continuation is written."""

    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, json_schema_extra={"example": {"prompt": _PROMPT}}
    )

    prompt: Annotated[str, Field(description="The beginning of the text.")]
    max_tokens: Annotated[int, Field(ge=1, description="The most tokens that are written.")] = 64
    temperature: Annotated[
        float, Field(ge=0, strict=False, description="How freely tokens are chosen; 0 always takes the likeliest.")
    ] = 0.8
    top_k: Annotated[int, Field(ge=1, lt=2**31, description="Choose among so many of the likeliest tokens.")] = 40
    top_p: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            strict=False,
            description="Choose among the likeliest tokens whose probabilities add up to this.",
        ),
    ] = 1.0
    seed: Annotated[int, Field(ge=0, lt=2**31, description="Decides the choices.")] = 0
    stop: Annotated[
        list[Annotated[str, Field(min_length=1)]],
        Field(max_length=16, description="Texts before which the continuation ends."),
    ] = []
    stream: Annotated[bool, Field(description="Send pieces as server-sent events while they are written.")] = False

    def make_sampling(self) -> Sampling:
        """Return how tokens are chosen."""
        return Sampling(
            tokens=self.max_tokens,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            seed=self.seed,
            stop=self.stop,
        )


class GenerateResponse(BaseModel):
    """The continuation of a prompt."""

    text: Annotated[str, Field(description="The continuation, without the prompt.")]
    tokens: Annotated[int, Field(description="How many tokens were written.")]
    end: Annotated[Literal["end token", "stop word", "length"], Field(description="Why it ended.")]


def make_generate_request(loaded: Loaded) -> type[GenerateRequest]:
    """Make the request for a language model, with the bound of its tokens."""
    most = loaded.longest or _MOST_TOKENS
    bound = Field(ge=1, le=most, description="The most tokens that are written.")
    return create_model("GenerateRequest", __base__=GenerateRequest, max_tokens=(Annotated[int, bound], min(64, most)))


class PredictSchemas:
    """Requests and answers of a run that classifies or measures.

    Attributes:
        column: The column of the recipe's tables that holds inputs; a row of a table is an input too.
        example: An example of an input.
        request: The body of a request in JSON.
        options: The parameters in the address of a request.
        response: The answers.
    """

    def __init__(self, recipe: Recipe, loaded: Loaded, most_inputs: int) -> None:
        """Make the schemas.

        Args:
            recipe: The run's recipe.
            loaded: The model.
            most_inputs: The most inputs of a request.
        """
        task = TASKS[recipe.task]
        has_images = task.inputs == "images"
        self.column = recipe.data.image_column if has_images else recipe.data.text_column
        self.example = make_example(recipe)
        self._score = "score" if loaded.head == "linear-svm" else "probability"
        self._classes, self._has_several = loaded.classes, task.labels == "sets"
        what = {"type": "string", "description": "The bytes of an image file in base64." if has_images else "A text."}
        what |= {"contentEncoding": "base64"} if has_images else {}
        row = {
            "type": "object",
            "title": "Row",
            "description": "A row of a table; other columns are left aside.",
            "properties": {self.column: what},
            "required": [self.column],
        }
        one = {"anyOf": [what, row]}
        several = {"type": "array", "items": one, "minItems": 1, "maxItems": most_inputs}
        schema = {"anyOf": [*one["anyOf"], several], "description": "One input, or a list of inputs."}
        self.request = create_model(
            "PredictRequest",
            __config__=ConfigDict(extra="forbid", json_schema_extra={"example": {"inputs": [self.example]}}),
            inputs=(Annotated[list[Any], BeforeValidator(_make_list), WithJsonSchema(schema)], ...),
        )
        self.options = self._make_options()
        self._answer = self._make_answer()
        self.response = create_model(
            "PredictResponse",
            answers=(list[self._answer | Failure], Field(description="An answer for each input, in their order.")),  # type: ignore[name-defined]
        )

    def make_answer(self, row: PredictedRow, options: Any) -> BaseModel:
        """Make the answer to an input.

        Args:
            row: The input with its scores, where these are asked for.
            options: The parameters of its request.
        """
        if row.problem:
            return Failure(error=row.problem)
        if not self._classes:
            return self._answer(answer=row.answer)
        found: dict[str, Any] = {"answer": row.answer}
        found[self._score] = list(row.answer_scores) if self._has_several else row.answer_scores[0]
        if options.top_k:
            order = sorted(range(len(row.scores)), key=lambda at: -row.scores[at])[: options.top_k]
            found["top"] = [{"answer": self._classes[at], self._score: row.scores[at]} for at in order]
        if options.scores:
            found["scores"] = dict(zip(self._classes, row.scores, strict=True))
        return self._answer(**found)

    def _make_options(self) -> type[BaseModel]:
        best = Field(0, ge=0, description="Add so many of the best labels to each answer.")
        scores = Field(False, description="Add the scores of all labels to each answer.")
        fields: dict[str, Any] = {"top_k": (int, best), "scores": (bool, scores)} if self._classes else {}
        return create_model("PredictOptions", __config__=ConfigDict(extra="forbid"), **fields)

    def _make_answer(self) -> type[BaseModel]:
        if not self._classes:
            return create_model("Answer", answer=(float, Field(description="The number.")))
        label: Any = Literal[self._classes] if len(self._classes) <= _MOST_LISTED else str
        ranked: Any = create_model("RankedLabel", answer=(label, ...), **{self._score: (float, ...)})  # type: ignore[call-overload]
        title = "The distance from the margin." if self._score == "score" else "The probability."
        answer = list[label] if self._has_several else label
        score: Any = list[float] if self._has_several else float
        rule = "The labels that reach their thresholds." if self._has_several else "The label."
        fields: dict[str, Any] = {
            "answer": (answer, Field(description=rule)),
            self._score: (score, Field(description=title)),
            "top": (list[ranked] | None, Field(None, description="The best labels, with `top_k`.")),
            "scores": (dict[str, float] | None, Field(None, description="All labels, with `scores`.")),
        }
        return create_model("Answer", **fields)


def make_example(recipe: Recipe) -> str:
    """Return an example of an input for a run, or of a prompt."""
    task = TASKS[recipe.task]
    return _IMAGE if task.inputs == "images" else _PROMPT if task.writes else _TEXT


def _make_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]
