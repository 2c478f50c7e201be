"""Each paper's placement on the plain recurrent net, by hand in NumPy, as `oracles` on the LSTM.

    h = tanh(W_x x + W_h h + b)

Functions and arguments are those of `oracles`; a state is one (h_BH,) for each layer.
"""

from typing import NamedTuple

import numpy as np


class Weights(NamedTuple):
    """One layer: matrices [H, D] and [H, H], the bias [H] already summed."""

    x: np.ndarray
    h: np.ndarray
    b: np.ndarray


def split(w_ih, w_hh, b_ih, b_hh):
    """PyTorch's parameters; there is one gate."""
    return Weights(w_ih, w_hh, b_ih + b_hh)


def no_dropout(x_TBD, state, weights, f=np.tanh):
    """The net as it stands; f is its nonlinearity."""
    state, outputs = list(state), []
    for x in x_TBD:
        below = x
        for layer, w in enumerate(weights):
            (h,) = state[layer]
            below = f(below @ w.x.T + h @ w.h.T + w.b)
            state[layer] = (below,)
        outputs.append(below)
    return np.stack(outputs), state


def zaremba2014(x_TBD, state, weights, vertical, p, f=np.tanh):
    """arXiv:1409.2329, section 3: h = f(W_h h + W_x D(x)), and D once more below the softmax."""
    state, outputs = list(state), []
    for t, x in enumerate(x_TBD):
        below = x * vertical[0][t] / (1 - p)
        for layer, w in enumerate(weights):
            (h,) = state[layer]
            h = f(h @ w.h.T + below @ w.x.T + w.b)
            state[layer] = (h,)
            below = h * vertical[layer + 1][t] / (1 - p)
        outputs.append(below)
    return np.stack(outputs), state


def locked(x_TBD, state, weights, vertical, p):
    """As Zaremba, but the L + 1 masks [B, units] stay for the window."""
    vertical = [np.broadcast_to(mask, (len(x_TBD), *mask.shape)) for mask in vertical]
    return zaremba2014(x_TBD, state, weights, vertical, p)


def naive(x_TBD, state, weights, vertical, recurrent, p):
    """What that section argues against: h = tanh(W_h D(h) + W_x D(x))."""
    state, outputs = list(state), []
    for t, x in enumerate(x_TBD):
        below = x * vertical[0][t] / (1 - p)
        for layer, w in enumerate(weights):
            (h,) = state[layer]
            read = h * recurrent[layer][t] / (1 - p)
            h = np.tanh(read @ w.h.T + below @ w.x.T + w.b)
            state[layer] = (h,)
            below = h * vertical[layer + 1][t] / (1 - p)
        outputs.append(below)
    return np.stack(outputs), state


def gal2016_tied(x_TBD, state, weights, words, vertical, recurrent, p_words, p_vertical, p_h):
    """arXiv:1512.05287, section 4: h = tanh((x o z_x) W_x + (h o z_h) W_h + b), masks held in time.

    There is one gate, so that tied and apart are one scheme.
    """
    state, outputs = list(state), []
    for t, x in enumerate(x_TBD):
        below = x * words[t][:, None] / (1 - p_words) * vertical[0] / (1 - p_vertical)
        for layer, w in enumerate(weights):
            (h,) = state[layer]
            read = h * recurrent[layer] / (1 - p_h)
            h = np.tanh(below @ w.x.T + read @ w.h.T + w.b)
            state[layer] = (h,)
            below = h * vertical[layer + 1] / (1 - p_vertical)
        outputs.append(below)
    return np.stack(outputs), state


def zoneout(x_TBD, state, weights, vertical, hidden, p_vertical, *, upward):
    """arXiv:1606.01305: each unit of h is the new one or the old, over Zaremba's masks.

    upward: whether the layer above sees the held h, or the new one.
    """
    state, outputs = list(state), []
    for t, x in enumerate(x_TBD):
        below = x * vertical[0][t] / (1 - p_vertical)
        for layer, w in enumerate(weights):
            (h,) = state[layer]
            new = np.tanh(below @ w.x.T + h @ w.h.T + w.b)
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
            new = np.tanh(below @ w.x.T + h @ w.h.T + w.b)
            held = p_hidden * h + (1 - p_hidden) * new
            state[layer] = (held,)
            below = held if upward else new
        outputs.append(below)
    return np.stack(outputs), state


def token(x_TBD, state, weights, places, p):
    """The code of arXiv:1707.05589: the input of a step becomes zero; places is a mask [T, B]."""
    return no_dropout(x_TBD * places[:, :, None] / (1 - p), state, weights)


def gal2016_apart(
    x_TBD, state, weights, words, inputs, recurrent, output, p_words, p_vertical, p_h
):
    """As tied: inputs and recurrent are L masks [B, 1, units], of the one gate."""
    vertical = [*(mask[:, 0] for mask in inputs), output]
    recurrent = [mask[:, 0] for mask in recurrent]
    return gal2016_tied(x_TBD, state, weights, words, vertical, recurrent, p_words, p_vertical, p_h)


def merity2017(x_TBD, state, weights, words, vertical, recurrent, p):
    """arXiv:1708.02182: DropConnect on the one recurrent matrix [1, H, H], all else locked."""
    p_vertical = [p["input"], *[p["interlayer"]] * (len(weights) - 1), p["output"]]
    state, outputs = list(state), []
    for t, x in enumerate(x_TBD):
        below = x * words[t][:, None] / (1 - p["embedding"]) * vertical[0] / (1 - p_vertical[0])
        for layer, w in enumerate(weights):
            (h,) = state[layer]
            (mask,) = recurrent[layer] / (1 - p["weight"])
            h = np.tanh(below @ w.x.T + h @ (w.h * mask).T + w.b)
            state[layer] = (h,)
            below = h * vertical[layer + 1] / (1 - p_vertical[layer + 1])
        outputs.append(below)
    return np.stack(outputs), state


def melis2018(x_TBD, state, weights, vertical, recurrent, _, p):
    """arXiv:1707.05589: a rate a place, the state's masks [B, H] held; no update is dropped."""
    p_vertical = [p["input"], *[p["interlayer"]] * (len(weights) - 1), p["output"]]
    state, outputs = list(state), []
    for t, x in enumerate(x_TBD):
        below = x * vertical[0][t] / (1 - p_vertical[0])
        for layer, w in enumerate(weights):
            (h,) = state[layer]
            read = h * recurrent[layer] / (1 - p["state"])
            h = np.tanh(below @ w.x.T + read @ w.h.T + w.b)
            state[layer] = (h,)
            below = h * vertical[layer + 1][t] / (1 - p_vertical[layer + 1])
        outputs.append(below)
    return np.stack(outputs), state
