"""Each paper's placement on Zaremba's cell, written out by hand in NumPy, and masks of its own.

Nothing of the engine is imported, nor torch: a mistake would have to be made twice to pass. Of
other cells the same is in `oracles_gru` and `oracles_rnn`, under the same names. The
equations are the papers', loop by loop, in float64; masks are given as arrays of zeros and ones, so
that an oracle samples nothing. The masks below are drawn from the published layout of addresses.

Shapes: T time, B batch, D input, H hidden, G gates in PyTorch's order i, f, g, o, L layers.
A state is one (h_BH, c_BH) for each layer, lowest first; every oracle returns (y_TBH, state).
"""

from typing import NamedTuple

import numpy as np

EDGES = {
    "EMBEDDING": 0,
    "INPUT": 1,
    "INTERLAYER": 2,
    "OUTPUT": 3,
    "WEIGHT": 4,
    "RECURRENT": 5,
    "HIDDEN": 6,
    "UPDATE": 7,
    "CELL": 8,
    "CARRY": 9,
}
MASKS = 1  # the purposes are 0 initial weights, 1 masks, 2 Monte Carlo, 3 data


def philox(counter, key):
    """Philox4x32-10 (Salmon 2011, doi:10.1145/2063384.2063405) on broadcast uint64 arrays."""
    c0, c1, c2, c3 = (np.asarray(word, dtype=np.uint64) for word in counter)
    k0, k1 = (int(word) for word in key)
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    for _ in range(10):
        product0 = np.uint64(0xD2511F53) * c0
        product1 = np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (
            (product1 >> half) ^ c1 ^ np.uint64(k0),
            product1 & low,
            (product0 >> half) ^ c3 ^ np.uint64(k1),
            product0 & low,
        )
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return np.broadcast_arrays(c0, c1, c2, c3)


class Draw(NamedTuple):
    """The masks of one window: 1.0 keeps, 0.0 drops (or holds)."""

    seed: int
    update: int
    count: int = 4  # gates of the cell

    def kept(self, edge, layer, rate, *, time=0, gate=0, batch=0, word=0, unit=0):
        """The mask at these coordinates, which broadcast against each other."""
        time, gate, batch, word, unit = np.broadcast_arrays(time, gate, batch, word, unit)
        key = (self.seed, MASKS << 28 | 0 << 20 | layer << 8 | EDGES[edge])
        counter = (self.update, time << 2 | gate, batch, word << 12 | unit // 4)
        words = np.stack(philox(counter, key))
        drawn = np.take_along_axis(words, (unit % 4)[None].astype(np.int64), axis=0)[0]
        return (drawn >= np.uint64(round(rate * 2**32))).astype(np.float64)

    def steps(self, edge, layer, rate, shape):
        """Fresh at each step: [T, B, U]."""
        steps, rows, units = shape
        return self.kept(
            edge,
            layer,
            rate,
            time=np.arange(steps)[:, None, None],
            batch=np.arange(rows)[:, None],
            unit=np.arange(units),
        )

    def window(self, edge, layer, rate, shape):
        """One for the window: [B, U]."""
        rows, units = shape
        return self.kept(edge, layer, rate, batch=np.arange(rows)[:, None], unit=np.arange(units))

    def gates(self, edge, layer, rate, shape):
        """One for the window, each gate its own: [B, G, U]."""
        rows, units = shape
        return self.kept(
            edge,
            layer,
            rate,
            gate=np.arange(self.count)[:, None],
            batch=np.arange(rows)[:, None, None],
            unit=np.arange(units),
        )

    def weights(self, layer, rate, hidden):
        """One for each recurrent weight: [G, H to, H from]; the source stands for the batch."""
        return self.kept(
            "WEIGHT",
            layer,
            rate,
            gate=np.arange(self.count)[:, None, None],
            unit=np.arange(hidden)[:, None],
            batch=np.arange(hidden),
        )

    def places(self, rate, shape):
        """One for each place of a row, whatever its word: [T, B]."""
        steps, rows = shape
        return self.kept(
            "EMBEDDING", 0, rate, time=np.arange(steps)[:, None], batch=np.arange(rows)
        )

    def words(self, rate, tokens_TB, *, whole_batch=False):
        """One for each word of a row, or of the whole batch, wherever it stands: [T, B]."""
        rows = 0 if whole_batch else np.arange(tokens_TB.shape[1])
        return self.kept("EMBEDDING", 0, rate, batch=rows, word=tokens_TB)


class Weights(NamedTuple):
    """One layer, each gate apart: matrices [H, D] and [H, H], biases [H] already summed."""

    xi: np.ndarray
    xf: np.ndarray
    xg: np.ndarray
    xo: np.ndarray
    hi: np.ndarray
    hf: np.ndarray
    hg: np.ndarray
    ho: np.ndarray
    bi: np.ndarray
    bf: np.ndarray
    bg: np.ndarray
    bo: np.ndarray


def split(w_ih, w_hh, b_ih, b_hh):
    """Take PyTorch's stacked parameters [4H, ...] apart."""
    return Weights(*np.split(w_ih, 4), *np.split(w_hh, 4), *np.split(b_ih + b_hh, 4))


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def gates(w, x, h):
    """The four gates of Zaremba's cell (arXiv:1409.2329, section 3): i, f, g, o."""
    return (
        sigmoid(x @ w.xi.T + h @ w.hi.T + w.bi),
        sigmoid(x @ w.xf.T + h @ w.hf.T + w.bf),
        np.tanh(x @ w.xg.T + h @ w.hg.T + w.bg),
        sigmoid(x @ w.xo.T + h @ w.ho.T + w.bo),
    )


def no_dropout(x_TBD, state, weights):
    """Zaremba's cell as it stands."""
    state, outputs = list(state), []
    for x in x_TBD:
        below = x
        for layer, w in enumerate(weights):
            h, c = state[layer]
            i, f, g, o = gates(w, below, h)
            c = f * c + i * g
            h = o * np.tanh(c)
            state[layer] = (h, c)
            below = h
        outputs.append(below)
    return np.stack(outputs), state


def zaremba2014(x_TBD, state, weights, vertical, p):
    """arXiv:1409.2329: D(h^{l-1}_t) wherever a layer, or the softmax, reads what is below it.

    vertical: L + 1 masks [T, B, units], lowest first.
    """
    state, outputs = list(state), []
    for t, x in enumerate(x_TBD):
        below = x * vertical[0][t] / (1 - p)
        for layer, w in enumerate(weights):
            h, c = state[layer]
            i, f, g, o = gates(w, below, h)
            c = f * c + i * g
            h = o * np.tanh(c)
            state[layer] = (h, c)
            below = h * vertical[layer + 1][t] / (1 - p)
        outputs.append(below)
    return np.stack(outputs), state


def locked(x_TBD, state, weights, vertical, p):
    """As Zaremba, but the L + 1 masks [B, units] stay for the window."""
    state, outputs = list(state), []
    for x in x_TBD:
        below = x * vertical[0] / (1 - p)
        for layer, w in enumerate(weights):
            h, c = state[layer]
            i, f, g, o = gates(w, below, h)
            c = f * c + i * g
            h = o * np.tanh(c)
            state[layer] = (h, c)
            below = h * vertical[layer + 1] / (1 - p)
        outputs.append(below)
    return np.stack(outputs), state


def naive(x_TBD, state, weights, vertical, recurrent, p):
    """As Zaremba, and the h that the gates read is dropped too: recurrent is L masks [T, B, H].

    What goes upward, and what is handed to the next window, is whole.
    """
    state, outputs = list(state), []
    for t, x in enumerate(x_TBD):
        below = x * vertical[0][t] / (1 - p)
        for layer, w in enumerate(weights):
            h, c = state[layer]
            i, f, g, o = gates(w, below, h * recurrent[layer][t] / (1 - p))
            c = f * c + i * g
            h = o * np.tanh(c)
            state[layer] = (h, c)
            below = h * vertical[layer + 1][t] / (1 - p)
        outputs.append(below)
    return np.stack(outputs), state


def gal2016_tied(x_TBD, state, weights, words, vertical, recurrent, p_words, p_vertical, p_h):
    """arXiv:1512.05287, equation 6: (x o z_x, h o z_h) through one matrix, masks held in time.

    words [T, B]; vertical L + 1 masks [B, units]; recurrent L masks [B, H].
    """
    state, outputs = list(state), []
    for t, x in enumerate(x_TBD):
        below = x * words[t][:, None] / (1 - p_words) * vertical[0] / (1 - p_vertical)
        for layer, w in enumerate(weights):
            h, c = state[layer]
            i, f, g, o = gates(w, below, h * recurrent[layer] / (1 - p_h))
            c = f * c + i * g
            h = o * np.tanh(c)
            state[layer] = (h, c)
            below = h * vertical[layer + 1] / (1 - p_vertical)
        outputs.append(below)
    return np.stack(outputs), state


def gal2016_apart(
    x_TBD, state, weights, words, inputs, recurrent, output, p_words, p_vertical, p_h
):
    """arXiv:1512.05287, equation 5: each gate reads x and h through masks of its own.

    inputs and recurrent: L masks [B, 4, units]; output [B, H].
    """
    state, outputs = list(state), []
    for t, x in enumerate(x_TBD):
        below = x * words[t][:, None] / (1 - p_words)
        for layer, w in enumerate(weights):
            h, c = state[layer]
            zx, zh = inputs[layer] / (1 - p_vertical), recurrent[layer] / (1 - p_h)
            i = sigmoid((below * zx[:, 0]) @ w.xi.T + (h * zh[:, 0]) @ w.hi.T + w.bi)
            f = sigmoid((below * zx[:, 1]) @ w.xf.T + (h * zh[:, 1]) @ w.hf.T + w.bf)
            g = np.tanh((below * zx[:, 2]) @ w.xg.T + (h * zh[:, 2]) @ w.hg.T + w.bg)
            o = sigmoid((below * zx[:, 3]) @ w.xo.T + (h * zh[:, 3]) @ w.ho.T + w.bo)
            c = f * c + i * g
            h = o * np.tanh(c)
            state[layer] = (h, c)
            below = h
        outputs.append(below * output / (1 - p_vertical))
    return np.stack(outputs), state


def moon2015(x_TBD, state, weights, cell):
    """doi:10.1109/ASRU.2015.7404775: c = m * (f c + i g), m [B, H] held and not scaled."""
    state, outputs = list(state), []
    for x in x_TBD:
        below = x
        for layer, w in enumerate(weights):
            h, c = state[layer]
            i, f, g, o = gates(w, below, h)
            c = cell[layer] * (f * c + i * g)
            h = o * np.tanh(c)
            state[layer] = (h, c)
            below = h
        outputs.append(below)
    return np.stack(outputs), state


def moon2015_evaluated(x_TBD, state, weights, p):
    """Its mean within a window: m m = m, so that the cell is scaled once, where it is read."""
    state, outputs = list(state), []
    for x in x_TBD:
        below = x
        for layer, w in enumerate(weights):
            h, c = state[layer]
            i, f, g, o = gates(w, below, h)
            c = f * c + i * g
            h = o * np.tanh((1 - p) * c)
            state[layer] = (h, c)
            below = h
        outputs.append(below)
    return np.stack(outputs), state


def semeniuta2016(x_TBD, state, weights, vertical, update, p_vertical, p_update):
    """arXiv:1603.05118: c = f c + i d(g) over Zaremba's masks; update is L masks [T, B, H]."""
    state, outputs = list(state), []
    for t, x in enumerate(x_TBD):
        below = x * vertical[0][t] / (1 - p_vertical)
        for layer, w in enumerate(weights):
            h, c = state[layer]
            i, f, g, o = gates(w, below, h)
            c = f * c + i * (g * update[layer][t] / (1 - p_update))
            h = o * np.tanh(c)
            state[layer] = (h, c)
            below = h * vertical[layer + 1][t] / (1 - p_vertical)
        outputs.append(below)
    return np.stack(outputs), state


def zoneout(x_TBD, state, weights, vertical, cell, hidden, p_vertical, *, upward):
    """arXiv:1606.01305, equations 3 to 5, over Zaremba's masks.

    cell and hidden: L masks [T, B, H], 1 takes the new value and 0 keeps the old. The new h is
    computed from the new c, held or not. upward: whether the layer above sees the held h.
    """
    state, outputs = list(state), []
    for t, x in enumerate(x_TBD):
        below = x * vertical[0][t] / (1 - p_vertical)
        for layer, w in enumerate(weights):
            h, c = state[layer]
            i, f, g, o = gates(w, below, h)
            new_c = f * c + i * g
            new_h = o * np.tanh(new_c)
            held_c = np.where(cell[layer][t] == 1, new_c, c)
            held_h = np.where(hidden[layer][t] == 1, new_h, h)
            state[layer] = (held_h, held_c)
            below = (held_h if upward else new_h) * vertical[layer + 1][t] / (1 - p_vertical)
        outputs.append(below)
    return np.stack(outputs), state


def zoneout_evaluated(x_TBD, state, weights, p_cell, p_hidden, *, upward):
    """arXiv:1606.01305, section 3.2: in evaluation every mask is its expectation."""
    state, outputs = list(state), []
    for x in x_TBD:
        below = x
        for layer, w in enumerate(weights):
            h, c = state[layer]
            i, f, g, o = gates(w, below, h)
            new_c = f * c + i * g
            new_h = o * np.tanh(new_c)
            held_c = p_cell * c + (1 - p_cell) * new_c
            held_h = p_hidden * h + (1 - p_hidden) * new_h
            state[layer] = (held_h, held_c)
            below = held_h if upward else new_h
        outputs.append(below)
    return np.stack(outputs), state


def melis2018(x_TBD, state, weights, vertical, recurrent, update, p):
    """arXiv:1707.05589: a rate a place; the masks [B, H] of state and update stay for the window.

    vertical: L + 1 masks [T, B, units]; recurrent and update L masks; p by place. What the update
    keeps is not scaled.
    """
    p_vertical = [p["input"], *[p["interlayer"]] * (len(weights) - 1), p["output"]]
    state, outputs = list(state), []
    for t, x in enumerate(x_TBD):
        below = x * vertical[0][t] / (1 - p_vertical[0])
        for layer, w in enumerate(weights):
            h, c = state[layer]
            i, f, g, o = gates(w, below, h * recurrent[layer] / (1 - p["state"]))
            c = f * c + i * (g * update[layer])
            h = o * np.tanh(c)
            state[layer] = (h, c)
            below = h * vertical[layer + 1][t] / (1 - p_vertical[layer + 1])
        outputs.append(below)
    return np.stack(outputs), state


def melis2018_evaluated(x_TBD, state, weights, p_update):
    """Its mean: the update is scaled where it is written, all else rests."""
    state, outputs = list(state), []
    for x in x_TBD:
        below = x
        for layer, w in enumerate(weights):
            h, c = state[layer]
            i, f, g, o = gates(w, below, h)
            c = f * c + i * (g * (1 - p_update))
            h = o * np.tanh(c)
            state[layer] = (h, c)
            below = h
        outputs.append(below)
    return np.stack(outputs), state


def token(x_TBD, state, weights, places, p):
    """The code of arXiv:1707.05589: the input of a step becomes zero; places is a mask [T, B]."""
    return no_dropout(x_TBD * places[:, :, None] / (1 - p), state, weights)


def merity2017(x_TBD, state, weights, words, vertical, recurrent, p):
    """arXiv:1708.02182: DropConnect on the four recurrent matrices, all else locked.

    words [T, B]; vertical L + 1 masks [B, units]; recurrent L masks [4, H, H]; p by place.
    """
    p_vertical = [p["input"], *[p["interlayer"]] * (len(weights) - 1), p["output"]]
    state, outputs = list(state), []
    for t, x in enumerate(x_TBD):
        below = x * words[t][:, None] / (1 - p["embedding"]) * vertical[0] / (1 - p_vertical[0])
        for layer, w in enumerate(weights):
            h, c = state[layer]
            mi, mf, mg, mo = recurrent[layer] / (1 - p["weight"])
            i = sigmoid(below @ w.xi.T + h @ (w.hi * mi).T + w.bi)
            f = sigmoid(below @ w.xf.T + h @ (w.hf * mf).T + w.bf)
            g = np.tanh(below @ w.xg.T + h @ (w.hg * mg).T + w.bg)
            o = sigmoid(below @ w.xo.T + h @ (w.ho * mo).T + w.bo)
            c = f * c + i * g
            h = o * np.tanh(c)
            state[layer] = (h, c)
            below = h * vertical[layer + 1] / (1 - p_vertical[layer + 1])
        outputs.append(below)
    return np.stack(outputs), state
