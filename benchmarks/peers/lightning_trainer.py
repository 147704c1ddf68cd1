"""Lightning's Trainer, bar and logger off.

requires: torch lightning
"""

import logging
import time
import warnings

import lightning
import torch
from job import BATCH, EPOCHS, LR, MOMENTUM, load, say
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from torch_model import mlp

warnings.simplefilter("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
torch.manual_seed(0)
x, y, x_valid, y_valid = (torch.from_numpy(a) for a in load())
epochs = []


class Module(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = mlp()

    def training_step(self, batch, _):
        return F.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=LR, momentum=MOMENTUM)

    def on_train_epoch_start(self):
        self.start = time.perf_counter()

    def on_train_epoch_end(self):
        epochs.append(time.perf_counter() - self.start)


module = Module()
trainer = lightning.Trainer(
    max_epochs=EPOCHS, accelerator="cpu", logger=False, enable_checkpointing=False,
    enable_progress_bar=False, enable_model_summary=False,
)  # fmt: skip
trainer.fit(module, DataLoader(TensorDataset(x, y), batch_size=BATCH, shuffle=True))
module.eval()
with torch.no_grad():
    say(epochs, (module.net(x_valid).argmax(1) == y_valid).float().mean().item())
