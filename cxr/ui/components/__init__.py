"""What several pages share: the viewer, charts, tables of films, choosers."""
