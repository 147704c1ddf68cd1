from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from surefoot.errors import InputError
from surefoot.train import predict
from surefoot.train.config import Config
from surefoot.train.data import load
from surefoot.train.job import train
from surefoot.train.picture import picture
from surefoot.train.pictures import files, seen
from surefoot.train.rows.identity import mark


def model(*, of_mnist: bool, shape: tuple[int, ...] = (28, 28)) -> predict.Trained:
    return predict.Trained(torch.nn.Identity(), shape, (), load().scaling, bytes=255, of_mnist=of_mnist)


@pytest.fixture
def corner(tmp_path: Path) -> Path:
    """A digit of MNIST in the corner of a large sheet."""
    grey = np.full((200, 300), 230, np.uint8)
    digit = Image.fromarray(load().valid.x[0].numpy()).resize((56, 56))
    grey[10:66, 10:66] -= np.asarray(digit) // 2
    Image.fromarray(grey).save(tmp_path / "corner.png")
    return tmp_path / "corner.png"


def test_a_picture_is_prepared_for_a_model_of_mnist_alone(corner: Path) -> None:
    prepared = seen(corner, model(of_mnist=True))
    assert prepared.prepared
    assert abs(prepared.x[0].int() - load().valid.x[0].int()).double().mean() < 12
    for left in (seen(corner, model(of_mnist=False)), seen(corner, model(of_mnist=True), raw=True)):
        assert not left.prepared
        assert torch.equal(left.x, picture(corner, (28, 28)))


def test_a_picture_of_mnist_is_left_as_it_is(tmp_path: Path) -> None:
    Image.fromarray(load().valid.x[0].numpy()).save(tmp_path / "x.png")
    one = seen(tmp_path / "x.png", model(of_mnist=True))
    assert not one.prepared
    assert torch.equal(one.x[0], load().valid.x[0])


def test_a_picture_with_nothing_on_it(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.new("L", (90, 90), 200).save(path)
    with pytest.raises(InputError) as caught:
        seen(path, model(of_mnist=True))
    assert str(caught.value) == f"'{path}' is blank: there is no digit on it."
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90), np.uint8)).save(path)
    with pytest.raises(InputError) as caught:
        seen(path, model(of_mnist=True))
    assert str(caught.value) == f"Nothing on '{path}' stands out from its background as a digit does."
    assert seen(path, model(of_mnist=False)).x.shape == (1, 28, 28)


def test_which_files_are_meant(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        files([tmp_path])
    assert str(caught.value) == f"There is no picture in the folder '{tmp_path}', such as digit.png."
    b, a, text = (tmp_path / name for name in ("b.png", "a.JPG", "notes.txt"))
    for path in (b, a, text):
        path.touch()
    assert files([text, tmp_path]) == [text, a, b]
    assert files([tmp_path / "*.png"]) == [b]
    assert files([tmp_path / "none*.png"]) == [tmp_path / "none*.png"]


def digits_run(path: Path, data: str, **options: object) -> Path:
    config = Config(data=data, epochs=1, batch_size=100, hidden=(8,), threads=1, out=path, **options)  # type: ignore[arg-type]
    train(config, progress=False)
    return path


def test_a_run_on_a_part_of_mnist_is_known_by_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load().valid
    np.savez(tmp_path / "digits.npz", x=data.x.numpy(), y=data.y.numpy())
    run = digits_run(tmp_path / "run", str(tmp_path / "digits.npz"), train_fraction=0.7)
    assert not predict.load(run).of_mnist
    monkeypatch.setattr(predict, "_MNIST_ROWS", mark(data.x, data.y))  # as if these were MNIST
    assert predict.load(run).of_mnist
    (run / "environment.json").unlink()
    assert repr(predict.load(run)) == "<Trained Sequential: inputs of 28 × 28 → 10 classes>"
    one = Image.fromarray(data.x[0].numpy())
    one.save(tmp_path / "x.png")
    assert repr(seen(tmp_path / "x.png", predict.load(run))) == "<Seen 28 × 28>"


def test_a_run_on_mnist_is_known(tmp_path: Path) -> None:
    run = digits_run(tmp_path / "run", "mnist-10k")
    assert predict.load(run).of_mnist
    data = load()
    np.savez(tmp_path / "digits.npz", x=data.valid.x.numpy(), y=data.valid.y.numpy())
    run = digits_run(tmp_path / "other", str(tmp_path / "digits.npz"))
    assert not predict.load(run).of_mnist  # by 28 × 28 bytes and ten digits alone, they may be anything
    told = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    told["given"]["rows to train on"] = "60,000 rows of 28 × 28, uint8, checksum 1a72601a"
    (run / "environment.json").write_text(json.dumps(told), encoding="utf-8")
    assert predict.load(run).of_mnist
    (run / "environment.json").unlink()
    assert not predict.load(run).of_mnist
