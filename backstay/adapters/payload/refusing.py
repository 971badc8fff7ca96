"""Refuses activities whose input cannot be read: once and for all, because no further attempt would read it either."""

from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from backstay.errors import CodecError

from .tolerant import Unreadable


class Refusing(Interceptor):
    """A worker's interceptor that lets no activity begin with a payload that is `UNREADABLE`."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Returns the interceptor of an activity."""
        return _Inbound(next)


class _Inbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        if any(isinstance(value, Unreadable) for value in (*input.args, *activity.info().heartbeat_details)):
            text = "a payload of this activity cannot be read: it is not ours, not encrypted, or of another place"
            raise ApplicationError(text, type=CodecError.code, non_retryable=True)
        return await super().execute_activity(input)
