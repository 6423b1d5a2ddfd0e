"""How many trials the tests with random input make: pytest --trials N makes N times as many."""

import logging

import pytest
from hypothesis import HealthCheck, settings

EXAMPLES = 40


def pytest_addoption(parser):
    parser.addoption(
        "--trials",
        type=int,
        default=1,
        metavar="N",
        help="make N times as many trials with random input",
    )


def pytest_configure(config):
    # The same trials in every run; what is found is put into the test as an example.
    settings.register_profile(
        "gdconv",
        derandomize=True,
        max_examples=EXAMPLES * config.getoption("trials"),
        # No test measures time.
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("gdconv")


@pytest.fixture(scope="session")
def trials(request):
    """How many times the usual number of trials is asked for."""
    return request.config.getoption("trials")


@pytest.fixture
def hydras_logging():
    """Let Hydra configure logging for one test."""
    loggers = [(log, log.level, log.handlers[:]) for log in map(logging.getLogger, ["", "gdconv"])]
    yield
    for log, level, handlers in loggers:
        log.setLevel(level)
        log.handlers = handlers
