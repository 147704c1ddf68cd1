"""A whole run from its options: data, model, optimizer, loop, folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from surefoot.errors import InputError, a_kind, unknown
from surefoot.train import device as devices
from surefoot.train import models, optimizers
from surefoot.train.blame import blaming
from surefoot.train.config import GIVEN, Config, read
from surefoot.train.data import Data, load
from surefoot.train.data.published import NAMES
from surefoot.train.environment import environment
from surefoot.train.folder.diverged import check_not_diverged
from surefoot.train.folder.folder import RunFolder
from surefoot.train.folder.saved import check_run
from surefoot.train.folder.writing import at_home
from surefoot.train.looks.checks import check_model
from surefoot.train.ranges import check_parts
from surefoot.train.resolve import absolute
from surefoot.train.run import Run
from surefoot.train.saying import say
from surefoot.train.schedule import rise_of
from surefoot.train.steps import sharable, threads
from surefoot.train.training import isolated, run_training

__all__ = ["complete", "resume", "train"]


def complete(config: Config) -> Config:
    """The options with the defaults filled in that depend on others."""
    given = {name: getattr(config, name) for name in optimizers.OPTIONS}
    return dataclasses.replace(
        config,
        hidden=config.hidden or models.HIDDEN.get(config.model),
        dropout=models.DROPOUT.get(config.model) if config.dropout is None else config.dropout,
        **optimizers.with_defaults(config.optimizer, given, config.task),
    )


def train(
    config: Config | None = None, *, progress: bool = True, resume: bool = False, **options: Any
) -> Run:
    """Train as the options say, into a folder of its own: what `surefoot train` does.

    For each epoch and batch: θ ← optimizer(θ, ∇ loss(model(x), y)).

    Args:
        config: the options, as one Config; None is its defaults.
        progress: print what is trained on what, and a line per epoch.
        resume: if the folder `out` holds this run, go on with it.
        options: fields of Config by name, such as epochs=3 or lr=0.1; they override those of config.

    Returns:
        The run.

    Raises:
        InputError: an option that cannot be used; nothing has been written then.
        RunDiverged, Interrupted: as for fit.

    Example:
        >>> import tempfile
        >>> from surefoot.train import train
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run = train(model="linear", epochs=1, out=f"{folder}/run", progress=False)
        >>> run.status, len(run.steps)
        ('finished', 250)
    """
    config = _config(config, options)
    if config.data == GIVEN:
        raise InputError(
            "These options are from a run made by fit(), and do not include its model and data; call"
            " fit() again."
        )
    config = complete(config)
    check_parts(config.batch_size, config.accumulate)
    if config.out is not None:
        RunFolder(config.out).may_hold_this_run(resume)
    device = devices.pick(config.device)
    data = load(
        config.data,
        data_dir=config.data_dir,
        split_seed=config.split_seed,
        train_fraction=config.train_fraction,
        scale=config.scale,
        task=config.task,
    )
    torch.manual_seed(config.seed)
    model = models.build(config.model, data.shape, data.outputs, hidden=config.hidden, dropout=config.dropout)
    if ":" in config.model:
        models.look(model, config.model, data.scaling(data.train.x[:2]), data.outputs, bool(data.classes))
    return _fit(config, data, model, device, progress=progress, resume=resume)


def _config(config: Config | None, options: dict[str, Any]) -> Config:
    """What train was given as one Config."""
    if config is not None and not isinstance(config, Config):
        raise InputError(
            f"train takes options by name, such as surefoot.train(epochs=3), or a Config, not"
            f" {a_kind(config)}; for a model and data of your own, call surefoot.fit(model, data)."
        )
    for name in ("model", "optimizer", "data"):
        if not isinstance(options.get(name, ""), str):
            raise InputError(
                f"The {name} of train is a text, as on the command line; to give {a_kind(options[name])},"
                " call surefoot.fit(model, data)."
            )
    known = [field.name for field in dataclasses.fields(Config)]
    for name in options:
        if name not in known:
            raise unknown("option of train", name, known)
    return dataclasses.replace(config or Config(), **options)


def _fit(
    config: Config,
    data: Data,
    model: nn.Module,
    device: torch.device,
    *,
    progress: bool,
    resume: bool,
) -> Run:
    """Say what is trained on what, and train it into its folder."""
    model.to(device)
    given = {name: v for name in optimizers.OPTIONS if (v := getattr(config, name)) is not None}
    more = optimizers.options(config.opt)
    optimizer = optimizers.build(config.optimizer, model.parameters(), given | more)
    config = dataclasses.replace(config, **_own_defaults(config, optimizer, given, resume))
    row = data.scaling(data.train.x[:1].to(device))
    rows, own = (len(data.train.x), len(data.valid.x)), config.precision == "float32"
    choice = sharable.chosen(config, model, optimizer, row, *rows, own=own)
    if device.type == "cpu" and not choice.small:
        config = dataclasses.replace(config, threads=choice.threads)
    steps = -(-len(data.train) // config.batch_size)
    rise_of(config.schedule, config.warmup, config.epochs, steps)  # said before anything is printed
    with threads.by(choice.threads):
        where, machine = devices.describe(device, choice.most), environment(device, config.seed, choice.most)
    if progress:
        made = f"{Path(config.model).name} {models.describe(model)}; {optimizers.describe(optimizer, more)}"
        parts = f" in {config.accumulate} parts" if config.accumulate > 1 else ""
        whole = ", all rows in one" if config.batch_size >= len(data.train) else ""
        batches = f"batches of {config.batch_size:,}{whole}{parts}"
        say(f"{data.description}\n{made}\n{config.schedule}, {batches}; {where}\n", begun=False)
    folder = RunFolder(
        config.out,
        config.name or f"{config.model.rpartition(':')[2]}-{data.name}",
        config=dataclasses.replace(
            config,
            model=absolute(config.model),
            optimizer=absolute(config.optimizer),
            data=config.data if config.data in NAMES else str(at_home(config.data).resolve()),
            data_dir=config.data_dir and config.data_dir.resolve(),
            out=None,  # where a run lies is no option to repeat
        ).save_text(),
        environment=machine,
        about={
            "data": data.name,
            "task": data.task,
            "shape": data.shape,
            "bytes": int(data.train.x.max()) if data.train.x.dtype == torch.uint8 else 0,
            "outputs": data.outputs,
            "classes": data.classes,
            "scaling": data.scaling.to_dict(),
            "source": data.source,
        },
    )
    mine = {"model": config.model, "optimizer": config.optimizer}
    things = {"model": model, "optimizer": optimizer}
    with blaming(mine, things, folder):
        check_model(model)
        with isolated(model):
            return run_training(
                model,
                data.train,
                data.valid,
                config,
                optimizer=optimizers.over(model, optimizer),
                device=device,
                scaling=data.scaling,
                choice=choice,
                folder=lambda most: folder,
                progress=progress,
                resume=resume,
            )


def _own_defaults(
    config: Config, optimizer: Optimizer, given: dict[str, Any], resume: bool
) -> dict[str, Any]:
    """What config.toml says of options that the optimizer's class sets; of a run begun without, nothing."""
    found = optimizers.own_defaults(optimizer, given)
    if not resume or config.out is None or not (config.out / "config.toml").exists():
        return found
    folder = RunFolder(config.out)
    return {name: value for name, value in found.items() if folder.settled(name) is not None}


def resume(run: Path | str, *, progress: bool = True) -> Run:
    """Go on with a run of `train` from its last checkpoint, as if it had never stopped.

    It ends with the same weights and metrics, bit for bit, on the same machine with the same versions.

    Args:
        run: its folder.
        progress: as for train.

    Returns:
        The run, whole; one that has finished is handed back as it is.

    Raises:
        InputError: the folder holds no run, one that cannot go on, or one that is being written.
        RunDiverged, Interrupted: as for fit.
    """
    path = Path(run)
    check_run(path)
    config, folder = Config(**read(path / "config.toml")), RunFolder(path)
    check_not_diverged(folder)
    if config.data == GIVEN:
        raise InputError(
            f"The run '{path}' was made by fit() and does not hold its model and data; call fit() again with"
            " resume=True."
        )
    if folder.status == "finished":
        if progress:
            say(f"The run '{path}' is finished; there is nothing left to do.")
        return Run.load(path)
    if not any((path / "checkpoints").glob("step-*.safetensors")):
        if folder.status == "interrupted":
            raise InputError(
                f"The run '{path}' was stopped and has no checkpoint to resume from; start a new one with"
                f" --config {path / 'config.toml'}."
            )
        if progress:
            say(f"The run '{path}' has no checkpoint yet; it starts again.")
    begun, now = folder.environment, environment(devices.pick(config.device), config.seed)
    for what in ("torch", "platform", "processor", "mkl"):
        if progress and begun.get(what, now[what]) != now[what]:
            say(f"The run was started with {what} {begun[what]}, not {now[what]}: its last bits may differ.")
    return train(dataclasses.replace(config, out=path), progress=progress, resume=True)
