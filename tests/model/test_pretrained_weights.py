"""Weights are found under every name they are stored by; what is missing or misshapen is said."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pretrained_folders import FAMILIES, L, make_folder
from safetensors.torch import load_file, save_file
from torch import Tensor

from mtl_core.errors import ConfigError
from mtl_core.model.pretrained import describe, resolve
from mtl_core.model.pretrained_weights import StartingWeights, read_weights

FILE = "model.safetensors"


def read(folder: Path) -> StartingWeights:
    return read_weights(describe(str(folder)), resolve(pretrained=str(folder)), cls_id=2)


def rewrite(folder: Path, tensors: dict[str, Tensor]) -> None:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / FILE)


def assert_same(found: StartingWeights, wanted: StartingWeights) -> None:
    torch.testing.assert_close(found.words, wanted.words, rtol=0, atol=0)
    torch.testing.assert_close(dict(found.tables), dict(wanted.tables), rtol=0, atol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_names_may_begin_with_the_family_s(family: str, tmp_path: Path) -> None:
    folder = make_folder(tmp_path, family)
    wanted = read(folder)
    prefix = "bert" if family == "minilm" else family

    tensors = load_file(folder / FILE)
    rewrite(folder, {f"{prefix}.{name}": tensor for name, tensor in tensors.items()})

    assert_same(read(folder), wanted)


def test_norms_may_have_their_old_names(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "bert")
    wanted = read(folder)

    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    tensors = load_file(folder / FILE)
    for new, former in old.items():
        tensors = {name.replace(new, former): tensor for name, tensor in tensors.items()}
    rewrite(folder, tensors)

    assert_same(read(folder), wanted)


def test_weights_may_be_in_shards(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "bert")
    wanted = read(folder)

    tensors = load_file(folder / FILE)
    (folder / FILE).unlink()
    files = {name: f"part{at % 2}.safetensors" for at, name in enumerate(tensors)}
    for file in set(files.values()):
        part = {name: tensors[name] for name in files if files[name] == file}
        save_file(part, folder / file)
    index = json.dumps({"metadata": {}, "weight_map": files})
    (folder / "model.safetensors.index.json").write_text(index)

    assert_same(read(folder), wanted)


@pytest.mark.parametrize(
    ("index", "fault"),
    [
        ([], "has no weight_map; the file of each tensor"),
        ({"weight_map": None}, "has no weight_map"),
        ({"weight_map": []}, "has no weight_map"),
        ({"weight_map": {"a": 3}}, "weight_map names 3; the file of each tensor"),
        ({"weight_map": {"a": "../b.safetensors"}}, "weight_map names '../b.safetensors'"),
    ],
    ids=str,
)
def test_a_broken_index_of_shards_is_refused(index: object, fault: str, tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "bert")
    (folder / FILE).unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    with pytest.raises(ConfigError, match=f"model.safetensors.index.json: {fault}"):
        read(folder)


def test_a_whole_file_goes_before_an_index_that_was_left_beside_it(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "bert")
    wanted = read(folder)

    index = json.dumps({"weight_map": {"embeddings.word_embeddings.weight": "gone.safetensors"}})
    (folder / "model.safetensors.index.json").write_text(index)

    assert_same(read(folder), wanted)


def test_half_precision_becomes_float32(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "bert")
    rewrite(folder, {name: t.to(torch.bfloat16) for name, t in load_file(folder / FILE).items()})

    found = read(folder)

    assert {table.dtype for table in (found.words, *found.tables.values())} == {torch.float32}
    assert f"layers.{L}.qkv_weight" in found.tables


def test_what_is_missing_or_misshapen_is_said_at_once(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "bert")
    tensors = load_file(folder / FILE)
    tensors["encoder.layer.1.output.dense.weight"] = torch.zeros(2, 3)
    del tensors["encoder.layer.0.attention.self.key.bias"]
    rewrite(folder, tensors)

    with pytest.raises(ConfigError) as caught:
        read(folder)

    assert caught.value.faults == (
        f"{folder}: has no weight encoder.layer.0.attention.self.key.bias, of shape [12]",
        f"{folder / FILE}: encoder.layer.1.output.dense.weight has the shape [2, 3], [12, 20] "
        f"would be right, as {folder / 'config.json'} says",
    )


def test_of_very_many_faults_the_first_are_said(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "bert")
    rewrite(folder, {"other": torch.zeros(1)})

    with pytest.raises(ConfigError, match=r"and \d+ more such faults"):
        read(folder)


def test_quantised_weights_are_refused(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "bert")
    name = "encoder.layer.0.output.dense.weight"
    tensors = load_file(folder / FILE)
    rewrite(folder, tensors | {name: tensors[name].to(torch.int8)})

    with pytest.raises(ConfigError, match=f"{name} is of type I8, one of F16, BF16, F32, F64 wou"):
        read(folder)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(number: float, tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "bert")
    name = "encoder.layer.0.output.dense.bias"
    rewrite(folder, load_file(folder / FILE) | {name: torch.full((12,), number)})

    with pytest.raises(ConfigError, match=f"{FILE}: {name} has numbers that are not finite, fini"):
        read(folder)


def test_a_claimed_shape_is_not_made_before_it_is_found(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "bert")
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"intermediate_size": 10**7}))

    with pytest.raises(ConfigError, match=r"has the shape \[20, 12\], \[10000000, 12\] would be"):
        read(folder)


def test_a_folder_without_weights_says_what_writes_them(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "bert")
    (folder / FILE).rename(folder / "pytorch_model.bin")

    with pytest.raises(ConfigError, match=r"model.safetensors: no such file; AutoModel\.from_pre"):
        read(folder)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "bert")
    (folder / FILE).write_bytes(b"no weights")

    with pytest.raises(ConfigError, match=r"model.safetensors: cannot be read as weights \(.*\)$"):
        read(folder)


def test_a_pointer_of_git_lfs_says_what_fetches_the_file(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "bert")
    (folder / FILE).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")

    with pytest.raises(ConfigError, match=r"model.safetensors: .*`git lfs pull` fetches it"):
        read(folder)


def test_weights_are_read_without_the_compiler_which_takes_seconds_to_import(
    tmp_path: Path,
) -> None:
    folder = str(make_folder(tmp_path, "bert"))
    program = (
        "import sys\n"
        "from mtl_core.model.pretrained import describe, resolve\n"
        "from mtl_core.model.pretrained_weights import read_weights\n"
        f"read_weights(describe({folder!r}), resolve(pretrained={folder!r}), cls_id=2)\n"
        "print('torch._dynamo' in sys.modules)\n"
    )

    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert found.stdout == "False\n", found.stderr
