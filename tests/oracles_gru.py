"""Each paper's placement on PyTorch's GRU, written out by hand in NumPy, as `oracles` on the LSTM.

    r = sigmoid(W_xr x + W_hr h + b_xr + b_hr)
    z = sigmoid(W_xz x + W_hz h + b_xz + b_hz)
    n = tanh(W_xn x + b_xn + r * (W_hn h + b_hn))
    h = (1 - z) n + z h

Cho 2014 (arXiv:1406.1078), and Keras' GRU of the time, multiply h by r before the product: n =
tanh(W_xn x + W_hn (r * h) + b). The papers' masks are the same there; what they multiply in n is
not.

Functions and arguments are those of `oracles`; a state is one (h_BH,) for each layer.
"""

from typing import NamedTuple

import numpy as np
from oracles import sigmoid


class Weights(NamedTuple):
    """One layer, each gate apart: matrices [H, D] and [H, H], biases [H]; n's two stay apart."""

    xr: np.ndarray
    xz: np.ndarray
    xn: np.ndarray
    hr: np.ndarray
    hz: np.ndarray
    hn: np.ndarray
    br: np.ndarray
    bz: np.ndarray
    bxn: np.ndarray
    bhn: np.ndarray


def split(w_ih, w_hh, b_ih, b_hh):
    """Take PyTorch's stacked parameters [3H, ...] apart; the gates' order is r, z, n."""
    (bxr, bxz, bxn), (bhr, bhz, bhn) = np.split(b_ih, 3), np.split(b_hh, 3)
    return Weights(*np.split(w_ih, 3), *np.split(w_hh, 3), bxr + bhr, bxz + bhz, bxn, bhn)


def gates(w, x, h):
    """Reset gate, update gate and what is to be written: r, z, n."""
    r = sigmoid(x @ w.xr.T + h @ w.hr.T + w.br)
    z = sigmoid(x @ w.xz.T + h @ w.hz.T + w.bz)
    return r, z, np.tanh(x @ w.xn.T + w.bxn + r * (h @ w.hn.T + w.bhn))


def no_dropout(x_TBD, state, weights):
    """PyTorch's cell as it stands."""
    state, outputs = list(state), []
    for x in x_TBD:
        below = x
        for layer, w in enumerate(weights):
            (h,) = state[layer]
            _, z, n = gates(w, below, h)
            below = (1 - z) * n + z * h
            state[layer] = (below,)
        outputs.append(below)
    return np.stack(outputs), state


def zaremba2014(x_TBD, state, weights, vertical, p):
    """arXiv:1409.2329: D(h^{l-1}_t) wherever a layer, or the softmax, reads what is below it."""
    state, outputs = list(state), []
    for t, x in enumerate(x_TBD):
        below = x * vertical[0][t] / (1 - p)
        for layer, w in enumerate(weights):
            (h,) = state[layer]
            _, z, n = gates(w, below, h)
            h = (1 - z) * n + z * h
            state[layer] = (h,)
            below = h * vertical[layer + 1][t] / (1 - p)
        outputs.append(below)
    return np.stack(outputs), state


def locked(x_TBD, state, weights, vertical, p):
    """As Zaremba, but the L + 1 masks [B, units] stay for the window."""
    vertical = [np.broadcast_to(mask, (len(x_TBD), *mask.shape)) for mask in vertical]
    return zaremba2014(x_TBD, state, weights, vertical, p)


def naive(x_TBD, state, weights, vertical, recurrent, p):
    """As Zaremba, and the h that the gates' products read is dropped too, afresh at each step.

    What z mixes into the new h, what goes upward and what is handed on is whole.
    """
    state, outputs = list(state), []
    for t, x in enumerate(x_TBD):
        below = x * vertical[0][t] / (1 - p)
        for layer, w in enumerate(weights):
            (h,) = state[layer]
            _, z, n = gates(w, below, h * recurrent[layer][t] / (1 - p))
            h = (1 - z) * n + z * h
            state[layer] = (h,)
            below = h * vertical[layer + 1][t] / (1 - p)
        outputs.append(below)
    return np.stack(outputs), state


def gal2016_tied(x_TBD, state, weights, words, vertical, recurrent, p_words, p_vertical, p_h):
    """arXiv:1512.05287 on a GRU: masks held in time on all that a product reads, x and h.

    The authors' example (yaringal/BayesianRNN) takes its layers from the Keras of the time, whose
    GRU drops r * h before the product: n = tanh(W_xn (x o z_x) + W_hn (r * h o z_h) + b). Here r
    multiplies what the product makes of h o z_h. In both z mixes in the whole h.
    """
    state, outputs = list(state), []
    for t, x in enumerate(x_TBD):
        below = x * words[t][:, None] / (1 - p_words) * vertical[0] / (1 - p_vertical)
        for layer, w in enumerate(weights):
            (h,) = state[layer]
            _, z, n = gates(w, below, h * recurrent[layer] / (1 - p_h))
            h = (1 - z) * n + z * h
            state[layer] = (h,)
            below = h * vertical[layer + 1] / (1 - p_vertical)
        outputs.append(below)
    return np.stack(outputs), state


def gal2016_apart(
    x_TBD, state, weights, words, inputs, recurrent, output, p_words, p_vertical, p_h
):
    """As tied, each gate with masks of its own: inputs and recurrent are L masks [B, 3, units]."""
    state, outputs = list(state), []
    for t, x in enumerate(x_TBD):
        below = x * words[t][:, None] / (1 - p_words)
        for layer, w in enumerate(weights):
            (h,) = state[layer]
            zx, zh = inputs[layer] / (1 - p_vertical), recurrent[layer] / (1 - p_h)
            r = sigmoid((below * zx[:, 0]) @ w.xr.T + (h * zh[:, 0]) @ w.hr.T + w.br)
            z = sigmoid((below * zx[:, 1]) @ w.xz.T + (h * zh[:, 1]) @ w.hz.T + w.bz)
            of_h = (h * zh[:, 2]) @ w.hn.T + w.bhn
            n = np.tanh((below * zx[:, 2]) @ w.xn.T + w.bxn + r * of_h)
            below = (1 - z) * n + z * h
            state[layer] = (below,)
        outputs.append(below * output / (1 - p_vertical))
    return np.stack(outputs), state


def semeniuta2016(x_TBD, state, weights, vertical, update, p_vertical, p_update):
    """arXiv:1603.05118: h = (1 - z) d(n) + z h over Zaremba's masks.

    The paper writes z for what is here 1 - z, and its r multiplies h before the product.
    """
    state, outputs = list(state), []
    for t, x in enumerate(x_TBD):
        below = x * vertical[0][t] / (1 - p_vertical)
        for layer, w in enumerate(weights):
            (h,) = state[layer]
            _, z, n = gates(w, below, h)
            h = (1 - z) * (n * update[layer][t] / (1 - p_update)) + z * h
            state[layer] = (h,)
            below = h * vertical[layer + 1][t] / (1 - p_vertical)
        outputs.append(below)
    return np.stack(outputs), state


def zoneout(x_TBD, state, weights, vertical, hidden, p_vertical, *, upward):
    """arXiv:1606.01305: a GRU's h is its memory, and alone is held; over Zaremba's masks.

    upward: whether the layer above sees the held h, or the new one.
    """
    state, outputs = list(state), []
    for t, x in enumerate(x_TBD):
        below = x * vertical[0][t] / (1 - p_vertical)
        for layer, w in enumerate(weights):
            (h,) = state[layer]
            _, z, n = gates(w, below, h)
            new = (1 - z) * n + z * h
            held = np.where(hidden[layer][t] == 1, new, h)
            state[layer] = (held,)
            below = (held if upward else new) * vertical[layer + 1][t] / (1 - p_vertical)
        outputs.append(below)
    return np.stack(outputs), state


def zoneout_evaluated(x_TBD, state, weights, p_hidden, *, upward):
    """In evaluation every mask is its expectation."""
    state, outputs = list(state), []
    for x in x_TBD:
        below = x
        for layer, w in enumerate(weights):
            (h,) = state[layer]
            _, z, n = gates(w, below, h)
            new = (1 - z) * n + z * h
            held = p_hidden * h + (1 - p_hidden) * new
            state[layer] = (held,)
            below = held if upward else new
        outputs.append(below)
    return np.stack(outputs), state


def token(x_TBD, state, weights, places, p):
    """The code of arXiv:1707.05589: the input of a step becomes zero; places is a mask [T, B]."""
    return no_dropout(x_TBD * places[:, :, None] / (1 - p), state, weights)


def merity2017(x_TBD, state, weights, words, vertical, recurrent, p):
    """arXiv:1708.02182: DropConnect on the three recurrent matrices [3, H, H], all else locked."""
    p_vertical = [p["input"], *[p["interlayer"]] * (len(weights) - 1), p["output"]]
    state, outputs = list(state), []
    for t, x in enumerate(x_TBD):
        below = x * words[t][:, None] / (1 - p["embedding"]) * vertical[0] / (1 - p_vertical[0])
        for layer, w in enumerate(weights):
            (h,) = state[layer]
            mr, mz, mn = recurrent[layer] / (1 - p["weight"])
            r = sigmoid(below @ w.xr.T + h @ (w.hr * mr).T + w.br)
            z = sigmoid(below @ w.xz.T + h @ (w.hz * mz).T + w.bz)
            n = np.tanh(below @ w.xn.T + w.bxn + r * (h @ (w.hn * mn).T + w.bhn))
            h = (1 - z) * n + z * h
            state[layer] = (h,)
            below = h * vertical[layer + 1] / (1 - p_vertical[layer + 1])
        outputs.append(below)
    return np.stack(outputs), state


def melis2018(x_TBD, state, weights, vertical, recurrent, update, p):
    """arXiv:1707.05589: a rate a place; the masks [B, H] of state and update stay for the window.

    What the update keeps is not scaled.
    """
    p_vertical = [p["input"], *[p["interlayer"]] * (len(weights) - 1), p["output"]]
    state, outputs = list(state), []
    for t, x in enumerate(x_TBD):
        below = x * vertical[0][t] / (1 - p_vertical[0])
        for layer, w in enumerate(weights):
            (h,) = state[layer]
            _, z, n = gates(w, below, h * recurrent[layer] / (1 - p["state"]))
            h = (1 - z) * (n * update[layer]) + z * h
            state[layer] = (h,)
            below = h * vertical[layer + 1][t] / (1 - p_vertical[layer + 1])
        outputs.append(below)
    return np.stack(outputs), state


def melis2018_evaluated(x_TBD, state, weights, p_update):
    """Its mean: the update is scaled where it is written, all else rests."""
    state, outputs = list(state), []
    for x in x_TBD:
        below = x
        for layer, w in enumerate(weights):
            (h,) = state[layer]
            _, z, n = gates(w, below, h)
            below = (1 - z) * (n * (1 - p_update)) + z * h
            state[layer] = (below,)
        outputs.append(below)
    return np.stack(outputs), state
