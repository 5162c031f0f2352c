"""Every wire message: encode then decode is identity; what is none is refused; nothing can be changed."""

from __future__ import annotations

import enum
import types
import typing
from decimal import Decimal
from typing import Any, get_args, get_origin

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator import protocol
from orchestrator.protocol import (
    Acknowledgement,
    ComponentMessage,
    ControlReply,
    ControlRequest,
    OrchestratorMessage,
    PublishSignal,
    SpectatorMessage,
    SubmitOrder,
    TrainerMessage,
)

ENCODE = msgspec.msgpack.Encoder(decimal_format="string").encode

# Who says what to whom; a receiver decodes with the union of what it may hear.
CONVERSATIONS: dict[str, Any] = {
    "component -> orchestrator": ComponentMessage,
    "trainer -> orchestrator": TrainerMessage,
    "orchestrator -> component": OrchestratorMessage,
    "orchestrator -> spectators": SpectatorMessage,
    "operator -> orchestrator": ControlRequest,
    "orchestrator -> operator": ControlReply,
}
TOPS = [
    (conversation, message)
    for conversation, union in CONVERSATIONS.items()
    for message in (get_args(union) or (union,))
]
STRUCTS = [
    item
    for name in protocol.__all__
    if isinstance(item := getattr(protocol, name), type) and issubclass(item, msgspec.Struct)
]

OF_ANOTHER_KIND: tuple[Any, ...] = ({"a": 1}, [[[]]], 1.5)

text = st.text(max_size=8)
numbers = st.decimals(allow_nan=False, allow_infinity=False)
whole = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False)
plain = st.recursive(
    st.none() | st.booleans() | whole | floats | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
BASIC: dict[Any, st.SearchStrategy[Any]] = {
    int: whole,
    float: floats,
    bool: st.booleans(),
    str: text,
    bytes: st.binary(max_size=90),
    Decimal: numbers,
    type(None): st.none(),
    object: plain,
}


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """A strategy for everything that a type hint of a message allows."""
    if kind in BASIC:
        return BASIC[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple:
        return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(values_of(arguments[0]), values_of(arguments[1]), max_size=3)
    if origin in (types.UnionType, typing.Union):
        return st.one_of([values_of(argument) for argument in arguments])
    if issubclass(kind, enum.Enum):
        return st.sampled_from(kind)
    assert issubclass(kind, msgspec.Struct), kind
    return st.deferred(lambda: messages(kind))


def messages(kind: Any) -> st.SearchStrategy[Any]:
    fields = {field.name: values_of(field.type) for field in msgspec.structs.fields(kind)}
    return st.builds(kind, **fields)


def spelt(value: Any) -> Any:
    """A value with its types and digits, so that 1, 1.0, True and Decimal("1.00") are four things."""
    if isinstance(value, msgspec.Struct):
        return type(value), [spelt(getattr(value, name)) for name in value.__struct_fields__]
    if isinstance(value, dict):
        return [(key, spelt(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [spelt(item) for item in value]
    return type(value), str(value)


@pytest.mark.parametrize(("conversation", "kind"), TOPS, ids=[f"{kind.__name__}, {c}" for c, kind in TOPS])
class TestEveryMessage:
    @settings(max_examples=25, deadline=None)
    @given(data=st.data())
    def test_survives_the_wire_unchanged(self, conversation: str, kind: Any, data: st.DataObject) -> None:
        message = data.draw(messages(kind))
        received = msgspec.msgpack.decode(ENCODE(message), type=CONVERSATIONS[conversation])
        assert received == message
        assert spelt(received) == spelt(message)
        assert ENCODE(received) == ENCODE(message)

    def test_with_a_field_too_many_is_refused(self, conversation: str, kind: Any) -> None:
        words = plain_words(kind)
        assert msgspec.msgpack.decode(ENCODE(words), type=CONVERSATIONS[conversation]) == sample(kind)
        with pytest.raises(msgspec.ValidationError):
            msgspec.msgpack.decode(ENCODE([*words, None]), type=CONVERSATIONS[conversation])

    def test_with_another_tag_is_refused(self, conversation: str, kind: Any) -> None:
        for tag in ("nonsense", "", None, 3):
            with pytest.raises(msgspec.ValidationError):
                msgspec.msgpack.decode(
                    ENCODE([tag, *plain_words(kind)[1:]]), type=CONVERSATIONS[conversation]
                )

    def test_with_a_field_too_few_or_of_another_kind_is_refused(self, conversation: str, kind: Any) -> None:
        words = plain_words(kind)
        required = [f for f in msgspec.structs.fields(kind) if f.required]
        with pytest.raises(msgspec.ValidationError):
            msgspec.msgpack.decode(ENCODE(words[: len(required)]), type=CONVERSATIONS[conversation])
        for place, field in enumerate(msgspec.structs.fields(kind), 1):
            for other in OF_ANOTHER_KIND:
                if takes(field.type, other):
                    continue
                wrong = [*words[:place], other, *words[place + 1 :]]
                with pytest.raises(msgspec.ValidationError):
                    msgspec.msgpack.decode(ENCODE(wrong), type=CONVERSATIONS[conversation])

    def test_is_heard_in_no_other_conversation(self, conversation: str, kind: Any) -> None:
        assert kind in (get_args(CONVERSATIONS[conversation]) or (CONVERSATIONS[conversation],))
        for union in CONVERSATIONS.values():
            if kind in (get_args(union) or (union,)):
                continue
            with pytest.raises(msgspec.ValidationError):
                msgspec.msgpack.decode(ENCODE(sample(kind)), type=union)


SAMPLES: dict[Any, Any] = {
    int: 7,
    float: 2.5,
    bool: True,
    str: "text",
    bytes: b"\x00\x01",
    Decimal: Decimal("1.50"),
    object: [1, "two"],
}


def sample(kind: Any) -> Any:
    """One message of a kind, made without chance."""
    if kind in SAMPLES:
        return SAMPLES[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple:
        return (sample(arguments[0]),)
    if origin is dict:
        return {"key": sample(arguments[1])}
    if origin in (types.UnionType, typing.Union):
        return sample(arguments[0])
    if issubclass(kind, enum.Enum):
        return next(iter(kind))
    return kind(**{field.name: sample(field.type) for field in msgspec.structs.fields(kind)})


def plain_words(kind: Any) -> list[Any]:
    words = msgspec.msgpack.decode(ENCODE(sample(kind)))
    assert isinstance(words, list)
    return words


def takes(kind: Any, value: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


@pytest.mark.parametrize("kind", STRUCTS, ids=[kind.__name__ for kind in STRUCTS])
def test_messages_are_immutable_and_packed_without_names(kind: Any) -> None:
    config = kind.__struct_config__
    assert (config.frozen, config.array_like, config.forbid_unknown_fields) == (True, True, True)
    message = sample(kind)
    with pytest.raises(AttributeError, match="immutable"):
        setattr(message, kind.__struct_fields__[0], None)
    assert isinstance(msgspec.msgpack.decode(ENCODE(message)), list)


def test_tags_are_unique_within_a_conversation() -> None:
    for union in CONVERSATIONS.values():
        tags = [kind.__struct_config__.tag for kind in get_args(union)]
        assert len(tags) == len(set(tags))
        assert None not in tags


def test_every_message_of_the_module_is_spoken_somewhere() -> None:
    spoken: set[Any] = set()

    def walk(kind: Any) -> None:
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            spoken.add(kind)
            for field in msgspec.structs.fields(kind):
                walk(field.type)
        for argument in get_args(kind):
            walk(argument)

    for union in CONVERSATIONS.values():
        walk(union)
    assert spoken == set(STRUCTS)


def test_a_turn_is_one_message_whatever_is_said_in_it() -> None:
    turn = Acknowledgement(
        3,
        1,
        (
            SubmitOrder(1, "BTC", protocol.Side.BUY, Decimal("0.10")),
            PublishSignal("BTC", {"long": 3, "sure": True, "why": "up", "score": 0.25}),
        ),
    )
    received = msgspec.msgpack.decode(ENCODE(turn), type=ComponentMessage)
    assert spelt(received) == spelt(turn)
