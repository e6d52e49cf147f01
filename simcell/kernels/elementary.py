"""Logarithm, exponential and normal quantile in float32, out of additions, multiplications and bit shifts alone.

The compiler's own would be a library call per number, which keeps a loop from vectorising and differs between machines.
These agree with float64 to about two units in the last place and give the same bits everywhere.

Sources: range reduction and polynomials of log and exp after Moshier's Cephes (logf, expf); the quantile is the single
precision approximation of Giles, "Approximating the erfinv function", GPU Computing Gems Jade (2012), chapter 10.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import float32, int32, types
from numba.extending import intrinsic, overload

from simcell.kernels.jit import INLINED, helper, kernel

F = np.float32
LN2_HIGH, LN2_LOW = F(0.693359375), F(-2.12194440e-4)
LOG2_E = F(1.44269504088896341)
SQRT_2 = F(1.41421356237309505)
ZERO, HALF, ONE, TWO = F(0.0), F(0.5), F(1.0), F(2.0)
SMALLEST = F(1e-37)  # still a normal float32
SMALLEST_POWER, LARGEST_POWER = F(-87.0), F(88.0)
# rounding to the nearest integer, by adding and taking away 1.5 * 2^23
ROUND = F(12582912.0)
TWO_TO_MINUS_31, TWO_TO_MINUS_32 = F(2.0**-31), F(2.0**-32)


def _bitcast(source: types.Type, target: types.Type):
    @intrinsic
    def cast(typing_context, value):
        if value != source:
            return None

        def codegen(context, builder, signature, arguments):
            return builder.bitcast(arguments[0], context.get_value_type(target))

        return target(source), codegen

    return cast


@intrinsic
def _square_root(typing_context, value):
    """Return the square root of a float32 as one instruction: numpy's would be a call, which stops vectorising."""
    if value != types.float32:
        return None

    def codegen(context, builder, signature, arguments):
        single = context.get_value_type(types.float32)
        return builder.call(builder.module.declare_intrinsic("llvm.sqrt", [single]), arguments)

    return types.float32(types.float32), codegen


square_root: Any = _square_root  # to a type checker, an intrinsic takes the compiler's context as well
bits_of_float = _bitcast(types.float32, types.int32)
float_of_bits = _bitcast(types.int32, types.float32)


@helper
def log(x):
    """Return the natural logarithm of a positive, normal float32."""
    bits = bits_of_float(x)
    exponent = int32((bits >> int32(23)) - int32(127))
    mantissa = float_of_bits(int32((bits & int32(0x007FFFFF)) | int32(0x3F800000)))
    large = mantissa > SQRT_2
    mantissa = mantissa * HALF if large else mantissa
    power = float32(exponent) + (ONE if large else F(0.0))
    z = mantissa - ONE
    square = z * z
    p = F(7.0376836292e-2)
    p = p * z + F(-1.1514610310e-1)
    p = p * z + F(1.1676998740e-1)
    p = p * z + F(-1.2420140846e-1)
    p = p * z + F(1.4249322787e-1)
    p = p * z + F(-1.6668057665e-1)
    p = p * z + F(2.0000714765e-1)
    p = p * z + F(-2.4999993993e-1)
    p = p * z + F(3.3333331174e-1)
    y = p * z * square + power * LN2_LOW - HALF * square
    return z + y + power * LN2_HIGH


@helper
def exp(x):
    """Return e^x of a float32, held between the smallest and the largest normal number."""
    x = min(max(x, SMALLEST_POWER), LARGEST_POWER)
    power = (x * LOG2_E + ROUND) - ROUND
    z = x - power * LN2_HIGH - power * LN2_LOW
    p = F(1.9875691500e-4)
    p = p * z + F(1.3981999507e-3)
    p = p * z + F(8.3334519073e-3)
    p = p * z + F(4.1665795894e-2)
    p = p * z + F(1.6666665459e-1)
    p = p * z + F(5.0000001201e-1)
    y = p * z * z + z + ONE
    return y * float_of_bits(int32((int32(power) + int32(127)) << int32(23)))


@helper
def normal(bits):
    """Return a float32 standard normal of 32 random bits as int32: sign from the top bit, tail from the other 31.

    Within 2e-6 of the exact quantile up to 5 standard deviations, within 3e-3 at the largest value, 6.3.
    """
    tail = (float32(bits & int32(0x7FFFFFFF)) + HALF) * TWO_TO_MINUS_32  # in (0, 1/2]
    tail = min(tail, HALF)
    w = -log(F(4.0) * tail * (ONE - tail))
    x = ONE - TWO * tail
    a = w - F(2.5)
    p = F(2.81022636e-08)
    p = p * a + F(3.43273939e-07)
    p = p * a + F(-3.5233877e-06)
    p = p * a + F(-4.39150654e-06)
    p = p * a + F(0.00021858087)
    p = p * a + F(-0.00125372503)
    p = p * a + F(-0.00417768164)
    p = p * a + F(0.246640727)
    p = p * a + F(1.50140941)
    b = square_root(max(w, F(0.0))) - F(3.0)
    q = F(-0.000200214257)
    q = q * b + F(0.000100950558)
    q = q * b + F(0.00134934322)
    q = q * b + F(-0.00367342844)
    q = q * b + F(0.00573950773)
    q = q * b + F(-0.0076224613)
    q = q * b + F(0.00943887047)
    q = q * b + F(1.00167406)
    q = q * b + F(2.83297682)
    z = SQRT_2 * x * (p if w < F(5.0) else q)
    return -z if bits < int32(0) else z


@helper
def survival(bits):
    """Return the chance that a standard normal exceeds `normal(bits)`: a float32 uniform in (0, 1), finest near 0."""
    rank = bits ^ ((bits >> int32(31)) & int32(0x7FFFFFFF))
    value = (float32((rank >> int32(1)) & int32(0x7FFFFFFF)) + HALF) * TWO_TO_MINUS_31
    return min(value, F(0.99999994))


def exp_of(x):
    """Return e^x in the precision of x, inside kernels: our own in float32, the library's in float64."""
    raise TypeError("exp_of is for compiled code")


@overload(exp_of, jit_options=INLINED)
def _exp_of(x):
    return (lambda x: exp(x)) if x == types.float32 else (lambda x: math.exp(x))


def power_of(x, exponent):
    """Return x^exponent of x >= 0 in the precision of x, inside kernels."""
    raise TypeError("power_of is for compiled code")


@overload(power_of, jit_options=INLINED)
def _power_of(x, exponent):
    if x == types.float32:
        return lambda x, exponent: exp(exponent * log(x)) if x > SMALLEST else ZERO
    return lambda x, exponent: math.pow(x, exponent)


@kernel
def tabulate(function, x, out):
    """Fill out with one of these functions of x (0 log, 1 exp, 2 survival, 3 normal; bits as int32), for tests."""
    for i in range(x.size):
        if function == 0:
            out[i] = log(float32(x[i]))
        elif function == 1:
            out[i] = exp(float32(x[i]))
        elif function == 2:
            out[i] = survival(int32(x[i]))
        else:
            out[i] = normal(int32(x[i]))
