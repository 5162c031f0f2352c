"""What a bot draws by chance is the same in every run, and another for every process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.bot.programs import run_in_replay, run_natively

DRAWS = """
import json, os, random, secrets, sys, tempfile, uuid
rng = random.Random()
drawn = [
    os.urandom(5).hex(), os.getrandom(70).hex(), random.random(), random.SystemRandom().random(), rng.random(),
    secrets.token_hex(4), secrets.randbelow(10**9), str(uuid.uuid4()), str(uuid.uuid1()), uuid.getnode(),
]
random.seed()
drawn += [random.random(), random.sample(range(99), 5)]
random.seed(7)
drawn += [random.random()]
if "numpy" in sys.argv:
    import numpy as np
    drawn += [np.random.rand(), np.random.default_rng().random(), np.random.RandomState().rand()]
print(json.dumps(drawn))
"""
SEEDS = ("11" * 32, "22" * 32)


def drawn(folder: Path, seed: str, *arguments: str) -> Any:
    return run_in_replay(folder, DRAWS, *arguments, hello={"seed": seed}).value


def test_the_seed_decides(tmp_path: Path) -> None:
    first, again, other = (drawn(tmp_path, seed, "numpy") for seed in (SEEDS[0], SEEDS[0], SEEDS[1]))
    assert first == again
    # Only `random.seed(7)` is the bot's own decision.
    same = [index for index, pair in enumerate(zip(first, other, strict=True)) if pair[0] == pair[1]]
    assert same == [12]
    assert first[12] == run_natively(tmp_path, DRAWS).value[12]


def test_errors_are_the_systems(tmp_path: Path) -> None:
    program = """
    import json, os, random
    def kind(function, *arguments):
        try: return len(function(*arguments))
        except Exception as error: return type(error).__name__
    print(json.dumps([kind(os.urandom, x) for x in (0, 1, 64, 65, 1000, -1, "x", 1.5)] + [random.Random(5).random()]))
    """
    assert run_in_replay(tmp_path, program).value == run_natively(tmp_path, program).value


def test_a_forked_child_draws_something_else(tmp_path: Path) -> None:
    program = """
    import json, os, random, time
    random.random()
    read, write = os.pipe()
    if os.fork() == 0:
        time.sleep(5)
        os.write(write, json.dumps([random.random(), os.urandom(4).hex(), time.time()]).encode())
        os._exit(0)
    os.wait()
    print(json.dumps([json.loads(os.read(read, 1000)), [random.random(), os.urandom(4).hex(), time.time()]]))
    """
    first, again = (run_in_replay(tmp_path, program, hello={}).value for _ in range(2))
    child, parent = first
    assert child[:2] != parent[:2]
    assert first[0] == again[0]
    assert first[1][:2] == again[1][:2]
