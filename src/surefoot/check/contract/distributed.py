"""Clauses on runs of several processes: sharded tensors, and the checkpoints that such runs write."""

from __future__ import annotations

import sys
import tempfile
from typing import Any

import torch

from surefoot.check.contract.clause import Claims, Make, clause
from surefoot.check.contract.tools import gradient, run, state, weight

NO_DISTRIBUTED = "this torch was built without torch.distributed"
# what Apple's libraries do to a forked process in which gloo begins (pytorch-lightning issue 21345)
NO_FORK = "Windows cannot fork the two processes, and macOS may kill them"


@clause(
    "tooling",
    "resumes from a torch.distributed checkpoint",
    why="Sharded runs (FSDP2) save with torch.distributed.checkpoint; before loading, it creates a new "
    "optimizer's state by a step with lr 0 and zero gradients.",
    mend="Keep everything in self.state[p] and the groups, as tensors, numbers and strings under string "
    "keys (tuples come back as lists); access self.state[p] in step() only; a step with lr 0 must not "
    "change p.",
    mends={
        "have the key 'lr'": "Keep the learning rate in the groups under the key 'lr', whatever the "
        "constructor calls it.",
        "makes state": "Do not skip a step because lr or the gradients are 0: create the state at the first "
        "step in any case.",
    },
    over="rich",
    refusal="argument 'closure'",  # that step() takes none, others tell
    needs=["repeatable", "an optimizer"],
)
def distributed_checkpoint(make: Make) -> Claims:
    if not torch.distributed.is_available():
        return NO_DISTRIBUTED
    from torch.distributed.checkpoint import state_dict as by_torch

    nets = [torch.nn.ParameterList([weight(2, 2)]) for _ in range(3)]
    w, twin, fresh = (net[0] for net in nets)
    whole, first, second = make([w]), make([twin]), make([fresh])
    run(whole, [w], range(4))
    run(first, [twin], range(2))
    if not state(first, twin):
        return "it has no state to resume from"
    how = by_torch.StateDictOptions(full_state_dict=True, cpu_offload=True)
    saved = by_torch.get_optimizer_state_dict(nets[1], first, options=how)
    fresh.detach().copy_(twin.detach())
    still = weight(2, 2)
    still.grad = torch.zeros_like(still)
    idle = make([still])
    for group in idle.param_groups:
        if "lr" in group:
            group["lr"] = 0.0
    idle.step()  # as torch does before it loads
    made = bool(state(idle, still))
    if made:
        by_torch.set_optimizer_state_dict(nets[2], second, saved, options=how)
    loaded = fresh.tolist()
    run(second, [fresh], range(2, 4))
    return [
        ("a step with lr 0 and zero gradients makes state", True, made),
        (
            "the groups have the key 'lr', which torch sets to 0 for that step",
            True,
            "lr" in idle.param_groups[0] or loaded == twin.tolist(),
        ),
        ("w, when the state has just been loaded", twin.tolist(), loaded, 1e-5),
        ("w after 4 steps, saved and loaded after 2", w.tolist(), fresh.tolist(), 1e-5),
    ]


@clause(
    "tooling",
    "a parameter sharded over two processes is stepped as if it were whole",
    why="Sharded training uses DTensors: norms and shapes must be those of the whole parameter.",
    mend="Use tensor operations on p itself; p.to_local() and p.data_ptr() see only one process's shard.",
    over="rich",
    deep=True,
    needs=["repeatable"],
)
def sharded(make: Make) -> Claims:
    if not torch.distributed.is_available():
        return NO_DISTRIBUTED
    if sys.platform in ("win32", "darwin"):
        return NO_FORK
    w = weight(4, 2)
    run(make([w]), [w], range(2))
    context: Any = torch.multiprocessing.get_context("fork")
    ends, store = context.Queue(), f"file://{tempfile.mkdtemp()}/store"

    def rank(number: int) -> None:
        from torch.distributed.device_mesh import DeviceMesh
        from torch.distributed.tensor import DTensor, Shard, distribute_tensor

        torch.distributed.init_process_group("gloo", init_method=store, rank=number, world_size=2)
        mesh = DeviceMesh("cpu", [0, 1])
        try:
            part: DTensor = distribute_tensor(weight(4, 2).detach(), mesh, [Shard(0)])
            part.requires_grad_()
            opt = make([part])
            for t in range(2):
                part.grad = distribute_tensor(gradient(weight(4, 2), t), mesh, [Shard(0)])
                opt.step()
            ends.put(part.full_tensor().tolist())
        except Exception as error:
            ends.put(f"{type(error).__name__}: {error}")
        torch.distributed.destroy_process_group()

    for number in range(2):
        context.Process(target=rank, args=(number,), daemon=True).start()
    return [
        ("w after 2 steps, with its rows sharded over two processes", w.tolist(), ends.get(timeout=60), 1e-6)
    ]
