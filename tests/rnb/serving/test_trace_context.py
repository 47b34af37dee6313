"""The header traceparent."""

from __future__ import annotations

import pytest

from rnb.serving.trace_context import trace_of

TRACE_ID, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_a_trace_goes_on_in_a_span_of_its_own() -> None:
    trace = trace_of(f"00-{TRACE_ID}-{PARENT_ID}-01")
    assert (trace.trace_id, trace.parent_id, trace.flags) == (TRACE_ID, PARENT_ID, "01")
    assert trace.header == f"00-{TRACE_ID}-{trace.span_id}-01"
    assert trace.span_id != PARENT_ID


def test_a_later_version_may_have_more() -> None:
    assert trace_of(f"cc-{TRACE_ID}-{PARENT_ID}-01-what-the-future-has").trace_id == TRACE_ID


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "00",
        f"00-{TRACE_ID.upper()}-{PARENT_ID}-01",
        f"00-{TRACE_ID}-{PARENT_ID}-1",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"00-{'0' * 32}-{PARENT_ID}-01",
        f"ff-{TRACE_ID}-{PARENT_ID}-01",
        f"00-{TRACE_ID}-{PARENT_ID}-01-more",
        f"00-{TRACE_ID}-{PARENT_ID}-01\n",
    ],
)
def test_without_one_or_with_a_malformed_one_there_is_a_new_trace(header: str | None) -> None:
    first, second = trace_of(header), trace_of(header)
    assert len(first.trace_id) == 32
    assert first.trace_id not in (TRACE_ID, second.trace_id)
    assert first.parent_id == ""
