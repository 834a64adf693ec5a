"""Structures of models that need no model."""

from __future__ import annotations

from ftapp.recipe.structure import Layer, Structure


def layer(path: str, parameters: int, groups: tuple[str, ...], block: int | None) -> Layer:
    """A layer with weights; one without parameters is a container."""
    return Layer(
        path=path,
        kind="Dense",
        parameters=parameters,
        trainable=parameters,
        weighted=parameters > 0,
        shape=(16, 8),
        flops=parameters,
        groups=groups,
        block=block,
    )


def bert() -> Structure:
    """Embeddings, three blocks of attention and a dense layer, and a classifier: 4,000 parameters."""
    found = [layer("embeddings_table", 1500, ("backbone", "embeddings"), None)]
    for block in range(3):
        name = f"transformer_layer_{block}"
        found += [
            layer(name, 0, (), block),
            layer(f"{name}/self_attention", 300, ("backbone", "attention"), block),
            layer(f"{name}/dense", 400, ("backbone", "mlp"), block),
        ]
    found.append(layer("classifier", 400, ("head",), None))
    return Structure(layers=tuple(found), blocks=3, classes=2)
