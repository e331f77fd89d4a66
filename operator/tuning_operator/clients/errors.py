"""What can go wrong outside. Foreign exceptions stop at the clients and become these.

ClusterError
├── Unreachable      no answer, a time-out, or 429/5xx: try again later
├── Conflict         the object changed meanwhile, or another one has its name: look again, decide again
├── NotFound         it is gone
├── Forbidden        the API server will not: RBAC, quota, an admission policy
└── Invalid          the object is wrong: trying again will not help
PrometheusError      no answer from Prometheus, or an answer that cannot be read
"""


class ClusterError(Exception):
    """A call to the API server failed; the message is the server's."""


class Unreachable(ClusterError):  # noqa: N818 - named after the state of the world
    """No answer, or one that asks to try again later."""


class Conflict(ClusterError):  # noqa: N818
    """The object was changed or replaced meanwhile."""


class NotFound(ClusterError):  # noqa: N818
    """There is no such object."""


class Forbidden(ClusterError):  # noqa: N818
    """The server understood and refused: RBAC, quota or admission."""


class Invalid(ClusterError):  # noqa: N818
    """The object does not pass validation."""


class PrometheusError(Exception):
    """Prometheus did not answer, or not with what was asked for."""
