"""`replay new DIR`: a thinker, a trader and a replay.toml to start from."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import click

from orchestrator.errors import ConfigError

__all__ = ["new"]

_FILES = ("thinker.py", "trader.py", "replay.toml")


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
def new(directory: Path) -> int:
    """Write a thinker, a trader and a replay.toml into DIRECTORY; nothing there is overwritten."""
    standing = [name for name in _FILES if (directory / name).exists()]
    if standing:
        raise ConfigError(
            f"{directory} has {', '.join(standing)} already; nothing was written, name another folder"
        )
    templates = resources.files("orchestrator.cli") / "templates"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            (directory / name).write_text(
                (templates / f"{name}.txt").read_text(encoding="utf-8"), encoding="utf-8"
            )
    except OSError as error:
        raise ConfigError(
            f"{directory} cannot be written: {error.strerror}; name a folder that you can write to"
        ) from None
    click.echo(f"wrote {', '.join(_FILES)} into {directory}")
    click.echo(
        "next: import candles (replay data import FILE…) or make some\n"
        "      replay data synth --coins BTC,ETH,DOGE --timeframe 5m\n"
        f"      replay start --config {directory / 'replay.toml'}"
    )
    return 0
