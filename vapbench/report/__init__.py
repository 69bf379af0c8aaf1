"""Reports of finished runs: tables, JSON, and the page that shows every case.

:func:`vapbench.report.tables.summary.summarise` makes tables from run folders; the modules of
:mod:`vapbench.report.render` print them; :func:`vapbench.report.page.page.write_page` writes the page. All of it
reads rows; nothing here generates, scores or imports torch.
"""
