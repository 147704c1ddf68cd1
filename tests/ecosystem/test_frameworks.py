"""Lightning's Trainer and Hugging Face accelerate train with surefoot.SGD as with torch's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import surefoot

pytestmark = [
    pytest.mark.ecosystem,
    # what the frameworks themselves warn of
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]
OPTIONS: dict[str, Any] = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "nesterov": True}
MAKES = {"ours": surefoot.SGD, "torch": torch.optim.SGD}


def data() -> torch.utils.data.DataLoader[Any]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(32, 4, generator=generator)
    return torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(x, x.sum(1, keepdim=True)), batch_size=8
    )


def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))


def test_lightning(tmp_path: Path) -> None:
    """Training with a schedule, a checkpoint in the middle, and going on from it."""
    lightning = pytest.importorskip("lightning", reason="needs the test-ecosystem extra")

    class Module(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self, make: Any) -> None:
            super().__init__()
            self.net, self.make = model(), make

        def training_step(self, batch: Any, index: int) -> Any:
            return torch.nn.functional.mse_loss(self.net(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            optimizer = self.make(self.net.parameters(), **OPTIONS)
            return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)]

    def fit(make: Any, epochs: int, path: str | None = None) -> Any:
        trainer = lightning.Trainer(
            max_epochs=epochs, accelerator="cpu", logger=False, enable_progress_bar=False,
            enable_model_summary=False, enable_checkpointing=False, default_root_dir=tmp_path,
            gradient_clip_val=1.0,
        )  # fmt: skip
        module = Module(make)
        trainer.fit(module, data(), ckpt_path=path)
        return trainer, list(module.net.parameters())

    whole = {name: fit(make, 4)[1] for name, make in MAKES.items()}
    for p, q in zip(whole["ours"], whole["torch"], strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)
    trainer, _ = fit(surefoot.SGD, 2)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    assert all(map(torch.equal, fit(surefoot.SGD, 4, str(tmp_path / "half.ckpt"))[1], whole["ours"]))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_accelerate(accumulate: int, tmp_path: Path) -> None:
    """Prepared training with accumulation, clipping and a schedule; save_state and load_state."""
    accelerate = pytest.importorskip("accelerate", reason="needs the test-ecosystem extra")

    def fit(make: Any) -> list[torch.Tensor]:
        accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=accumulate)
        net = model()
        optimizer = make(net.parameters(), **OPTIONS)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        net, optimizer, loader, schedule = accelerator.prepare(net, optimizer, data(), schedule)
        for epoch in range(3):
            for x, y in loader:
                with accelerator.accumulate(net):
                    accelerator.backward(torch.nn.functional.mse_loss(net(x), y))
                    accelerator.clip_grad_norm_(net.parameters(), 1.0)
                    optimizer.step()
                    schedule.step()
                    optimizer.zero_grad()
            if epoch == 1:
                accelerator.save_state(str(tmp_path / "state"))
                accelerator.load_state(str(tmp_path / "state"))
        return [p.detach().clone() for p in net.parameters()]

    for p, q in zip(*(fit(make) for make in MAKES.values()), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)
