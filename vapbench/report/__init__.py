"""Reports of finished runs: tables, JSON, and the page that shows every case.

:func:`vapbench.report.tables.summary.summarise` makes tables from run folders; :mod:`~vapbench.report.render.terminal` and
:mod:`~vapbench.report.render.json` print them; :func:`vapbench.report.page.page.write_page` writes the page. All of it
reads rows; nothing here generates, scores or imports torch.
"""
