"""`model-info` names a model file, here and on chain."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from platformless.console import Output
from platformless.engine.errors import ModelNotFound
from platformless.node.model_info import read_model_info, show_model_info
from platformless.protocol.digests import keccak256

REPOSITORY = "HuggingFaceTB/SmolLM2-135M-Instruct-GGUF"


def test_a_file_and_its_repository_make_the_name_on_chain(model_path: Path) -> None:
    info = read_model_info(model_path, REPOSITORY)
    assert info.model_id is not None
    assert info.model_id.value == keccak256(f"{REPOSITORY}/{model_path.name}".encode())
    assert (info.architecture, info.trained_context, info.has_chat_template) == (
        "llama",
        8192,
        True,
    )
    assert read_model_info(model_path).model_id is None


def test_json_has_all_names(model_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_model_info(Output("fabstir-llm-node", "model-info", True), model_path, REPOSITORY)
    shown = json.loads(capsys.readouterr().out)
    assert shown["outcome"] == "done"
    assert shown["file_sha256"] == "0x" + hashlib.sha256(model_path.read_bytes()).hexdigest()
    info = read_model_info(model_path, REPOSITORY)
    assert shown["weights_root"] == str(info.weights.root)
    assert shown["model_id"] == str(info.model_id)


def test_text_tells_how_to_see_the_name_on_chain(
    model_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show_model_info(Output("fabstir-llm-node", "model-info", False), model_path)
    assert "--repository" in capsys.readouterr().out


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="ENG-101"):
        read_model_info(tmp_path / "absent.gguf")
