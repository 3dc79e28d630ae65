"""The metrics by the names under which pages show them: what each means, and its key in the results."""

from __future__ import annotations

from collections.abc import Mapping

from cxr.evaluation.metrics import BINS

CALIBRATION_BIAS = "Calibration bias"

DEFINITIONS = {
    "AUC": "Area under the ROC curve: the probability that a positive X-ray scores higher than a negative one. It does "
    "not depend on the threshold.",
    "Sensitivity": "Share of positive X-rays that are predicted positive.",
    "Specificity": "Share of negative X-rays that are predicted negative.",
    "PPV": "Positive predictive value: share of positive predictions that are correct, at the chosen prevalence.",
    "NPV": "Negative predictive value: share of negative predictions that are correct, at the chosen prevalence.",
    "Accuracy": "Share of X-rays whose positive or negative prediction is correct.",
    "F1": "Harmonic mean of sensitivity and precision on these X-rays.",
    "Multiclass accuracy": "Share of X-rays whose predicted class is correct. A label that stands for several classes "
    "counts as correct for any of them.",
    "Macro F1": "Mean F1 of the classes.",
    "Precision": "Share of the X-rays predicted as this class that belong to it, on these X-rays.",
    "Recall": "Share of the X-rays of this class that are predicted as it.",
    "LR+": "Positive likelihood ratio: the factor by which a positive prediction raises the odds of the finding. 1 is "
    "uninformative, 10 is strong.",
    "LR−": "Negative likelihood ratio: the factor by which a negative prediction changes the odds of the finding. 1 is "
    "uninformative, 0.1 is strong.",
    "Average precision": "Area under the precision-recall curve. Chance equals the prevalence.",
    "Brier score": "Mean squared difference between the probability and the outcome (0 or 1). Lower is better.",
    "ECE": f"Expected calibration error: mean difference between predicted probability and observed frequency over "
    f"{BINS} bins. 0 is best; small samples raise it.",
    CALIBRATION_BIAS: "Mean predicted probability minus observed frequency. Positive: the finding is predicted too "
    "often; negative: too rarely. Biases of opposite sign cancel out when sources are pooled.",
    "Indeterminate": "Share of X-rays whose score is in the model's indeterminate band.",
    "Balanced accuracy": "Mean recall of the classes, so that common classes do not outweigh rare ones.",
    "MCC": "Matthews correlation coefficient of reference and prediction: 1 is perfect, 0 is chance.",
    "Macro AUC": "Mean one-vs-rest AUC of the classes; each class has the same weight.",
    "Micro AUC": "One AUC over all pairs of X-ray and class; common classes have more weight.",
    "Multiclass Brier score": "Sum over the classes of the squared difference between probability and outcome, 0 to 2. "
    "Lower is better.",
    "Top-label ECE": "Expected calibration error of the probability of the most likely class.",
    "Difference": "First model minus second model. An interval that includes 0 may be due to chance.",
    "McNemar": "McNemar test: p value of the difference in the number of X-rays that only one model gets right.",
    "DeLong": "DeLong test: p value of the difference in AUC.",
    "Coverage": "Share of X-rays whose score is outside the model's indeterminate band.",
    "Selective accuracy": "Accuracy on the X-rays whose score is outside the model's indeterminate band.",
    "Whole image": "AUC of a small classifier (probe) trained on the model's internal features of whole X-rays. 0.5 is "
    "chance.",
    "Lungs only": "The same with everything outside the lungs masked: what the lungs alone reveal.",
    "Lungs masked": "The same with the lungs masked. It should be near 0.5: more comes from outside the lungs.",
    "8×8 thumbnail": "AUC of a probe trained on 8×8 gray values: how much overall brightness patterns reveal.",
    "Model, whole image": "AUC of the model's output on these X-rays.",
    "Model, lungs only": "AUC of the model's output on the lungs only. Certainly lower than on the whole image: it "
    "uses what lies outside.",
    "Model, lungs masked": "AUC of the model's output with the lungs masked: whether it uses what lies outside.",
    "Source": "AUC at which a probe recognizes the source of an X-ray from the model's internal features.",
    "Class–source association": "Cramér's V of class and source: 0 is independent, 1 means that the source determines "
    "the class.",
}

METRIC_KEYS = {  # the names in the results
    "AUC": "binary.auc",
    "Sensitivity": "binary.sensitivity",
    "Specificity": "binary.specificity",
    "PPV": "binary.ppv",
    "NPV": "binary.npv",
    "Accuracy": "binary.accuracy",
    "F1": "binary.f1",
    "Multiclass accuracy": "accuracy",
    "Macro F1": "macro_f1",
}
ADDITIONAL_KEYS = {
    "LR+": "binary.lr_positive",
    "LR−": "binary.lr_negative",
    "Average precision": "binary.average_precision",
    "Brier score": "binary.brier",
    "ECE": "binary.ece",
    CALIBRATION_BIAS: "binary.calibration_bias",
    "Indeterminate": "binary.indeterminate",
    "Balanced accuracy": "balanced_accuracy",
    "MCC": "mcc",
}
MULTICLASS_KEYS = {  # with two classes they repeat the binary metrics
    "Macro AUC": "macro_auc",
    "Micro AUC": "micro_auc",
    "Multiclass Brier score": "brier",
    "Top-label ECE": "ece",
}
SUBGROUP_METRICS = ("Multiclass accuracy", "AUC", "Sensitivity", "Specificity", "PPV", "NPV")
SUBGROUP_CALIBRATION = ("ECE", CALIBRATION_BIAS, "Indeterminate")
SOURCE_METRICS = (*SUBGROUP_METRICS, *SUBGROUP_CALIBRATION)  # in a table without intervals
SUBGROUP_KEYS = {
    name: key
    for name, key in (METRIC_KEYS | ADDITIONAL_KEYS).items()
    if name in SUBGROUP_METRICS + SUBGROUP_CALIBRATION
}
CLASS_METRICS: Mapping[str, tuple[str, str]] = {  # the metric of each class, and of their mean
    "Precision": ("precision", ""),
    "Recall": ("recall", "balanced_accuracy"),
    "F1": ("f1", "macro_f1"),
    "AUC": ("auc", "macro_auc"),
}
