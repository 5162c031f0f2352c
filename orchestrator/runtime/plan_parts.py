"""What a plan becomes when its run begins: an engine, and what each component is told."""

from __future__ import annotations

from orchestrator.config import MAIN_ACCOUNT, ComponentSettings
from orchestrator.engine.bots import BotVenues
from orchestrator.engine.engine import ComponentPlace, Engine
from orchestrator.engine.trainings import TrainingTimes
from orchestrator.exchange.exchange import Exchange
from orchestrator.protocol import InstrumentRules, Welcome
from orchestrator.runtime.plan import RunPlan
from orchestrator.training.schedule import training_times

__all__ = ["make_engine", "welcome"]


def welcome(plan: RunPlan, component: ComponentSettings) -> Welcome:
    """Return everything that a component may know of a run before it begins."""
    return Welcome(
        run_id=plan.directory.name,
        component=component.name,
        stage=component.stage,
        coins=plan.market.coins,
        currency=plan.settings.account.currency,
        timeframe=plan.market.timeframe,
        timeframe_ns=plan.market.timeframe_ns,
        sim_start_ns=plan.settings.start_ns,
        sim_end_ns=plan.settings.end_ns,
        instruments={
            coin: InstrumentRules(i.tick_size, i.lot_size, i.min_notional)
            for coin, i in plan.instruments.items()
        },
        params=component.params,
    )


def make_engine(plan: RunPlan, venues: BotVenues | None) -> Engine:
    """Return the engine of a run, at its beginning; `venues` are the emulated exchanges of its bots."""
    settings, market = plan.settings, plan.market
    exchange = Exchange(
        market=plan.execution,
        coins=market.coins,
        instruments=plan.instruments,
        model=settings.execution_model,
        accounts=settings.cash_by_account,
        seed=settings.seed,
        end_ns=settings.end_ns,
        account=settings.account,
        funding=plan.funding,
    )
    return Engine(
        market=market,
        marks=plan.execution,
        history=market.history,
        exchange=exchange,
        components=tuple(
            ComponentPlace(
                name=c.settings.name,
                stage=c.settings.stage,
                account=c.settings.account or MAIN_ACCOUNT,
                is_bot=c.settings.is_bot,
            )
            for c in plan.components
        ),
        currency=settings.account.currency,
        sim_start_ns=settings.start_ns,
        sim_end_ns=settings.end_ns,
        coin_ends=tuple(plan.execution.coin_end_ns(coin) for coin in market.coins),
        venues=venues,
        request_latency_ns=settings.bots.request_latency_ns,
        trainings=_training_times(plan),
    )


def _training_times(plan: RunPlan) -> TrainingTimes:
    if plan.training is None:
        return TrainingTimes()
    training = plan.training.settings
    times = training_times(training, plan.settings.start_ns, plan.settings.end_ns)
    return TrainingTimes(times, training.embargo_ns)
