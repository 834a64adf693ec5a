"""`ftapp serve-model` with tiny runs: the answers of `ftapp predict` and `ftapp generate`, and what is refused."""

from __future__ import annotations

import base64
import json
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema
import psutil
import pytest
import requests
from PIL import Image

from ftapp.rpc.prediction_messages import PredictedRow
from ftapp.runs.run_folder import RunFolder
from tests.support import recipes
from tests.support.documents import blocks, page
from tests.support.exports import save_run
from tests.support.predictions import predict
from tests.support.presets import Tiny
from tests.support.processes import wait_for
from tests.support.quick_starts import make_command
from tests.support.served_models import Server, serve

TOKEN = "a token of some length"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def text_run(tiny: Tiny, folder: Path) -> RunFolder:
    return save_run(recipes.text_recipe(tiny), folder / "texts")


@pytest.fixture(scope="module")
def image_run(tiny: Tiny, folder: Path) -> RunFolder:
    return save_run(recipes.image_recipe(tiny), folder / "images")


@pytest.fixture(scope="module")
def texts(text_run: RunFolder, folder: Path) -> Iterator[Server]:
    with serve(text_run, folder / "cache", "--max-batch", "8", "--queue", "64", "--max-body", "1") as server:
        yield server


@pytest.fixture(scope="module")
def images(image_run: RunFolder, folder: Path) -> Iterator[Server]:
    with serve(image_run, folder / "other", "--token", FTAPP_TOKEN=TOKEN) as server:
        yield server


def read(response: requests.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    answers: list[dict[str, Any]] = response.json()["answers"]
    return answers


def assert_equal(answers: list[dict[str, Any]], rows: list[PredictedRow]) -> None:
    assert [each["answer"] for each in answers] == [row.answer for row in rows]
    assert [each["probability"] for each in answers] == pytest.approx([row.answer_scores[0] for row in rows], abs=1e-6)


def test_texts_have_the_answers_of_predict_alone_and_together(
    texts: Server, text_run: RunFolder, tmp_path: Path
) -> None:
    given = [f"a {word} film{' very' * number}" for number in range(1, 9) for word in ("good", "bad", "dull", "東京")]
    (tmp_path / "in.txt").write_text("\n".join(given), encoding="utf-8")
    rows = predict(text_run, tmp_path / "in.txt", scores=True)
    answers = read(texts.post("/predict?top_k=1&scores=true", {"inputs": given}))
    assert_equal(answers, rows)
    for answer, row in zip(answers, rows, strict=True):
        assert list(answer["scores"].values()) == pytest.approx(list(row.scores), abs=1e-6)
        assert answer["top"] == [{"answer": answer["answer"], "probability": answer["probability"]}]
    with ThreadPoolExecutor(16) as pool:
        alone = list(pool.map(lambda text: read(texts.post("/predict", {"inputs": {"text": text, "id": 1}})), given))
    assert_equal([answer for [answer] in alone], rows)


def test_the_document_describes_this_run_and_its_answers(texts: Server) -> None:
    document = texts.get("/openapi.json").json()
    media = document["paths"]["/predict"]["post"]["responses"]["200"]["content"]["application/json"]
    schema = {**media["schema"], "components": document["components"]}
    jsonschema.validate(media["example"], schema)
    answers = texts.post("/predict?scores=true&top_k=2", {"inputs": ["good", "", None]}).json()
    jsonschema.validate(answers, schema)
    assert answers["answers"][1:] == [{"error": "the text is empty"}, {"error": "there is no text"}]
    assert document["components"]["schemas"]["Answer"]["properties"]["answer"]["enum"] == ["negative", "positive"]
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    jsonschema.validate(body["example"], body)
    [example] = media["example"]["answers"]
    assert read(texts.post("/predict?scores=false", body["example"]))[0]["answer"] == example["answer"]


def test_the_page_needs_nothing_from_a_network(texts: Server) -> None:
    page = texts.get("/")
    assert page.url == f"{texts.address}/docs"
    assert "https://" not in page.text
    linked = re.findall(r"(?:src|href)=\"([^\"]+)\"", page.text)
    assert len(linked) == 3
    for each in linked:
        assert texts.get(f"/{each}").status_code == 200
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("status", "message", "options"),
    [
        (400, "the body is no JSON: Input data was truncated", {"data": '{"inputs":'}),
        (400, "the body is no JSON", {"data": "[" * 5000}),
        (400, "the body is no JSON", {"data": b'{"inputs": "\xff"}'}),
        (415, "the body has no Content-Type; a body is application/json", {"data": "x", "headers": {}}),
        (415, "bodies of the type 'text/csv' are not read", {"data": "x", "headers": {"Content-Type": "text/csv"}}),
        (422, "the body is no JSON object; its keys are 'inputs'", {"data": "[]"}),
        (422, "there is no key 'input'; did you mean 'inputs'?", {"data": '{"input": "x"}'}),
        (422, "there is no input", {"data": '{"inputs": []}'}),
        (422, "the text is empty", {"data": '{"inputs": " "}'}),
        (422, "none of the inputs has an answer; the first: the text is a number", {"data": '{"inputs": [1, null]}'}),
        (422, "there is no key 'topk'; did you mean 'top_k'?", {"data": "{}", "params": {"topk": 1}}),
        (422, "top_k: '-1' is too small; the least is 0", {"data": "{}", "params": {"top_k": -1}}),
        (413, "65 inputs are too many; the most of a request is 64", {"data": json.dumps({"inputs": ["x"] * 65})}),
        (413, "the body is too large; the most is 1.0 MiB, which --max-body sets", {"data": "x" * (1 << 20) + "x"}),
        (413, "the body is too large", {"data": iter([b"x" * (1 << 20), b"x"])}),
        (403, "this page is of 'http://elsewhere.example'", {"headers": {"Origin": "http://elsewhere.example"}}),
        (403, "'elsewhere.example' is no name of this server", {"headers": {"Host": "elsewhere.example"}}),
    ],
)
def test_wrong_requests_are_refused_in_words(texts: Server, status: int, message: str, options: dict[str, Any]) -> None:
    response = texts.post("/predict", **{"headers": {"Content-Type": "application/json"}, **options})
    assert response.status_code == status
    assert message in response.json()["error"]


def test_paths_and_methods_that_are_not_there_are_named(texts: Server) -> None:
    assert texts.get("/health").json() == {"status": "ready"}
    missing, wrong = texts.post("/generate", {}), texts.get("/predict")
    assert (missing.status_code, wrong.status_code) == (404, 405)
    assert missing.json()["error"] == "there is no '/generate' here; there are /health, /predict and /docs"
    assert wrong.json()["error"] == "/predict takes no GET; it takes POST"


def test_images_have_the_answers_of_predict_however_they_come(
    images: Server, image_run: RunFolder, tiny: Tiny, tmp_path: Path
) -> None:
    files = [tiny.photos / "down" / "3.png", tiny.photos / "across" / "3.png"]
    with Image.open(files[0]) as image:
        for name, mode in (("palette.gif", "P"), ("print.jpg", "CMYK"), ("grey.png", "L")):
            image.convert(mode).save(tmp_path / name)
            files.append(tmp_path / name)
    rows = predict(image_run, *files)
    known = {"headers": {"Authorization": f"Bearer {TOKEN}"}}
    form = [("images", (file.name, file.read_bytes())) for file in files]
    assert_equal(read(images.post("/predict", files=form, **known)), rows)
    broken = files[0].read_bytes()[:60]
    first, second, third = read(images.post("/predict", files=[form[0], ("images", ("x", broken)), form[1]], **known))
    assert_equal([first, third], rows[:2])
    assert second == {"error": "the image cannot be decoded: it is corrupt or cut short: image file is truncated"}
    in_base64 = [base64.b64encode(file.read_bytes()).decode() for file in files]
    in_base64[1] = f"data:image/png;base64,{in_base64[1]}"
    assert_equal(read(images.post("/predict", {"inputs": [{"image": in_base64[0]}, *in_base64[1:]]}, **known)), rows)
    headers = {**known["headers"], "Content-Type": "image/gif"}
    assert_equal(read(images.post("/predict", data=files[2].read_bytes(), headers=headers)), rows[2:3])
    wrong = images.post("/predict", {"inputs": ["no base64!", 3, None, "東"]}, **known)
    assert wrong.status_code == 422
    assert "the image is not in base64" in wrong.json()["error"]
    fields = images.post("/predict", files={"images": (None, "no file")}, **known)
    assert (fields.status_code, fields.json()["error"].partition(":")[0]) == (400, "the form cannot be read")


def test_a_token_is_needed_and_kept_by_browsers(images: Server) -> None:
    assert images.get("/health").status_code == 200
    for headers in ({}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": TOKEN}):
        response = images.get("/docs", headers=headers)
        assert response.status_code == 401
        assert TOKEN not in response.text
    with requests.Session() as browser:
        opened = browser.get(f"{images.address}/docs?token={TOKEN}", timeout=60)
        assert (opened.status_code, opened.url) == (200, f"{images.address}/docs")
        assert browser.get(f"{images.address}/openapi.json", timeout=60).status_code == 200


def test_documented_requests_are_answered(texts: Server, tiny: Tiny, tmp_path: Path) -> None:
    section = page("serve-model").partition("<!-- texts -->")[2]
    lines = blocks("sh", section)[0].splitlines()
    assert len(lines) == 2
    for line in lines:
        command = shlex.split(line.replace("http://127.0.0.1:8080", texts.address))
        done = subprocess.run([*command, "--silent", "--fail"], capture_output=True, check=False)
        assert done.returncode == 0, line
        assert json.loads(done.stdout)["answers"][0]["answer"] in ("negative", "positive")


def test_a_model_that_is_killed_is_started_again(texts: Server) -> None:
    texts.find_model_process().kill()
    wait_for(lambda: texts.get("/health").status_code == 503)
    refused = texts.post("/predict", {"inputs": "good"})
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert refused.json()["error"] == "the model's process has ended, and is being started again; try again later"
    wait_for(lambda: texts.get("/health").json() == {"status": "ready"})
    assert read(texts.post("/predict", {"inputs": "good"}))


def test_a_signal_lets_requests_end_and_the_port_is_named(text_run: RunFolder, folder: Path) -> None:
    with serve(text_run, folder / "cache", "--max-batch", "1") as server, ThreadPoolExecutor(1) as pool:
        port = server.address.rpartition(":")[2]
        command = make_command("ftapp.cli", "serve-model", str(text_run.folder), "--port", port)
        other = subprocess.run(command, capture_output=True, text=True, check=False)
        assert other.returncode == 2
        assert re.search(rf"127.0.0.1:{port} cannot be listened on: .*; the next free port: --port \d+\n", other.stderr)
        asked = pool.submit(server.post, "/predict", {"inputs": ["good film"] * 500})
        wait_for(lambda: has_connection(int(port)))
        server.process.send_signal(signal.SIGTERM)
        assert len(read(asked.result())) == 500
        _, stderr = server.process.communicate(timeout=240)
        assert server.process.returncode == 0, stderr
        with pytest.raises(requests.ConnectionError):
            server.get("/health")


def test_sigterm_ends_a_server_that_starts_in_the_background_of_a_script(text_run: RunFolder) -> None:
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        command = make_command("ftapp.cli", "serve-model", str(text_run.folder), "--port", "0")
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, ignored)
    assert process.stderr is not None
    assert process.stderr.readline() == "starting the model\n"
    process.send_signal(signal.SIGTERM)
    stdout, _ = process.communicate(timeout=240)
    assert (process.returncode, stdout) == (130, "")


def has_connection(port: int) -> bool:
    """Tell whether a client has been connected with a port of this machine."""
    found = psutil.net_connections("tcp")
    return any(each.laddr and each.laddr[1] == port and each.status == psutil.CONN_ESTABLISHED for each in found)


def test_texts_of_a_language_model_are_those_of_generate(tiny: Tiny, folder: Path) -> None:
    run = save_run(recipes.lm_recipe(tiny), folder / "writer")
    with serve(run, folder / "cache") as server:
        asked = {"prompt": "the cat", "max_tokens": 8, "seed": 3, "temperature": 0.5, "top_k": 5, "top_p": 0.9}
        whole = server.post("/generate", asked)
        assert whole.status_code == 200
        paths = server.get("/openapi.json").json()["paths"]
        body = paths["/generate"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        jsonschema.validate(body["example"], body)
        jsonschema.validate(asked, body)
        streamed = server.post("/generate", {**asked, "stream": True})
        assert streamed.headers["Content-Type"].startswith("text/event-stream")
        events = [json.loads(line.removeprefix("data: ")) for line in streamed.text.split("\n\n") if line]
        assert events[-1] == whole.json()
        assert "".join(each["piece"] for each in events[:-1]) == whole.json()["text"]
        wrong: dict[str, dict[str, Any]] = {
            "max_tokens: 33 is too large; the most is 32": {**asked, "max_tokens": 33},
            "top_p: 0 is too small; it is above 0": {**asked, "top_p": 0},
            "the prompt is empty; a prompt has words": {"prompt": " "},
            "the prompt leaves no room: it has 33": {"prompt": "the cat " * 20},
            "prompt: this key is required and is missing": {},
            "temperature: 'hot' is no number": {**asked, "temperature": "hot"},
        }
        for message, content in wrong.items():
            for stream in (False, True):
                refused = server.post("/generate", {**content, "stream": stream})
                assert refused.status_code == 422
                assert message in refused.json()["error"]
    words = ["--tokens", "8", "--seed", "3", "--temperature", "0.5", "--top-k", "5", "--top-p", "0.9", "--json"]
    command = make_command("ftapp.cli", "generate", str(run.folder), "--prompt", "the cat", *words)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert {name: json.loads(done.stdout)[name] for name in ("text", "tokens", "end")} == whole.json()
