"""Dropout above and below a stack of LSTM layers, and nothing in between."""
