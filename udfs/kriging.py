"""Ordinary kriging with a fitted model: the best linear unbiased estimate at a place from the values around it."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa

from udfs.arrow import struct_array
from udfs.compiled import compiled
from udfs.kernel import Kernel
from udfs.semivariogram_model import MODELS, numbers_of, shape

PLACES = pa.list_(pa.struct([("id", pa.int64()), ("x_m", pa.float64()), ("y_m", pa.float64())]))
VALUES = pa.list_(pa.struct([("x_m", pa.float64()), ("y_m", pa.float64()), ("v", pa.float64())]))
WEIGHTS = pa.list_(pa.struct([("id", pa.int64()), ("weight", pa.float64())]))
KRIGED = pa.struct([("estimate", pa.float64()), ("variance", pa.float64()), ("n", pa.int32())])


def krige_weights(
    neighbours: pa.ListArray,
    x_m: pa.Array,
    y_m: pa.Array,
    model: pa.Array,
    nugget: pa.Array,
    partial_sill: pa.Array,
    range_parameter_m: pa.Array,
) -> pa.ListArray:
    """The weight of each neighbour (array of type PLACES) in the estimate at (x_m, y_m); an array of type WEIGHTS.

    Ordinary kriging: gamma(i, j) w_j + mu = gamma(i, 0), sum w = 1 (Cressie 1993, eq. 3.2.12), gamma(0) = 0. Members without a finite place
    are left out; neighbours at one place share its weight. NULL: an argument is NULL, no neighbour is left, or the sill is 0.
    ValueError: unknown model, nugget or partial sill below 0, range not above 0.
    """
    target, is_null = _target("krige_weights", x_m, y_m, model, nugget, partial_sill, range_parameter_m)
    offsets, members, kept = _members(neighbours)
    is_null |= neighbours.is_null().to_numpy(zero_copy_only=False)
    ends, weight, _, is_solved = _krige(offsets, members[1], members[2], kept, *target, is_null)
    is_null |= ~is_solved
    used = _is_used(offsets, kept, is_null)
    struct = pa.StructArray.from_arrays(
        [neighbours.values.field("id").slice(neighbours.offsets[0].as_py(), used.size).filter(pa.array(used)), weight],
        fields=list(WEIGHTS.value_type),
    )
    return pa.ListArray.from_arrays(
        pa.array(ends, pa.int32()), struct, type=WEIGHTS, mask=pa.array(is_null) if is_null.any() else None
    )


def ordinary_kriging(
    neighbours: pa.ListArray,
    x_m: pa.Array,
    y_m: pa.Array,
    model: pa.Array,
    nugget: pa.Array,
    partial_sill: pa.Array,
    range_parameter_m: pa.Array,
) -> pa.StructArray:
    """The estimate at (x_m, y_m) from its neighbours (array of type VALUES), its kriging variance and their number; type KRIGED.

    Weights as in `krige_weights`; estimate = sum w_i v_i, variance = sum w_i gamma(i, 0) + mu (Cressie 1993, eq. 3.2.15). At the place of a
    neighbour the estimate is its value and the variance 0. Members without a finite place and value are left out. NULL and ValueError as there.
    """
    target, is_null = _target("ordinary_kriging", x_m, y_m, model, nugget, partial_sill, range_parameter_m)
    offsets, members, kept = _members(neighbours)
    is_null |= neighbours.is_null().to_numpy(zero_copy_only=False)
    ends, weight, variance, is_solved = _krige(offsets, members[0], members[1], kept, *target, is_null)
    is_null |= ~is_solved
    product = np.append(weight * members[2][_is_used(offsets, kept, is_null)], 0.0)
    estimate = np.add.reduceat(product, np.minimum(ends[:-1], product.size - 1)) if len(neighbours) else np.empty(0)
    return struct_array(KRIGED, [estimate, variance, np.diff(ends)], is_null)


def _target(name: str, x: pa.Array, y: pa.Array, model: pa.Array, *parameters: pa.Array) -> tuple[tuple, np.ndarray]:
    kind = numbers_of(model, MODELS, f"{name}: model")
    x, y, nugget, partial, a = (_numbers(column) for column in (x, y, *parameters))
    for values, what in ((nugget, "nugget"), (partial, "partial_sill")):
        if (values < 0).any():
            raise ValueError(f"{name}: {what} is {values[values < 0][0]}; it cannot be below 0")
    if (a <= 0).any():
        raise ValueError(f"{name}: range_parameter_m is {a[a <= 0][0]}; it is a distance above 0")
    is_null = (kind < 0) | ~np.isfinite(x) | ~np.isfinite(y) | ~np.isfinite(nugget + partial + a)
    return (x, y, kind, nugget, partial, a), is_null


def _numbers(column: pa.Array) -> np.ndarray:
    """NaN where NULL. A copy: with Arrow's read-only memory here and numpy's there, the solver would be compiled over and over."""
    return column.to_numpy(zero_copy_only=False).astype(float)


def _members(neighbours: pa.ListArray) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """Offsets from 0, the three fields, and which members count: those that are not NULL and have finite numbers in all fields of DOUBLE."""
    offsets = neighbours.offsets.to_numpy()
    members = neighbours.values.slice(offsets[0], offsets[-1] - offsets[0])
    kept = ~members.is_null().to_numpy(zero_copy_only=False)
    fields = []
    for field in members.type:
        values = members.field(field.name)
        if pa.types.is_floating(field.type):
            fields.append(_numbers(values))
            kept &= np.isfinite(fields[-1])
        else:
            fields.append(values)
            kept &= ~values.is_null().to_numpy(zero_copy_only=False)
    return offsets - offsets[0], fields, kept


def _is_used(offsets: np.ndarray, kept: np.ndarray, is_null: np.ndarray) -> np.ndarray:
    return kept & ~np.repeat(is_null, np.diff(offsets))


@compiled
def _krige(offsets, x, y, kept, x0, y0, model, nugget, partial, a, is_null):
    rows = offsets.size - 1
    ends = np.zeros(rows + 1, np.int64)
    weights = np.empty(x.size)
    variance = np.full(rows, np.nan)
    is_solved = np.zeros(rows, np.bool_)
    end = 0
    for row in range(rows):
        sill = nugget[row] + partial[row]
        start, stop = offsets[row], offsets[row + 1]
        n = kept[start:stop].sum()
        if not is_null[row] and n > 0 and sill > 0:
            px, py = x[start:stop][kept[start:stop]], y[start:stop][kept[start:stop]]
            # Neighbours at one place make the system singular: they are one there.
            place, share, n_places = np.empty(n, np.int64), np.zeros(n), 0
            for i in range(n):
                k = 0
                while k < n_places and (px[k] != px[i] or py[k] != py[i]):
                    k += 1
                if k == n_places:
                    px[k], py[k] = px[i], py[i]
                    n_places += 1
                place[i] = k
                share[k] += 1
            system, right = np.ones((n_places + 1, n_places + 1)), np.ones(n_places + 1)
            for i in range(n_places):
                for j in range(n_places):
                    system[i, j] = (
                        _gamma(model[row], px[i] - px[j], py[i] - py[j], nugget[row], partial[row], a[row]) / sill
                    )
                right[i] = (
                    _gamma(model[row], px[i] - x0[row], py[i] - y0[row], nugget[row], partial[row], a[row]) / sill
                )
            system[n_places, n_places] = 0.0
            solution = np.linalg.solve(system, right)
            variance[row] = max(solution @ right, 0.0) * sill
            for i in range(n):
                weights[end + i] = solution[place[i]] / share[place[i]]
            end += n
            is_solved[row] = True
        ends[row + 1] = end
    return ends, weights[:end], variance, is_solved


@compiled
def _gamma(model, dx, dy, nugget, partial, a):
    h = math.sqrt(dx * dx + dy * dy)
    return nugget + partial * shape(model, h / a) if h > 0 else 0.0


_ARGUMENTS = {
    "x_m": pa.float64(),
    "y_m": pa.float64(),
    "model": pa.string(),
    "nugget": pa.float64(),
    "partial_sill": pa.float64(),
    "range_parameter_m": pa.float64(),
}
_NULLS = "NULL where an argument is NULL, where no neighbour is left, and where nugget and partial sill are 0. Members with a NULL or NaN field are left out."
_CRESSIE = "Cressie (1993), Statistics for Spatial Data, section 3.2."

KERNELS = (
    Kernel(
        name="krige_weights",
        arguments={"neighbours": PLACES, **_ARGUMENTS},
        returns=WEIGHTS,
        function=krige_weights,
        summary="The weights of ordinary kriging at a place from its neighbours, with a fitted model.",
        meaning=(
            "One weight for each neighbour, adding up to 1; some may be negative. Model and parameters as fit_semivariogram gives them; places are "
            "in metres that are true between them. Weights depend on places alone: compute them once for many maps."
        ),
        nulls=_NULLS,
        minimum="One neighbour. Take the nearest 10 to 50: the work grows with the cube.",
        citation=_CRESSIE,
        example=(
            "select unnest(krige_weights([{'id': 1, 'x_m': 0.0, 'y_m': 0.0}, {'id': 2, 'x_m': 1000.0, 'y_m': 0.0}, {'id': 3, 'x_m': 0.0, 'y_m': 2000.0}], "
            "300.0, 400.0, 'exponential', 0.0, 1.0, 1500.0), recursive := true)"
        ),
    ),
    Kernel(
        name="ordinary_kriging",
        arguments={"neighbours": VALUES, **_ARGUMENTS},
        returns=KRIGED,
        function=ordinary_kriging,
        summary="The value at a place by ordinary kriging from its neighbours, with a fitted model, and its variance.",
        meaning="An exact interpolator: at a neighbour's place its value, with variance 0. n is the number of neighbours used. See krige_weights.",
        nulls=_NULLS,
        minimum="One neighbour.",
        citation=_CRESSIE,
        example=(
            "select unnest(ordinary_kriging([{'x_m': 0.0, 'y_m': 0.0, 'v': 0.21}, {'x_m': 1000.0, 'y_m': 0.0, 'v': 0.25}, {'x_m': 0.0, 'y_m': 2000.0, 'v': 0.3}], "
            "300.0, 400.0, 'exponential', 0.0001, 0.001, 1500.0))"
        ),
    ),
)
