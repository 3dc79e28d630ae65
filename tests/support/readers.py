"""Simulated readers of a set of X-rays: their responses as the page Reading practice records them."""

from __future__ import annotations

import numpy as np

from cxr.inference.reader_responses import ReaderResponse

CLASSES = ("normal", "bacterial", "viral")


def responses_of(
    reader: str, seed: int, *, cases: int = 40, skill: float = 0.75, trust: float = 0.5, second: bool = True
) -> list[ReaderResponse]:
    """The responses of a reader who is right with this probability, and follows the model with that one."""
    truth = np.random.default_rng(11)
    own = np.random.default_rng(seed)
    responses = []
    for case in range(cases):
        reference = CLASSES[case % 3 if case % 2 else 0]
        score = float(np.clip(0.5 + (0.3 if reference != "normal" else -0.3) + truth.normal(0, 0.25), 0.01, 0.99))
        decision = str(truth.choice(CLASSES[1:])) if score >= 0.5 else "normal"
        right = own.random() < skill
        first = reference if right else str(own.choice([name for name in CLASSES if name != reference]))
        final = decision if own.random() < trust else first
        responses.append(
            ReaderResponse(
                f"{case:016x}",
                "tiny@1",
                decision,
                score if decision != "normal" else 1 - score,
                reader=reader,
                case_set="phantoms",
                reference=reference,
                negative="normal",
                score=score,
                first=first,
                first_confidence=int(own.integers(50, 101)),
                second=final if second else "",
                second_confidence=int(own.integers(50, 101)) if second else 0,
            )
        )
    return responses
