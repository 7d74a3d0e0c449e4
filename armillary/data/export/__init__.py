"""Labelled episodes in the formats of others: COCO, BOP, WebDataset."""
