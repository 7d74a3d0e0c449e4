"""Principal components through the Gram matrix equal those of a singular value decomposition."""

import pytest
import torch

from armillary.core import DataError, seeded
from armillary.evaluate.principal_components import PrincipalComponents


def test_equals_the_singular_value_decomposition():
    samples = torch.randn(20, 50, generator=seeded(0)) @ torch.randn(50, 50, generator=seeded(1)) + 3.0
    found = PrincipalComponents(samples, 6)
    centred = samples - samples.mean(0)
    _, values, directions = torch.linalg.svd(centred, full_matrices=False)
    torch.testing.assert_close(found.project(samples).abs(), (centred @ directions[:6].T).abs(), atol=1e-2, rtol=1e-4)
    torch.testing.assert_close(found.project(samples).norm(dim=0), values[:6], atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(found.directions.T @ found.directions, torch.eye(6), atol=1e-4, rtol=0)


def test_keeps_only_directions_that_vary():
    flat = torch.randn(12, 2, generator=seeded(0)) @ torch.randn(2, 30, generator=seeded(1))
    found = PrincipalComponents(flat, 10)
    assert found.directions.shape == (30, 2)
    torch.testing.assert_close(found.project(flat) @ found.directions.T + found.mean, flat, atol=1e-4, rtol=1e-4)


def test_refuses_what_has_no_components():
    with pytest.raises(DataError, match="received 3 and 1"):
        PrincipalComponents(torch.ones(1, 4), 3)
    with pytest.raises(DataError, match="finite"):
        PrincipalComponents(torch.full((4, 4), torch.nan), 3)
