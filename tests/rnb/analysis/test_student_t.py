"""Student's t, against the tables."""

from __future__ import annotations

import pytest

from rnb.analysis.student_t import student_t


@pytest.mark.parametrize(
    ("degrees", "bound"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (9, 2.2622), (30, 2.0423), (2000, 1.9612)],
)
def test_student_t_is_that_of_the_tables(degrees: float, bound: float) -> None:
    assert student_t(degrees) == pytest.approx(bound, abs=1e-4)
    assert student_t(degrees + 0.9) == student_t(degrees)
