"""Numbers of papers in suites: those that their tables print, every one, under the name of the paper."""

from __future__ import annotations

import pytest

from tasks.suites.frame import frame_of, published_rows
from tasks.suites.pivots import markdown, pivot
from tasks.suites.suite import load_suite
from tasks.suites.summary import summarise

TABLES = {  # as printed, celebahq and FFHQ (or warped) of table 1 (or 2)
    "translation-celebahq": {
        "MGI, table 1": "style-transfer 229.723 image2stylegan 233.299 cocosnet-warp 383.441 cocosnet 220.359 "
        "oeft 248.193 mgi 202.349",
        "OEFT, table 1": "style-transfer 296.064 swapping-autoencoder 347.284 image2stylegan 292.070 "
        "cocosnet-warp 391.688 cocosnet 298.185 oeft-warp 346.065 oeft 232.726",
    },
    "translation-ffhq": {
        "MGI, table 1": "style-transfer 259.865 image2stylegan 231.660 cocosnet-warp 377.943 cocosnet 235.772 "
        "oeft 272.415 mgi 220.951",
        "OEFT, table 1": "style-transfer 327.404 swapping-autoencoder 377.285 image2stylegan 332.984 "
        "cocosnet-warp 433.389 cocosnet 323.914 oeft-warp 394.312 oeft 302.048",
    },
    "inversion-warped-celebahq": {
        "MGI, table 2": "mganprior 252.952 pulse 470.946 image2stylegan 363.223 mgi 179.522",
        "OEFT, table 2": "mganprior 194.780 pulse 427.773 image2stylegan 311.077 mgi 134.706",
    },
}


@pytest.mark.parametrize("name", TABLES)
def test_the_numbers_of_both_papers_are_shown_as_they_print_them(name: str) -> None:
    suite = load_suite(name)
    expected = {
        (source, method, float(value))
        for source, said in TABLES[name].items()
        for method, value in zip(said.split()[::2], said.split()[1::2], strict=True)
    }
    assert {(number.source, number.method, number.value) for number in suite.published} == expected
    text = markdown(pivot(summarise(frame_of(published_rows(suite)), "mgi")))
    assert all(f"{value:.10g} ({source})" in text for source, _, value in expected)
