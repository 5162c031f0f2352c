"""Python imports this before the bot's first line; it brings the shim up, or ends the process.

Python runs a program even when its `sitecustomize` raises. A bot would then trade live, so nothing may leave
this file but by way of `os._exit`.
"""

import os

try:
    from _replay_shim import activate

    activate.activate(__file__)
except BaseException as error:  # noqa: BLE001 - whatever it is: without its shim a bot does not run
    try:
        os.write(
            2, f"replay: the shim failed, the bot is not run: {type(error).__name__}: {error}\n".encode()
        )
    finally:
        os._exit(70)

activate.chain(__file__)
