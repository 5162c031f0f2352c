"""replay.toml and its flags: what is taken, what is refused and how that is said, and the way back to TOML."""

from __future__ import annotations

import datetime as dt
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.config import (
    NS_PER_DAY,
    NS_PER_SECOND,
    ComponentSettings,
    Settings,
    component_from_command,
    load_settings,
    parse_date_ns,
    parse_duration_ns,
    parse_timeframe_ns,
)
from orchestrator.errors import ConfigError

HEAD = 'start_date = 2024-01-01\nend_date = 2024-02-01\ncoins = ["BTC", "ETH"]\n'
FLAGS = {"start_date": "2024-01-01", "end_date": "2024-02-01", "coins": ["BTC", "ETH"]}
COMPONENT = '[[component]]\nname = "thinker"\ncommand = ["python", "thinker.py"]\n'
BOT = f"{COMPONENT}kind = 'bot'\n"


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(text: str) -> Path:
        path = tmp_path / "replay.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refusal(path: Path | None, flags: dict[str, Any] | None = None) -> str:
    with pytest.raises(ConfigError) as error:
        load_settings(path, flags or {})
    message = str(error.value)
    assert "\n" not in message
    assert error.value.exit_status == 2
    return message


class TestPrecedence:
    def test_defaults_alone_are_those_of_the_design(self) -> None:
        found = load_settings(None, FLAGS)
        assert (found.seed, found.speed, found.speed_factor, found.timeframe) == (7, "max", None, None)
        assert [found.data.gaps, found.account.currency] == ["fail", "USD"]
        assert found.account.initial_cash == 10_000
        model = found.execution_model
        assert [model.slippage_bps, model.impact_bps, model.fee_bps] == [5, 0, 20]
        assert [model.max_volume_pct, model.partial_fill_threshold] == [1, Decimal("0.01")]
        assert list(model.latency_ms or ()) == [50, 500]
        assert (model.touch, model.intrabar) == ("through", "pessimistic")
        assert (found.component, found.component_timeout) == ((), 30.0)

    def test_the_file_wins_over_defaults_and_flags_over_the_file(self, write: Any) -> None:
        path = write(
            f"{HEAD}seed = 1\nspeed = 60\n[data]\ngaps = 'stale'\nmax_gap = '1h'\n[account]\ninitial_cash = 5\n"
        )
        found = load_settings(path, {"seed": 2, "data": {"max_gap": "30m"}, "coins": ["DOGE"]})
        assert (found.seed, found.speed, found.coins) == (2, "60", ("DOGE",))
        assert (found.data.gaps, found.data.max_gap) == (
            "stale",
            "30m",
        )  # a section is laid over, not replaced
        assert found.account.initial_cash == 5

    def test_flags_may_complete_a_file(self, write: Any) -> None:
        assert load_settings(write("seed = 3\n"), FLAGS).seed == 3

    def test_a_component_runs_where_its_file_stands(self, write: Any, tmp_path: Path) -> None:
        more = COMPONENT + 'workdir = "bot"\n' + COMPONENT.replace("thinker", "trader")
        found = load_settings(write(HEAD + more), {})
        assert [c.workdir for c in found.component] == [str(tmp_path / "bot"), str(tmp_path)]

    def test_dates_of_toml_and_text_mean_the_same(self, write: Any) -> None:
        times = [
            load_settings(
                write(f'start_date = {start}\nend_date = 2024-02-01\ncoins = ["BTC"]\n'), {}
            ).start_ns
            for start in (
                "2024-01-01",
                '"2024-01-01"',
                "2024-01-01T00:00:00",
                "2024-01-01T00:00:00Z",
                "2024-01-01T02:00:00+02:00",
                '"2024-01-01 00:00"',
            )
        ]
        assert set(times) == {1_704_067_200 * NS_PER_SECOND}

    def test_amounts_are_exact_and_a_component_s_parameters_are_its_own_affair(self, write: Any) -> None:
        text = HEAD + COMPONENT + "params = { a = 0.1, b = [0.2, { c = 0.3 }], d = 1, e = 2024-01-01 }\n"
        found = load_settings(write(text + "[account]\ninitial_cash = 0.1\n"), {})
        assert found.account.initial_cash == Decimal("0.1")
        params = found.component[0].params
        assert params == {"a": 0.1, "b": [0.2, {"c": 0.3}], "d": 1, "e": dt.date(2024, 1, 1)}
        assert type(params["a"]) is float
        assert type(params["b"][1]["c"]) is float


GOOD = [
    "seed = 0",
    f"seed = {2**63 - 1}",
    "speed = 0.5",
    "speed = 3600",
    'speed = "max"',
    'speed = "1e3"',
    'timeframe = "1w"',
    "component_timeout = 0.5",
    "component_timeout = 60",
    'cpu_affinity = "all"',
    '[data]\ngaps = "stale"',
    '[data]\ngaps = "stale"\nmax_gap = "30m"',
    '[data]\nexchange = "binance"\nquote = "USDT"',
    "[account]\ninitial_cash = 0.01",
    '[account]\ncurrency = "EUR"',
    '[account]\nkind = "margin"',
    '[account]\nkind = "margin"\nmax_leverage = 19.9\nborrow_base_rate_pct_per_year = 0',
    '[account]\nkind = "margin"\ninitial_margin_pct = 100\nmaintenance_margin_pct = 99.9',
    '[account]\nkind = "perpetual"\nmissing_funding = "zero"\nliquidation_fee_bps = 0',
    "[instrument.ETH]\ntick_size = 0.01\nlot_size = 1\nmin_notional = 0",
    "[execution_model]\nslippage_bps = 0",
    "[execution_model]\nmaker_bps = 0\ntaker_bps = 9999.9",
    "[execution_model]\nlatency_ms = [0.001, 60000]",
    COMPONENT + "stage = 99\nparams = { any = { thing = [1, 2] } }",
]


@pytest.mark.parametrize("text", GOOD)
def test_what_is_taken(write: Any, text: str) -> None:
    load_settings(write(f"{HEAD}{text}\n"), {})


# What stands below the head of the file -> what its refusal must say.
BAD = [
    # keys that do not exist, in every section, with the nearest that does
    ("sed = 7", "unknown key sed; did you mean seed?"),
    ("strat_date = 2024-01-01", "did you mean start_date?"),
    ("zzz = 1", "known keys: account, accounts, bots, coins, component"),
    ("[data]\ngap = 'fail'", "unknown key data.gap; did you mean gaps?"),
    ("[account]\ninitialcash = 1", "unknown key account.initialcash; did you mean initial_cash?"),
    (
        "[execution_model]\nslipage_bps = 1",
        "unknown key execution_model.slipage_bps; did you mean slippage_bps?",
    ),
    (
        "[execution_model]\nfee_tiers = [{ volume = 0, maker = 1, taker_bps = 1 }]",
        "unknown key execution_model.fee_tiers.maker; did you mean maker_bps?",
    ),
    ("[instrument.BTC]\ntick = 1", "unknown key instrument.BTC.tick; did you mean tick_size?"),
    ("[[component]]\nnam = 'x'", "unknown key component.nam; did you mean name?"),
    ("[bots]\nlatency_ms = 5", "unknown key bots.latency_ms; did you mean request_latency_ms?"),
    ("[venue.kucoin]\nspread = 5", "unknown key venue.kucoin.spread; did you mean spread_bps?"),
    ("[venue.kucoin.faults]\ntimout = 0.1", "unknown key venue.kucoin.faults.timout; did you mean timeout?"),
    # unmodified bots
    ("[bots]\ncharge_cpu = true", "[bots] has no effect: no component has kind"),
    ("[venue.kucoin]", "[venue] has no effect: no component has kind"),
    (f"{COMPONENT}burst = 3", 'component thinker: burst has no effect without kind = "bot"'),
    (f"{BOT}burst = 3", 'component thinker: burst has no effect without pace = "burst"'),
    (f"{BOT}pace = 'burst'", 'component thinker: pace = "burst" needs burst'),
    (f"{BOT}pace = 'burst'\nburst = 0", "component thinker: burst 0 is out of range; from 1 to"),
    (f"{BOT}pace = 'burst'\nburst = 1\nphase = '2h'", "phase 2h is out of range; from 0s to 1h"),
    (f"{BOT}params = {{ a = 1 }}", "component thinker: params has no effect on an unmodified bot"),
    (f"{BOT}start_when = {{ file = '../x.json' }}", "start_when.file '../x.json' is not inside the working"),
    (f"{BOT}on_exit = 'restart'", "on_exit 'restart' is not allowed; use fail or continue"),
    (f"{BOT}[bots]\nrequest_latency_ms = 0", "bots.request_latency_ms 0 is out of range; above 0"),
    (f"{BOT}[venue.kucoin]\nspread_bps = -1", "venue.kucoin.spread_bps -1 is out of range"),
    (
        f"{BOT}[venue.kucoin]\n[account]\nkind = 'margin'",
        '[venue.kucoin] emulates a spot exchange, and account.kind is "margin"; set it to "spot"',
    ),
    (
        f"{BOT}[venue.kucoin.faults]\ntimeout = 2",
        "venue.kucoin.faults.timeout 2 is out of range; from 0 to 1",
    ),
    # values of the wrong kind, with the right one
    ("seed = 'seven'", "seed must be a whole number, found text"),
    ("seed = 1.5", "seed must be a whole number"),
    ("seed = true", "seed must be a whole number, found true or false"),
    ("speed = true", "speed must be text"),
    ("component_timeout = '30'", "component_timeout must be a number, found text"),
    ("data = 3", "data must be a table, found a whole number"),
    ("instrument = 3", "instrument must be a table, found a whole number"),
    ("[component]\nname = 'x'", "component must be a list, found a table"),
    ("[[component]]\nname = 'x'\ncommand = 'python x.py'", "component[0].command must be a list, found text"),
    ("[[component]]\nname = 3\ncommand = ['x']", "component[0].name must be text, found a whole number"),
    ("[account]\ninitial_cash = 'much'", "account.initial_cash"),
    ("[execution_model]\nlatency_ms = 50", "execution_model.latency_ms must be a list"),
    ("[execution_model]\nlatency_ms = [1, 2, 3]", "execution_model.latency_ms must be a list of length 2"),
    ("[[component]]\nname = 'x'", "missing required field `command`"),
    # choices, with the choices
    ("[data]\ngaps = 'fill'", "data.gaps 'fill' is not allowed; use fail or stale"),
    ("cpu_affinity = 'two'", "cpu_affinity 'two' is not allowed; use auto or one or all"),
    (
        "[execution_model]\ntouch = 'near'",
        "execution_model.touch 'near' is not allowed; use through or touch",
    ),
    # ranges, with the range
    ("seed = -1", "seed -1 is out of range; use a whole number from 0 to"),
    (f"seed = {2**63}", "out of range"),
    ("speed = 0", "speed '0' is not allowed; use max, or simulated seconds per wall second from"),
    ("speed = -1", "speed '-1' is not allowed"),
    ("speed = 1e-400", "is not allowed"),  # 0 as a float
    ("speed = 1e400", "is not allowed"),  # infinite as a float
    ("speed = nan", "is not allowed"),
    ("speed = 'fast'", "speed 'fast' is not allowed"),
    ("component_timeout = 0", "component_timeout 0 is out of range"),
    ("component_timeout = inf", "component_timeout inf is out of range"),
    ("component_timeout = nan", "component_timeout nan is out of range"),
    ("[account]\ninitial_cash = 0", "account.initial_cash 0 is out of range; above 0"),
    ("[account]\ninitial_cash = -5", "account.initial_cash -5 is out of range"),
    ("[account]\ninitial_cash = nan", "account.initial_cash NaN is out of range"),
    ("[account]\ninitial_cash = inf", "account.initial_cash Infinity is out of range"),
    ("[accounts.alice]\ninitial_cash = 5", "accounts.alice has no effect, since no component has account"),
    ("[accounts.main]\ninitial_cash = 5", "accounts.main is not allowed"),
    (
        f"{COMPONENT}account = 'bob'",
        "account 'bob' does not exist; write [accounts.bob], or leave account out",
    ),
    (
        (
            f"{COMPONENT}account = 'bob'\n{COMPONENT.replace('thinker', 'b')}account = 'alice'\n"
            f"{COMPONENT.replace('thinker', 'c')}account = 'carol'\n"
            "[accounts.alice]\ninitial_cash = 5\n[accounts.carol]\ninitial_cash = 5"
        ),
        "account 'bob' does not exist; known accounts: alice, carol",
    ),
    (
        f"{COMPONENT}account = 'alice'\n[accounts.alice]\ninitial_cash = 0",
        "accounts.alice.initial_cash 0 is out",
    ),
    (f"{COMPONENT}account = 'alice'\n[accounts.alice]\ncash = 0", "unknown key accounts.alice.cash"),
    (
        f"{COMPONENT}account = 'alice'\n[accounts.alice]\ninitial_cash = 1\n[account]\ninitial_cash = 5",
        "account.initial_cash has no effect, since every component names an account of its own",
    ),
    ("[account]\nkind = 'futures'", "account.kind 'futures' is not allowed; use spot or margin or perpetual"),
    (
        "[account]\nmax_leverage = 2",
        'no effect with kind = "spot"; remove it, or set kind = "margin" or "perpetual"',
    ),
    ("[account]\ninitial_margin_pct = 20", 'account.initial_margin_pct has no effect with kind = "spot"'),
    (
        "[account]\nkind = 'perpetual'\nborrow_base_rate_pct_per_year = 2",
        'account.borrow_base_rate_pct_per_year has no effect with kind = "perpetual"',
    ),
    (
        "[account]\nkind = 'margin'\nmissing_funding = 'zero'",
        'missing_funding has no effect with kind = "margin"',
    ),
    (
        "[account]\nkind = 'margin'\nmax_leverage = 2\ninitial_margin_pct = 50",
        "account.max_leverage and account.initial_margin_pct say the same thing",
    ),
    (
        "[account]\nkind = 'margin'\nmax_leverage = 0.9",
        "account.max_leverage 0.9 is out of range; from 1 to 200",
    ),
    ("[account]\nkind = 'margin'\nmax_leverage = nan", "account.max_leverage NaN is out of range"),
    (
        "[account]\nkind = 'margin'\ninitial_margin_pct = 101",
        "initial_margin_pct 101 is out of range; from 0.5",
    ),
    (
        "[account]\nkind = 'margin'\nliquidation_fee_bps = -1",
        "account.liquidation_fee_bps -1 is out of range",
    ),
    (
        "[account]\nkind = 'margin'\nborrow_quote_rate_pct_per_year = -1",
        "account.borrow_quote_rate_pct_per_year -1 is out of range; from 0 to 1000",
    ),
    (
        "[account]\nkind = 'margin'\nmax_leverage = 20",
        "account.maintenance_margin_pct 5 is not below the margin of max_leverage 20, 100 / 20",
    ),
    (
        "[account]\nkind = 'margin'\ninitial_margin_pct = 10\nmaintenance_margin_pct = 10",
        "account.maintenance_margin_pct 10 is not below initial_margin_pct 10",
    ),
    (
        f"{COMPONENT.replace('thinker', 'exchange', 1)}[account]\nkind = 'margin'",
        "component name exchange is not allowed in a run with margin",
    ),
    ("[account]\ncurrency = ''", "account.currency '' is not understood; write such as USD"),
    ("[instrument.BTC]\ntick_size = 0", "instrument.BTC.tick_size 0 is out of range"),
    ("[instrument.BTC]\nlot_size = nan", "instrument.BTC.lot_size NaN is out of range"),
    ("[instrument.BTC]\nmin_notional = -1", "instrument.BTC.min_notional -1 is out of range"),
    ("[execution_model]\nslippage_bps = -1", "slippage_bps -1 is out of range"),
    ("[execution_model]\nfee_bps = 10000", "fee_bps 10000 is out of range"),
    ("[execution_model]\nmax_volume_pct = 0", "max_volume_pct 0 is out of range; above 0, at most 100"),
    ("[execution_model]\nmax_volume_pct = 101", "max_volume_pct 101 is out of range"),
    ("[execution_model]\npartial_fill_threshold = 1", "partial_fill_threshold 1 is out of range"),
    ("[execution_model]\nlatency_ms = [0, 5]", "latency_ms [0, 5] is out of range"),
    ("[execution_model]\nlatency_ms = [9, 5]", "0 < low <= high"),
    ("[execution_model]\nlatency_ms = [nan, 5]", "latency_ms NaN is not a number"),
    ("timeframe = '5 minutes'", "timeframe '5 minutes' is not understood; use such as 1m, 5m"),
    ("timeframe = '0m'", "timeframe '0m' is not understood"),
    (COMPONENT + "stage = 0", "component thinker: stage 0 is out of range; 1 to 99"),
    ("[[component]]\nname = 'a b'\ncommand = ['x']", "component name 'a b' is not allowed"),
    ("[[component]]\nname = '../x'\ncommand = ['x']", "component name '../x' is not allowed"),
    ("[[component]]\nname = 'x'\ncommand = []", "component x has an empty command"),
    ("[[component]]\nname = 'x'\ncommand = ['']", "component x has an empty command"),
    (COMPONENT + COMPONENT, "component name 'thinker' is used twice"),
    # keys that were set and can have no effect
    ("[data]\nmax_gap = '30m'", 'data.max_gap has no effect with gaps = "fail"'),
    ("[data]\ngaps = 'stale'\nmax_gap = '30'", "duration '30' is not understood"),
    ("[data]\ngaps = 'stale'\nmax_gap = '999999999w'", "is too long; at most 36500d"),
    ("[instrument.DOGE]\ntick_size = 1", "instrument.DOGE has no effect: DOGE is not among coins BTC, ETH"),
    (
        "[execution_model]\nfee_bps = 1\nmaker_bps = 1\ntaker_bps = 1",
        "fee_bps has no effect beside maker_bps",
    ),
    ("[execution_model]\nmaker_bps = 1", "maker_bps and taker_bps together"),
    (
        "[execution_model]\nlatency_fixed_ms = 5",
        'latency_fixed_ms has no effect with latency_model = "uniform"',
    ),
    (
        "[execution_model]\nliquidity_model = 'unlimited'\nmax_volume_pct = 1",
        'max_volume_pct has no effect with liquidity_model = "unlimited"',
    ),
    (
        "[execution_model]\nslippage_model = 'fixed'\nslippage_bps = 0",
        "slippage_model has no effect with slippage_bps = 0",
    ),
    # what is no TOML
    ("[training]\nevry = '7d'", "unknown key training.evry; did you mean every?"),
    ("[training]\nevery = '7d'", "training needs either command"),
    ("[training]\ncommand = ['t']\nmodels = 'm'", "training needs either command"),
    ("[training]\ncommand = []", "training.command is empty"),
    ("[training]\nmodels = 'm'\nevery = '7d'", "training.every has no effect with training.models"),
    ("[training]\ncommand = ['t']\nevery = 'weekly'", "duration 'weekly' is not understood"),
    ("[training]\ncommand = ['t']\nscheme = 'growing'", "use rolling or expanding or anchored"),
    ("[training]\ncommand = ['t']\nscheme = 'expanding'\nwindow = '7d'", "training.window has no effect"),
    ("[training]\ncommand = ['t']\nanchor = 2023-01-01", "training.anchor has no effect"),
    ("[training]\ncommand = ['t']\nscheme = 'anchored'", "needs training.anchor"),
    ("[training]\ncommand = ['t']\nscheme = 'anchored'\nanchor = 2029-01-01", "is not before the run"),
    ("[training]\ncommand = ['t']\nevery = '7d'\nembargo = '7d'", "is not shorter than every"),
    ("[training]\ncommand = ['t']\nscheme = 'expanding'\nwarmup = '1d'\npurge = '1d'", "leaves nothing"),
    ("[training]\ncommand = ['t']\ncoins = ['XYZ']", "training.coins names XYZ"),
    ("[training]\ncommand = ['t']\ncoins = ['BTC', 'BTC']", "training.coins names BTC twice"),
    ("[training]\ncommand = ['t']\nexport = ['often']", "timeframe 'often' is not understood"),
    ("[training]\ncommand = ['t']\nparallel = 0", "training.parallel 0 is out of range"),
    ("[training]\ncommand = ['t']\ntimeout = 0", "training.timeout 0 is out of range"),
    ("seed = ", "is not valid TOML"),
    ("seed = 1\nseed = 2", "is not valid TOML"),
]


@pytest.mark.parametrize(("text", "said"), BAD)
def test_what_is_refused(write: Any, text: str, said: str) -> None:
    assert said in refusal(write(f"{HEAD}{text}\n"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"coins": []}, "coins is missing; give --coins"),
        ({"start_date": None}, "start_date is missing; give --start-date"),
        ({"end_date": ""}, "end_date is missing"),
        ({"coins": ["btc"]}, "coin 'btc' is not understood"),
        ({"coins": ["BTC-USD"]}, "coin 'BTC-USD' is not understood"),
        ({"coins": ["BTC", "ETH", "BTC"]}, "coins names BTC more than once"),
        ({"end_date": "2024-01-01"}, "end_date 2024-01-01 is not after start_date 2024-01-01"),
        ({"end_date": "2023-01-01"}, "the end must be later"),
        ({"start_date": "01/02/2024"}, "date '01/02/2024' is not understood; write it as 2024-01-31"),
        ({"start_date": "2024-02-30"}, "date '2024-02-30' is not understood"),
        ({"end_date": "9999-12-31"}, "date '9999-12-31' is out of range; the years 1970 to 2261"),
        ({"start_date": "0001-01-01T00:00+05:00"}, "out of range"),
    ],
)
def test_what_flags_are_refused(change: dict[str, Any], said: str) -> None:
    assert said in refusal(None, {**FLAGS, **change})


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert "does not exist; `replay new DIR` writes one" in refusal(tmp_path / "none.toml")
    assert "is a folder; name a file, such as" in refusal(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"seed = '\xff'")
    assert "cannot be read" in refusal(tmp_path / "latin.toml")


def test_every_section_has_a_case_of_an_unknown_key() -> None:
    sections = {name for name, field in fields_of(Settings).items() if "Settings" in str(field)}
    tried = {
        said.removeprefix("unknown key ").split(".")[0] for _, said in BAD if said.startswith("unknown key ")
    }
    assert sections <= tried


def fields_of(section: Any) -> dict[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(section)}


class TestInstants:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [("1s", 1), ("30m", 1_800), ("4h", 14_400), ("1d", 86_400), ("2w", 1_209_600), (" 5m ", 300)],
    )
    def test_durations(self, text: str, seconds: int) -> None:
        assert parse_duration_ns(text) == parse_timeframe_ns(text) == seconds * NS_PER_SECOND

    @pytest.mark.parametrize(
        "text", ["", "m", "5", "5M", "-5m", "05m", "1.5h", "5 m", "1h30m", "36501d", "٣m"]
    )
    def test_what_is_no_duration(self, text: str) -> None:
        with pytest.raises(ConfigError):
            parse_duration_ns(text)
        with pytest.raises(ConfigError, match="timeframe"):
            parse_timeframe_ns(text)

    @given(st.timedeltas(dt.timedelta(days=1), dt.timedelta(days=106_000)), st.integers(-23, 23))
    def test_dates_are_utc_unless_they_say_otherwise(self, since: dt.timedelta, hours: int) -> None:
        moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + since
        expected = (since.days * 86_400 + since.seconds) * NS_PER_SECOND + since.microseconds * 1_000
        assert parse_date_ns(moment.isoformat()) == expected
        assert parse_date_ns(moment.replace(tzinfo=None).isoformat()) == expected
        away = moment.replace(tzinfo=dt.timezone(dt.timedelta(hours=hours)))
        assert parse_date_ns(away.isoformat()) == expected - hours * 3_600 * NS_PER_SECOND

    def test_a_date_is_its_first_instant(self) -> None:
        assert parse_date_ns("1970-01-02") == NS_PER_DAY


class TestCommands:
    def test_a_flag_is_split_into_words(self) -> None:
        found = component_from_command("trader", 2, "python 'my trader.py' --x=1")
        assert found == ComponentSettings(name="trader", stage=2, command=("python", "my trader.py", "--x=1"))

    @pytest.mark.parametrize(
        ("command", "said"), [("", "--trader is empty"), ("  ", "--trader is empty"), ("'a", "quotes")]
    )
    def test_what_is_no_command(self, command: str, said: str) -> None:
        with pytest.raises(ConfigError, match=said):
            component_from_command("trader", 2, command)


# ------------------------------------------------------------------ the way back

amounts = st.decimals("0.00000001", "1000000", allow_nan=False, allow_infinity=False)
bps = st.decimals(0, "9999", allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    """A configuration as the user could write it, with some keys left out."""
    start = draw(st.dates(dt.date(1970, 1, 1), dt.date(2100, 1, 1)))
    coins = draw(st.lists(st.sampled_from(["BTC", "ETH", "DOGE", "1INCH"]), min_size=1, unique=True))
    optional: dict[str, st.SearchStrategy[Any]] = {
        "timeframe": st.sampled_from(["1m", "5m", "1h"]),
        "seed": st.integers(0, 2**63 - 1),
        "speed": st.sampled_from(["max", "60", "0.5"]),
        "component_timeout": st.floats(0.001, 1_000),
        "data": st.sampled_from([{"gaps": "stale", "max_gap": "30m"}, {"exchange": "binance"}]),
        "account": st.fixed_dictionaries({"initial_cash": amounts}),
        "execution_model": st.fixed_dictionaries({"slippage_bps": bps, "maker_bps": bps, "taker_bps": bps}),
        "instrument": st.fixed_dictionaries({coins[0]: st.fixed_dictionaries({"tick_size": amounts})}),
        "component": st.lists(
            st.fixed_dictionaries(
                {
                    "name": st.sampled_from(["a", "b", "c-1"]),
                    "command": st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=3),
                    "stage": st.integers(1, 99),
                    "params": st.dictionaries(st.text(max_size=4), plain, max_size=3),
                }
            ),
            unique_by=lambda component: component["name"],
            max_size=3,
        ),
    }
    chosen = draw(st.fixed_dictionaries({}, optional=optional))
    end = start + dt.timedelta(days=draw(st.integers(1, 1_000)))
    return {"start_date": start.isoformat(), "end_date": end.isoformat(), "coins": coins, **chosen}


def hashed(configuration: Settings) -> bytes:
    """What `runs.identity` hashes: keys sorted, since a table of TOML has its tables last."""
    return msgspec.json.encode(configuration.identity(), order="sorted")


class TestWayBack:
    @settings(max_examples=60, deadline=None)
    @given(configurations())
    def test_config_toml_gives_back_the_same_settings_and_the_same_identity(
        self, raw: dict[str, Any]
    ) -> None:
        first = load_settings(None, raw)
        text = first.to_toml()
        again = load_settings(None, tomllib.loads(text, parse_float=Decimal))
        assert again == first
        assert again.to_toml() == text
        assert again.identity() == first.identity()
        assert hashed(again) == hashed(first)

    def test_dates_in_parameters_survive(self, write: Any) -> None:
        first = load_settings(
            write(HEAD + COMPONENT + "params = { a = 2024-01-01, b = 2024-01-01T10:00:00Z }\n"), {}
        )
        again = load_settings(write(first.to_toml()), {})
        assert again == first


class TestKinds:
    def test_defaults_are_those_of_the_kind(self, write: Any) -> None:
        spot = load_settings(write(HEAD), {}).account
        assert (spot.kind, spot.max_leverage, spot.maintenance_margin_pct) == ("spot", None, None)
        found = load_settings(write(HEAD + "[account]\nkind = 'margin'\n"), {}).account
        assert [found.max_leverage, found.maintenance_margin_pct, found.liquidation_fee_bps] == [3, 5, 50]
        assert [found.borrow_quote_rate_pct_per_year, found.borrow_base_rate_pct_per_year] == [10, 10]
        assert found.missing_funding is None
        other = load_settings(
            write(HEAD + "[account]\nkind = 'perpetual'\ninitial_margin_pct = 20\n"), {}
        ).account
        assert [other.max_leverage, other.initial_margin_pct, other.missing_funding] == [None, 20, "fail"]

    @pytest.mark.parametrize("text", [text for text in GOOD if "kind" in text])
    def test_the_way_back(self, write: Any, text: str) -> None:
        found = load_settings(write(f"{HEAD}{text}\n"), {})
        assert load_settings(write(found.to_toml()), {}) == found


class TestAccounts:
    SEPARATE = (
        f"{HEAD}{COMPONENT}account = 'alice'\n[[component]]\nname = 'b'\ncommand = ['x']\n"
        "[accounts.alice]\ninitial_cash = 700\n"
    )

    def test_components_share_one_unless_they_name_another(self, write: Any) -> None:
        assert load_settings(write(HEAD + COMPONENT), {}).cash_by_account == {"main": 10_000}
        found = load_settings(write(self.SEPARATE), {})
        assert found.cash_by_account == {"main": 10_000, "alice": 700}
        assert found.initial_cash == 10_700
        assert load_settings(write(found.to_toml()), {}) == found

    def test_what_no_component_shares_is_not_there(self, write: Any) -> None:
        found = load_settings(
            write(self.SEPARATE + "[accounts.bob]\ninitial_cash = 3\n"),
            {
                "component": [
                    {"name": "a", "command": ["x"], "account": "alice"},
                    {"name": "b", "command": ["x"], "account": "bob"},
                ]
            },
        )
        assert found.cash_by_account == {"alice": 700, "bob": 3}
        assert "initial_cash" not in tomllib.loads(found.to_toml())["account"]
        assert load_settings(write(found.to_toml()), {}) == found


class TestIdentity:
    def identity(self, write: Any, text: str, **flags: Any) -> dict[str, Any]:
        return load_settings(write(text), flags).identity()

    @pytest.mark.parametrize(
        "flags",
        [
            {"speed": "60"},
            {"component_timeout": 5.0},
            {"cpu_affinity": "one"},
            {"start_date": "2024-01-01T00:00:00Z"},
            {"account": {"initial_cash": Decimal("1E+4")}},
            {"account": {"initial_cash": Decimal("10000.00")}},
            {"execution_model": {"fee_bps": Decimal("20.0")}},  # as the default
        ],
    )
    def test_what_cannot_change_a_result_is_no_part_of_it(self, write: Any, flags: dict[str, Any]) -> None:
        assert self.identity(write, HEAD + COMPONENT, **flags) == self.identity(write, HEAD + COMPONENT)

    def test_neither_is_where_a_component_stands(self, write: Any) -> None:
        there = self.identity(write, HEAD + COMPONENT + 'workdir = "/elsewhere"\n')
        assert there == self.identity(write, HEAD + COMPONENT)
        assert "workdir" not in str(there)

    @pytest.mark.parametrize(
        "flags",
        [
            {"seed": 8},
            {"end_date": "2024-02-02"},
            {"coins": ["ETH", "BTC"]},
            {"account": {"initial_cash": Decimal(10_001)}},
            {"execution_model": {"fee_bps": Decimal(21)}},
            {"component": [{"name": "thinker", "command": ["python", "thinker.py"], "stage": 2}]},
            {"component": [{"name": "thinker", "command": ["python", "thinker.py"], "params": {"a": 1}}]},
        ],
    )
    def test_what_can_change_a_result_is_part_of_it(self, write: Any, flags: dict[str, Any]) -> None:
        assert self.identity(write, HEAD + COMPONENT, **flags) != self.identity(write, HEAD + COMPONENT)
