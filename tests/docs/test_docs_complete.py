"""The reference pages name every key, flag, message and field that there is."""

from __future__ import annotations

from collections.abc import Iterator

import click
import msgspec
import pytest

from orchestrator import bot_protocol, protocol
from orchestrator.bot_settings import BotsSettings
from orchestrator.cli.main import cli
from orchestrator.config import (
    AccountSettings,
    ComponentSettings,
    DataSettings,
    ExecutionModelSettings,
    InstrumentSettings,
    NamedAccountSettings,
    Settings,
    TrainingSettings,
)
from orchestrator.engine.events import EventKind
from orchestrator.engine.journal import _EVENT_NAMES
from orchestrator.exchange.vocabulary import FlowKind, Rule, SlippagePart
from orchestrator.execution_settings import FeeTierSettings
from orchestrator.runs.bot_facts import (
    BotFacts,
    EndedBot,
    FolderFacts,
    RefusedRequest,
    RequestFacts,
    StuckBot,
)
from orchestrator.runs.lines import CASH_FLOWS_FILE, RECORD_TYPES
from orchestrator.runs.manifest import ComponentManifest, Counts, RunManifest
from orchestrator.venue_settings import FaultSettings, VenueSettings
from tests.docs.markdown import REPOSITORY, section_of

DOCS = REPOSITORY / "docs"
CONFIGURATION = DOCS / "configuration.md"
PROTOCOL = DOCS / "protocol.md"
RUN_DIRECTORY = DOCS / "run-directory.md"

SECTIONS: dict[str, type[msgspec.Struct]] = {
    "Top level": Settings,
    "[data]": DataSettings,
    "[account]": AccountSettings,
    "[accounts.NAME]": NamedAccountSettings,
    "[execution_model]": ExecutionModelSettings,
    "[instrument.COIN]": InstrumentSettings,
    "[venue.NAME]": VenueSettings,
    "[venue.NAME.faults]": FaultSettings,
    "[bots]": BotsSettings,
    "[[component]]": ComponentSettings,
    "[training]": TrainingSettings,
}
TABLES = {
    "bots",
    "data",
    "account",
    "accounts",
    "execution_model",
    "instrument",
    "venue",
    "component",
    "training",
}  # sections of their own


def names(struct: type[msgspec.Struct]) -> list[str]:
    return [field.name for field in msgspec.structs.fields(struct)]


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_key_of_replay_toml_is_documented(heading: str) -> None:
    text = section_of(CONFIGURATION, heading)
    missing = [key for key in names(SECTIONS[heading]) if key not in TABLES and f"`{key}`" not in text]
    assert not missing, f"docs/configuration.md, {heading}: {missing}"


def test_every_key_of_a_fee_tier_is_documented() -> None:
    text = section_of(CONFIGURATION, "[execution_model]")
    assert all(f"`{key}`" in text for key in names(FeeTierSettings))


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield name, command
        return
    context = click.Context(command)
    for word in command.list_commands(context):
        found = command.get_command(context, word)
        assert found is not None
        yield from commands(found, f"{name} {word}")


@pytest.mark.parametrize(("name", "command"), list(commands(cli, "replay")), ids=str)
def test_every_flag_is_documented(name: str, command: click.Command) -> None:
    page = CONFIGURATION.read_text(encoding="utf-8")
    text = section_of(CONFIGURATION, f"Flags of `{name}`") or next(
        (line for line in page.splitlines() if line.startswith(f"| `{name}")), ""
    )
    assert text, f"docs/configuration.md does not name {name}"
    flags = [flag for parameter in command.params for flag in parameter.opts if flag.startswith("--")]
    missing = [flag for flag in flags if f"`{flag}" not in text and flag != "--help"]
    assert not missing, f"docs/configuration.md, {name}: {missing}"


def messages() -> list[type[msgspec.Struct]]:
    exported = (getattr(protocol, name) for name in protocol.__all__)
    return [item for item in exported if isinstance(item, type) and issubclass(item, msgspec.Struct)]


@pytest.mark.parametrize("message", messages(), ids=lambda message: message.__name__)
def test_every_message_is_documented_field_by_field(message: type[msgspec.Struct]) -> None:
    tag = message.__struct_config__.tag
    text = section_of(PROTOCOL, message.__name__) if tag else PROTOCOL.read_text(encoding="utf-8")
    assert message.__name__ in PROTOCOL.read_text(encoding="utf-8")
    assert tag is None or f"Tag `{tag}`" in text
    missing = [name for name in names(message) if f"`{name}`" not in text]
    assert not missing, f"docs/protocol.md, {message.__name__}: {missing}"


def test_the_protocol_page_has_the_version_and_the_environment() -> None:
    text = PROTOCOL.read_text(encoding="utf-8")
    assert f"**{protocol.PROTOCOL_VERSION}**" in text
    assert all(
        f"`{getattr(protocol, name)}`" in text for name in protocol.__all__ if name.startswith("ENVIRONMENT_")
    )
    for kind in (
        protocol.Side,
        protocol.OrderType,
        protocol.TimeInForce,
        protocol.FillState,
        protocol.Liquidity,
    ):
        assert all(f"`{value}`" in text for value in kind), kind


@pytest.mark.parametrize("name", RECORD_TYPES)
def test_every_field_of_a_line_is_documented(name: str) -> None:
    text = section_of(RUN_DIRECTORY, name)
    fields = ["ts" if field == "sim_time_ns" else field for field in names(RECORD_TYPES[name])]
    missing = [field for field in fields if f"`{field}`" not in text]
    assert not missing, f"docs/run-directory.md, {name}: {missing}"


def test_every_word_of_a_line_is_documented() -> None:
    fills, events = (section_of(RUN_DIRECTORY, f"{name}.jsonl") for name in ("fills", "order_events"))
    assert [word for word in (*Rule, *SlippagePart) if f"`{word}`" not in fills] == []
    assert [word for word in FlowKind if f"`{word}`" not in section_of(RUN_DIRECTORY, CASH_FLOWS_FILE)] == []
    assert [word for word in (*_EVENT_NAMES.values(), "filled") if f"`{word}`" not in events] == []


def test_every_field_of_the_manifest_is_documented() -> None:
    text = section_of(RUN_DIRECTORY, "run.json")
    fields = [*names(RunManifest), *names(ComponentManifest), *names(Counts)]
    assert [field for field in fields if f"`{field}`" not in text] == []


def test_the_order_of_events_is_documented() -> None:
    text = section_of(DOCS / "architecture.md", "Order of events at one time")
    assert [kind for kind in EventKind if f"| {int(kind)} |" not in text] == []


def test_every_decision_is_listed() -> None:
    text = (DOCS / "decisions" / "README.md").read_text(encoding="utf-8")
    pages = sorted(path.name for path in (DOCS / "decisions").glob("[0-9]*.md"))
    assert pages == sorted(set(pages))
    assert [page for page in pages if f"({page})" not in text] == []


@pytest.mark.parametrize(
    "struct",
    [BotFacts, RefusedRequest, RequestFacts, EndedBot, StuckBot, FolderFacts],
    ids=lambda s: s.__name__,
)
def test_every_field_of_what_is_told_of_bots_is_documented(struct: type[msgspec.Struct]) -> None:
    text = section_of(RUN_DIRECTORY, "bots.json")
    assert [field for field in names(struct) if f"`{field}`" not in text] == []


def test_the_line_of_bots_is_documented() -> None:
    text = section_of(PROTOCOL, "Unmodified bots")
    exported = {name: getattr(bot_protocol, name) for name in bot_protocol.__all__}
    assert f"version is **{bot_protocol.BOT_PROTOCOL_VERSION}**" in text
    assert [
        v for name, v in exported.items() if name.startswith("ENVIRONMENT_") and f"`{v}`" not in text
    ] == []
    structs = [
        item for item in exported.values() if isinstance(item, type) and issubclass(item, msgspec.Struct)
    ]
    missing = [
        (struct.__name__, field) for struct in structs for field in names(struct) if f"`{field}`" not in text
    ]
    assert missing == []
    assert [struct.__name__ for struct in structs if struct.__name__ not in text] == []
