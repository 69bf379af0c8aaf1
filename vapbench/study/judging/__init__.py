"""Models as raters of a study: asked what people are asked, kept apart from people's votes."""
