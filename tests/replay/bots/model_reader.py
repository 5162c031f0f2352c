"""Says what model it was told of, and what stands in it."""

from __future__ import annotations

import json

from components import Reason, connect

with connect() as replay:
    for snapshot in replay.snapshots():
        for model in snapshot.models:
            assert Reason.MODEL in snapshot.reason
            assert replay.models[model.coin] == model
            seen = json.loads((model.path / "model.json").read_text())
            assert (model.path.parent / "latest").resolve() == model.path.resolve()
            replay.signal(
                model.coin, until=int(model.train_until.timestamp()), digest=model.digest, sum=seen["sum"]
            )
