"""The point where the clock waits: one stage's components, woken together, acknowledged each once."""

from __future__ import annotations

from orchestrator.errors import ProtocolError
from orchestrator.protocol import Acknowledgement, Instruction

__all__ = ["Barrier"]


class Barrier:
    """Collects the acknowledgements of the components woken at one sequence and step.

    What they say is given out only when all have spoken, and in their declared order, so that which of them
    was faster leaves no trace.

    Invariant: `awaited` and the keys of the collected acknowledgements are disjoint, and together they are
    the components that were woken.
    """

    __slots__ = ("_said", "awaited", "sequence", "step")

    def __init__(self) -> None:
        self.awaited: set[int] = set()  # membership and size only, never iterated
        self._said: dict[int, tuple[Instruction, ...]] = {}
        self.sequence = 0
        self.step = 0

    def open(self, components: tuple[int, ...], sequence: int, step: int) -> None:
        """Begin to wait for the components (their declared places, ascending)."""
        if self.awaited:
            raise ProtocolError(f"a stage was woken at sequence {sequence} while another was still at work")
        self.awaited = set(components)
        self._said = {}
        self.sequence = sequence
        self.step = step

    def acknowledge(self, component: int, name: str, message: Acknowledgement) -> bool:
        """Take one acknowledgement; return whether it was the last one.

        Raises
        ------
        ProtocolError
            If the component was not woken, has acknowledged already, or answers another sequence or step.
        """
        if component not in self.awaited:
            raise ProtocolError(
                f"{name} acknowledged sequence {message.sequence} step {message.step} out of turn; "
                f"a component acknowledges each snapshot once, after receiving it",
                component=name,
            )
        if message.sequence != self.sequence or message.step != self.step:
            raise ProtocolError(
                f"{name} acknowledged sequence {message.sequence} step {message.step}, "
                f"the snapshot in hand is sequence {self.sequence} step {self.step}",
                component=name,
            )
        self.awaited.discard(component)
        if message.instructions:
            self._said[component] = message.instructions
        return not self.awaited

    def take(self) -> list[tuple[int, tuple[Instruction, ...]]]:
        """Return what was said, in the components' declared order, and forget it."""
        if self.awaited:
            raise ProtocolError("a barrier was read before all components had acknowledged")
        said = sorted(self._said.items()) if self._said else []
        self._said = {}
        return said
