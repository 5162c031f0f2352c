"""Plays the world to an unmodified bot: its clock, its network, its children.

Everything here runs inside the bot's own interpreter, before the first line of the bot, and uses the standard
library alone (and time-machine's extension for wall clocks). `activate` is the order of events; `link` speaks with
the orchestrator. Whatever goes wrong in here ends the process (`ending.refuse`): a bot that runs without its
shim would run live.
"""
