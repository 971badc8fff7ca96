#!/bin/sh
# Creates the namespace for runs once the server answers. May run again: an existing namespace stays as it is.
set -eu

export TEMPORAL_ADDRESS TEMPORAL_NAMESPACE

attempts=0
until temporal operator cluster health >/dev/null; do
  attempts=$((attempts + 1))
  if [ "$attempts" -ge 30 ]; then
    echo "Temporal at $TEMPORAL_ADDRESS does not answer" >&2
    exit 1
  fi
  sleep 2
done

if temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; then
  echo "the namespace $TEMPORAL_NAMESPACE is there"
else
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION" >/dev/null
  echo "made the namespace $TEMPORAL_NAMESPACE"
fi
