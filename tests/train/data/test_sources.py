"""Names and paths to data: the embedded images, and what is said of what is not there."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from surefoot.errors import InputError
from surefoot.train.data import Data, load
from surefoot.train.data.published import MNIST

EMBEDDED = Path(sys.modules[Data.__module__].__file__).parent / "mnist_10k"
SCRIPTS = Path(__file__).parents[3] / "scripts"


def test_the_default_is_the_embedded_mnist():
    data = load()
    assert repr(data) == "<Data mnist-10k: 8,000 training and 2,000 validation rows of 28 × 28, 10 classes>"
    assert data.train.x.dtype == torch.uint8
    assert data.shape == (28, 28)
    assert data.outputs == 10
    assert data.classes == tuple("0123456789")
    # the known moments of MNIST's training set, in units of 255, are 0.1307 and 0.3081
    assert data.scaling.shift.item() / 255 == pytest.approx(0.1307, abs=0.001)
    assert data.scaling.span.item() / 255 == pytest.approx(0.3081, abs=0.001)
    assert data.scaling(data.train.x).mean().abs() < 1e-5


def test_the_scaling_is_learned_from_the_training_rows_alone():
    data = load(train_fraction=0.01, split_seed=3)
    assert len(data.train) == 100
    assert data.scaling.shift.item() == pytest.approx(data.train.x.double().mean().item(), rel=1e-6)


def test_the_embedded_files_are_what_their_readme_says():
    noted = dict(
        re.findall(r"^    ([0-9a-f]{64})  (\S+)  \(10,000", (EMBEDDED / "README.md").read_text(), re.M)[::-1]
    )
    found = {
        hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest(): path.name.removesuffix(".gz")
        for path in EMBEDDED.glob("*.gz")
    }
    assert found == noted
    assert len(found) == 2
    assert sum(path.stat().st_size for path in EMBEDDED.iterdir()) < 2_000_000


def test_the_same_rows_as_the_lecture():
    """The rows of train_test_split(random_state=0, train_size=0.8), in their order."""
    from sklearn.model_selection import train_test_split

    from surefoot.train.data.idx import read

    x = read(EMBEDDED / "train-images-idx3-ubyte.gz")
    y = read(EMBEDDED / "train-labels-idx1-ubyte.gz")
    expected = train_test_split(x, y, random_state=0, train_size=0.8)
    data = load()
    found = (data.train.x, data.valid.x, data.train.y, data.valid.y)
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.numpy() == theirs).all()


def test_a_split_of_ones_own_leaves_the_test_rows_untouched(folder, arrays):
    data = load(data_dir=folder, train_fraction=0.5, split_seed=1)
    assert data.name == "digits"
    assert (len(data.train), len(data.valid)) == (25, 25)
    known = {image.tobytes() for image in arrays["train-images-idx3-ubyte"]}
    assert {row.numpy().tobytes() for row in torch.cat([data.train.x, data.valid.x])} == known


def test_a_folder_may_be_named_as_the_data(folder):
    assert load(str(folder)).description == load(data_dir=folder).description


def test_labels_as_numbers_to_regress_on():
    data = load(task="regression")
    assert data.train.y.dtype == torch.float32
    assert data.train.y.shape == (8000, 1)
    assert data.outputs == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"name": "mnist10k"},
            "Unknown data 'mnist10k'; did you mean 'mnist-10k'?"
            " Known: FILE.npz, FOLDER, fashion-mnist, mnist, mnist-10k.",
        ),
        (
            {"name": "cifar", "data_dir": Path()},
            "Unknown data 'cifar'; known: FILE.npz, FOLDER, fashion-mnist, mnist, mnist-10k.",
        ),
        (
            {"name": "own.npz", "data_dir": Path("digits")},
            "Give either the data 'own.npz' or the folder 'digits', not both.",
        ),
        (
            {"name": __file__},
            f"{__file__} is not an .npz file as written by numpy.savez, or it is cut off.",
        ),
        ({"name": "./nowhere"}, "The data folder nowhere does not exist."),
        (
            {"task": "clasification"},
            "Unknown task 'clasification'; did you mean 'classification'? Known: classification, regression.",
        ),
        ({"scale": "z"}, "Unknown scale 'z'; known: raw, standard, unit."),
        ({"train_fraction": 1.5}, "The training fraction must lie between 0 and 1 (such as 0.8), not 1.5."),
    ],
)
def test_what_is_unknown_is_told_with_what_is_known(options, says):
    with pytest.raises(InputError) as caught:
        load(**options)
    assert str(caught.value) == says


def test_the_names_are_there_without_torch_and_numpy():
    code = (
        "import sys; from surefoot.train.data.published import NAMES; import surefoot.train.data;"
        "assert not {'torch', 'numpy'} & set(sys.modules), 'heavy'; print(*NAMES)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["mnist-10k", "mnist", "fashion-mnist"]


@pytest.fixture
def script(monkeypatch, tmp_path):
    """The script, reading the embedded files and writing elsewhere."""
    spec = importlib.util.spec_from_file_location("make_mnist_10k", SCRIPTS / "make_mnist_10k.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(sys, "argv", ["make_mnist_10k.py", str(EMBEDDED), "--out", str(tmp_path / "made")])
    return module


def test_the_script_refuses_files_that_are_not_the_published_ones(script, tmp_path):
    with pytest.raises(InputError, match="is not the file of mnist: its SHA-256 is 2889698e6bc36149"):
        script.main()
    assert not list((tmp_path / "made").iterdir())


def test_the_script_takes_the_first_images_and_makes_the_embedded_files_again(
    script, tmp_path, monkeypatch, capsys
):
    for path in EMBEDDED.glob(
        "*.gz"
    ):  # they are all of the first 10,000: let them pass for the published ones
        digest = hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest()
        monkeypatch.setitem(MNIST.sha256, path.name.removesuffix(".gz"), digest)
    script.main()
    for path in EMBEDDED.glob("*.gz"):
        made = (tmp_path / "made" / path.name).read_bytes()
        assert gzip.decompress(made) == gzip.decompress(path.read_bytes())
    assert "decompressed SHA-256 2889698e6bc36149" in capsys.readouterr().out
    monkeypatch.setattr(script, "COUNT", 3)
    script.main()
    first = load(str(tmp_path / "made"), train_fraction=0.7)
    assert len(first.train) + len(first.valid) == 3
