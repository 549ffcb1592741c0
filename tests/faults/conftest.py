from pathlib import Path

import pytest

from fakes.listening import Listening


@pytest.fixture(
    params=[
        pytest.param(10, id="ten_times_faster"),
        pytest.param(1, id="real_time", marks=pytest.mark.slow),
    ]
)
def faster(request):
    """By what every deadline of the product, and every number of the matrix, is divided."""
    return request.param


@pytest.fixture
def shortest_waits(monkeypatch):
    monkeypatch.setattr("random.random", lambda: 0.0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is here: it takes minutes, so `make long` and CI run it, not `make test`."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.long)


@pytest.fixture(autouse=True)
def _listening():
    """Have an ear hear through every fault, and lose nothing."""
    with Listening():
        yield
