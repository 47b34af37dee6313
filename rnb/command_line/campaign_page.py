"""The page about all runs of a campaign."""

from __future__ import annotations

from pathlib import Path

from rnb.analysis.peak import PeakFinding
from rnb.record.run_folder import RunFolderError
from rnb.show import console
from rnb.show.page.comparison_page import write_comparison_page
from rnb.show.page.destination import FILE_NAME
from rnb.show.page.page import PageError
from rnb.show.page.peak_page import write_peak_page


def draw(page: str | None, folder: Path, found: PeakFinding | None = None) -> bool:
    """Write it, if it was asked for ('': in the campaign's folder); returns whether that went well.

    `found`: what the campaign searched; None: its runs are compared.
    """
    if page is None:
        return True
    path = Path(page or folder / FILE_NAME)
    try:
        if found:
            write_peak_page(path, folder, found)
        else:
            write_comparison_page(path, folder)
    except (PageError, RunFolderError) as error:
        console.complain(str(error))
        return False
    console.say(f"page: {path}")
    return True
