"""Two processes on the CPU (gloo): DDP, FSDP2 and tensor parallel runs equal the run in one process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

import surefoot

pytestmark = pytest.mark.skipif(not dist.is_available(), reason="torch was built without distributed")
OPTIONS: dict[str, Any] = {"lr": 0.125, "momentum": 0.5, "weight_decay": 0.25, "nesterov": True}
KERNELS: dict[str, dict[str, Any]] = {
    "default": {}, "loop": {"foreach": False}, "foreach": {"foreach": True}, "flat": {"flatten": True},
}  # fmt: skip
FSDP = torch.__version__ >= torch.torch_version.TorchVersion("2.7")  # before, torch's own has no CPU streams
KINDS = ("ddp", *(["fsdp"] if FSDP else []), "tensor parallel")
RUNS = [(kind, kernel) for kind in KINDS for kernel in KERNELS if kind == "ddp" or kernel != "flat"]
STEPS, WORLD = 4, 2
# as --standalone does, but by number: a fresh machine may not know its own name
TORCHRUN = [
    sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={WORLD}",
    "--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1",
]  # fmt: skip


def at_home() -> dict[str, str]:
    """The environment where gloo finds the other process by the loopback, not by the machine's name."""
    loopback = [name for _, name in socket.if_nameindex() if name in ("lo", "lo0")]
    return os.environ | ({"GLOO_SOCKET_IFNAME": loopback[0]} if loopback else {})


def model() -> torch.nn.Module:
    """Three rows at the end, so that shards differ; float64, so that order of sums is all that differs."""
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)).double()


def train(net: torch.nn.Module, optimizer: Any, rows: slice) -> None:
    for i in range(STEPS):
        generator = torch.Generator().manual_seed(i)
        batch = torch.randn(4, 5, generator=generator, dtype=torch.float64)
        optimizer.zero_grad()
        net(batch[rows]).pow(2).mean().backward()
        optimizer.step()


def full(t: Any) -> torch.Tensor:
    return t.full_tensor() if hasattr(t, "full_tensor") else t


def distribute(net: torch.nn.Module, kind: str) -> torch.nn.Module:
    if kind == "ddp":
        return torch.nn.parallel.DistributedDataParallel(net)
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    mesh = init_device_mesh("cpu", (WORLD,))
    if kind == "tensor parallel":
        return parallelize_module(net, mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})
    return fully_shard(net, mesh=mesh)


def run(kind: str, kernel: str) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """One run in this process of the two; returns whole parameters and buffers."""
    rank = dist.get_rank()
    net = distribute(model(), kind)
    optimizer = surefoot.SGD(net.parameters(), **OPTIONS, **KERNELS[kernel])
    train(net, optimizer, slice(0, 4) if kind == "tensor parallel" else slice(2 * rank, 2 * rank + 2))
    buffers = [optimizer.state[p]["momentum_buffer"] for p in net.parameters()]
    assert all(type(b) is type(p.data) for b, p in zip(buffers, net.parameters(), strict=True))
    # a checkpoint goes round
    twin = surefoot.SGD(net.parameters(), **OPTIONS, **KERNELS[kernel] | {"flatten": False})
    twin.load_state_dict(optimizer.state_dict())
    again = [twin.state[p]["momentum_buffer"] for p in net.parameters()]
    assert all(torch.equal(full(a), full(b)) for a, b in zip(buffers, again, strict=True))
    return [full(p.detach()).clone() for p in net.parameters()], [full(b).clone() for b in buffers]


def go_on_from_torch() -> float:
    """A checkpoint of torch's, whose buffer lies as the first gradient did, and its next step with ours."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor, Partial, Shard, distribute_tensor

    mesh = init_device_mesh("cpu", (WORLD,))
    w = torch.nn.Parameter(distribute_tensor(torch.zeros(4, 2), mesh, [Shard(0)]))
    optimizer: Any = torch.optim.SGD([w], lr=1.0, momentum=0.5, foreach=False)
    for make in (None, surefoot.SGD):
        if make is not None:
            saved = optimizer.state_dict()
            assert saved["state"][0]["momentum_buffer"].placements != w.placements  # type: ignore[attr-defined]
            optimizer = make([w], lr=1.0, momentum=0.5)
            optimizer.load_state_dict(saved)
        w.grad = DTensor.from_local(torch.ones(4, 2) * (dist.get_rank() + 1), mesh, [Partial()])
        optimizer.step()
    assert full(w.detach()).unique().numel() == 1
    return full(w.detach())[0, 0].item()


def checkpoint() -> dict[str, Any]:
    """What a sharded run saves for any number of processes, once it has itself gone on from it."""
    from torch.distributed.checkpoint import state_dict as by_torch

    nets = [distribute(model(), "fsdp") for _ in range(2)]
    optimizer, twin = (surefoot.SGD(net.parameters(), **OPTIONS, state_dtype=torch.float32) for net in nets)
    train(nets[0], optimizer, slice(0, 4))
    how = by_torch.StateDictOptions(full_state_dict=True, cpu_offload=True)
    saved = by_torch.get_optimizer_state_dict(nets[0], optimizer, options=how)  # whole on the first alone
    how = by_torch.StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    by_torch.set_optimizer_state_dict(nets[1], twin, dict(saved), options=how)
    for p, q in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        a, b = optimizer.state[p]["momentum_buffer"], twin.state[q]["momentum_buffer"]
        assert b.dtype == torch.float32
        assert torch.equal(full(a), full(b))
    return dict(saved)


def main(folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    results: dict[str, Any] = {f"{kind} {kernel}": run(kind, kernel) for kind, kernel in RUNS}
    results["from torch"] = go_on_from_torch()
    if FSDP:
        results["checkpoint"] = checkpoint()
    if dist.get_rank() == 0:
        torch.save(results, Path(folder) / "results.pt")
    # gloo's threads may still hold tensors, and one that lets go of them while Python ends aborts the process
    # (pytorch#179291, seen once in some hundred runs): all is saved, so end without Python's own ending
    os._exit(0)


@pytest.fixture(scope="module")
def results(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, tuple[list[torch.Tensor], list[torch.Tensor]]]:
    folder = tmp_path_factory.mktemp("distributed")
    done = subprocess.run(
        [*TORCHRUN, f"--log-dir={folder}", __file__, str(folder)],
        capture_output=True,
        text=True,
        env=at_home(),
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    loaded: dict[str, tuple[list[torch.Tensor], list[torch.Tensor]]] = torch.load(folder / "results.pt")
    return loaded


@pytest.mark.timeout(300)  # three processes import torch and torch.distributed, beside other tests
@pytest.mark.parametrize(("kind", "kernel"), RUNS)
def test_two_processes_equal_one(kind: str, kernel: str, results: Any) -> None:
    params, buffers = results[f"{kind} {kernel}"]
    net = model()
    optimizer = surefoot.SGD(net.parameters(), **OPTIONS, **KERNELS[kernel])
    train(net, optimizer, slice(0, 4))
    for p, got, b in zip(net.parameters(), params, buffers, strict=True):
        torch.testing.assert_close(got, p.detach(), rtol=1e-13, atol=1e-14)
        torch.testing.assert_close(b, optimizer.state[p]["momentum_buffer"], rtol=1e-13, atol=1e-14)


@pytest.mark.timeout(300)
def test_two_processes_go_on_from_torchs_checkpoint(results: Any) -> None:
    assert results["from torch"] == -3 - 4.5


@pytest.mark.timeout(300)
@pytest.mark.skipif(not FSDP, reason="torch's FSDP2 has no CPU streams")
def test_a_sharded_runs_checkpoint_is_gone_on_with_in_one_process(results: Any) -> None:
    from torch.distributed.checkpoint import state_dict as by_torch

    net, whole = model(), model()
    ours = {"state_dtype": torch.float32, **OPTIONS}
    optimizer, reference = surefoot.SGD(net.parameters(), **ours), surefoot.SGD(whole.parameters(), **ours)
    how = by_torch.StateDictOptions(full_state_dict=True)
    by_torch.set_optimizer_state_dict(net, optimizer, results["checkpoint"], options=how)
    train(whole, reference, slice(0, 4))
    for p, q in zip(net.parameters(), whole.parameters(), strict=True):
        b, right = optimizer.state[p]["momentum_buffer"], reference.state[q]["momentum_buffer"]
        assert b.dtype == torch.float32
        torch.testing.assert_close(b, right, rtol=1e-6, atol=1e-7)


if __name__ == "__main__":
    main(sys.argv[1])
