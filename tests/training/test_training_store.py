"""Models on disk: whole or not there, and found again by what they were made of."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from orchestrator.errors import DataError
from orchestrator.training.cache import TrainingCache
from orchestrator.training.key import TrainingInputs, data_digest, input_digest
from orchestrator.training.manifest import TrainingManifest, read_training, write_training
from orchestrator.training.model_files import files_digest, model_files
from orchestrator.training.schedule import Window
from orchestrator.training.store import ModelStore
from orchestrator.training_settings import TrainingSettings

WINDOW = Window(10, 20, 20, 20, 30)
INPUTS = TrainingInputs("trainer", "1.0", 7, "USD", "binance USDT 5m", "", "")
TRAINING = TrainingSettings(command=("python", "/a/b/trainer.py"), params={"x": 1}).resolved(("BTC",))


def manifest_of(folder: Path, **more: object) -> TrainingManifest:
    files = model_files(folder)
    fields: dict[str, object] = {
        "coin": "BTC",
        "train_from": 1,
        "train_until": 2,
        "input_digest": "key",
        **more,
    }
    return TrainingManifest(files=files, digest=files_digest(files), **fields)  # type: ignore[arg-type]


class TestStore:
    def test_a_model_has_its_name_only_when_it_is_whole(self, tmp_path: Path) -> None:
        store = ModelStore(tmp_path)
        place = store.stage("BTC", 2)
        (place / "model").write_text("x")
        assert not store.folder("BTC", 2).exists()
        folder = store.publish(manifest_of(place))
        assert folder == store.folder("BTC", 2)
        assert sorted(path.name for path in folder.iterdir()) == ["model", "training.json"]
        assert not place.exists()
        assert read_training(folder).coin == "BTC"

    def test_a_folder_that_a_killed_run_left_is_emptied(self, tmp_path: Path) -> None:
        store = ModelStore(tmp_path)
        (store.stage("BTC", 2) / "half").write_text("x")
        assert not list(store.stage("BTC", 2).iterdir())
        store.discard("BTC", 2)
        assert not list((tmp_path / "models" / "BTC").iterdir())

    def test_a_name_that_is_taken(self, tmp_path: Path) -> None:
        store = ModelStore(tmp_path)
        place = store.stage("BTC", 2)
        (place / "training.json").write_text("{}")
        with pytest.raises(DataError, match="a name that is taken"):
            store.publish(manifest_of(place))

    def test_the_link_leads_to_the_model_in_use(self, tmp_path: Path) -> None:
        store = ModelStore(tmp_path)
        for time in (1, 2):
            place = store.stage("BTC", time)
            store.publish(manifest_of(place, train_until=time))
            store.put_in_use("BTC", time)
            assert (tmp_path / "models" / "BTC" / "latest").resolve().name == str(time)


class TestFiles:
    def test_the_digest_is_of_names_and_contents_and_not_of_the_manifest(self, tmp_path: Path) -> None:
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "c").write_text("1")
        (tmp_path / "a").write_text("2")
        files = model_files(tmp_path)
        assert list(files) == ["a", "b/c"]
        (tmp_path / "training.json").write_text("{}")
        assert model_files(tmp_path) == files
        before = files_digest(files)
        (tmp_path / "a").rename(tmp_path / "d")
        assert files_digest(model_files(tmp_path)) != before

    def test_links_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to("/etc")
        with pytest.raises(DataError, match="no plain file"):
            model_files(tmp_path)

    def test_a_manifest_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="is no model"):
            read_training(tmp_path)
        (tmp_path / "training.json").write_text("{")
        with pytest.raises(DataError, match="cannot be read"):
            read_training(tmp_path)


class TestCache:
    def model(self, tmp_path: Path) -> tuple[Path, TrainingManifest]:
        folder = tmp_path / "made"
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "model").write_text("weights")
        return folder, manifest_of(folder)

    def taken(self, tmp_path: Path, cache: TrainingCache) -> tuple[Path, TrainingManifest | None]:
        target = tmp_path / "target"
        target.mkdir()
        return target, cache.take("key", target)

    def test_what_is_put_is_taken(self, tmp_path: Path) -> None:
        cache = TrainingCache(tmp_path / "cache")
        folder, manifest = self.model(tmp_path)
        cache.put(folder, manifest)
        target, found = self.taken(tmp_path, cache)
        assert found is not None
        assert found.is_from_cache
        assert found.digest == manifest.digest
        assert model_files(target) == manifest.files
        assert [path.name for path in (tmp_path / "cache" / "models").iterdir()] == ["key"]

    def test_nothing_is_taken_when_it_is_not_to_be_read(self, tmp_path: Path) -> None:
        folder, manifest = self.model(tmp_path)
        TrainingCache(tmp_path / "cache").put(folder, manifest)
        assert self.taken(tmp_path, TrainingCache(tmp_path / "cache", is_read=False))[1] is None

    def test_what_is_trained_again_replaces_what_was_there(self, tmp_path: Path) -> None:
        folder, manifest = self.model(tmp_path)
        TrainingCache(tmp_path / "cache").put(folder, manifest)
        (folder / "deep" / "model").write_text("other weights")
        other = manifest_of(folder)
        TrainingCache(tmp_path / "cache").put(folder, other)  # first come, first kept
        entry = tmp_path / "cache" / "models" / "key"
        assert read_training(entry).digest == manifest.digest
        TrainingCache(tmp_path / "cache", is_read=False).put(folder, other)
        assert read_training(entry).digest == other.digest

    @pytest.mark.parametrize("harm", ["changed", "more", "less", "manifest", "other", "digest"])
    def test_what_is_damaged_is_removed(self, tmp_path: Path, harm: str) -> None:
        cache = TrainingCache(tmp_path / "cache")
        folder, manifest = self.model(tmp_path)
        cache.put(folder, manifest)
        entry = tmp_path / "cache" / "models" / "key"
        if harm == "changed":
            (entry / "deep" / "model").write_text("wrong")
        elif harm == "more":
            (entry / "more").write_text("more")
        elif harm == "less":
            (entry / "deep" / "model").unlink()
        elif harm == "manifest":
            (entry / "training.json").unlink()
        elif harm == "digest":
            write_training(entry, msgspec.structs.replace(manifest, digest="of others"))
        else:
            write_training(entry, manifest_of(entry, input_digest="another"))
        assert self.taken(tmp_path, cache)[1] is None
        assert not entry.exists()

    def test_a_cache_that_cannot_be_written_is_no_failure(self, tmp_path: Path) -> None:
        (tmp_path / "cache").write_text("a file")
        folder, manifest = self.model(tmp_path)
        TrainingCache(tmp_path / "cache").put(folder, manifest)


class TestKey:
    def candles(
        self, coin: str, from_ns: int, until_ns: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        times = np.arange(from_ns, until_ns, dtype=np.int64)
        return times, np.ones((5, len(times))) * len(coin)

    def test_the_candles_of_the_window_count_and_no_others(self) -> None:
        digest = data_digest(self.candles, ("BTC",), WINDOW)
        assert digest == data_digest(self.candles, ("BTC",), WINDOW._replace(use_until_ns=99))
        assert digest != data_digest(self.candles, ("BTC", "ETH"), WINDOW)
        assert digest != data_digest(self.candles, ("BTC",), WINDOW._replace(train_until_ns=19))

    def test_everything_that_may_decide_a_model_counts(self) -> None:
        digest = input_digest(TRAINING, INPUTS, "BTC", WINDOW, "candles")
        others = [
            input_digest(TRAINING, INPUTS, "ETH", WINDOW, "candles"),
            input_digest(TRAINING, INPUTS, "BTC", WINDOW._replace(train_from_ns=11), "candles"),
            input_digest(TRAINING, INPUTS, "BTC", WINDOW, "other candles"),
            *(
                input_digest(
                    TRAINING, TrainingInputs(**{**INPUTS._asdict(), key: "x"}), "BTC", WINDOW, "candles"
                )
                for key in INPUTS._fields
            ),
            input_digest(changed(params={"x": 2}), INPUTS, "BTC", WINDOW, "candles"),
            input_digest(changed(command=("python", "other.py")), INPUTS, "BTC", WINDOW, "candles"),
            input_digest(changed(export=("1h",)), INPUTS, "BTC", WINDOW, "candles"),
        ]
        assert len({digest, *others}) == 1 + len(others)

    def test_what_cannot_decide_a_model_does_not_count(self) -> None:
        digest = input_digest(TRAINING, INPUTS, "BTC", WINDOW, "candles")
        for other in (
            changed(timeout=3.0),
            changed(parallel=1),
            changed(workdir="/elsewhere"),
            changed(on_failure="keep"),
            changed(command=("python", "/elsewhere/trainer.py")),
            changed(every="3d"),
        ):
            assert input_digest(other, INPUTS, "BTC", WINDOW, "candles") == digest
        assert input_digest(TRAINING, INPUTS, "BTC", WINDOW._replace(use_until_ns=99), "candles") == digest


def changed(**more: object) -> TrainingSettings:
    fields = {name: getattr(TRAINING, name) for name in TrainingSettings.__struct_fields__}
    return TrainingSettings(**{**fields, **more})
