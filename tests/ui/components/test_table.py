"""What tables share: a screen reader is given numbers as they are shown, and one row is open."""

import pandas as pd
import pytest

from cxr.ui.components.table import number_columns, rounded, selected_row


def test_numbers_are_rounded_as_they_are_shown_and_gaps_stay() -> None:
    table = pd.DataFrame({"Minutes": [0.4760168751080831, None], "Job": ["a", "b"], "ID": [1, 2]})
    shown = rounded(table, {"Minutes": 1, "Not there": 3})
    assert shown["Minutes"].iloc[0] == 0.5
    assert shown["Minutes"].isna().tolist() == [False, True]
    assert shown[["Job", "ID"]].equals(table[["Job", "ID"]])
    assert number_columns({"Minutes": 1})["Minutes"]["type_config"]["format"] == "%.1f"


@pytest.mark.parametrize(
    ("selection", "row"),
    [
        ({"rows": [], "cells": []}, None),
        ({"rows": [2], "cells": []}, 2),
        ({"rows": [], "cells": [(1, "Job")]}, 1),
        ({"rows": [3], "cells": []}, None),  # of a longer table that was here before
        ({"rows": []}, None),
    ],
)
def test_a_row_is_selected_by_its_box_or_by_a_cell(selection: dict[str, list[object]], row: int | None) -> None:
    assert selected_row(selection, 3) == row
