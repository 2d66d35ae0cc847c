"""Pictures without labels, in whatever folders."""

from collections.abc import Iterator

from everloop.data.formats.format import Fit, Wanted
from everloop.data.formats.pictures import PICTURES, reader, side_in
from everloop.data.formats.sketch import Sketch
from everloop.data.incoming import Incoming
from everloop.data.sources.tree import Tree, is_text


class Plain:
    """Every file is a picture that nobody has labelled yet."""

    name = "plain"

    def fits(self, sketch: Sketch, wanted: Wanted) -> Fit | None:
        """Whether a source looks like this format, and why; None when it does not."""
        if wanted.modality != "image":
            return None
        if not sketch.data:
            return Fit("it holds nothing yet", sure=False)
        if sketch.ending_in(*PICTURES):
            return Fit("it holds pictures, which may be without labels", sure=False)
        return None

    def read(self, tree: Tree, wanted: Wanted) -> Iterator[Incoming]:  # noqa: ARG002
        """Every file."""
        for entry in tree.walk():
            if not is_text(entry.path):
                yield Incoming(
                    entry.path, reader(tree, entry.path), entry.stamp, side=side_in(entry.path)
                )
