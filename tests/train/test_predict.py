from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from surefoot.errors import InputError
from surefoot.train import predict
from surefoot.train.config import Config
from surefoot.train.data import load
from surefoot.train.job import train

OF_BYTES = predict.Trained(torch.nn.Identity(), (28, 28), (), load().scaling, bytes=255)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on MNIST, long enough to know a digit."""
    path = tmp_path_factory.mktemp("predict") / "run"
    train(Config(epochs=1, batch_size=100, out=path, hidden=(32,), threads=1), progress=False)
    return path


def test_the_model_comes_back_with_its_scaling(run: Path) -> None:
    trained, data = predict.load(run), load()
    shares = trained(data.valid.x)
    assert shares.shape == (2000, 10)
    torch.testing.assert_close(shares.sum(1), torch.ones(2000))
    assert (shares.argmax(1) == data.valid.y).double().mean() > 0.85
    assert trained.classes == data.classes


def test_rows_of_a_file(tmp_path: Path) -> None:
    data = load()
    path = tmp_path / "rows.npz"
    np.savez(path, images=data.valid.x[:5].numpy(), labels=data.valid.y[:5].numpy())
    x, y, y_from = predict.rows(path, OF_BYTES)
    assert torch.equal(x, data.valid.x[:5])
    assert y.tolist() == data.valid.y[:5].tolist()
    assert y_from == f"labels of {path}"
    np.savez(path, anything=data.valid.x[0].numpy())
    x, y, y_from = predict.rows(path, OF_BYTES)
    assert (x.shape, y) == ((1, 28, 28), None)


def trained(*classes: str) -> predict.Trained:
    return predict.Trained(torch.nn.Identity(), (2,), classes, load().scaling)


def scored(model: predict.Trained, output: torch.Tensor, y: Any, y_from: str) -> str:
    return predict.score(model, output, predict.truth(model, output, y, y_from))


@pytest.mark.parametrize(
    ("classes", "y", "text"),
    [
        (("cat", "dog"), np.array(["dog", "dog", "dog"]), "accuracy 66.67 % of 3 rows"),
        (("cat", "dog"), np.array([[1], [1], [0]]), "accuracy 100.00 % of 3 rows"),
        ((), np.array([[0.0, 1.0], [2.0, 4.0], [5.0, 3.0]]), "R² 0.9423 of 3 rows"),
        ((), np.ones((3, 2)), "R² is not defined, since y does not vary, of 3 rows"),
    ],
)
def test_outputs_against_the_targets_of_a_file(classes: tuple[str, ...], y: Any, text: str) -> None:
    output = torch.tensor([[0.0, 1.0], [2.0, 4.0], [5.0, 4.0]])
    assert scored(trained(*classes), output, y, "y of a.npz") == text


@pytest.mark.parametrize(
    ("classes", "y", "text"),
    [
        (
            ("cat", "dog"),
            np.array(["dog", "bird", "dog"]),
            "y of a.npz holds label 'bird' in row 1, which is",
        ),
        (("0", "1"), np.array([0, 1, 7]), "y of a.npz holds label 7 in row 2; expected 0 … 1"),
        ((), np.ones(3), "y of a.npz has 1 number per row; the model returns 2."),
    ],
)
def test_targets_that_outputs_cannot_be_held_against(classes: tuple[str, ...], y: Any, text: str) -> None:
    with pytest.raises(InputError) as caught:
        scored(trained(*classes), torch.zeros(3, 2), y, "y of a.npz")
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"a": np.zeros(1), "b": np.zeros(1)}, "{path} holds a, b; expected x (or images, data, x_test)."),
        (
            {"x": np.zeros((2, 27, 28))},
            "x of {path} has shape (2, 27, 28) and type float64;"
            " the model takes numbers of shape (rows, 28, 28).",
        ),
        (
            {"x": np.zeros((2, 28, 28)), "y": np.zeros(3)},
            "x of {path} holds 2 rows but y of {path} holds 3; each input requires one target.",
        ),
        (
            {"x": np.zeros((2, 28, 28)), "y": np.float64(3)},
            "x of {path} holds 2 rows but y of {path} holds 1; each input requires one target.",
        ),
        (
            {"images": np.linspace(0, 1, 1568).reshape(2, 28, 28)},
            "images of {path} ranges from 0 to 1; the model was trained on bytes, 0 … 255. Give bytes.",
        ),
    ],
)
def test_rows_that_cannot_be_used(tmp_path: Path, arrays: dict[str, Any], text: str) -> None:
    path = tmp_path / "rows.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError) as caught:
        predict.rows(path, OF_BYTES)
    assert str(caught.value) == text.format(path=path)


@pytest.mark.parametrize("name", ["test_images", "val_images", "train_images", "X_train", "X_test"])
def test_files_that_train_takes_are_predicted_of(name: str, tmp_path: Path) -> None:
    y_name = name.replace("images", "labels").replace("X", "y")
    arrays = {name: np.full((2, 28, 28), 7, np.uint8), y_name: np.array([3, 4])}
    if name == "test_images":  # all that MedMNIST has: those to train on are no news
        arrays |= {n.replace("test", part): a[:1] for n, a in arrays.items() for part in ("train", "val")}
    np.savez(tmp_path / "rows.npz", **arrays)
    x, y, y_from = predict.rows(tmp_path / "rows.npz", OF_BYTES)
    assert (len(x), y.tolist(), y_from) == (2, [3, 4], f"{y_name} of {tmp_path / 'rows.npz'}")


def test_rows_that_are_no_numbers_are_told_by_their_place(tmp_path: Path) -> None:
    x = np.ones((2, 28, 28))
    x[1, 2, 3] = np.nan
    np.savez(tmp_path / "rows.npz", x=x)
    with pytest.raises(InputError, match=r"rows.npz holds nan in row 1, position \(2, 3\); expected finite"):
        predict.rows(tmp_path / "rows.npz", OF_BYTES)


def test_floats_that_are_whole_may_be_bytes(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=np.ones((2, 28, 28)))
    x, *_ = predict.rows(tmp_path / "rows.npz", OF_BYTES)
    assert torch.equal(x, torch.ones(2, 28, 28))


def test_what_a_model_of_bfloat16_says_is_scored() -> None:
    output = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.bfloat16)
    said = scored(trained("cat", "dog"), output, np.array([1, 1]), "y")
    assert said == "accuracy 50.00 % of 2 rows"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"PK nothing")
    with pytest.raises(InputError, match=r"is not an .npz file as written by numpy.savez"):
        predict.rows(tmp_path / "x.npz", OF_BYTES)
    with pytest.raises(InputError, match=r"Cannot read .*No such file or directory"):
        predict.rows(tmp_path / "nowhere.npz", OF_BYTES)


def test_a_folder_that_is_no_run(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        predict.load(tmp_path)
    assert str(caught.value) == f"'{tmp_path}' is not a run folder: it has no config.toml."
    with pytest.raises(InputError, match=r"There is no run folder '.*nowhere'"):
        predict.load(tmp_path / "nowhere")
    (tmp_path / "config.toml").write_text("")
    goes_on = f"if it was stopped, continue it with surefoot resume {tmp_path}"
    for best, name in ((False, "model"), (True, "best")):
        with pytest.raises(InputError) as caught:
            predict.load(tmp_path, best=best)
        assert str(caught.value) == (
            f"The run '{tmp_path}' is not finished, and has no {name}.safetensors yet; {goes_on}."
        )
    (tmp_path / "best.safetensors").touch()
    with pytest.raises(InputError) as caught:
        predict.load(tmp_path)
    assert str(caught.value) == (
        f"The run '{tmp_path}' is not finished, and has no model.safetensors yet; {goes_on}, or use"
        " --best for the weights of its best validation."
    )
    (tmp_path / "config.toml").write_text("hidden = [8]")
    (tmp_path / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes())
    with pytest.raises(InputError) as caught:
        predict.load(tmp_path)
    path = tmp_path / "model.safetensors"
    assert str(caught.value) == f"The weights in '{path}' belong to a different model than config.toml says."
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="Cannot read the weights"):
        predict.load(tmp_path)


def test_a_time_in_seconds_is_learned_and_predicted(tmp_path: Path) -> None:
    t = np.random.RandomState(0).uniform(0, 20, 2000)
    np.savez(tmp_path / "times.npz", x=(1.7e9 + t)[:, None], y=(t > 10).astype(int))
    config = Config(data=str(tmp_path / "times.npz"), epochs=5, out=tmp_path / "run", threads=1)
    run = train(config, progress=False)
    assert run.last is not None
    assert run.last > 0.98
    trained = predict.load(tmp_path / "run")
    x, y, _ = predict.rows(tmp_path / "times.npz", trained)
    assert (trained(x).argmax(1).numpy() == y).mean() > 0.98
