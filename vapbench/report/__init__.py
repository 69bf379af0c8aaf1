"""Reports of finished runs: tables, JSON, and the page that shows every case.

:func:`vapbench.report.table.summarise` makes tables from run folders; :mod:`~vapbench.report.terminal` and
:mod:`~vapbench.report.json` print them; :func:`vapbench.report.show.write_page` writes the page. All of it
reads rows; nothing here generates, scores or imports torch.
"""
