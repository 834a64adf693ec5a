"""Random events of a run, valid and nearly valid, from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

Json = Any

POISON = "\x1b]0;title\x07[bold][/x]<script>|\u202e\x9b31m\r\n\u0007`"


def event(draw: random.Random) -> dict[str, Json]:
    """One valid event, of any kind and with any values that its type allows: they need not fit each other."""

    def number() -> float:
        return draw.choice([0.0, draw.random(), -draw.random(), draw.uniform(0, 1e6), 1e40, -1e40, 1e-30])

    def count() -> int:
        return draw.choice([0, 1, 2, draw.randrange(1000), 2**53, 2**62])

    def step() -> int:
        return draw.choice([0, 1, draw.randrange(100), 2**53])

    def several() -> int:
        return draw.choice([1, 2, draw.randrange(1, 100), 2**53])

    def seconds() -> float:
        return draw.choice([0.0, draw.random(), draw.uniform(0, 1e5), 1e10, 1e-300])

    def name() -> str:
        return draw.choice(["head", "finetune", "", POISON, "block/dense_1", "ünïcödé 漢字", "test"])

    def names() -> list[str]:
        return [name() for _ in range(draw.randrange(4))]

    def maybe(make: Callable[[], Json]) -> Json:
        return draw.choice([None, make()])

    def metrics() -> Json:
        return {draw.choice(["accuracy", "f1", name() or "-"])[:64]: number() for _ in range(draw.randrange(3))}

    size = draw.randrange(1, 4)
    fields: dict[str, dict[str, Json]] = {
        "run-started": {"recipe": name(), "profile": maybe(name), "seed": count(), "backend": name(), "device": name()}
        | {"precision": name(), "reason": name()},
        "progressed": {"activity": name(), "done": count(), "total": maybe(count)},
        "data-loaded": {"train": count(), "validation": count(), "test": count(), "classes": names()}
        | {"duplicates": count(), "counts": {name(): [count() for _ in range(draw.randrange(4))]}},
        "model-built": {"parameters": count(), "layers": count(), "digest": name(), "pretrained": name()},
        "phase-started": {"phase": name(), "first_step": several(), "steps": several(), "epochs": number()}
        | {"trainable": count(), "parameters": several(), "trainable_layers": names()}
        | {
            "cache": maybe(
                lambda: {"cached": True, "reason": name(), "layers": names(), "size": count(), "engine": name()}
            ),
            "estimate": maybe(
                lambda: dict.fromkeys(
                    ("flops", "flops_uncut", "weights", "gradients", "optimizer", "activations"), count()
                )
            ),
        },
        "phase-timed": {"phase": name(), "seconds": seconds()},
        "cache-verified": {"phase": name(), "examples": count(), "difference": number()},
        "phase-ended": {"phase": name(), "steps": step(), "seconds": seconds(), "preparing": seconds()}
        | {"training": seconds(), "evaluating": seconds(), "memory": count(), "others": number(), "frozen": count()}
        | {"digest": name(), "changed": names(), "moved": count(), "still": names(), "stuck": names()}
        | {"batches": name()},
        "step": {"step": step(), "epoch": step(), "loss": number(), "metrics": metrics(), "rate": number()}
        | {"accuracy": maybe(draw.random)}
        | {"gradient_norm": maybe(number), "seconds": seconds(), "memory": count()},
        "evaluated": {"step": step(), "split": name(), "examples": count(), "loss": number()}
        | {"metrics": metrics(), "accuracy": maybe(draw.random), "seconds": seconds(), "final": draw.random() < 0.5},
        "confused": {"step": step(), "split": name(), "counts": [[count() for _ in range(size)] for _ in range(size)]}
        | {"calibration": [[number(), number(), number()]] * draw.randrange(3), "final": draw.random() < 0.7},
        "drifted": {"step": step(), "phase": name(), "since_start": [maybe(number) for _ in range(draw.randrange(4))]}
        | {"last_step": maybe(lambda: [number() for _ in range(draw.randrange(4))])},
        "sampled": {"step": step(), "prompt": name(), "text": name()},
        "tokens-shared": {"step": step(), "common": count(), "shares": [maybe(number) for _ in range(size)]},
        "controlled": {"id": name(), "command": draw.choice(["pause", "resume", "stop", name()]), "applied": True}
        | {"reason": maybe(name), "step": step(), "rate": maybe(number)},
        "best-restored": {"step": step(), "best_step": step(), "metric": "loss", "value": number()},
        "checkpointed": {"step": step(), "folder": name()},
        "noted": {"message": name()},
        "waited": {"seconds": seconds()},
        "examples-watched": {"split": name(), "scores": name()}
        | {"examples": [{"example": name(), "truth": name(), "text": name()} for _ in range(draw.randrange(3))]},
        "watched-answered": {"step": step()}
        | {"answers": [{"answer": name(), "score": maybe(number), "right": True} for _ in range(draw.randrange(3))]},
        "processor-used": {"step": step(), "own": draw.random(), "others": draw.random()},
        "gpu-used": {"step": step(), "busy": draw.random(), "used": count(), "memory": count()},
        "model-saved": {"folder": name()},
        "run-ended": {
            "status": draw.choice(["done", "failed", "interrupted", "unfinished", "refused"]),
            "steps": step(),
        }
        | {"seconds": seconds(), "error": maybe(name), "problems": [[name(), name(), name()]] * draw.randrange(2)},
    }
    kind = draw.choice([*fields, "step", "step", "step"])
    return {"event": kind, "time": draw.choice([0.0, 1.7e9, draw.uniform(0, 2e9), 2.5e11])} | fields[kind]
