"""BERT on film reviews with frozen attention: ftapp against a loop with Hugging Face Transformers.

Both fine-tune the same MiniLM (6 layers, 384 wide) on the same rows of IMDB: embeddings and attention are frozen, the
MLP layers, the norms, the pooler and a new classifier with dropout 0.1 train. At most 256 tokens a review, batches of
16, 300 batches, a constant rate of 2e-4 without weight decay, the same 1,000 held-out reviews.

ftapp                  `ftapp run bert-freeze-attention --profile quick` with these sizes.
transformers           PyTorch, float32, AdamW, default threads, shuffled order; each batch padded to its longest
                       review (dynamic padding), reviews tokenized once before the training.
transformers-bfloat16  the same under `torch.autocast` in bfloat16. Not measured unless named in --arms.

Two times are compared: that of the training, for ftapp that of its phase, compiling and the proof of what was frozen
included and evaluation left out; and that of the whole process: imports, reading and tokenizing 10,000 reviews,
training, and the test. ftapp's process also evaluates a few reviews before and saves the model after.

Needs `pip install transformers torch`; the weights and the reviews come from the package index as for ftapp.
"""

from __future__ import annotations

import argparse
import math
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

import common
from common import Figures, Rounds
from ftapp import recipe as recipes
from ftapp.recipe import Recipe
from ftapp.runs.phase_events import Evaluated, PhaseStarted

ARMS = ("ftapp", "transformers", "transformers-bfloat16")
RECIPE, PROFILE = "bert-freeze-attention", "quick"
_EVALUATION_BATCH = 64


def overrides(args: argparse.Namespace) -> list[str]:
    """What the arms change in the recipe, for --set."""
    return [
        f"model.sequence_length={args.length}",
        f"data.limit={args.reviews}",
        f"data.test={args.test}",
        f"phase.finetune.steps={args.steps}",
        # One evaluation before the training and the result: the others would only take time.
        f"evaluate.every={10 * args.steps}",
        "evaluate.examples=16",
    ]


def measure_ftapp(args: argparse.Namespace) -> Figures:
    """training: seconds of the phase without evaluation."""
    options = [part for override in overrides(args) for part in ("--set", override)]
    events = common.ftapp_run(RECIPE, args.scratch, "--profile", PROFILE, "--precision", args.precision, *options)
    result = common.of_kind(events, Evaluated)[-1]
    assert result.final
    assert result.examples == args.test
    return {
        "training": common.training_seconds(events),
        "accuracy": result.metrics["accuracy"],
        "trainable": common.of_kind(events, PhaseStarted)[0].trainable,
    }


def measure_transformers(args: argparse.Namespace, *, bfloat16: bool) -> Figures:
    """training: seconds of the loop."""
    import torch
    from transformers import BertModel, BertTokenizerFast

    from ftapp import data
    from ftapp.common import downloads
    from ftapp.common.package_uri import Artifact

    recipe = loaded(args)
    phase = recipe.phase[0]
    folder = downloads.fetch_artifact(Artifact.parse(recipe.model.preset))
    splits = data.load(recipe.data, recipe.task, recipe.seed)
    tokenizer = BertTokenizerFast.from_pretrained(folder)

    def tokenized(subset: Any) -> list[list[int]]:
        texts = [str(subset[index]) for index in range(len(subset))]
        ids: list[list[int]] = tokenizer(texts, truncation=True, max_length=recipe.model.sequence_length)["input_ids"]
        return ids

    train, test = tokenized(splits.train), tokenized(splits.test)
    torch.manual_seed(recipe.seed)
    bert = BertModel.from_pretrained(folder)
    for parameter in bert.embeddings.parameters():
        parameter.requires_grad = False
    for layer in bert.encoder.layer:
        for part in (layer.attention.self, layer.attention.output.dense):
            for parameter in part.parameters():
                parameter.requires_grad = False
    classifier = torch.nn.Sequential(
        torch.nn.Dropout(recipe.model.dropout), torch.nn.Linear(bert.config.hidden_size, 2)
    )
    trainable = [each for each in (*bert.parameters(), *classifier.parameters()) if each.requires_grad]
    optimizer = torch.optim.AdamW(trainable, phase.learning_rate, weight_decay=0.0)

    def scores(members: NDArray[np.int64], reviews: list[list[int]]) -> Any:
        batch = tokenizer.pad({"input_ids": [reviews[index] for index in members]}, return_tensors="pt")
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            return classifier(bert(**batch).pooler_output)

    labels = torch.from_numpy(splits.train.labels.astype(np.int64))
    bert.train()
    begun = time.perf_counter()
    for members in orders(len(train), phase.batch_size, args.steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(scores(members, train).float(), labels[members])
        loss.backward()
        optimizer.step()
    training = time.perf_counter() - begun

    bert.eval()
    classifier.eval()
    by_length = np.argsort([len(ids) for ids in test], kind="stable")
    right = 0
    with torch.no_grad():
        for start in range(0, len(test), _EVALUATION_BATCH):
            members = by_length[start : start + _EVALUATION_BATCH]
            right += int((scores(members, test).argmax(1).numpy() == splits.test.labels[members]).sum())
    return {
        "training": training,
        "accuracy": right / len(test),
        "trainable": sum(parameter.numel() for parameter in trainable),
    }


def orders(size: int, batch_size: int, steps: int) -> list[NDArray[np.int64]]:
    """The members of each batch: every epoch in a new random order."""
    random = np.random.default_rng(0)
    per_epoch = math.ceil(size / batch_size)
    epochs = [random.permutation(size) for _ in range(math.ceil(steps / per_epoch))]
    batches = [
        order[start : start + batch_size] for order in epochs for start in range(0, per_epoch * batch_size, batch_size)
    ]
    return batches[:steps]


def loaded(args: argparse.Namespace) -> Recipe:
    """The recipe as ftapp's run resolves it."""
    return recipes.load(recipes.find(RECIPE), PROFILE, overrides(args))


def prepare(args: argparse.Namespace) -> Figures:
    """Fetch the weights and the reviews."""
    from ftapp import data
    from ftapp.models import preset_files

    recipe = loaded(args)
    with preset_files.resolve(recipe.model.preset):
        pass
    data.load(recipe.data, recipe.task, recipe.seed)
    return {}


def main() -> None:
    parser = common.arguments(__doc__ or "", rounds=3)
    parser.add_argument("--steps", type=int, default=300, help="batches to train on (default 300)")
    parser.add_argument("--reviews", type=int, default=10_000, help="to draw, the test's among them (default 10,000)")
    parser.add_argument("--test", type=int, default=1000, help="reviews held out for the test (default 1,000)")
    parser.add_argument("--length", type=int, default=256, help="tokens of a review, the rest is cut (default 256)")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS[:2], help="default: the first two")
    args = parser.parse_args()
    if args.quick:
        args.steps, args.reviews, args.test, args.length, args.rounds = 4, 200, 40, 64, 1

    def measure(arm: str) -> Figures:
        if arm == common.PREPARE:
            return prepare(args)
        if arm == "ftapp":
            return measure_ftapp(args)
        return measure_transformers(args, bfloat16=arm == "transformers-bfloat16")

    common.main(args, args.arms, measure, lambda rounds: report(rounds, args))


def report(rounds: Rounds, args: argparse.Namespace) -> None:
    """Print the table."""
    baseline = next((arm for arm in args.arms if arm != "ftapp"), "ftapp")
    of_it = f"of {baseline}'s"
    rows = []
    for arm in args.arms:
        row = [arm]
        for name in ("training", "wall"):
            row += [common.seconds(rounds.median(arm, name)), f"{rounds.ratio(arm, baseline, name):.2f}"]
        rows.append([*row, f"{rounds.median(arm, 'accuracy'):.1%}", f"{rounds.median(arm, 'trainable'):,.0f}"])
    common.table(
        [
            "arm",
            "seconds of training",
            of_it,
            "seconds, the whole process",
            of_it,
            "test accuracy",
            "trainable parameters",
        ],
        rows,
    )


if __name__ == "__main__":
    main()
