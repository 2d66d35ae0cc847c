"""The three errors a caller can act on; each class names the remedy."""


class EverloopError(Exception):
    """Any error Everloop raises on purpose."""


class Unavailable(EverloopError):
    """Something needed did not answer: wait and try again."""


class Refused(EverloopError):
    """The input cannot be taken as it is: change it."""


class Conflict(EverloopError):
    """The world moved since it was read: look again."""
