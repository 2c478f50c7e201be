"""The commands, each where it belongs: they parse and print, and decide nothing.

What a command needs beyond that is imported when it runs, so that `--help` is at once there.
"""
