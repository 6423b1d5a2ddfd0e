"""What tests share: how much random input they try (--trials N: N times as much), an alarm."""

import gc
import logging
import pickle
import signal
from contextlib import contextmanager
from inspect import signature

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


def pytest_itemcollected(item):
    """Mark the cases as slow for which a `slow_where` of their test says so."""
    for mark in item.iter_markers("slow_where"):
        case = mark.kwargs["case"]
        if case(**{name: item.callspec.params[name] for name in signature(case).parameters}):
            item.add_marker("slow")


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Search for no garbage while tests are collected: what is made is kept, and it takes a third
    of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.fixture(scope="session")
def trials(request):
    """How many times the usual number of trials is asked for."""
    return request.config.getoption("trials")


@pytest.fixture(scope="session")
def quick_hydra():
    """Spare the commands of tests a part of their time: Hydra parses a text once."""
    from omegaconf import OmegaConf

    known, parse = {}, OmegaConf.load

    def load(file):
        if not hasattr(file, "seek"):
            return parse(file)
        text = file.read()
        if text not in known:
            file.seek(0)
            known[text] = pickle.dumps(parse(file))
        return pickle.loads(known[text])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OmegaConf, "load", load)
        yield


@pytest.fixture
def hydras_logging():
    """Let Hydra configure logging for one test."""
    loggers = [(log, log.level, log.handlers[:]) for log in map(logging.getLogger, ["", "gdconv"])]
    yield
    for log, level, handlers in loggers:
        log.setLevel(level)
        log.handlers = handlers


@pytest.fixture
def no_waiting():
    """A context that ends what would wait for the other end of a pipe for ever."""

    def waits(*_):
        raise AssertionError("it waits")

    @contextmanager
    def alarm():
        before = signal.signal(signal.SIGALRM, waits)
        signal.alarm(60)
        try:
            yield
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)

    return alarm


@pytest.fixture(scope="session")
def check_texts():
    """A function that fails if two texts of a figure overlap, or one is cut off."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    def check(figure):
        canvas = FigureCanvasAgg(figure)
        # A legend and labels of axes come to their places when they are drawn.
        canvas.draw()
        renderer = canvas.get_renderer()
        outer = figure.bbox
        shown = [figure._suptitle, *figure.legends[0].get_texts()]
        for ax in figure.axes:
            shown += [ax.title, ax.xaxis.label, ax.yaxis.label, *ax.texts]
            for axis in (ax.xaxis, ax.yaxis):
                # The ticks inside the panel, where they are drawn now.
                shown += [tick.label1 for tick in axis._update_ticks()]
        shown = [text for text in shown if text.get_text() and text.get_visible()]
        boxes = [text.get_window_extent(renderer) for text in shown]
        for number, box in enumerate(boxes):
            assert outer.x0 <= box.x0 < box.x1 <= outer.x1
            assert outer.y0 <= box.y0 < box.y1 <= outer.y1
            over = [k for k in range(number) if box.overlaps(boxes[k])]
            assert over == [], [shown[k].get_text() for k in (*over, number)]

    return check
