#!/bin/sh
# Refuses to start with a password that anybody could guess.
set -eu

case "$POSTGRES_PASSWORD" in
  change-me*)
    echo "POSTGRES_PASSWORD is the placeholder of .env.example: set one of your own in .env" >&2
    exit 2
    ;;
esac
if [ "${#POSTGRES_PASSWORD}" -lt 16 ]; then
  echo "POSTGRES_PASSWORD is shorter than 16 characters: take one from \`openssl rand -hex 24\`" >&2
  exit 2
fi
