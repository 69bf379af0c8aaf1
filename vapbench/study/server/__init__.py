"""While a study runs: the web application, its store, its raters."""
