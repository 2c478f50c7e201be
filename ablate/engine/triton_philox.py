"""On the device: one edge's multipliers from its toss, made in registers, or from a factor.

The words are those of `ablate.masks`, bit for bit: Triton's own Philox rounds on our key and
counter. Four neighbouring units are one call, where each unit has a decision of its own.

A slot is None, a factor (pointer and strides over K, T, B, G, U) or a toss (table, scales,
updates); which of them is known when a kernel is compiled. A row of a toss that keeps everything
draws nothing.
"""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportIndexIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportGeneralTypeIssues=false

import triton
import triton.language as tl

from ablate.engine.triton_toss import Column

_COLUMNS = tl.constexpr(len(Column))
_SEED = tl.constexpr(Column.SEED.value)
_SPACE = tl.constexpr(Column.SPACE.value)
_PER_UPDATE = tl.constexpr(Column.PER_UPDATE.value)
_START = tl.constexpr(Column.START.value)
_PER_TIME = tl.constexpr(Column.PER_TIME.value)
_PER_GATE = tl.constexpr(Column.PER_GATE.value)
_BATCH_OFFSET = tl.constexpr(Column.BATCH_OFFSET.value)
_PER_BATCH = tl.constexpr(Column.PER_BATCH.value)
_WORD = tl.constexpr(Column.WORD.value)
_PER_UNIT = tl.constexpr(Column.PER_UNIT.value)
_THRESHOLD = tl.constexpr(Column.THRESHOLD.value)


@triton.jit
def factor(slot, k, t, b, gate, units, inside, BLOCK: tl.constexpr):
    """What stands at `slot` for a row of units of one trial, step, row of the batch and gate."""
    if slot is None:
        return 1.0
    elif len(slot) == 6:
        pointer, per_k, per_t, per_b, per_gate, per_unit = slot
        here = pointer + k * per_k + t * per_t + b * per_b + gate * per_gate + units * per_unit
        return tl.load(here, mask=inside, other=1.0).to(tl.float32)
    else:
        return _multipliers(slot, k, t, b, gate, 0, units, BLOCK)


@triton.jit
def _multipliers(toss, k, t, b, gate, token, units, BLOCK: tl.constexpr):
    """The scale where a word reaches the threshold, else 0."""
    table, scales, updates = toss
    threshold = tl.load(table + k * _COLUMNS + _THRESHOLD).to(tl.uint32)
    scale = tl.load(scales + k)
    kept = tl.full((BLOCK,), 1.0, tl.float32) * scale
    # One trial a program: this branch is the whole program's.
    if threshold > 0:
        drawn = words(table, updates, k, t, b, gate, token, units, BLOCK)
        kept = tl.where(drawn >= threshold, scale, 0.0)
    return kept


@triton.jit
def words(table, updates, k, t, b, gate, token, units, BLOCK: tl.constexpr):
    """The words of a row of units (from a multiple of four on), uint32: see `ablate.masks`."""
    row = table + k * _COLUMNS
    update = _shared(tl.load(updates + k), tl.load(row + _PER_UPDATE))
    time = _shared(tl.load(row + _START) + t, tl.load(row + _PER_TIME))
    gate = _shared(gate, tl.load(row + _PER_GATE))
    batch = _shared(tl.load(row + _BATCH_OFFSET) + b, tl.load(row + _PER_BATCH))
    # A word has 20 bits and a group of four units 12, as checked where tosses are made.
    high = ((token * tl.load(row + _WORD)) << 12).to(tl.uint32)
    k0, k1 = tl.load(row + _SEED).to(tl.uint32), tl.load(row + _SPACE).to(tl.uint32)
    c0, c1, c2 = update.to(tl.uint32), (time << 2 | gate).to(tl.uint32), batch.to(tl.uint32)
    per_unit = tl.load(row + _PER_UNIT)
    if per_unit == 1:
        drawn = _of_each(c0, c1, c2, high, k0, k1, units, BLOCK)
    else:
        drawn = _of_groups(c0, c1, c2, high, k0, k1, _shared(units, per_unit))
    return drawn


@triton.jit
def _shared(coordinate, divisor):
    """A coordinate divided by its sharing; 0 where ALL share."""
    return tl.where(divisor == 0, 0, coordinate // tl.maximum(divisor, 1))


@triton.jit
def _of_each(c0, c1, c2, high, k0, k1, units, BLOCK: tl.constexpr):
    """One call for four units, its words side by side."""
    group = (tl.min(units, axis=0) // 4 + tl.arange(0, BLOCK // 4)).to(tl.uint32)
    w0, w1, w2, w3 = tl.philox_impl(c0, c1, c2, high | group, k0, k1)
    return tl.reshape(tl.join(tl.join(w0, w2), tl.join(w1, w3)), (BLOCK,))


@triton.jit
def _of_groups(c0, c1, c2, high, k0, k1, index):
    """One call for each unit, for units that share a decision with their neighbours."""
    w0, w1, w2, w3 = tl.philox_impl(c0, c1, c2, high | (index // 4).to(tl.uint32), k0, k1)
    lane = index % 4
    return tl.where(lane == 0, w0, tl.where(lane == 1, w1, tl.where(lane == 2, w2, w3)))


@triton.jit
def window_kernel(out, toss, tokens, time, units, GATES: tl.constexpr, BLOCK: tl.constexpr):
    """The multipliers of a window, [K, T, B, G, U]; `tokens` [T, B] or None.

    Grid: blocks of units, batch times gates, trials times steps.
    """
    k, t = (tl.program_id(2) // time).to(tl.int64), tl.program_id(2) % time
    b, gate = (tl.program_id(1) // GATES).to(tl.int64), tl.program_id(1) % GATES
    batch = tl.num_programs(1) // GATES
    here = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    row = (k * time + t) * batch + b
    token = 0 if tokens is None else tl.load(tokens + t * batch + b)
    made = _multipliers(toss, k, t, b, gate, token, here, BLOCK)
    tl.store(out + (row * GATES + gate) * units + here, made, mask=here < units)
