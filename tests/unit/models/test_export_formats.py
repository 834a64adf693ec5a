"""The table of export formats: commands, writers and packages agree with it, and a missing package is told."""

from __future__ import annotations

import importlib.util

import pytest

from ftapp.common.errors import RunError
from ftapp.models.export import write
from ftapp.models.export.program import Program, compose, make_snippet
from ftapp.runs.export_formats import FORMATS


def test_each_format_has_a_writer() -> None:
    assert list(FORMATS) == list(write._WRITERS)


def test_a_missing_package_is_told_with_its_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in ("tf2onnx", "nncf") else found(name))
    with pytest.raises(RunError, match=r"'tf2onnx' is not installed; an export to onnx needs it: pip install tf2onnx;"):
        FORMATS["onnx"].check_installed("onnx", int8=False)
    with pytest.raises(RunError, match=r"pip install nncf; pip install 'ftapp\[export,openvino,torch\]'"):
        FORMATS["openvino"].check_installed("openvino", int8=True)
    FORMATS["openvino"].check_installed("openvino", int8=False)


def test_a_program_has_each_import_once_above_all_else() -> None:
    pieces = Program(
        compute="\nimport numpy as np\nimport runtime\n\nMODEL = 1\n\n\ndef compute_scores(inputs):\n    return 2\n"
    )
    for images, writes in [(True, False), (False, False), (False, True)]:
        program = compose(pieces, images=images, writes=writes)
        compile(program, "predict.py", "exec")
        assert program.count("import numpy as np\n") == 1
        assert program.index("import runtime") < program.index("FOLDER = ")
        assert "\n\n\n\n" not in program
    assert make_snippet(pieces, "a text").startswith(
        "import numpy as np\nimport runtime\nfrom predict import FOLDER, encode\n\nMODEL"
    )
