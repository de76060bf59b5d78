"""Scores of labels and boxes, by the reference packages; diversity and shape by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex

from mgi.metrics.diversity import diversity
from mgi.metrics.shape import lines, shape_difference
from mgi.outputs.boxes import Box, box_scores, overlaps
from mgi.outputs.labels import label_scores

COCO = (0.227569, 0.550818, 0.104903)
"""AP, AP50 and AP75 that pycocotools 2.0.11 gives for `boxes()`."""


def test_labels_equal_torchmetrics() -> None:
    draw = np.random.default_rng(0)
    true = draw.integers(0, 5, (6, 20, 30))
    found = np.where(draw.random(true.shape) < 0.6, true, draw.integers(0, 5, true.shape))
    true[0, :5] = 255
    scores = label_scores(zip(found, true, strict=True), 7)  # classes 5 and 6 are nowhere
    x, y = torch.from_numpy(found), torch.from_numpy(true)
    iou = MulticlassJaccardIndex(7, average="none", ignore_index=255)(x, y)[:5]
    assert scores.miou == pytest.approx(float(iou.mean()), abs=1e-6)
    assert list(scores.of_class) == [0, 1, 2, 3, 4]
    micro = MulticlassAccuracy(7, average="micro", ignore_index=255)(x, y)
    assert scores.accuracy == pytest.approx(float(micro), abs=1e-6)
    assert scores.pixels == int((true != 255).sum())


def test_labels_that_do_not_fit_are_one_line() -> None:
    small, large = np.zeros((2, 2), int), np.zeros((3, 2), int)
    with pytest.raises(ValueError, match=r"map 1: expected \(3, 2\)"):
        label_scores([(small, large)], 2)
    with pytest.raises(ValueError, match="expected classes below 2, found 4; give --classes"):
        label_scores([(small + 4, small)], 2)
    with pytest.raises(ValueError, match="expected pixels that count"):
        label_scores([(small, small + 255)], 2)


def boxes() -> tuple[list[Box], list[Box]]:
    """Twenty pictures with boxes of three classes; found ones are moved, doubled, missing and invented."""
    draw = np.random.default_rng(3)
    true, found = [], []
    for picture, kind in itertools.product(range(20), range(3)):
        for _ in range(draw.integers(0, 4)):
            box = draw.uniform((0, 0, 10, 10), (80, 80, 40, 40))
            true.append(Box(str(picture), str(kind), tuple(box.tolist())))
            for _ in range(draw.choice((0, 1, 1, 1, 2))):
                moved = box + draw.normal(0, 2.5, 4)
                found.append(Box(str(picture), str(kind), tuple(moved.tolist()), float(draw.random())))
        if draw.random() < 0.3:
            box = draw.uniform((0, 0, 10, 10), (80, 80, 40, 40))
            found.append(Box(str(picture), str(kind), tuple(box.tolist()), float(draw.random() / 2)))
    return found, true


def test_boxes_equal_cocos_own_program() -> None:
    scores = box_scores(*boxes())
    assert (scores.ap, scores.ap50, scores.ap75) == pytest.approx(COCO, abs=1e-5)
    assert scores.ap == pytest.approx(np.mean(list(scores.of_class.values())))


def test_perfect_boxes_have_one_and_none_have_zero() -> None:
    _, true = boxes()
    assert box_scores(true, true).ap == 1
    assert box_scores([], true).ap == 0
    with pytest.raises(ValueError, match="expected true boxes"):
        box_scores(true, [])
    shared = overlaps(np.array([[0, 0, 2, 2.0]]), np.array([[1, 1, 2, 2.0], [0, 0, 2, 2.0], [5, 5, 1, 1.0]]))
    assert shared[0].tolist() == pytest.approx([1 / 7, 1, 0])


def test_diversity_is_the_mean_of_all_pairs_of_a_source() -> None:
    one, two, three = (torch.full((1, 3, 8, 8), value) for value in (0.0, 1.0, 3.0))
    value, groups = diversity([[one, two, three], [one], [two, two]], lambda x, y: float((x - y).abs().mean()))
    assert (value, groups) == (pytest.approx((2.0 + 0.0) / 2), 2)
    with pytest.raises(ValueError, match="at least two results each"):
        diversity([[one]], lambda x, y: 0.0)


def test_shape_sees_directions_and_not_colours() -> None:
    def stripes(angle: float, colours: tuple[float, float]) -> torch.Tensor:
        y, x = torch.meshgrid(*(torch.arange(128.0),) * 2, indexing="ij")
        wave = (x * np.cos(angle) + y * np.sin(angle)) % 32 < 16
        return torch.where(wave, *map(torch.tensor, colours)).expand(1, 3, 128, 128)

    upright = stripes(0.0, (-0.9, 0.5))
    assert shape_difference(upright, stripes(0.0, (0.8, -0.4))) < 0.05
    slanted, lying = (shape_difference(upright, stripes(angle, (-0.9, 0.5))) for angle in (0.2, np.pi / 2))
    assert 0.05 < slanted < lying and lying > 1
    drawing = torch.full((1, 3, 128, 128), -1.0)
    drawing[..., 40] = 1.0
    assert torch.equal(lines(drawing)[0, 0], (drawing[0, 0] > 0).float())  # a drawing is its own edges
