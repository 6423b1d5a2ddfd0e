"""What tests of figures share: one figure of a study, its panels, and what is drawn in them."""

from gdconv.report.figures import catalogue


def drawn_of(tables, name):
    """One figure of a study that has the data for it."""
    drawn, omitted = catalogue.draw(tables, [name])
    assert omitted == {}
    return drawn[name]


def omitted_of(tables, name):
    """Why a study has not the data for a figure."""
    drawn, omitted = catalogue.draw(tables, [name])
    assert drawn == {}
    return omitted[name]


def panels(figure):
    return [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]


def lines(ax, label):
    return [line for line in ax.lines if line.get_label() == label]
