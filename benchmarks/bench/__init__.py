"""What an update costs: `python -m bench`, in one run on one machine, ratios first.

`options` says what is measured, `run` measures it, `show` turns the measured facts (JSON) into
tables for the terminal and in Markdown. `README.md` says how to read them.
"""
