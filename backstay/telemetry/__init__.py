"""Traces, metrics and logs of workers and clients, switched on by OpenTelemetry's standard variables.

A run is one trace, whatever workers serve it:

    start_run support            where the run was started, if that process is traced too
    └─ invoke_agent support      its start; every other span of the run hangs below it
       ├─ step                   one turn of the loop, exported when the step is over
       │  ├─ chat gpt-5-mini     one request to the model
       │  ├─ authorize refund    one verdict
       │  ├─ execute_tool refund one attempt at a call
       │  └─ reconcile refund    a tool is asked whether a lost call happened
       └─ close_run support      its end: status, stop reason, spend

INVARIANT: no span holds a goal, a prompt, an argument, a result or the text of an error, unless
`OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` asks for content; then without the secrets of tools.
"""
