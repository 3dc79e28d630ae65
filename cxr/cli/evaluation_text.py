"""Evaluations, comparisons and shortcut audits as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from typing import TYPE_CHECKING

import typer

from cxr.cli.console import listed
from cxr.core.number_format import counted, decimal, percent, signed_decimal

if TYPE_CHECKING:
    from cxr.evaluation.comparison import Comparison
    from cxr.evaluation.evaluation import Evaluation
    from cxr.evaluation.indeterminate import SelectiveMetrics
    from cxr.evaluation.intervals import Interval
    from cxr.evaluation.shortcuts.report import ProbeResult, ShortcutAudit, ShortcutMeasurements, SourceResult
    from cxr.evaluation.subgroups import Subgroup, SubgroupMetrics

MAX_LISTED = 20
WIDTH = 28  # of a column of names
METRIC_WIDTH = 38  # of a column of metrics


def print_evaluation(evaluation: Evaluation) -> None:
    """Print the metrics and the confusion matrix."""
    from cxr.datasets.labels import display_in_sentence, display_name

    accuracy, macro_f1 = decimal(evaluation.accuracy), decimal(evaluation.macro_f1)
    typer.echo(f"{counted(evaluation.n, 'X-ray')}; accuracy {accuracy}, macro F1 {macro_f1}")
    for name in evaluation.classes:
        auc, recall = decimal(evaluation.auc[name]), decimal(evaluation.recall[name])
        typer.echo(f"  {display_name(name):{WIDTH}} AUC {auc}  recall {recall}")
    if binary := evaluation.binary:
        threshold = "no threshold" if evaluation.threshold is None else f"threshold {decimal(evaluation.threshold, 4)}"
        metrics = {"AUC": binary.auc, "accuracy": binary.accuracy, "sensitivity": binary.sensitivity}
        values = ", ".join(
            f"{name} {decimal(v)}" for name, v in (metrics | {"specificity": binary.specificity}).items()
        )
        question = f"Any finding vs {display_in_sentence(evaluation.negative)}"
        typer.echo(f"{question}, {threshold}: {values} ({counted(binary.n, 'X-ray')})")
        typer.echo(
            f"  PPV {decimal(binary.ppv)}, NPV {decimal(binary.npv)}, ECE {decimal(binary.ece)}, calibration bias "
            f"{signed_decimal(binary.calibration_bias)}, indeterminate {decimal(binary.indeterminate)}"
        )
    print_confusion_matrix(evaluation)
    if evaluation.left_out:
        typer.echo(f"{counted(evaluation.left_out, 'X-ray')} excluded: the model does not have their class.")


def print_confusion_matrix(evaluation: Evaluation) -> None:
    """Print a row for each reference label, with the number of X-rays by predicted class."""
    from cxr.datasets.labels import display_name

    corner = "Reference \\ Predicted"
    columns = [display_name(name) for name in evaluation.classes]
    width = max(len(corner), *(len(display_name(name)) for name in evaluation.rows))
    typer.echo(f"{corner:{width}}" + "".join(f"  {name:>8}" for name in columns))
    for label, row in evaluation.rows.items():
        counts = (f"  {count:>{max(len(name), 8)}}" for name, count in zip(columns, row, strict=True))
        typer.echo(f"{display_name(label):{width}}" + "".join(counts))


def print_intervals(intervals: Mapping[str, Interval]) -> None:
    """Print each metric with its confidence interval."""
    typer.echo("95% CI over patients:")
    for name, interval in intervals.items():
        typer.echo(f"  {metric_name(name):{METRIC_WIDTH}} {interval.text()}")


def metric_name(key: str) -> str:
    """The name of a metric by its key in the JSON: "AUC", "Multiclass accuracy", "Recall, viral pneumonia"."""
    from cxr.datasets.labels import display_in_sentence
    from cxr.presentation.metric_definitions import ADDITIONAL_KEYS, CLASS_METRICS, METRIC_KEYS, MULTICLASS_KEYS

    names = {stored: name for name, stored in (METRIC_KEYS | ADDITIONAL_KEYS | MULTICLASS_KEYS).items()}
    if key in names:
        return names[key]
    metric, _, label = key.partition(".")
    class_metrics = {stored: name for name, (stored, _) in CLASS_METRICS.items()}
    name = class_metrics.get(metric, metric.replace("_", " ").capitalize())
    return f"{name}, {display_in_sentence(label)}" if label else name


def print_selective(metrics: SelectiveMetrics) -> None:
    """Print coverage and accuracy outside the indeterminate band."""
    coverage = f"{counted(metrics.n, 'X-ray')}, coverage {percent(metrics.coverage)}"
    typer.echo(f"Outside the indeterminate band: {coverage}, accuracy {metrics.accuracy.text()}")


def print_sources(sources: Iterable[Subgroup]) -> None:
    """Print a row for each source: how much of the figures of all X-rays above is true there."""
    from cxr.presentation.evaluation_tables import source_table

    table = source_table(list(sources))
    widths = [max(len(str(name)), *table[name].astype(str).str.len()) for name in table]
    typer.echo("By source:")
    for row in (tuple(table.columns), *table.itertuples(index=False, name=None)):
        first, *others = (f"{value:>{width}}" for value, width in zip(row, widths, strict=True))
        typer.echo(f"  {first.strip():{widths[0]}}  {'  '.join(others)}")


def print_subgroups(subgroups: SubgroupMetrics) -> None:
    """Print the metrics of each subgroup, and the subgroup with the worst one."""
    from cxr.presentation.evaluation_tables import subgroup_metric
    from cxr.presentation.metric_definitions import SUBGROUP_KEYS

    for group in subgroups.groups:
        size = f"{counted(group.n, 'X-ray')}, {counted(group.patients, 'patient')}"
        outcomes = "" if group.positive is None else f", {group.positive} positive, {group.negative} negative"
        typer.echo(f"{subgroups.column} {group.name}: {size}{outcomes}")
        for name, key in SUBGROUP_KEYS.items():
            if key in group.metrics:
                typer.echo(f"  {name:{METRIC_WIDTH}} {subgroup_metric(group, key)}")
    typer.echo(subgroups.sentence)


def print_comparison(comparison: Comparison) -> None:
    """Print the metrics of both models, their differences, significance tests, and discordant predictions."""
    first, second = comparison.first, comparison.second
    size = f"{counted(comparison.n, 'X-ray')}, {counted(comparison.patients, 'patient')}"
    typer.echo(f"{size}; {comparison.left_out} excluded; compared by: {comparison.question}")
    for name, (value, other), difference in (
        ("accuracy", comparison.accuracy, comparison.accuracy_difference),
        ("AUC", comparison.auc, comparison.auc_difference),
    ):
        typer.echo(f"{name:10} {first}: {value.text()}, {second}: {other.text()}")
        typer.echo(f"{'':10} difference: {difference.text()}")
    typer.echo(f"Only {first} correct: {comparison.only_first_right}. Only {second}: {comparison.only_second_right}.")
    delong = f", DeLong p = {comparison.delong_p:.3g}" if isfinite(comparison.delong_p) else ""
    typer.echo(f"McNemar p = {comparison.mcnemar_p:.3g}{delong} (the X-rays of a patient are taken together)")
    for row in comparison.differing.head(MAX_LISTED).to_dict("records"):
        typer.echo(f"  {row['path']}: reference {row['label']}; predicted {row['first']} / {row['second']}")
    if len(comparison.differing) > MAX_LISTED:
        typer.echo(f"  and {len(comparison.differing) - MAX_LISTED} more; --json lists all")


def print_shortcuts(audit: ShortcutAudit) -> None:
    """Print the verdict of a shortcut audit, then the measurements that it rests on."""
    measurements, lines = audit.measurements, [audit.verdict.sentence]
    lines += [f"  Reason: {reason}" for reason in audit.verdict.reasons]
    lines += [f"  Note: {remark}" for remark in audit.verdict.remarks]
    lines += [*_case_lines(measurements), *_probe_lines(measurements), *_property_lines(measurements)]
    if measurements.class_by_source:
        lines.append(f"Class–source association (Cramér's V): {measurements.class_by_source.text()}")
    lines += [line for source in measurements.sources for line in _source_lines(source)]
    lines += _heatmap_lines(measurements)
    typer.echo("\n".join(lines))


def _case_lines(measurements: ShortcutMeasurements) -> Iterator[str]:
    from cxr.presentation.shortcut_tables import LUNGS_MASKED_BY

    roles = listed({role or "not in its training data": count for role, count in measurements.by_role.items()})
    size = f"{counted(measurements.films, 'X-ray')}, {counted(measurements.patients, 'patient')}"
    yield f"{size} ({roles}); lungs masked {LUNGS_MASKED_BY[measurements.lungs]}"
    yield from (f"  {source}: {listed(counts)}" for source, counts in measurements.by_source.items())
    yield from (f"  {note}" for note in measurements.notes)


def _probe_lines(measurements: ShortcutMeasurements) -> Iterator[str]:
    sections: dict[str, Iterable[ProbeResult]] = {
        "Probes trained on the model's features:": measurements.probes_on_features,
        "The model's own scores:": measurements.model_scores,
        "Probes trained on measurements outside the lungs:": measurements.probes_outside_lungs,
        "Recognition of the source from the features:": (measurements.source,) if measurements.source else (),
    }
    for title, probes in sections.items():
        if probes:
            yield title
        for probe in probes:
            yield from _lines_of_probe(probe)


def _lines_of_probe(probe: ProbeResult) -> Iterator[str]:
    from cxr.datasets.labels import display_name
    from cxr.presentation.shortcut_tables import probe_name

    retained = f", {percent(probe.retained.value)} of that of the whole image" if probe.retained else ""
    yield f"  {probe_name(probe.name):{WIDTH}} AUC {probe.auc.text()}{retained}"
    yield from (f"    {display_name(name):{WIDTH - 2}} AUC {auc.text()}" for name, auc in probe.classes.items())


def _property_lines(measurements: ShortcutMeasurements) -> Iterator[str]:
    from cxr.presentation.shortcut_tables import probe_name

    if measurements.properties:
        yield "Probes trained on an image property, within a source (CIs corrected for their number):"
    for result in measurements.properties:
        followed = f"; model's score follows: {result.followed.text()}" if result.followed else ""
        name = f"{probe_name(result.name)}, {result.source}"
        yield f"  {name:{WIDTH}} AUC {result.most_certain[1].text()}{followed}"


def _source_lines(source: SourceResult) -> Iterator[str]:
    from cxr.presentation.shortcut_tables import NOT_AVAILABLE

    metrics = {
        "AUC within the source": source.auc_within,
        "AUC when held out": source.auc_held_out,
        "Accuracy when held out": source.accuracy_held_out,
    }
    yield f"Source {source.name}, {counted(source.films, 'X-ray')}"
    for name, interval in metrics.items():
        yield f"  {name:{WIDTH}} {interval.text() if isfinite(interval.value) else NOT_AVAILABLE}"


def _heatmap_lines(measurements: ShortcutMeasurements) -> Iterator[str]:
    from cxr.datasets.labels import display_in_sentence

    for share in measurements.heatmap_shares:
        lungs = "the lung box" if share.lungs == "box" else "the lung outlines"
        values = f"{share.share.text()}, uniform map {decimal(share.uniform)} ({counted(share.films, 'X-ray')})"
        yield f"Heatmap share of {display_in_sentence(share.label)} inside {lungs}: {values}"
    for step in measurements.randomization:
        similarity = f"rank correlation {step.correlation.text()}, SSIM {decimal(step.ssim)}"
        yield f"Heatmaps with weights randomized down to {step.block}: {similarity}"
    if deletion := measurements.deletion:
        gap = f"{deletion.area_between.text()} ({counted(deletion.films, 'X-ray')})"
        yield f"Deletion curve, score lost by masking the hottest rather than random areas: {gap}"
