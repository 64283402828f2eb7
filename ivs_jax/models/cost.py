"""How much arithmetic a network is: its multiplications and additions, counted before any run."""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn
from jax.interpreters import partial_eval

ELEMENTWISE = ("add", "sub", "mul")


def operations(function: Callable[..., Any], *inputs: Any) -> int:
    """Multiplications and additions of `function(*inputs)`; shapes are enough as inputs.

    Convolutions, matrix products and elementwise sums and products count, and what a loop of known
    length repeats counts each time (XLA's own count sees it once). What no result needs does not
    count, nor do the zeros between the inputs of a convolution that is the gradient of a strided
    one: the count of a gradient is what it needs, not how it is written.
    """
    jaxpr = jax.make_jaxpr(function)(*inputs).jaxpr
    needed, _ = partial_eval.dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars))
    return _of(needed)


def _of(jaxpr: Jaxpr) -> int:
    return sum(_of_equation(equation) for equation in jaxpr.eqns)


def _of_equation(equation: JaxprEqn) -> int:
    name, params = equation.primitive.name, equation.params
    size = sum(math.prod(_sides(out)) for out in equation.outvars)
    if name == "conv_general_dilated":
        kernel = _sides(equation.invars[1])
        outputs = kernel[params["dimension_numbers"].rhs_spec[0]]
        return 2 * size * math.prod(kernel) // outputs // math.prod(params["lhs_dilation"])
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        sides = _sides(equation.invars[0])
        return 2 * size * math.prod(sides[axis] for axis in contracted)
    if name in ELEMENTWISE:
        return size
    inner = [v.jaxpr if isinstance(v, ClosedJaxpr) else v for v in params.values()]
    times = params["length"] if name == "scan" else 1
    return times * sum(_of(jaxpr) for jaxpr in inner if isinstance(jaxpr, Jaxpr))


def _sides(variable: Any) -> tuple[int, ...]:
    return getattr(variable.aval, "shape", ())
