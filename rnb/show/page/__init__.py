"""One self-contained HTML page about one run or several: what rnb.analysis found, drawn."""
