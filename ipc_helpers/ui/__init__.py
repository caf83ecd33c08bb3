"""What readers see in a notebook: panels, figures, worker cells, sources, and what checks say."""
