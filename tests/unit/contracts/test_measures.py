"""Metrics have names and units by one rule, and no label that grows with the number of runs."""

import re

import pytest

from backstay.contracts.measures import MEASURES, Measure, MeasureKind

GROWING = {"run", "run_id", "workflow_id", "tenant", "call_id", "approval_id", "goal", "text", "by"}


def test_each_metric_is_listed_once() -> None:
    assert len({measure.name for measure in MEASURES}) == len(MEASURES)


@pytest.mark.parametrize("measure", MEASURES, ids=lambda one: one.name)
def test_a_metric_is_named_and_described_by_the_rule(measure: Measure) -> None:
    assert re.fullmatch(r"backstay_[a-z_]+[a-z]", measure.name)
    assert re.fullmatch(r"s|1|\{[a-z-]+\}", measure.unit)
    assert measure.name.endswith("_seconds") == (measure.unit == "s")
    assert measure.meaning


@pytest.mark.parametrize("measure", MEASURES, ids=lambda one: one.name)
def test_no_label_grows_with_the_number_of_runs(measure: Measure) -> None:
    assert not GROWING & set(measure.labels)


@pytest.mark.parametrize("measure", MEASURES, ids=lambda one: one.name)
def test_histograms_alone_have_buckets_and_they_rise(measure: Measure) -> None:
    assert bool(measure.buckets) == (measure.kind is MeasureKind.HISTOGRAM)
    assert list(measure.buckets) == sorted(set(measure.buckets))
