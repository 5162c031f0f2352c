"""docs/venues.md names every venue, host, endpoint and fault, and what cannot be confirmed."""

from __future__ import annotations

import msgspec
import pytest

from orchestrator.venue_settings import FaultSettings, VenueSettings
from orchestrator.venues.venues import VENUES
from tests.docs.markdown import REPOSITORY, section_of
from tests.venues.simulated_run import SimulatedRun
from tests.venues.test_venues_kucoin_market import SMALL, market_of

PAGE = REPOSITORY / "docs" / "venues.md"
RUN = SimulatedRun({name: VenueSettings() for name in VENUES}, market=market_of(SMALL))


@pytest.mark.parametrize("name", VENUES)
def test_every_endpoint_is_named(name: str) -> None:
    venue, text = RUN.venues._venues[name], PAGE.read_text(encoding="utf-8")
    assert f"| [{name}](#{name}) |" in text
    assert f"`{venue.hosts[0]}`" in text
    assert [e.name for e in venue.router.endpoints if f"`{e.name}`" not in text] == []


def test_no_endpoint_is_named_that_is_not_there() -> None:
    known = {endpoint.name for venue in RUN.venues._venues.values() for endpoint in venue.router.endpoints}
    words = PAGE.read_text(encoding="utf-8").split("Not there: `DELETE")[0].split("`")[1::2]
    named = {word for word in words if word.startswith(("GET /", "POST /", "DELETE /"))}
    assert named - known == set()


def test_every_fault_is_explained() -> None:
    text = section_of(PAGE, "Trouble on demand")
    assert all(f"| `{field.name}` |" in text for field in msgspec.structs.fields(FaultSettings))
