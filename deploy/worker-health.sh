#!/bin/sh
# Healthy means that Temporal knows a worker of this container that asks for work: it forgets one that has not asked for
# five minutes.
set -eu

temporal task-queue describe --task-queue "${BACKSTAY_TASK_QUEUE:-agents}" --output json | grep --quiet "@$(hostname)\""
