"""The rooms where files become rows: readers, products, grids, the lake writer."""
