"""A backward wrong for its input and its weight: `surefoot gradients examples/wrong_for_input.py:make`."""

import torch


class Product(torch.autograd.Function):
    """x @ w, with the gradients of both wrong."""

    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x @ w

    @staticmethod
    def backward(ctx, grad):
        x, w = ctx.saved_tensors
        return -grad @ w.T, grad.T @ x


def make():
    """A function and its inputs, without a loss."""
    torch.manual_seed(0)
    return Product.apply, (torch.randn(8, 3), torch.randn(3, 3))


if __name__ == "__main__":
    import surefoot

    function, inputs = make()
    print(surefoot.check_gradients(function, batch=inputs))
