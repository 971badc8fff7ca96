#!/bin/sh
# Succeeds while Temporal knows a worker of this container that asks for work. It forgets a worker that has not asked
# for five minutes.
set -eu

temporal task-queue describe --task-queue "${BACKSTAY_TASK_QUEUE:-agents}" --output json | grep --quiet "@$(hostname)\""
